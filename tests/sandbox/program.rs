//! The program that steps run, and workspaces with it for root and for an ordinary user.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::workspace::{Run, Workspace};

/// Who an ordinary user is where the tests run as root.
const USER: u32 = 65_534;
/// An ordinary user with subordinate ids, whom `useradd` makes; .ci/run does.
const WITH_IDS: &str = "ocify-test";

/// As whom a build runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Root,
    User,
    WithIds,
}

/// Everybody as whom a build can run here.
pub fn everybody() -> &'static [Who] {
    static EVERYBODY: OnceLock<Vec<Who>> = OnceLock::new();
    EVERYBODY.get_or_init(|| {
        let is_root = rustix::process::geteuid().is_root();
        let mut everybody = if is_root { vec![Who::Root] } else { Vec::new() };
        if is_root && ids_of(Who::WithIds).is_some() {
            everybody.push(Who::WithIds);
        }
        let run = Story::new("must").run_as(Who::User);
        match run.code {
            0 => everybody.push(Who::User),
            _ if std::env::var_os("CI").is_some_and(|ci| ci == "true") => panic!("no sandbox: {}", run.stderr),
            _ => eprintln!("NOT TESTED: the kernel refuses a sandbox to an ordinary user:\n{}", run.stderr),
        }
        everybody
    })
}

/// True if whoever runs the tests can run steps.
pub fn is_allowed() -> bool {
    let who = if rustix::process::geteuid().is_root() { Who::Root } else { Who::User };
    everybody().contains(&who)
}

/// An image `//:x`, whose last layer is a step that obeys orders, and `//:base`, on which it stands.
#[derive(Clone)]
pub struct Story {
    layers: String,
    orders: String,
    options: String,
}

impl Story {
    /// Orders as a person would write them: words, separated by `;`.
    pub fn new(orders: &str) -> Self {
        Story { layers: String::new(), orders: orders.to_owned(), options: String::new() }
    }

    /// With further layers below, in Starlark.
    pub fn on(mut self, layers: &str) -> Self {
        self.layers = layers.to_owned();
        self
    }

    /// With further arguments of `run`, in Starlark.
    pub fn with(mut self, options: &str) -> Self {
        self.options = format!(", {options}");
        self
    }

    /// The spec.
    pub fn spec(&self) -> String {
        let words: Vec<String> = self.orders.split_whitespace().map(|word| format!("{word:?}")).collect();
        let (layers, options, words) = (&self.layers, &self.options, words.join(", "));
        format!(
            "image(name = 'base', layers = [files(srcs = ['step'], dest = '/bin'), {layers}])\n\
             image(name = 'x', base = ':base', layers = [run(['step', {words}]{options})])\n"
        )
    }

    /// A workspace with the spec and the program.
    pub fn workspace(&self) -> Workspace {
        let workspace = Workspace::new().file("BUILD.star", self.spec());
        fs::copy(program(), workspace.path("step")).unwrap();
        workspace
    }

    /// Builds as somebody, in a new workspace.
    pub fn run_as(&self, who: Who) -> Run {
        build_as(&self.workspace(), who, &["build", "//:x"])
    }

    /// Builds as everybody, and returns what the step wrote, which is the same for all, and the digest, too.
    #[track_caller]
    pub fn wrote(&self) -> String {
        let runs: Vec<(Who, Run)> = everybody().iter().map(|&who| (who, self.run_as(who))).collect();
        let mut outputs = runs.iter().map(|(who, run)| {
            assert_eq!(run.code, 0, "{who:?}: {}", run.stderr);
            (who, run.stdout.clone(), spoken(run))
        });
        let Some((_, digest, first)) = outputs.next() else { return String::new() };
        for (who, other, output) in outputs {
            assert_eq!(output, first, "{who:?}");
            assert_eq!(other, digest, "{who:?}");
        }
        first
    }

    /// The paths of the step's layer, the same for everybody, with mode, owner and content.
    #[track_caller]
    pub fn layer(&self) -> Vec<String> {
        let mut layers = everybody().iter().map(|&who| {
            let workspace = self.workspace();
            let run = build_as(&workspace, who, &["build", "//:x", "-o", "oci:out"]);
            assert_eq!(run.code, 0, "{who:?}: {}", run.stderr);
            (who, last_layer(&workspace.path("out"), &workspace.path("layer.tar")))
        });
        let Some((_, first)) = layers.next() else { return Vec::new() };
        for (who, layer) in layers {
            assert_eq!(layer, first, "{who:?}");
        }
        first
    }
}

/// What the step wrote.
pub fn spoken(run: &Run) -> String {
    let is_progress = |line: &str| line.starts_with('[') && line.contains('/') && line.contains("] ");
    // What makes devices with subordinate ids begins anew, and has written before.
    let last = run.stderr.rsplit("ocify: begun anew in the tier single-user\n").next().unwrap_or_default();
    last.lines().filter(|line| !is_progress(line)).collect::<Vec<_>>().join("\n")
}

/// Runs `ocify` as somebody.
pub fn build_as(workspace: &Workspace, who: Who, arguments: &[&str]) -> Run {
    let mut command = command_as(workspace, who, arguments);
    loop {
        match command.output() {
            // Another thread's child has not closed the copy of the binary yet.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            output => return Run::from(output.unwrap()),
        }
    }
}

/// A command line of `ocify` as somebody, not run yet.
pub fn command_as(workspace: &Workspace, who: Who, arguments: &[&str]) -> Command {
    let mut command = workspace.command(arguments);
    command.env("OCIFY_CANARY", "a secret of the machine").env("HOME", workspace.root());
    let ids = ids_of(who).filter(|_| rustix::process::geteuid().is_root());
    if let Some((uid, gid)) = ids {
        let directory = workspace.root().parent().unwrap().to_owned();
        let binary = directory.join("ocify");
        if !binary.exists() {
            fs::copy(env!("CARGO_BIN_EXE_ocify"), &binary).unwrap();
        }
        give(&directory, uid, gid);
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut own = Command::new(binary);
        own.args(arguments).current_dir(workspace.root()).env("OCIFY_STORE", workspace.store());
        own.env("OCIFY_CANARY", "a secret of the machine").env("HOME", workspace.root()).uid(uid).gid(gid);
        command = own;
    }
    command
}

/// The user and group of whoever is not the one who runs the tests; `None` also where there is no such user.
fn ids_of(who: Who) -> Option<(u32, u32)> {
    match who {
        Who::Root => None,
        Who::User => Some((USER, USER)),
        Who::WithIds => {
            let users = fs::read_to_string("/etc/passwd").unwrap();
            let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
            let user = fields.into_iter().find(|fields| fields[0] == WITH_IDS)?;
            Some((user[2].parse().unwrap(), user[3].parse().unwrap()))
        }
    }
}

/// Gives what a person has made. Of what is the user's already, or of their subordinate ids, not even the time of change is
/// touched.
fn give(path: &Path, uid: u32, gid: u32) {
    const PERSONS: std::ops::Range<u32> = 0..1 << 16;
    let owner = fs::symlink_metadata(path).unwrap().uid();
    if owner != uid && PERSONS.contains(&owner) {
        lchown(path, Some(uid), Some(gid)).unwrap();
    }
    if path.is_dir() && !path.is_symlink() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), uid, gid));
    }
}

/// The program, compiled once.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // Other runs of the tests may use it at the same time.
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let made = directory.join(format!("step-{}", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox/step.c");
        let compiled = Command::new("cc").args(["-static", "-O1", "-w", "-o"]).arg(&made).arg(source).status();
        assert!(compiled.unwrap().success(), "the steps of tests need a C compiler and a static C library");
        fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
        let program = directory.join("step");
        fs::rename(made, &program).unwrap();
        program
    })
}

/// The entries of the last layer of the only image in a layout.
pub fn last_layer(layout: &Path, tar: &Path) -> Vec<String> {
    let json = |path: &Path| -> serde_json::Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let blob = |digest: &serde_json::Value| layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let manifest = json(&blob(&json(&layout.join("index.json"))["manifests"][0]["digest"]));
    let layer = blob(&manifest["layers"].as_array().unwrap().last().unwrap()["digest"]);
    let mut reader = flate2::read::MultiGzDecoder::new(fs::File::open(layer).unwrap());
    std::io::copy(&mut reader, &mut fs::File::create(tar).unwrap()).unwrap();
    crate::workspace::list(tar)
}
