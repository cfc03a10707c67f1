//! `ocify images`: what the store holds under which name.

use serde_json::{Value, json};

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::image::{self, ImageOrIndex};
use crate::oci::{Descriptor, Reference};
use crate::store::Store;

use super::filter::{Filter, Filters, Subject};
use super::name::{self, short};
use super::size::human_size;
use super::template::{Format, aligned};
use super::{environment, print};

/// What stands for a name that there is not, as in Docker.
const NONE: &str = "<none>";

/// The columns that a template may name, and their headings.
const HEADINGS: [(&str, &str); 9] = [
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("Platform", "PLATFORM"),
    ("Created", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Name", "NAME"),
];

/// List the images of the store.
#[derive(clap::Args)]
#[command(after_help = "CREATED is the day that the image itself names, SIZE that of its blobs as they are stored. The
IMAGE ID is the digest of the config, or that of an index. A name without tag stands for `latest`.

Examples:
  ocify images
  ocify images 'example.com/shop/*'
  ocify images --filter label=team=web --filter since=example.com/shop/web:1.3
  ocify images --format '{{.Repository}}:{{.Tag}} {{.Digest}}'
  ocify images --format 'table {{.Name}}\\t{{.Size}}'
  ocify images --quiet --no-trunc")]
pub(super) struct Arguments {
    /// Only images of this name, any tag if it has none; `*` and `?` stand for anything but `/`
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
    /// Only images that fit: reference=PATTERN, label=KEY[=VALUE], before=IMAGE, since=IMAGE or dangling=true|false
    #[arg(short, long = "filter", value_name = "KEY=VALUE")]
    filters: Vec<Filter>,
    /// Show digests, too
    #[arg(long)]
    digests: bool,
    /// Print only image IDs
    #[arg(short, long, conflicts_with_all = ["digests", "format", "json"])]
    quiet: bool,
    /// Print digests in full
    #[arg(long)]
    no_trunc: bool,
    /// Print each image by a Go-like template, a `table` of one, or `json`
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<Format>,
    /// Print one JSON object for each name, sizes in bytes
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store_to_look_at()?;
    let filters = Filters::new(&arguments.filters, arguments.reference.as_deref(), &store)?;
    let mut rows = Vec::new();
    for (name, descriptor) in listed(&store)? {
        let row = Row::new(name, &descriptor, &store);
        if filters.accept(&row.subject()) {
            rows.push(row);
        }
    }
    if arguments.json {
        return print(&rows.iter().map(Row::json).collect::<String>());
    }
    if arguments.quiet {
        return print(&rows.iter().map(|row| format!("{}\n", row.id(arguments.no_trunc))).collect::<String>());
    }
    if let Some(format) = &arguments.format {
        let values: Vec<Value> = rows.iter().map(|row| row.fields(arguments.no_trunc)).collect();
        if let Some(text) = format.render(&values, &HEADINGS)? {
            return print(&text);
        }
    }
    print(&table(&rows, arguments))
}

/// All names with what they lead to, and what is listed without a name.
fn listed(store: &Store) -> Result<Vec<(Option<String>, Descriptor)>, Diagnostic> {
    let named = name::references(store)?;
    let unnamed = store.unnamed().map_err(name::unreadable)?.into_iter();
    let unnamed = unnamed.filter(|entry| named.values().all(|other| other.digest != entry.digest));
    let unnamed: Vec<(Option<String>, Descriptor)> = unnamed.map(|descriptor| (None, descriptor)).collect();
    Ok(named.into_iter().map(|(name, descriptor)| (Some(name), descriptor)).chain(unnamed).collect())
}

fn table(rows: &[Row], arguments: &Arguments) -> String {
    let mut lines = vec![match arguments.digests {
        true => "REPOSITORY\tTAG\tDIGEST\tIMAGE ID\tPLATFORM\tCREATED\tSIZE".to_owned(),
        false => "REPOSITORY\tTAG\tIMAGE ID\tPLATFORM\tCREATED\tSIZE".to_owned(),
    }];
    for row in rows {
        let (repository, tag) = row.repository_and_tag();
        let mut cells = vec![repository, tag];
        if arguments.digests {
            cells.push(row.digest.to_string());
        }
        cells.push(row.id(arguments.no_trunc));
        cells.extend([row.platform(), row.day().to_owned(), row.human_size()]);
        lines.push(cells.join("\t"));
    }
    aligned(&lines)
}

struct Row {
    name: Option<String>,
    digest: Digest,
    /// `None` for an image that cannot be read. It is listed all the same: somebody has to be able to see it.
    loaded: Option<ImageOrIndex>,
}

impl Row {
    fn new(name: Option<String>, descriptor: &Descriptor, store: &Store) -> Row {
        let digest = descriptor.digest;
        Row { name, digest, loaded: image::load(store, &digest).ok() }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            name: self.name.as_deref(),
            created: self.created(),
            images: self.loaded.as_ref().map(name::runnable).unwrap_or_default(),
        }
    }

    /// A name ends with a tag if there is a colon behind its last slash; one without stands for `latest`.
    fn repository_and_tag(&self) -> (String, String) {
        let Some(name) = &self.name else { return (NONE.into(), NONE.into()) };
        let without_digest = name.split_once('@').map_or(name.as_str(), |(name, _)| name);
        match without_digest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository.to_owned(), tag.to_owned()),
            _ => {
                let latest = name.parse::<Reference>().is_ok_and(|reference| reference.digest.is_none());
                (without_digest.to_owned(), if latest { "latest" } else { NONE }.to_owned())
            }
        }
    }

    /// The image ID, or the digest of an index.
    fn id(&self, whole: bool) -> String {
        let id = self.loaded.as_ref().map_or(self.digest, ImageOrIndex::id);
        if whole { id.to_string() } else { short(&id) }
    }

    fn platforms(&self) -> Vec<String> {
        let images = self.loaded.as_ref().map(name::runnable).unwrap_or_default();
        images.iter().map(|image| image.platform().to_string()).collect()
    }

    fn platform(&self) -> String {
        match self.platforms().as_slice() {
            [] => "-".to_owned(),
            platforms => platforms.join(","),
        }
    }

    /// Of an index, that of its first image.
    fn created(&self) -> Option<&str> {
        name::runnable(self.loaded.as_ref()?).first()?.config().created.as_deref()
    }

    fn day(&self) -> &str {
        self.created().map_or("-", |created| created.split('T').next().unwrap_or(created))
    }

    /// Bytes of indexes, manifests, configs and layers as they are stored, each blob once.
    fn size(&self) -> Option<u64> {
        self.loaded.as_ref().map(image::blobs).map(|blobs| blobs.values().sum())
    }

    fn human_size(&self) -> String {
        self.size().map_or("-".into(), human_size)
    }

    fn fields(&self, whole: bool) -> Value {
        let (repository, tag) = self.repository_and_tag();
        json!({
            "Repository": repository,
            "Tag": tag,
            "Name": self.name.as_deref().unwrap_or(NONE),
            "ID": self.id(whole),
            "Digest": self.digest,
            "Platform": self.platform(),
            "Created": self.day(),
            "CreatedAt": self.created().unwrap_or("-"),
            "Size": self.human_size(),
        })
    }

    fn json(&self) -> String {
        let object = json!({
            "name": self.name,
            "digest": self.digest,
            "id": self.id(true),
            "platforms": self.platforms(),
            "created": self.created(),
            "size": self.size(),
        });
        format!("{object}\n")
    }
}
