//! The action cache: each input of a layer's key is a miss that names it, each exclusion a hit.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::workspace::Workspace;

const SPEC: &str = "image(name = 'x', layers = [
    files(srcs = ['src'], dest = '/app', owner = '1:2'),
    symlink('/link', 'app'),
])";

/// What is changed between two builds.
type Change = Box<dyn Fn(&Workspace)>;

fn built() -> Workspace {
    let workspace = Workspace::new().file("BUILD.star", SPEC).file("src/a", "a").file("src/b", "b");
    workspace.build("//:x");
    workspace
}

/// What the build says of the step whose title begins with `title`.
#[track_caller]
fn said(workspace: &Workspace, title: &str) -> String {
    let run = workspace.run(&["build", "//:x"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let line = run.stderr.lines().find(|line| line.contains(title));
    line.unwrap_or_else(|| panic!("no step {title:?} in {}", run.stderr)).split_once(title).unwrap().1.trim().to_owned()
}

#[test]
fn each_input_of_the_key_is_a_miss_that_names_it() {
    let rename = |workspace: &Workspace| fs::rename(workspace.path("src/b"), workspace.path("src/c")).unwrap();
    let spec = |from: &'static str, to: &'static str| {
        move |workspace: &Workspace| workspace.write("BUILD.star", SPEC.replace(from, to))
    };
    let change: Vec<(&str, Change, &str)> = vec![
        ("files /app", Box::new(|w| w.write("src/a", "A")), "(content of /app/src/a changed)"),
        ("files /app", Box::new(|w| w.write("src/new", "n")), "(/app/src/new is new)"),
        ("files /app", Box::new(|w| fs::remove_file(w.path("src/b")).unwrap()), "(/app/src/b is gone)"),
        ("files /app", Box::new(rename), "(/app/src/b is gone, and 1 more)"),
        (
            "files /app",
            Box::new(|w| fs::set_permissions(w.path("src/a"), fs::Permissions::from_mode(0o755)).unwrap()),
            "(mode of /app/src/a changed)",
        ),
        ("files /app", Box::new(spec("'1:2'", "'1:3'")), "(owner of /app/src changed, and 2 more)"),
        ("files /app", Box::new(|w| w.write("ocify.toml", "epoch = 5")), "(time of /app changed, and 3 more)"),
        ("symlink /link", Box::new(spec("'app'", "'opt'")), "(content of /link changed)"),
        (
            "files /app",
            Box::new(|w| w.write("ocify.toml", "compression = 'zstd'")),
            "(compression changed from gzip to zstd)",
        ),
    ];
    for (title, change, reason) in change {
        let workspace = built();
        change(&workspace);
        assert_eq!(said(&workspace, title), reason);
        assert_eq!(said(&workspace, title), "(cached)", "after {reason}");
    }
}

#[test]
fn what_is_not_in_the_key_is_a_hit() {
    let spec = |to: &'static str| move |workspace: &Workspace| workspace.write("BUILD.star", to);
    let change: Vec<(&str, Change)> = vec![
        ("nothing", Box::new(|_| ())),
        (
            "times of the checkout",
            Box::new(|w| {
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(12_345);
                fs::File::open(w.path("src/a")).unwrap().set_modified(time).unwrap();
            }),
        ),
        (
            "modes of the checkout",
            Box::new(|w| fs::set_permissions(w.path("src/a"), fs::Permissions::from_mode(0o600)).unwrap()),
        ),
        (
            "another spec for the same layer",
            Box::new(spec(
                "# A remark.
image(name = 'x', labels = {'a': 'b'}, layers = [
    files(srcs = {'/app/src': 'src'}, dest = '/app', owner = '1:2'),
    symlink('/link', 'app'),
])",
            )),
        ),
        (
            "files written anew with the same content",
            Box::new(|w| {
                fs::remove_file(w.path("src/a")).unwrap();
                w.write("src/a", "a");
            }),
        ),
    ];
    for (what, change) in change {
        let workspace = built();
        change(&workspace);
        assert_eq!(said(&workspace, "files /app"), "(cached)", "{what}");
    }
}

#[test]
fn a_step_that_was_never_built_says_so() {
    let workspace = Workspace::new().file("BUILD.star", "image(name = 'x', layers = [write('/a', 'a')])");
    assert_eq!(said(&workspace, "write /a"), "(not built before)");
}

#[test]
fn two_targets_with_the_same_layer_share_it() {
    let workspace = built();
    workspace.write(
        "BUILD.star",
        format!("{SPEC}\nimage(name = 'y', layers = [files(srcs = ['src'], dest = '/app', owner = '1:2')])"),
    );
    let run = workspace.run(&["build", "//:y"]);
    assert!(run.stderr.contains("files /app (cached)"), "{}", run.stderr);
}

#[test]
fn a_result_that_is_gone_or_damaged_is_made_again() {
    let workspace = built();
    let digest = workspace.build("//:x");
    let blobs = workspace.store().join("blobs/sha256");
    for entry in fs::read_dir(&blobs).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(said(&workspace, "files /app"), "(its result is no longer in the store)");
    assert_eq!(workspace.build("//:x"), digest);

    for entry in fs::read_dir(workspace.store().join("actions")).unwrap() {
        let path = entry.unwrap().path();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "not a record").unwrap();
    }
    assert_eq!(said(&workspace, "files /app"), "(not built before)");
    assert_eq!(workspace.build("//:x"), digest);
}

#[test]
fn explain_names_the_changed_file_old_and_new_and_builds_nothing() {
    let workspace = built();
    assert_eq!(
        workspace.ok(&["explain", "//:x"]),
        "//:x 1 files /app: hit\n//:x 2 symlink /link: hit\n//:x image: hit\n"
    );
    workspace.write("src/a", "longer");
    workspace.write("src/new", "");
    let digest = |text: &str| ocify::digest::Digest::of(text.as_bytes());
    let expected = format!(
        "//:x 1 files /app: miss: content of /app/src/a changed, and 1 more
  ~ /app/src/a
    content: file of 1 bytes, {} -> file of 6 bytes, {}
  + /app/src/new
//:x 2 symlink /link: hit
//:x image: miss: depends on layer 1
",
        digest("a"),
        digest("longer")
    );
    for _ in 0..2 {
        assert_eq!(workspace.ok(&["explain", "//:x"]), expected, "explaining changes nothing");
    }
    let json = workspace.ok(&["explain", "//:x", "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["miss"]["entries"][1]["path"], "/app/src/new");
    assert_eq!(first["miss"]["entries"][1]["change"], "added");
    assert_eq!(first["target"], "//:x");
}

#[test]
fn each_input_of_an_image_is_a_miss_that_names_it() {
    let spec = |from: &'static str, to: &'static str| {
        move |workspace: &Workspace| workspace.write("BUILD.star", SPEC.replace(from, to))
    };
    let change: Vec<(Change, &str)> = vec![
        (Box::new(spec("layers", "user = '7', layers")), "(user is new)"),
        (Box::new(spec("layers", "env = {'A': 'b'}, layers")), "(env.A is new)"),
        (Box::new(spec("symlink('/link', 'app'),", "")), "(layers.2.digest is gone, and 1 more)"),
        (Box::new(|w| w.write("ocify.toml", "media_types = 'docker'")), "(media_types changed from oci to docker)"),
        (Box::new(|w| w.write("src/a", "A")), "(layers.1.digest changed)"),
        (
            Box::new(|w| w.write("ocify.toml", "platform = 'linux/arm64'")),
            "(platform changed from linux/amd64 to linux/arm64)",
        ),
    ];
    for (change, reason) in change {
        let workspace = built();
        change(&workspace);
        assert_eq!(said(&workspace, "image //:x"), reason);
        assert_eq!(said(&workspace, "image //:x"), "(cached)", "after {reason}");
    }
}

#[test]
fn tags_name_a_result_and_do_not_reach_it() {
    let workspace = built();
    workspace.write("BUILD.star", SPEC.replace("layers", "tags = ['example.com/x:1'], layers"));
    assert_eq!(said(&workspace, "image //:x"), "(cached)");
    workspace.write("BUILD.star", SPEC.replace("layers", "tags = ['not a tag'], layers"));
    assert!(workspace.fails(2, &["build", "//:x"]).contains("not a tag"), "a bad tag is told, though all is there");
}

/// A workspace with an image that stands on an archive which a first one wrote.
fn on_an_archive() -> Workspace {
    let workspace = Workspace::new()
        .file(
            "BUILD.star",
            "image(name = 'base', layers = [write('/etc/passwd', 'me:x:7:8::/:/bin/sh\\n'), write('/big', 'b')])",
        )
        .file("ocify.toml", "");
    workspace.ok(&["build", "//:base", "-o", "oci-archive:base.tar", "-o", "docker-archive:docker.tar"]);
    workspace.ok(&["build", "//:base", "-o", "tar:root.tar"]);
    workspace.write(
        "BUILD.star",
        "image(name = 'x', base = oci_archive('base.tar'), layers = [
    write('/file', 'content', owner = 'me'),
    archive(src = 'root.tar', dest = '/root'),
    copy(image = docker_archive('docker.tar'), srcs = ['/big'], dest = '/copied'),
])",
    );
    fs::remove_dir_all(workspace.store()).unwrap();
    workspace
}

#[test]
fn bases_and_archives_are_read_once() {
    let workspace = on_an_archive();
    assert_eq!(said(&workspace, "import base.tar"), "(not built before)");
    for step in ["import base.tar", "import docker.tar", "read root.tar"] {
        assert_eq!(said(&workspace, step), "(cached)", "{step}");
    }
    let digest = workspace.build("//:x");

    // The layer is gone, but what the archive holds is known: its files are taken out of it again.
    let index: serde_json::Value = serde_json::from_str(&workspace.ok(&["inspect", "//:x"])).unwrap();
    for layer in [2, 3, 4] {
        let hex = index["manifest"]["layers"][layer]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        fs::remove_file(workspace.store().join("blobs/sha256").join(hex)).unwrap();
    }
    let run = workspace.run(&["build", "//:x"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("read root.tar (cached)"), "{}", run.stderr);
    assert!(run.stderr.contains("archive root.tar /root (its result is no longer in the store)"), "{}", run.stderr);
    assert_eq!(workspace.build("//:x"), digest);
}

#[test]
fn a_base_that_changed_is_read_again_and_one_that_is_gone_from_the_store_too() {
    let workspace = on_an_archive();
    let digest = workspace.build("//:x");
    let archive = fs::read(workspace.path("base.tar")).unwrap();
    // Another archive of the same image: the image is the same, and so is everything that stands on it.
    workspace.write("base.tar", [archive, vec![0; 1024]].concat());
    assert_eq!(said(&workspace, "import base.tar"), "(content changed)");
    assert_eq!(workspace.build("//:x"), digest);

    let inspected: serde_json::Value = serde_json::from_str(&workspace.ok(&["inspect", "//:x"])).unwrap();
    let hex = inspected["manifest"]["layers"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    fs::remove_file(workspace.store().join("blobs/sha256").join(hex)).unwrap();
    assert_eq!(said(&workspace, "import base.tar"), "(its result is no longer in the store)");
    assert_eq!(workspace.build("//:x"), digest);
}

#[test]
fn a_damaged_manifest_or_config_is_made_again() {
    let workspace = built();
    let digest = workspace.build("//:x");
    let inspected: serde_json::Value = serde_json::from_str(&workspace.ok(&["inspect", "//:x"])).unwrap();
    for name in [digest.clone(), inspected["manifest"]["config"]["digest"].as_str().unwrap().to_owned()] {
        let blob = workspace.store().join("blobs/sha256").join(name.strip_prefix("sha256:").unwrap());
        let mut bytes = fs::read(&blob).unwrap();
        bytes[10] ^= 1;
        fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&blob, bytes).unwrap();
        assert_eq!(said(&workspace, "image //:x"), "(its result is no longer in the store)");
        assert_eq!(workspace.build("//:x"), digest);
    }
}

#[test]
fn a_record_explains_on_another_machine_and_after_eviction() {
    let workspace = built();
    workspace.ok(&["build", "//:x", "--record", "record.json"]);
    workspace.write("src/a", "other");
    fs::remove_dir_all(workspace.store()).unwrap();
    assert!(workspace.ok(&["explain", "//:x"]).starts_with("//:x 1 files /app: miss: not built before\n"));
    let explained = workspace.ok(&["explain", "//:x", "--against", "record.json"]);
    assert!(
        explained.starts_with("//:x 1 files /app: miss: content of /app/src/a changed\n  ~ /app/src/a\n"),
        "{explained}"
    );
    assert!(explained.contains("//:x 2 symlink /link: miss: its result is no longer in the store\n"), "{explained}");

    workspace.write("record.json", "{\"version\": 9}");
    let error = workspace.fails(2, &["explain", "//:x", "--against", "record.json"]);
    assert!(error.contains("it has version 9, and this ocify reads version 1"), "{error}");
}

#[test]
fn explain_compares_with_an_earlier_build_by_digest() {
    let workspace = built();
    let first = workspace.build("//:x");
    workspace.write("src/a", "second");
    workspace.build("//:x");
    workspace.write("src/b", "third");
    let against = |build: &str| workspace.ok(&["explain", "//:x", "--against", build]);
    assert!(against(&first).starts_with("//:x 1 files /app: miss: content of /app/src/a changed, and 1 more\n"));
    workspace.build("//:x");
    let known = against(&first);
    assert!(
        known.starts_with("//:x 1 files /app: hit, but content of /app/src/a changed, and 1 more since\n"),
        "{known}"
    );
    assert!(
        known.contains("  ~ /app/src/b\n") && known.contains("//:x image: hit, but layers.1.digest changed since\n")
    );
    workspace.write("src/b", "fourth");
    assert!(against("x").starts_with("//:x 1 files /app: miss: content of /app/src/b changed\n"));
    assert!(workspace.ok(&["explain", "//:x"]).starts_with("//:x 1 files /app: miss: content of /app/src/b changed\n"));
    let error = workspace.fails(2, &["explain", "//:x", "--against", "nothing"]);
    assert!(error.contains("name a file that `ocify build --record` wrote"), "{error}");
}

#[test]
fn what_does_not_depend_on_a_failure_goes_on_if_asked_to() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'bad', layers = [files(srcs = ['missing'])])
image(name = 'on-bad', base = ':bad', layers = [write('/a', 'a')])
image(name = 'good', layers = [write('/a', 'a')])
image(name = 'worse', layers = [files(srcs = ['nowhere'])])",
    );
    workspace.fails(2, &["build", "//:all", "--jobs", "1"]);
    let run = workspace.run(&["build", "//:all", "--keep-going"]);
    assert_eq!(run.code, 2);
    assert!(run.stdout.starts_with("//:good sha256:"), "{}", run.stdout);
    assert_eq!(run.stdout.lines().count(), 1);
    assert!(run.stderr.contains("missing") && run.stderr.contains("nowhere"), "{}", run.stderr);
    assert!(workspace.ok(&["images"]).contains("good"));
}

#[test]
fn builds_at_the_same_time_share_what_both_want() {
    let workspace = Workspace::new()
        .file("BUILD.star", "image(name = 'x', layers = [files(srcs = ['src'], dest = '/%d' % n) for n in range(8)])");
    for n in 0..200 {
        let text: String = (0..2_000).map(|line| format!("{n} {}\n", line * 7919 % 10_007)).collect();
        workspace.write(&format!("src/{n}"), text);
    }
    let builds: Vec<_> = (0..4)
        .map(|_| {
            let mut command = workspace.command(&["build", "//:x"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let outputs: Vec<_> = builds.into_iter().map(|build| build.wait_with_output().unwrap()).collect();
    let mut made = 0;
    for output in &outputs {
        assert!(output.status.success());
        assert_eq!(output.stdout, outputs[0].stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let layers = stderr.lines().filter(|line| line.contains("files /"));
        made += layers.filter(|line| !line.contains("(cached)") && !line.contains("waiting")).count();
    }
    assert_eq!(made, 8, "each layer is made by one of the four");
    assert_eq!(fs::read_dir(workspace.store().join("ingest")).unwrap().count(), 0);
}

/// A workspace with one of each action that has a key of its own besides layers.
fn with_all_kinds() -> Workspace {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'a', platform = 'linux/amd64', layers = [write('/a', 'a')])
image(name = 'b', platform = 'linux/arm64', layers = [write('/b', 'b')])
index(name = 'both', images = [':a', ':b'])",
    );
    workspace.ok(&["build", "//:both", "-o", "oci-archive:both.tar"]);
    workspace.ok(&["build", "//:a", "-o", "oci:layout", "-o", "tar:root.tar", "-o", "oci-archive:a.tar"]);
    let digest = workspace.build("//:a");
    let sha256 = ocify::digest::Digest::of(b"fetched").hex();
    workspace.write("fetched", "fetched");
    workspace.write("other", "other");
    workspace.write(
        "BUILD.star",
        format!(
            "layout = oci_layout('layout', digest = '{digest}')
image(name = 'x', base = oci_archive('both.tar'), platform = 'linux/amd64', layers = [
    files(srcs = [fetch(urls = ['file://fetched'], sha256 = '{sha256}')]),
    archive(src = 'root.tar'),
])
image(name = 'y', base = layout, layers = [dir('/y')])
index(name = 'i', images = [':x'])"
        ),
    );
    workspace.ok(&["build", "//:all"]);
    workspace
}

#[test]
fn each_input_of_the_other_actions_is_a_miss_that_names_it() {
    let spec = |from: &'static str, to: &'static str| -> Change {
        Box::new(move |workspace: &Workspace| {
            let text = fs::read_to_string(workspace.path("BUILD.star")).unwrap();
            assert!(text.contains(from));
            workspace.write("BUILD.star", text.replace(from, to));
        })
    };
    let other = ocify::digest::Digest::of(b"other").hex();
    let fetched = ocify::digest::Digest::of(b"fetched").hex();
    let to_other: Change = Box::new(move |workspace| {
        let text = fs::read_to_string(workspace.path("BUILD.star")).unwrap();
        workspace.write("BUILD.star", text.replace(&fetched, &other).replace("file://fetched", "file://other"));
    });
    let replaced: Change = Box::new(|workspace| {
        workspace.ok(&["build", "//:y", "-o", "tar:root.tar", "--quiet"]);
    });
    let change: Vec<(&str, Change, &str)> = vec![
        ("import both.tar", spec("linux/amd64", "linux/arm64"), "(platform changed from linux/amd64 to linux/arm64)"),
        ("import a.tar", spec("'both.tar'", "'a.tar'"), "(not built before)"),
        ("read root.tar", replaced, "(content changed)"),
        ("fetch other", to_other, "(not built before)"),
        ("image //:x", spec("platform = 'linux/amd64', layers", "layers"), "(cached)"),
        ("image //:y", spec("base = layout", "base = oci_archive('both.tar')"), "(cached)"),
        ("image //:y", spec("base = layout, layers", "layers"), "(base is gone)"),
        ("image //:x", Box::new(|w| w.write("ocify.toml", "epoch = 9")), "(epoch changed from 0 to 9, and 1 more)"),
        (
            "import layout",
            Box::new(|w| w.write("ocify.toml", "platform = 'linux/arm64'")),
            "(platform changed from linux/amd64 to linux/arm64)",
        ),
        ("index //:i", Box::new(|w| w.write("ocify.toml", "media_types = 'docker'")), "(images changed, and 1 more)"),
        ("index //:i", spec("images = [':x']", "images = [':x'], annotations = {'k': 'v'}"), "(annotations.k is new)"),
    ];
    for (title, change, reason) in change {
        let workspace = with_all_kinds();
        change(&workspace);
        let run = workspace.run(&["build", "//:all", "--jobs", "1"]);
        assert_eq!(run.code, 0, "{title}: {}", run.stderr);
        let line = run
            .stderr
            .lines()
            .find(|line| line.contains(title))
            .unwrap_or_else(|| panic!("no {title}: {}", run.stderr));
        assert_eq!(line.split_once(title).unwrap().1.trim(), reason, "{title}\n{}", run.stderr);
    }
}

#[test]
fn what_leads_to_a_result_and_is_no_part_of_it_is_a_hit() {
    let change: Vec<(&str, Change)> = vec![
        ("fetch fetched", Box::new(|w| fs::remove_file(w.path("fetched")).unwrap())),
        ("import layout", Box::new(|w| fs::remove_dir_all(w.path("layout")).unwrap())),
        (
            "dir /y",
            Box::new(|w| {
                // Another base: the layer above is the same.
                let text = fs::read_to_string(w.path("BUILD.star")).unwrap();
                w.write("BUILD.star", text.replace("base = layout, layers", "layers"));
            }),
        ),
    ];
    for (title, change) in change {
        let workspace = with_all_kinds();
        change(&workspace);
        let run = workspace.run(&["build", "//:all"]);
        assert_eq!(run.code, 0, "{title}: {}", run.stderr);
        assert!(run.stderr.contains(&format!("{title} (cached)")), "{title}: {}", run.stderr);
    }
}

#[test]
fn another_place_user_clock_locale_and_number_of_threads_are_hits() {
    let workspace = built();
    let digest = workspace.build("//:x");
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("an other place");
    let copied = std::process::Command::new("cp").arg("-R").arg(workspace.root()).arg(&copy).status().unwrap();
    assert!(copied.success());
    let mut command = workspace.command(&["build", "//:x", "--jobs", "3"]);
    command.current_dir(&copy).env("LC_ALL", "tr_TR.UTF-8").env("TZ", "Asia/Kathmandu").env("HOME", elsewhere.path());
    let output = command.env("USER", "somebody").env("SOURCE_DATE_EPOCH", "77").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr.matches("(cached)").count(), 3, "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&digest));
}

#[test]
fn a_target_is_compared_with_itself_and_not_with_one_that_stands_on_it() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'base', layers = [write('/base', 'b')])
image(name = 'x', base = ':base', layers = [write('/x', 'x')])",
    );
    let digest = workspace.build("//:x");
    let explained = workspace.ok(&["explain", "//:x", "--against", &digest]);
    assert!(explained.lines().all(|line| line.ends_with(": hit")), "{explained}");
}

/// A step, which runs as whoever runs the tests.
fn with_step() -> Workspace {
    let workspace = Workspace::new().file("BUILD.star", STEP).file("src/a", "a");
    fs::copy(crate::sandbox::program(), workspace.path("step")).unwrap();
    workspace.build("//:x");
    workspace
}

const STEP: &str = "image(name = 'x', layers = [
    files(srcs = ['step', 'src'], dest = '/bin'),
    run(['step', 'must', ';', 'write', '/made', 'x'], env = {'A': '1'}),
    write('/last', 'l'),
])";

#[test]
fn each_input_of_a_step_is_a_miss_that_names_it() {
    if !crate::sandbox::is_allowed() {
        return;
    }
    let spec = |from: &'static str, to: &'static str| {
        move |workspace: &Workspace| workspace.write("BUILD.star", STEP.replace(from, to))
    };
    let change: Vec<(Change, &str)> = vec![
        (Box::new(|w| w.write("src/a", "A")), "(root changed)"),
        (Box::new(spec("'x'], env", "'y'], env")), "(argv changed from"),
        (Box::new(spec("'A': '1'", "'A': '2'")), "(env.A changed from 1 to 2)"),
        (Box::new(spec("'A': '1'", "")), "(env.A is gone)"),
        (Box::new(spec("env =", "workdir = '/bin', env =")), "(workdir changed from / to /bin)"),
        (Box::new(spec("env =", "cpus = 2, env =")), "(cpus changed from 1 to 2)"),
        (Box::new(|w| w.write("ocify.toml", "epoch = 5")), "(epoch changed from 0 to 5, and 1 more)"),
    ];
    for (change, reason) in change {
        let workspace = with_step();
        change(&workspace);
        let why = said(&workspace, "run step must ; write /made");
        assert!(why.contains(reason), "{why}, not {reason}");
        assert!(said(&workspace, "run step must ; write /made").ends_with("(cached)"), "after {reason}");
    }
}

/// As [`STEP`], with all that a step can see beside its root.
const MOUNTED: &str = "image(name = 'x', layers = [
    files(srcs = ['step'], dest = '/bin'),
    run(['step', 'must', ';', 'write', '/made', 'x'], outputs = ['/made'], inputs = {'/in': write('/f', 'f')}, mounts = [
        bind(files(srcs = ['src']), '/b'), cache('/c', uid = 1), tmpfs('/t', size = 4096),
        secret('s', version = '1', required = False), ssh(required = False)]),
])";

#[test]
fn each_input_of_a_mount_is_a_miss_that_names_it() {
    if !crate::sandbox::is_allowed() {
        return;
    }
    let title = "run step must ; write /made x";
    let workspace = with_step();
    let spec = |from: &str, to: &str| {
        assert!(MOUNTED.contains(from), "{from}");
        workspace.write("BUILD.star", MOUNTED);
        said(&workspace, title);
        workspace.write("BUILD.star", MOUNTED.replace(from, to));
        said(&workspace, title)
    };
    for (from, to, reason) in [
        ("'/f', 'f'", "'/f', 'f', mode = '0600'", "(mounts./in.files changed)"),
        ("'/b'", "'/b', writable = True", "(mounts./b.writable changed from false to true)"),
        ("'/b'", "'/d'", "(mounts./b.files is gone, and 5 more)"),
        ("uid = 1", "uid = 2", "(mounts./c.uid changed from 1 to 2)"),
        ("uid = 1", "uid = 1, id = 'c'", "(mounts./c.id changed from /c to c)"),
        ("uid = 1", "uid = 1, readonly = True", "(mounts./c.readonly changed from false to true)"),
        ("uid = 1", "uid = 1, src = write('/f', 'f')", "(mounts./c.files is new)"),
        ("4096", "8192", "(mounts./t.size changed from 4096 to 8192)"),
        ("version = '1'", "version = '2'", "(mounts./run/secrets/s.version changed from 1 to 2)"),
        ("version = '1'", "version = '1', mode = '0440'", "(mounts./run/secrets/s.mode changed from 256 to 288)"),
        ("ssh(", "ssh(uid = 3, ", "(mounts./run/buildkit/ssh_agent.0.uid changed from 0 to 3)"),
        ("['/made']", "['/made', '/bin']", "(outputs changed from"),
        ("tmpfs('/t', size = 4096),", "", "(mounts./t.mount is gone, and 1 more)"),
        // Who shares a cache decides nothing.
        ("uid = 1", "uid = 1, sharing = 'locked'", "(cached)"),
    ] {
        let why = spec(from, to);
        assert!(why.contains(reason), "{from} to {to}: {why}, not {reason}");
    }
    workspace.write("BUILD.star", MOUNTED);
    workspace.write("src/a", "A");
    assert_eq!(said(&workspace, title), "(mounts./b.files changed)");
}

#[test]
fn a_step_runs_again_only_if_its_root_or_its_command_changed() {
    if !crate::sandbox::is_allowed() {
        return;
    }
    let spec = |from: &'static str, to: &'static str| {
        move |workspace: &Workspace| workspace.write("BUILD.star", STEP.replace(from, to))
    };
    let change: Vec<(&str, Change)> = vec![
        ("nothing", Box::new(|_| ())),
        ("a layer above it", Box::new(spec("'l'", "'m'"))),
        ("its time limit", Box::new(spec("env =", "timeout = 9, env ="))),
        (
            "two layers in place of one, for the same root",
            Box::new(spec("'src'], dest = '/bin'),", "], dest = '/bin'), files(srcs = ['src'], dest = '/bin'),")),
        ),
    ];
    for (what, change) in change {
        let workspace = with_step();
        change(&workspace);
        assert_eq!(said(&workspace, "run step must ; write /made x"), "(cached)", "{what}");
    }
    // Packed in another way, the layer is another, but the step is not run for it.
    let workspace = with_step();
    let first = workspace.build("//:x");
    workspace.write("ocify.toml", "compression = 'zstd'");
    assert_eq!(said(&workspace, "run step must ; write /made x"), "(cached)");
    assert_ne!(workspace.build("//:x"), first);
    workspace.write("ocify.toml", "");
    assert_eq!(said(&workspace, "run step must ; write /made x"), "(cached)");
    assert_eq!(workspace.build("//:x"), first);
}

#[test]
fn what_stands_on_a_step_that_was_not_run_waits_for_it_when_explained() {
    if !crate::sandbox::is_allowed() {
        return;
    }
    let workspace = Workspace::new().file("BUILD.star", STEP).file("src/a", "a");
    fs::copy(crate::sandbox::program(), workspace.path("step")).unwrap();
    let lines = workspace.ok(&["explain", "//:x"]);
    assert!(lines.contains("2 run step must ; write /made x: miss: not built before"), "{lines}");
    assert!(lines.contains("3 write /last: miss: depends on layer 2"), "{lines}");
    assert!(lines.contains("//:x image: miss: depends on layer 1, layer 2, layer 3"), "{lines}");
    workspace.build("//:x");
    let lines = workspace.ok(&["explain", "//:x"]);
    assert_eq!(lines.lines().filter(|line| line.ends_with(": hit")).count(), 4, "{lines}");
}
