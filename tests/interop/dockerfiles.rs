//! Dockerfiles: buildah gives the trees and configs of the corpus that ocify gives. Where it does not, BuildKit is the judge
//! (docs/design/dockerfile.md).

use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use crate::case::workspace;
use crate::corpus::{BESIDE_SETTINGS, Context, SETTINGS, TREES};
use crate::policy;
use crate::workspace::{Workspace, list};

/// What buildah 1.28 does otherwise, and in which cases: a name, or the lines of a Dockerfile and a key.
const DIFFERENT: &[(&str, &[&str])] = &[
    (
        "knows no heredocs",
        &[
            "a heredoc",
            "a heredoc with a name",
            "variables in heredocs",
            "tabs before a heredoc",
            "heredocs with files and flags",
        ],
    ),
    (
        "knows no --exclude, --parents and --link",
        &[
            "exclude",
            "exclude twice",
            "a file that is named is not excluded",
            "parents",
            "parents with a pivot",
            "parents at any depth",
            "a whole directory with parents",
            "with --link the link is replaced",
        ],
    ),
    ("takes modes as numbers only", &["--chmod=go-r", "--chmod=u=rwX,go="]),
    (
        "gives the mode to what is copied, and not to directories that are made for it",
        &["--chmod=600", "--chmod=1777", "a directory that is there stays as it is"],
    ),
    ("refuses names that no account has", &["--chown=nosuch", "--chown=nosuch:staff", "--chown=5:nosuch"]),
    ("makes a directory of a destination for several sources", &["of two files onto one the last is left"]),
    ("refuses a pattern without a match", &["a pattern without a match leaves nothing"]),
    ("replaces a link at the destination", &["a destination that is a link to a file, and one that dangles"]),
    ("takes names of stages as they are written", &["by name in any case"]),
    ("expands no name of a stage in FROM", &["a stage with a variable in its name"]),
    ("reads an array before other words", &["FROM scratch; CMD [\"a\"] b; Cmd"]),
    (
        "takes the shell form's shell from SHELL for RUN only",
        &[
            "FROM scratch; SHELL [\"/bin/bash\", \"-c\"]; CMD a; Cmd",
            "FROM scratch AS one; SHELL [\"/bin/bash\", \"-c\"]; FROM one; ENTRYPOINT a; Entrypoint",
        ],
    ),
    (
        "knows of the expansions those with a colon only",
        &[
            "FROM scratch; ENV a=; ENV b=${a:-1} c=${a-1} d=${a:+1} e=${a+1}; Env",
            "FROM scratch; ENV a=foobarbaz; ENV b=${a#f*b} c=${a##f*b} d=${a%b*}; Env",
            "FROM scratch; ENV a=a.b.c; ENV b=${a/./-} c=${a//./-}; Env",
        ],
    ),
    ("lets ENV hide a later ARG", &["FROM scratch; ENV a=env; ARG a=arg; ENV b=$a; Env"]),
    ("forgets a stage's ARGs", &["FROM scratch AS one; ARG a=1; ENV c=3; FROM one; ENV b=$a$c; Env"]),
    (
        "stores ports as they are written",
        &[
            "FROM scratch; EXPOSE 80 53/UDP 8080:81; ExposedPorts",
            "FROM scratch; EXPOSE 80; EXPOSE 80/tcp 90-91; ExposedPorts",
        ],
    ),
    ("has no working directory on nothing", &["FROM scratch; WorkingDir"]),
];

/// Debian's buildah, with images of its own.
struct Buildah {
    home: Workspace,
}

impl Buildah {
    /// Builds as a docker image, which has health checks, shells and triggers, and gives a workspace in whose store it is,
    /// as `theirs:1`.
    fn build(&self, dockerfile: &str, context: Context) -> Result<Workspace, String> {
        let built = workspace(dockerfile, context);
        let at = |path: &str| built.path(path).display().to_string();
        let own = |path: &str| self.home.path(path).display().to_string();
        let policy = policy(&self.home);
        let (root, run) = (own("containers"), own("containers-run"));
        let buildah = |arguments: &[&str]| {
            let storage = ["--root", &root, "--runroot", &run, "--storage-driver", "vfs"];
            let output = Command::new("buildah").args(storage).args(arguments).output();
            let output = output.expect("buildah is needed for this test; install Debian's package `buildah`");
            match output.status.success() {
                true => Ok(()),
                false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            }
        };
        let how =
            ["bud", "-q", "--pull-never", "--isolation", "chroot", "--format", "docker", "--identity-label=false"];
        let of = ["--signature-policy", &policy, "-t", "localhost/theirs:1", "-f", &at("Dockerfile"), &at("c")];
        buildah(&[&how[..], &of].concat())?;
        let archive = format!("docker-archive:{}:localhost/theirs:1", at("theirs.tar"));
        buildah(&["push", "--signature-policy", &policy, "localhost/theirs:1", &archive])?;
        built.ok(&["load", "-i", "theirs.tar"]);
        Ok(built)
    }

    /// The lines of the tree.
    fn tree(&self, dockerfile: &str, context: Context) -> Result<Vec<String>, String> {
        let built = self.build(dockerfile, context)?;
        built.ok(&["export", "localhost/theirs:1", "-o", "tree.tar"]);
        Ok(list(&built.path("tree.tar")))
    }

    /// The value of a key of the config.
    fn setting(&self, dockerfile: &str, key: &str) -> Result<Value, String> {
        let built = self.build(dockerfile, BESIDE_SETTINGS)?;
        let config: Value = serde_json::from_str(&built.ok(&["inspect", "localhost/theirs:1", "--config"])).unwrap();
        // Whether what is empty is there or not says nothing.
        Ok(Some(config["config"][key].clone()).filter(|value| *value != json!([])).unwrap_or_default())
    }
}

/// Does `check` for each case, on all processors, with a buildah for each, and returns what it found, in the order of the
/// cases.
fn each<C: Sync>(cases: &[C], check: impl Fn(&Buildah, &C) -> Option<String> + Sync) -> Vec<String> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let begun: Vec<_> = cases
            .chunks(cases.len().div_ceil(threads))
            .map(|cases| {
                scope.spawn(|| {
                    let buildah = Buildah { home: Workspace::new() };
                    cases.iter().filter_map(|case| check(&buildah, case)).collect::<Vec<_>>()
                })
            })
            .collect();
        begun.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// The name of a case that has none.
fn name_of(dockerfile: &str, key: &str) -> String {
    format!("{}; {key}", dockerfile.trim_end().replace('\n', "; "))
}

/// The case and what is wrong: that it differs, or that it does not and is known to.
fn wrong(case: &str, ours: &str, theirs: &str) -> Option<String> {
    let known = DIFFERENT.iter().find(|(_, cases)| cases.contains(&case));
    match known {
        Some((what, _)) if ours == theirs => Some(format!("{case}: buildah gives the same, though it {what}")),
        None if ours != theirs => Some(format!("{case}\nocify   {ours}\nbuildah {theirs}")),
        _ => None,
    }
}

#[test]
fn buildah_gives_the_same_trees() {
    let found = each(&TREES.concat(), |buildah, (name, dockerfile, context, expected)| {
        let theirs = buildah.tree(dockerfile, context).map_or_else(|error| error, |lines| lines.join("\n        "));
        wrong(name, &expected.join("\n        "), &theirs)
    });
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}

#[test]
fn buildah_gives_the_same_configs() {
    let found = each(&SETTINGS.concat(), |buildah, (dockerfile, key, expected)| {
        let expected: Value = serde_json::from_str(expected).unwrap();
        let theirs = buildah.setting(dockerfile, key).map_or_else(|error| error, |value| value.to_string());
        wrong(&name_of(dockerfile, key), &expected.to_string(), &theirs)
    });
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}

#[test]
fn what_is_known_to_differ_is_in_the_corpus() {
    let settings = SETTINGS.concat().into_iter().map(|(dockerfile, key, _)| name_of(dockerfile, key));
    let names: Vec<String> = TREES.concat().into_iter().map(|case| case.0.to_owned()).chain(settings).collect();
    let unknown: Vec<_> =
        DIFFERENT.iter().flat_map(|(_, cases)| *cases).filter(|case| !names.iter().any(|name| name == *case)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
