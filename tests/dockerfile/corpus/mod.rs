//! Small Dockerfiles as data: each with a context, and the tree or the part of the config that comes of it. The default tests
//! build them here, and `cargo test --test interop` holds other builders against them.

mod chosen;
mod forms;
mod heredocs;
mod links;
mod owners;
mod settings;
mod sources;
mod stages;

/// Files of a context: path and content. A path that ends in `/` is a directory; one that begins with `*` may be executed;
/// a content that begins with `-> ` is a link's.
pub type Context<'a> = &'a [(&'a str, &'a str)];

/// What a Dockerfile gives: its name, the Dockerfile, the context beside it, and the lines of its tree.
pub type Case<'a> = (&'a str, &'a str, Context<'a>, &'a [&'a str]);

/// What a Dockerfile says of an image: the Dockerfile, a key of the image's `config`, and its value as JSON.
pub type Setting<'a> = (&'a str, &'a str, &'a str);

/// The context beside Dockerfiles of which the config is looked at.
pub const BESIDE_SETTINGS: Context = &[("a", "A")];

/// The cases with a tree, of one subject each.
pub const TREES: [&[Case]; 7] =
    [sources::SOURCES, links::LINKS, owners::OWNERS, chosen::CHOSEN, heredocs::HEREDOCS, stages::STAGES, forms::FORMS];

/// The cases with a part of the config, of one subject each.
pub const SETTINGS: [&[Setting]; 3] = [settings::COMMANDS, settings::VARIABLES, settings::OTHERS];
