//! `ocify images`: what the store holds under which name.

use crate::diagnostic::Diagnostic;
use crate::image;
use crate::oci::Descriptor;
use crate::store::Store;

use super::size::human_size;
use super::{environment, print};

/// List the images of the store.
#[derive(clap::Args)]
#[command(after_help = "Example: ocify images --json")]
pub(super) struct Arguments {
    /// Print one JSON object for each image
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store_to_look_at()?;
    let references =
        store.references().map_err(|error| Diagnostic::failure("the store's index cannot be read").caused_by(error))?;
    let rows: Vec<Row> = references.iter().map(|(name, descriptor)| Row::new(name, descriptor, &store)).collect();
    if arguments.json {
        return print(&rows.iter().map(Row::json).collect::<String>());
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max("NAME".len());
    let mut table = format!("{:width$}  {:12}  {:14}  {:20}  {}\n", "NAME", "DIGEST", "PLATFORM", "CREATED", "SIZE");
    for row in &rows {
        let digest = &row.digest["sha256:".len()..][..12];
        table.push_str(&format!(
            "{:width$}  {digest}  {:14}  {:20}  {}\n",
            row.name,
            row.platforms.join(","),
            row.created.as_deref().unwrap_or("-"),
            row.size.map_or("-".into(), human_size),
        ));
    }
    print(&table)
}

struct Row {
    name: String,
    digest: String,
    platforms: Vec<String>,
    created: Option<String>,
    /// Bytes of manifest, config and layers together; `None` if a blob of the image is not in the store.
    size: Option<u64>,
}

impl Row {
    /// An image that cannot be read is listed all the same: somebody has to be able to see it.
    fn new(name: &str, descriptor: &Descriptor, store: &Store) -> Row {
        let mut row = Row {
            name: name.to_owned(),
            digest: descriptor.digest.to_string(),
            platforms: Vec::new(),
            created: None,
            size: None,
        };
        let Ok(loaded) = image::load(store, &descriptor.digest) else { return row };
        let images = loaded.images();
        row.platforms = images.iter().map(|image| image.platform().to_string()).collect();
        row.created = images.first().and_then(|image| image.config().created.clone());
        let sizes = images.iter().flat_map(|image| {
            let layers = image.layers().iter().map(|layer| layer.descriptor.size);
            layers.chain([image.descriptor().size, image.manifest().config.size])
        });
        row.size = Some(sizes.sum());
        row
    }

    fn json(&self) -> String {
        let Row { name, digest, platforms, created, size } = self;
        let object = serde_json::json!({
            "name": name, "digest": digest, "platforms": platforms, "created": created, "size": size,
        });
        format!("{object}\n")
    }
}
