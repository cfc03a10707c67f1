//! `ocify import` of Dockerfiles: the specs are committed, and build what the Dockerfiles build.

use std::fs;
use std::path::{Path, PathBuf};

use super::add;
use super::real::{bases, cases, copy_case, directory};
use crate::git::repository::is_git_installed;
use crate::sandbox;
use crate::specs::check_file;
use crate::workspace::Workspace;

/// Runs `ocify` with the store of another workspace.
fn import(case: &Path, store: &Workspace, lock: &str, options: &[&str]) -> (Workspace, crate::workspace::Run) {
    let workspace = Workspace::new();
    copy_case(case, &workspace);
    workspace.write("ocify.lock", lock);
    if fs::read_to_string(case.join("Dockerfile")).unwrap().contains("COPY step ") {
        fs::copy(sandbox::program(), workspace.path("step")).unwrap();
    }
    let store = store.store().display().to_string();
    let run = workspace.run(&[&["import", "Dockerfile", "--offline", "--store", &store], options].concat());
    (workspace, run)
}

/// Holds a spec against the committed one.
fn compare(golden: &Path, text: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("OCIFY_BLESS").is_some() {
        fs::write(golden, text).unwrap();
    }
    if fs::read_to_string(golden).unwrap_or_default() != text {
        wrong.push(format!("{} is not what is imported now:\n{text}", golden.display()));
    }
}

#[test]
fn every_dockerfile_of_the_field_becomes_its_committed_spec_which_evaluates() {
    let made = Workspace::new();
    let lock = bases(&made, None);
    let store = made.store().display().to_string();
    let mut wrong = Vec::new();
    let cases = cases(&directory());
    assert!(cases.len() >= 25, "{cases:?}");
    for name in cases {
        let case = directory().join(&name);
        let (workspace, run) = import(&case, &made, &lock, &[]);
        if run.code != 0 {
            wrong.push(format!("{name}: {}", run.stderr));
            continue;
        }
        compare(&case.join("expected.star"), &fs::read_to_string(workspace.path("BUILD.star")).unwrap(), &mut wrong);
        let target = run.stdout.trim();
        let query = workspace.run(&["query", target, "--store", &store]);
        if query.code != 0 {
            wrong.push(format!("{name}: {}", query.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Where the smaller cases are, one for each rule of the import.
fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dockerfile/import")
}

#[test]
fn every_rule_has_its_committed_spec_which_builds_the_same() {
    let made = Workspace::new();
    let mut wrong = Vec::new();
    for name in cases(&rules()) {
        let case = rules().join(&name);
        let runs = fs::read_to_string(case.join("Dockerfile")).unwrap().contains("RUN ");
        let check: &[&str] = if runs && !sandbox::is_allowed() { &[] } else { &["--check"] };
        for (golden, options) in [("expected.star", &[][..]), ("expected-tidy.star", &["--tidy"])] {
            let (workspace, run) = import(&case, &made, "version = 1\n", &[check, options].concat());
            if run.code != 0 || !(check.is_empty() || run.stdout.starts_with("0 differences in ")) {
                wrong.push(format!("{name} {options:?}:\n{}\n{}", run.stdout, run.stderr));
            }
            let text = fs::read_to_string(workspace.path("BUILD.star")).unwrap_or_default();
            let is_tidy = !options.is_empty();
            let plain = fs::read_to_string(case.join("expected.star")).unwrap_or_default();
            // Only where there is something to merge is there a second golden file.
            if !is_tidy || text != plain {
                compare(&case.join(golden), &text, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_add_fetches_becomes_fetch_and_git() {
    if !is_git_installed() {
        return;
    }
    let (home, files) = (Workspace::new(), add::server());
    let (bare, commits) = add::repository(&home);
    let commit = bare.id("v1^{commit}");
    let (app, tar, lib) = (files.url("files/app"), files.url("x.tar"), commits.url("lib.git"));
    let workspace = Workspace::new().file(
        "Dockerfile",
        format!(
            "FROM scratch\nARG DIR=/lib\n# The program\nADD --chmod=755 {app} /bin/\nADD --checksum={} {app} /name\n\
             ADD --unpack --chown=5:6 {tar} /d\n# The library\nADD {lib}#v1:src $DIR\nADD {lib} /all/\n\
             ADD --checksum={commit} --keep-git-dir {lib}#v1 /kept\n",
            add::CONTENT
        ),
    );
    let run = workspace.run(&["import", "Dockerfile", "--check"]);
    assert!(run.stdout.starts_with("0 differences in "), "{}{}", run.stdout, run.stderr);
    let text = fs::read_to_string(workspace.path("BUILD.star")).unwrap();
    for part in [
        format!(
            "        # The program\n        files(srcs = {{\"/bin/app\": fetch(url = \"{app}\")}}, mode = \"0755\"),\n"
        ),
        format!("sha256 = \"{}\"", add::CONTENT.trim_start_matches("sha256:")),
        format!("        archive(src = fetch(url = \"{tar}\"), dest = \"/d\", owner = \"5:6\"),\n"),
        format!("    layers = [archive(src = git(url = \"{lib}\", ref = \"v1\"))],\n"),
        "        # The library\n        copy(image_commit, [\"/src\"], strip_prefix = \"/src\", dest = DIR),\n"
            .to_owned(),
        format!("        archive(src = git(url = \"{lib}\"), dest = \"/all\"),\n"),
        format!("ref = \"v1\",\n                commit = \"{commit}\",\n                keep_git_dir = True,\n"),
    ] {
        assert!(text.contains(&part), "{part}\n{text}");
    }
    let lock = fs::read_to_string(workspace.path("ocify.lock")).unwrap();
    assert!([&app, &tar, &lib].iter().all(|url| lock.contains(url.as_str())), "{lock}");
    let error = Workspace::new()
        .file("Dockerfile", format!("FROM scratch\nADD {app} /\n"))
        .fails(1, &["import", "Dockerfile", "--check", "--locked"]);
    assert!(error.contains("ocify.lock would have to change") && error.contains(&app), "{error}");
}

#[test]
fn arguments_and_the_platform_are_those_of_the_command_line() {
    let workspace = Workspace::new().file("a-2.txt", "A").file(
        "Dockerfile",
        "ARG VERSION=1\nFROM scratch AS one\nARG VERSION\nARG MODE=0640\nARG TARGETARCH\nLABEL v=$VERSION arch=$TARGETARCH\n\
         COPY --chmod=$MODE a-$VERSION.txt /$TARGETARCH/\nFROM scratch\nARG VERSION=3\nCOPY --from=one / /$VERSION\n",
    );
    let given = ["--build-arg", "VERSION=2", "--build-arg", "MODE=0600", "--platform", "linux/arm64"];
    let run = workspace.run(&[&["import", "Dockerfile", "--check", "--build-arg", "UNKNOWN=x"], &given[..]].concat());
    assert!(run.stdout.starts_with("0 differences in "), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("warning: the Dockerfile has no ARG `UNKNOWN`"), "{}", run.stderr);
    let text = fs::read_to_string(workspace.path("BUILD.star")).unwrap();
    for part in [
        "VERSION = arg(\"VERSION\", default = \"2\")",
        "the ARG MODE is written out with the value given",
        "\"linux/arm64\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(workspace.tree("//:image"), ["2/ 0755 0:0", "2/arm64/ 0600 0:0", "2/arm64/a-2.txt 0600 0:0 A"]);
}

#[test]
fn the_example_of_the_page_is_imported_as_it_says() {
    let case = directory().join("python-flask");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/import.md")).unwrap();
    let mut held = page;
    for (language, file) in [("dockerfile", "Dockerfile"), ("python", "expected.star")] {
        let text = fs::read_to_string(case.join(file)).unwrap();
        let (before, rest) = held.split_once(&format!("```{language}\n")).unwrap();
        let (_, after) = rest.split_once("```\n").unwrap();
        held = format!("{before}```{language}\n{text}```\n{after}");
    }
    check_file("docs/import.md", &held);
}

#[test]
fn a_difference_is_printed_with_both_sides_and_fails() {
    let workspace = Workspace::new()
        .file("Dockerfile", "FROM scratch\nCOPY a b /x/\nENV A=1\n")
        .file("a", "A")
        .file("b", "B")
        .file(
            "BUILD.star",
            "image(name = 'image', base = scratch(), layers = [write('/x/a', 'other', mode = '0600'), write('/x/c', '')], \
             env = {'PATH': '/bin', 'A': '1'}, workdir = '/')\n",
        );
    let run = workspace.run(&["import", "Dockerfile", "--check"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    for line in [
        "config.Env: [\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"A=1\"] | [\"PATH=/bin\",\"A=1\"]",
        "/x/a: mode 0644 | 0600",
        "/x/b: file 0644 0:0 1 bytes, ",
        "/x/c: nothing | file 0644 0:0 0 bytes, ",
        "5 differences in ",
    ] {
        assert!(run.stdout.lines().any(|found| found.starts_with(line)), "{line}\n{}", run.stdout);
    }
    assert!(run.stderr.contains("BUILD.star is there and stays as it is"), "{}", run.stderr);
    assert!(run.stderr.contains("differ in 5 places"), "{}", run.stderr);
}

#[test]
fn nothing_is_overwritten_unless_it_is_asked_for() {
    let workspace =
        Workspace::new().file("Dockerfile", "FROM scratch\nCOPY a /\n").file("a", "A").file("BUILD.star", "# mine\n");
    let error = workspace.fails(2, &["import", "Dockerfile"]);
    assert!(error.contains("`BUILD.star` is there already") && error.contains("--force"), "{error}");
    let text = workspace.ok(&["import", "Dockerfile", "-o", "-"]);
    assert!(text.contains("image(\n    name = \"image\",\n"), "{text}");
    assert_eq!(fs::read_to_string(workspace.path("BUILD.star")).unwrap(), "# mine\n");
    assert_eq!(workspace.ok(&["import", "Dockerfile", "--force"]), "//:image\n");
    assert_eq!(fs::read_to_string(workspace.path("BUILD.star")).unwrap(), text);
    let error = workspace.fails(2, &["import", "Dockerfile", "--check", "-o", "x.star"]);
    assert!(error.contains("`--check` needs the spec in its place"), "{error}");
}

#[test]
fn a_link_in_the_place_of_the_spec_is_replaced_and_not_followed() {
    let workspace = Workspace::new().file("Dockerfile", "FROM scratch\nCOPY a /\n").file("a", "A");
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "mine\n").unwrap();
    std::os::unix::fs::symlink(outside.path(), workspace.path("BUILD.star")).unwrap();
    workspace.ok(&["import", "Dockerfile", "--force"]);
    assert_eq!(fs::read_to_string(outside.path()).unwrap(), "mine\n");
    assert!(fs::read_to_string(workspace.path("BUILD.star")).unwrap().contains("image("));
}

#[test]
fn what_a_dockerfile_says_is_no_code_of_the_spec() {
    let dockerfile =
        "# one\rprint(4711)\nFROM scratch\nCOPY [\"a\\nprint(4712)#*\", \"/x\"]\nCMD [\"a\\nb\\\\\\\"\"]\n";
    let workspace = Workspace::new().file("Dockerfile", dockerfile).file("a\nprint(4712)#1", "A");
    let text = workspace.ok(&["import", "Dockerfile", "-o", "-"]);
    assert!(
        text.contains("# one print(4711)") && text.contains("# ocify: the one file that `a print(4712)#*`"),
        "{text}"
    );
}

#[test]
fn options_of_the_one_kind_are_refused_for_the_other() {
    let workspace = Workspace::new().file("Dockerfile", "FROM scratch\n").file("rootfs.tar", [0; 1024]);
    let error = workspace.fails(2, &["import", "Dockerfile", "--cmd", "sh"]);
    assert!(error.contains("`Dockerfile` is a Dockerfile, and --cmd is for an archive"), "{error}");
    let error = workspace.fails(2, &["import", "rootfs.tar", "--tidy"]);
    assert!(error.contains("`rootfs.tar` is an archive, and --tidy is for a Dockerfile"), "{error}");
}

#[test]
fn a_package_of_a_workspace_is_named_after_its_directory() {
    let workspace = Workspace::new()
        .file("shop/docker/Dockerfile", "FROM scratch\nCOPY . /x/\n")
        .file("shop/docker/Dockerfile.dockerignore", "docker\n")
        .file("shop/a", "A");
    let import = ["import", "shop/docker/Dockerfile", "--context", "shop", "--check"];
    let run = workspace.run(&import);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let text = fs::read_to_string(workspace.path("shop/BUILD.star")).unwrap();
    assert!(text.contains("name = \"shop\"") && text.contains("exclude = [\"BUILD.star\", \"docker/**\"]"), "{text}");
    assert_eq!(workspace.tree("//shop"), ["x/ 0755 0:0", "x/a 0644 0:0 A"]);
}

#[test]
fn two_images_are_compared_by_what_they_are() {
    let layers = |more: &str| format!("layers = [write('/a', 'A'), dir('/d'){more}]");
    let workspace = Workspace::new().file(
        "BUILD.star",
        format!(
            "image(name = 'x', {})\nimage(name = 'y', {}, labels = {{'v': '1'}})\nimage(name = 'z', base = ':x')\n",
            layers(""),
            layers(", symlink('/l', 'a')")
        ),
    );
    workspace.ok(&["build", "//..."]);
    let same = workspace.ok(&["diff", "//:x", "//:z"]);
    assert!(same.starts_with("0 differences in ") && same.contains("2 | 2 layers"), "{same}");
    let run = workspace.run(&["diff", "//:x", "//:y"]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("config.Labels: nothing | {\"v\":\"1\"}\n"), "{}", run.stdout);
    assert!(run.stdout.contains("/l: nothing | symbolic link 0777 0:0 -> a\n"), "{}", run.stdout);
    let run = workspace.run(&["diff", "//:x", "//:y", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["differences"][1]["place"], "/l");
    assert_eq!(json["sizes"][1]["entries"], 3);
}
