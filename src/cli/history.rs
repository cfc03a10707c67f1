//! `ocify history`: what made the layers of an image.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::action::Step;
use crate::build::layer_steps;
use crate::diagnostic::Diagnostic;
use crate::digest::{CacheKey, Digest};
use crate::image::{Image, Layer};
use crate::oci::History;
use crate::platform::Platform;

use super::name::{self, short};
use super::size::human_size;
use super::template::{Format, aligned};
use super::{environment, print};

/// The columns that a template may name, and their headings.
const HEADINGS: [(&str, &str); 9] = [
    ("Layer", "LAYER"),
    ("DiffID", "DIFF ID"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
    ("Step", "STEP"),
    ("Target", "TARGET"),
    ("Key", "KEY"),
];

/// How many characters of a command are shown.
const SHOWN: usize = 45;

/// Show what made each layer of an image, the uppermost first: the image's own history, and the step and the cache key of
/// the build as far as the store remembers it.
#[derive(clap::Args)]
#[command(
    after_help = "STEP and KEY are those of builds into this store; `ocify prune` forgets those of images without a
name.

Examples:
  ocify history //examples/hello
  ocify history example.com/web:1.4 --no-trunc
  ocify history example.com/web:1.4 --format '{{.Layer}} {{.CreatedBy}}'"
)]
pub(super) struct Arguments {
    /// A name as `ocify images` lists it, a label, a digest or image ID, or at least four digits of one
    #[arg(value_name = "IMAGE")]
    name: String,
    /// Of an index, the image for this platform
    #[arg(long)]
    platform: Option<Platform>,
    /// Print digests, keys and commands in full
    #[arg(long)]
    no_trunc: bool,
    /// Print each layer by a Go-like template, a `table` of one, or `json`
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<Format>,
    /// Print one JSON object for each layer, sizes in bytes
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let store = environment.store()?;
    let image = name::load_image(&arguments.name, arguments.platform.as_ref(), &store)?;
    let steps = layer_steps(&image, &store)?;
    let rows = rows(&image, &steps);
    if arguments.json {
        return print(&rows.iter().map(Row::json).collect::<String>());
    }
    if let Some(format) = &arguments.format {
        let values: Vec<Value> = rows.iter().map(|row| row.fields(arguments.no_trunc)).collect();
        if let Some(text) = format.render(&values, &HEADINGS)? {
            return print(&text);
        }
    }
    let mut lines = vec!["LAYER\tCREATED\tCREATED BY\tSIZE\tSTEP\tKEY\tCOMMENT".to_owned()];
    lines.extend(rows.iter().map(|row| row.line(arguments.no_trunc)));
    print(&aligned(&lines))
}

/// An entry of the history with its layer, if it made one.
struct Row<'a> {
    entry: Option<&'a History>,
    layer: Option<&'a Layer>,
    made: Option<&'a (Step, CacheKey)>,
}

/// The uppermost first. Where the history does not account for the layers, no entry can be told to belong to one, so only
/// the layers are listed.
fn rows<'a>(image: &'a Image, steps: &'a BTreeMap<Digest, (Step, CacheKey)>) -> Vec<Row<'a>> {
    let history = &image.config().history;
    let made = |layer: &Layer| steps.get(&layer.descriptor.digest);
    let mut layers = image.layers().iter();
    let mut rows: Vec<Row> = match history.iter().filter(|entry| !entry.empty_layer).count() == layers.len() {
        true => {
            let row = |entry: &'a History| {
                let layer = if entry.empty_layer { None } else { layers.next() };
                Row { entry: Some(entry), layer, made: layer.and_then(made) }
            };
            history.iter().map(row).collect()
        }
        false => layers.map(|layer| Row { entry: None, layer: Some(layer), made: made(layer) }).collect(),
    };
    rows.reverse();
    rows
}

impl Row<'_> {
    fn created(&self) -> Option<&str> {
        self.entry?.created.as_deref()
    }

    fn created_by(&self) -> Option<&str> {
        self.entry?.created_by.as_deref()
    }

    fn comment(&self) -> Option<&str> {
        self.entry?.comment.as_deref()
    }

    /// Bytes of the blob.
    fn size(&self) -> u64 {
        self.layer.map_or(0, |layer| layer.descriptor.size)
    }

    fn line(&self, whole: bool) -> String {
        let digest = |digest: &Digest| if whole { digest.to_string() } else { short(digest) };
        let day = self.created().map_or("-", |created| created.split('T').next().unwrap_or(created));
        let text = |text: Option<&str>| match text {
            Some(text) if !text.is_empty() => one_line(text, whole),
            _ => "-".to_owned(),
        };
        let cells = [
            self.layer.map_or("-".to_owned(), |layer| digest(&layer.descriptor.digest)),
            day.to_owned(),
            text(self.created_by()),
            human_size(self.size()),
            self.made.map_or("-".to_owned(), |(step, _)| one_line(&step.to_string(), whole)),
            self.made.map_or("-".to_owned(), |(_, key)| digest(&key.0)),
            self.comment().map_or(String::new(), |comment| one_line(comment, whole)),
        ];
        cells.join("\t")
    }

    fn fields(&self, whole: bool) -> Value {
        let digest = |digest: &Digest| if whole { digest.to_string() } else { short(digest) };
        json!({
            "Layer": self.layer.map_or("-".to_owned(), |layer| digest(&layer.descriptor.digest)),
            "DiffID": self.layer.map_or("-".to_owned(), |layer| digest(&layer.diff_id.0)),
            "CreatedAt": self.created().unwrap_or("-"),
            "CreatedBy": self.created_by().unwrap_or_default(),
            "Size": human_size(self.size()),
            "Comment": self.comment().unwrap_or_default(),
            "Step": self.made.map_or("-".to_owned(), |(step, _)| step.to_string()),
            "Target": self.made.map_or("-".to_owned(), |(step, _)| step.target.to_string()),
            "Key": self.made.map_or("-".to_owned(), |(_, key)| digest(&key.0)),
        })
    }

    fn json(&self) -> String {
        let object = json!({
            "layer": self.layer.map(|layer| layer.descriptor.digest),
            "diffId": self.layer.map(|layer| layer.diff_id),
            "created": self.created(),
            "createdBy": self.created_by(),
            "comment": self.comment(),
            "size": self.size(),
            "step": self.made.map(|(step, _)| step),
            "key": self.made.map(|(_, key)| key),
        });
        format!("{object}\n")
    }
}

/// White space and what a terminal would take for a command become single spaces.
fn one_line(text: &str, whole: bool) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some(_) if !whole => line.chars().take(SHOWN - 1).chain(['…']).collect(),
        _ => line,
    }
}
