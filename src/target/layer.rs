//! The builtins that make a layer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Spanned;
use crate::path::{ImagePath, WorkspacePath};

use super::base::Base;
use super::decode;
use super::field::{Mode, Owner};
use super::place::Place;
use super::run::Run;
use super::source::{ArchiveSource, FileSource, Sources};

/// One layer of an image. Each layer of the spec becomes one layer of the image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerSpec {
    Files(Files),
    Write(Write),
    Dir(Dir),
    Symlink(Symlink),
    Accounts(Accounts),
    Archive(Archive),
    Copy(Copy),
    Run(Run),
    /// Made by a Dockerfile only.
    Place(Box<Place>),
}

/// Files of the workspace. Each keeps its path relative to the package, below `dest`; a map `{destination: source}`
/// renames. A directory brings all that is in it, symbolic links are kept as links. Modes are 0644, or 0755 where the
/// owner may execute; directories 0755; all owned by 0:0: other bits, owner and times of the checkout never reach the
/// layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The package in which the call stands.
    #[serde(skip_deserializing, default = "decode::package")]
    #[schemars(skip)]
    pub package: WorkspacePath,
    /// A list of paths relative to the package, of `fetch(...)`, or both, as `glob` returns it; or a map
    /// `{destination: source}`, in which a destination that ends in `/` keeps the file's name.
    pub srcs: Sources<FileSource>,
    /// The directory in the image below which the files of a list, and relative destinations of a map, are placed.
    #[serde(default = "ImagePath::root")]
    #[schemars(with = "String")]
    pub dest: ImagePath,
    /// A leading part of the sources' paths to take away.
    #[serde(default = "WorkspacePath::root")]
    #[schemars(with = "String")]
    pub strip_prefix: WorkspacePath,
    /// The mode of every file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The mode of every directory that comes from the sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir_mode: Option<Mode>,
    /// The owner of everything that comes from the sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// A file whose content stands in the spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Where the file lies in the image.
    #[schemars(with = "String")]
    pub path: ImagePath,
    /// The content, written as UTF-8 and without an added line end.
    pub content: String,
    /// By default 0644.
    #[serde(default = "file_mode")]
    pub mode: Mode,
    /// By default 0:0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// A directory, with those above it. One that exists below keeps what is in it, and its mode and owner unless they are given
/// here; so does one to which a link at this path leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dir {
    /// Where the directory lies in the image.
    #[schemars(with = "String")]
    pub path: ImagePath,
    /// By default that of the directory below, else 0755.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// By default that of the directory below, else 0:0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// A symbolic link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Symlink {
    /// Where the link lies in the image.
    #[schemars(with = "String")]
    pub path: ImagePath,
    /// What the link says; it need not exist.
    pub target: String,
    /// By default 0:0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// Users and groups, added to `/etc/passwd` and `/etc/group` of the image below, with home directories. A user or
/// group that is there already with the same fields stays; one with other fields is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Users, each `{name, uid, gid, home, shell, gecos, create_home}`.
    #[serde(default)]
    pub users: Vec<User>,
    /// Groups, each `{name, gid, members}`.
    #[serde(default)]
    pub groups: Vec<Group>,
}

/// One line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the primary group; by default the user's, and a group of the user's name is made if no group has
    /// the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// The home directory; by default `/home/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// The login shell; by default `/sbin/nologin`.
    #[serde(default = "nologin")]
    pub shell: String,
    /// The full name.
    #[serde(default)]
    pub gecos: String,
    /// Whether the home directory is made, with mode 0700 and owned by the user; by default yes.
    #[serde(default = "yes")]
    pub create_home: bool,
}

/// One line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The group's name.
    pub name: String,
    /// The group's number.
    pub gid: u32,
    /// Names of further users in the group.
    #[serde(default)]
    pub members: Vec<String>,
}

/// The contents of an archive: tar, plain or compressed with gzip, xz, bzip2 or zstd, or zip; told apart by content,
/// not by name. Modes, links and, without `owner`, owners are the archive's; times become the epoch if later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// The package in which the call stands.
    #[serde(skip_deserializing, default = "decode::package")]
    #[schemars(skip)]
    pub package: WorkspacePath,
    /// A path relative to the package, `fetch(...)`, or `git(...)`.
    pub src: Spanned<ArchiveSource>,
    /// The directory in the image into which the archive is extracted.
    #[serde(default = "ImagePath::root")]
    #[schemars(with = "String")]
    pub dest: ImagePath,
    /// How many leading components of each name are taken away; entries with no more than these are left out.
    #[serde(default)]
    pub strip_components: u32,
    /// Globs over the names (after `strip_components`) of what is extracted; by default everything.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs of what is left out of that.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The owner of everything; by default as the archive says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// Files of another image or target. Each keeps its path below `dest`; a map `{destination: source}` renames. Modes
/// and owners are kept unless given here. A directory brings all that is in it; one that is named and comes to lie on a directory
/// of the image below leaves that as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// The image or target that holds the files.
    pub image: Spanned<Base>,
    /// A list of paths in that image, or a map `{destination: source}`, in which a destination that ends in `/` keeps
    /// the file's name.
    pub srcs: Sources<String>,
    /// The directory in the image below which the files of a list, and relative destinations of a map, are placed.
    #[serde(default = "ImagePath::root")]
    #[schemars(with = "String")]
    pub dest: ImagePath,
    /// A leading part of the sources' paths to take away.
    #[serde(default = "ImagePath::root")]
    #[schemars(with = "String")]
    pub strip_prefix: ImagePath,
    /// The directory in the image into which the files of a list are put as COPY of a Dockerfile does it, in place of
    /// `dest` and `strip_prefix`: a file by its own name, of a directory what is in it, links followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub into: Option<ImagePath>,
    /// The mode of every file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The owner of everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

fn file_mode() -> Mode {
    Mode(0o644)
}

fn nologin() -> String {
    "/sbin/nologin".into()
}

fn yes() -> bool {
    true
}
