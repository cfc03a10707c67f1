//! Stories of `ocify build`: layers, bases, outputs, and what goes wrong.

use std::fs;

use crate::workspace::{Workspace, digest};

#[test]
fn files_keep_their_path_and_get_plain_modes() {
    let workspace = Workspace::new()
        .file("app/BUILD.star", "image(name = 'app', layers = [files(srcs = glob(['src/**']), dest = '/opt')])")
        .file("app/src/lib/a.py", "a")
        .executable("app/src/run.sh", "#!/bin/sh")
        .link("app/src/current", "lib/a.py");
    assert_eq!(
        workspace.tree("//app"),
        [
            "opt/ 0755 0:0",
            "opt/src/ 0755 0:0",
            "opt/src/current 0777 0:0 -> lib/a.py",
            "opt/src/lib/ 0755 0:0",
            "opt/src/lib/a.py 0644 0:0 a",
            "opt/src/run.sh 0755 0:0 #!/bin/sh",
        ]
    );
}

#[test]
fn a_map_renames_and_directories_come_whole() {
    let workspace = Workspace::new()
        .file(
            "BUILD.star",
            "image(name = 'x', layers = [files(
                srcs = {'/usr/bin/tool': 'tool.sh', '/etc/tool/': 'tool.conf', 'data': 'assets'},
                dest = '/srv', mode = '0600', dir_mode = '0700', owner = '5:6')])",
        )
        .file("tool.sh", "t")
        .file("tool.conf", "c")
        .file("assets/deep/a", "A");
    assert_eq!(
        workspace.tree("//:x"),
        [
            "etc/ 0755 0:0",
            "etc/tool/ 0755 0:0",
            "etc/tool/tool.conf 0600 5:6 c",
            "srv/ 0755 0:0",
            "srv/data/ 0700 5:6",
            "srv/data/deep/ 0700 5:6",
            "srv/data/deep/a 0600 5:6 A",
            "usr/ 0755 0:0",
            "usr/bin/ 0755 0:0",
            "usr/bin/tool 0600 5:6 t",
        ]
    );
}

#[test]
fn a_layer_leaves_directories_below_it_as_they_are() {
    let workspace = Workspace::new()
        .file(
            "BUILD.star",
            "image(name = 'base', layers = [dir('/tmp', mode = '1777'), dir('/usr/lib', owner = '7:7'), symlink('/lib', 'usr/lib')])
image(name = 'top', base = ':base', layers = [
    write('/tmp/a', 'a'),
    write('/lib/b', 'b'),
    files(srcs = ['tree'], strip_prefix = 'tree'),
])",
        )
        .file("tree/tmp/c", "c");
    assert_eq!(
        workspace.tree("//:top"),
        [
            "lib 0777 0:0 -> usr/lib",
            "tmp/ 1777 0:0",
            "tmp/a 0644 0:0 a",
            "tmp/c 0644 0:0 c",
            "usr/ 0755 0:0",
            "usr/lib/ 0755 7:7",
            "usr/lib/b 0644 0:0 b",
        ]
    );
}

#[test]
fn owners_by_name_come_from_the_image_itself() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'x', layers = [
            write('/etc/passwd', 'root:x:0:0::/root:/bin/sh\\n', mode = '0640'),
            accounts(users = [{'name': 'web', 'uid': 1000, 'gid': 100}], groups = [{'name': 'staff', 'gid': 100, 'members': ['web']}]),
            write('/srv/a', 'a', owner = 'web'),
            write('/srv/b', 'b', owner = 'web:root2'),
        ])",
    );
    let error = workspace.fails(2, &["build", "//:x"]);
    assert!(error.contains("`root2` is not in the image's /etc/group") && error.contains("BUILD.star:5"), "{error}");

    workspace
        .write("BUILD.star", fs::read_to_string(workspace.path("BUILD.star")).unwrap().replace("web:root2", "1:staff"));
    assert_eq!(
        workspace.tree("//:x"),
        [
            "etc/ 0755 0:0",
            "etc/group 0644 0:0 staff:x:100:web|",
            "etc/passwd 0640 0:0 root:x:0:0::/root:/bin/sh|web:x:1000:100::/home/web:/sbin/nologin|",
            "home/ 0755 0:0",
            "home/web/ 0700 1000:100",
            "srv/ 0755 0:0",
            "srv/a 0644 1000:100 a",
            "srv/b 0644 1:100 b",
        ]
    );
}

#[test]
fn copy_takes_files_of_another_target_with_their_owners_and_links() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'builder', layers = [
            write('/out/bin/app', 'app', mode = '0755', owner = '3:4'), symlink('/out/bin/sh', 'app'), write('/out/junk', 'j'),
        ])
image(name = 'x', layers = [copy(image = ':builder', srcs = ['/out/bin'], strip_prefix = '/out', dest = '/usr'),
                            copy(image = ':builder', srcs = {'/renamed': '/out/junk'}, owner = '9:9', mode = '0400')])
image(name = 'wrong', layers = [copy(image = ':builder', srcs = ['/out/nothing'])])",
    );
    assert_eq!(
        workspace.tree("//:x"),
        [
            "renamed 0400 9:9 j",
            "usr/ 0755 0:0",
            "usr/bin/ 0755 0:0",
            "usr/bin/app 0755 3:4 app",
            "usr/bin/sh 0777 0:0 -> app",
        ]
    );
    let error = workspace.fails(2, &["build", "//:wrong"]);
    assert!(error.contains("`/out/nothing` is not in the image that is copied from"), "{error}");
}

#[test]
fn copy_puts_files_and_what_is_in_directories_into_one() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'builder', layers = [
            write('/out/a', 'a', mode = '0755', owner = '3:4'), write('/out/d/b', 'b'), dir('/out/d', mode = '0700', owner = '5:6'),
            dir('/empty', mode = '0700'), write('/tool', 'tool'), symlink('/link', 'tool'), symlink('/there', 'out'),
        ])
image(name = 'x', layers = [
    dir('/bin', mode = '0711', owner = '7:7'),
    copy(':builder', ['/out', '/tool'], into = '/bin'),
    copy(':builder', ['/empty'], into = '/new/empty'),
    copy(':builder', ['/link', '/there'], into = '/links', owner = '9:9'),
])
image(name = 'map', layers = [copy(':builder', {'/x': '/tool'}, into = '/bin')])
image(name = 'dest', layers = [copy(':builder', ['/tool'], into = '/bin', dest = '/x')])",
    );
    assert_eq!(
        workspace.tree("//:x"),
        [
            "bin/ 0711 7:7",
            "bin/a 0755 3:4 a",
            "bin/d/ 0700 5:6",
            "bin/d/b 0644 0:0 b",
            "bin/tool 0644 0:0 tool",
            "links/ 0755 0:0",
            "links/a 0755 9:9 a",
            "links/d/ 0700 9:9",
            "links/d/b 0644 9:9 b",
            "links/link 0644 9:9 tool",
            "new/ 0755 0:0",
            "new/empty/ 0755 0:0",
        ]
    );
    for (target, message) in [("map", "`into` is for a list of sources"), ("dest", "in the place of `dest`")] {
        let error = workspace.fails(2, &["build", &format!("//:{target}")]);
        assert!(error.contains(message) && error.contains("BUILD.star:"), "{error}");
    }
}

#[test]
fn a_base_is_read_back_from_each_format_that_is_written() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'base', layers = [write('/a', 'a')], env = {'A': '1'}, entrypoint = ['/a'], cmd = ['x'])",
    );
    let built = workspace.ok(&[
        "build",
        "//:base",
        "-o",
        "oci:layout",
        "-o",
        "oci-archive:oci.tar",
        "-o",
        "docker-archive:docker.tar",
    ]);
    workspace.write(
        "BUILD.star",
        format!(
            "load_layers = [copy(image = oci_layout(path = 'layout', digest = '{0}'), srcs = ['/a'], dest = '/copied'), write('/b', 'b')]
image(name = 'layout', base = oci_layout(path = 'layout', digest = '{0}'), layers = load_layers, env = {{'B': '2'}})
image(name = 'oci', base = oci_archive(path = 'oci.tar'), layers = load_layers, env = {{'B': '2'}})
image(name = 'docker', base = docker_archive(path = 'docker.tar'), layers = load_layers, env = {{'B': '2'}})",
            digest(&built)
        ),
    );
    let expected = ["a 0644 0:0 a", "b 0644 0:0 b", "copied/ 0755 0:0", "copied/a 0644 0:0 a"];
    for name in ["layout", "oci", "docker"] {
        assert_eq!(workspace.tree(&format!("//:{name}")), expected, "{name}");
        let config = workspace.ok(&["inspect", &format!("//:{name}"), "--config"]);
        assert!(config.contains(r#""Env":["A=1","B=2"]"#), "{config}");
    }
}

#[test]
fn an_archive_is_extracted_stripped_and_filtered() {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in [("pkg-1.0/bin/app", "app"), ("pkg-1.0/doc/a.txt", "doc"), ("pkg-1.0/README", "r")] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o751);
        header.set_uid(12);
        header.set_gid(13);
        header.set_mtime(1_700_000_000);
        header.set_cksum();
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    let workspace = Workspace::new().file("pkg.tar", tar.into_inner().unwrap()).file(
        "BUILD.star",
        "image(name = 'x', layers = [archive(src = 'pkg.tar', strip_components = 1, dest = '/opt', exclude = ['doc'])])
image(name = 'bad', layers = [archive(src = 'BUILD.star')])",
    );
    assert_eq!(
        workspace.tree("//:x"),
        ["opt/ 0755 0:0", "opt/README 0751 12:13 r", "opt/bin/ 0755 0:0", "opt/bin/app 0751 12:13 app"]
    );
    let error = workspace.fails(1, &["build", "//:bad"]);
    assert!(error.contains("the archive cannot be read"), "{error}");
}

#[test]
fn missing_files_are_shown_where_they_are_named() {
    let workspace =
        Workspace::new().file("BUILD.star", "image(\n    name = 'x',\n    layers = [files(srcs = ['nope.txt'])],\n)");
    let error = workspace.fails(2, &["build", "//:x", "-o", "tar:out.tar"]);
    assert!(error.contains("nope.txt") && error.contains("BUILD.star:3"), "{error}");
    assert!(!workspace.path("out.tar").exists(), "a failed build leaves no output");
}

#[test]
fn labels_that_name_nothing_are_explained() {
    let workspace = Workspace::new()
        .file("BUILD.star", "image(name = 'server', base = '//other:bas')")
        .file("other/BUILD.star", "image(name = 'base')");
    let error = workspace.fails(2, &["build", "//:sever"]);
    assert!(error.contains("there is no target `//:sever`") && error.contains("did you mean `//:server`?"), "{error}");
    let error = workspace.fails(2, &["build", "//:server"]);
    assert!(error.contains("did you mean `//other:base`?") && error.contains("BUILD.star:1"), "{error}");
    let error = workspace.fails(2, &["build", "//nowhere:x"]);
    assert!(error.contains("there is no package `//nowhere`"), "{error}");
}

#[test]
fn targets_that_depend_on_each_other_are_a_cycle() {
    let workspace =
        Workspace::new().file("BUILD.star", "image(name = 'a', base = ':b')\nimage(name = 'b', base = ':a')");
    let error = workspace.fails(2, &["build", "//..."]);
    assert!(error.contains("//:a -> //:b -> //:a"), "{error}");
}

#[test]
fn an_index_lists_its_platforms_in_order() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "index(name = 'every', images = [image(name = a, platform = 'linux/' + a, layers = [write('/a', a)]) for a in ['arm64', 'amd64']])",
    );
    workspace.build("//:every");
    let index: serde_json::Value = serde_json::from_str(&workspace.ok(&["inspect", "//:every", "--raw"])).unwrap();
    let architectures: Vec<_> =
        index["manifests"].as_array().unwrap().iter().map(|m| &m["platform"]["architecture"]).collect();
    assert_eq!(architectures, ["arm64", "amd64"]);
    let error = workspace.fails(2, &["build", "//:every", "-o", "tar:x.tar"]);
    assert!(error.contains("takes one image, not an index"), "{error}");
}

#[test]
fn query_finds_dependencies_both_ways() {
    let workspace = Workspace::new()
        .file("base/BUILD.star", "image(name = 'base')\nimage(name = 'other')")
        .file("app/BUILD.star", "image(name = 'app', base = '//base')")
        .file("ocify.toml", "[image.top]\nbase = '//app'\n");
    assert_eq!(workspace.ok(&["query", "//..."]), "//:top\n//app:app\n//base:base\n//base:other\n");
    assert_eq!(workspace.ok(&["query", "deps(//:top)"]), "//:top\n//app:app\n//base:base\n");
    assert_eq!(workspace.ok(&["query", "rdeps(//base:base)"]), "//:top\n//app:app\n//base:base\n");
    assert_eq!(workspace.ok(&["query", "rdeps(//app:all, //base:base)"]), "//app:app\n//base:base\n");
    let json: serde_json::Value = serde_json::from_str(&workspace.ok(&["query", "--json", "//app"])).unwrap();
    assert_eq!(json[0]["label"], "//app:app");
    assert!(workspace.fails(2, &["query", "dep(//...)"]).contains("no query function"));
}

#[test]
fn the_store_lists_and_shows_what_was_built() {
    let workspace = Workspace::new().file(
        "BUILD.star",
        "image(name = 'web', layers = [write('/a', 'a')], labels = {'k': 'v'}, tags = ['example.com/web:1'])",
    );
    let digest = workspace.build("//:web");
    let table = workspace.ok(&["images", "--digests"]);
    assert!(
        table.contains("example.com/web") && table.contains(&digest[7..19]) && table.contains("linux/amd64"),
        "{table}"
    );
    let shown: serde_json::Value = serde_json::from_str(&workspace.ok(&["inspect", "web"])).unwrap();
    assert_eq!(shown["digest"], digest.as_str());
    assert_eq!(shown["config"]["config"]["Labels"]["k"], "v");
    assert!(workspace.fails(2, &["inspect", "wep"]).contains("did you mean `web`?"));
}

#[test]
fn usage_errors_end_with_two() {
    let workspace = Workspace::new().file("BUILD.star", "image(name = 'a')\nimage(name = 'b')");
    for arguments in [
        &["build", "-o", "zip:x"][..],
        &["build", "--jobs", "0"],
        &["build", "//...", "-o", "tar:x.tar"],
        &["build", "a b"],
        &["frobnicate"],
    ] {
        assert_eq!(workspace.run(arguments).code, 2, "{arguments:?}");
    }
    assert!(!workspace.path("x.tar").exists());
}

#[test]
fn a_damaged_blob_is_found_and_the_next_build_mends_it() {
    let workspace = Workspace::new().file("BUILD.star", "image(name = 'x', layers = [write('/a', 'a')])");
    let digest = workspace.build("//:x");
    workspace.ok(&["inspect", "//:x", "--check"]);
    let manifest: serde_json::Value = serde_json::from_str(&workspace.ok(&["inspect", "//:x", "--raw"])).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let blob = workspace.store().join("blobs/sha256").join(layer);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[40] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, bytes).unwrap();

    let error = workspace.fails(1, &["inspect", "//:x", "--check"]);
    assert!(error.contains(layer), "{error}");
    assert!(!blob.exists(), "a damaged blob is moved out of the way");
    assert_eq!(workspace.build("//:x"), digest);
    workspace.ok(&["inspect", "//:x", "--check"]);
}

#[test]
fn fetched_files_become_files_and_archives() {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    header.set_mode(0o644);
    tar.append_data(&mut header, "lib/a", &b"abc"[..]).unwrap();
    let tar = tar.into_inner().unwrap().finish().unwrap();
    let sum = |bytes: &[u8]| ocify::digest::Digest::of(bytes).hex();
    let spec = format!(
        "image(name = 'x', layers = [
    files(srcs = [fetch(url = 'file://vendor/tool', sha256 = '{0}', executable = True)], dest = '/usr/bin'),
    files(srcs = {{'/opt/tool': fetch(urls = ['file://vendor/gone', 'file://vendor/tool'], sha256 = '{0}')}}),
    archive(src = fetch(url = 'file://vendor/lib.tar.gz', sha256 = '{1}'), dest = '/usr'),
])
image(name = 'wrong', layers = [files(srcs = [fetch(url = 'file://vendor/tool', sha256 = '{1}')])])",
        sum(b"tool"),
        sum(&tar)
    );
    let workspace =
        Workspace::new().file("vendor/tool", "tool").file("vendor/lib.tar.gz", tar).file("BUILD.star", spec);
    assert_eq!(
        workspace.tree("//:x"),
        [
            "opt/ 0755 0:0",
            "opt/tool 0644 0:0 tool",
            "usr/ 0755 0:0",
            "usr/bin/ 0755 0:0",
            "usr/bin/tool 0755 0:0 tool",
            "usr/lib/ 0755 0:0",
            "usr/lib/a 0644 0:0 abc",
        ]
    );
    let error = workspace.run(&["build", "//:wrong"]);
    // The archive of that digest is in the store by now, so a fresh one is asked.
    assert_eq!(error.code, 0, "{}", error.stderr);
    let fresh = workspace.path("fresh-store").display().to_string();
    let error = workspace.fails(1, &["build", "//:wrong", "--store", &fresh]);
    assert!(error.contains(&sum(b"tool")) && error.contains("BUILD.star:6"), "{error}");
}

#[test]
fn a_failed_build_leaves_outputs_and_references_as_they_were() {
    let workspace = Workspace::new().file("BUILD.star", "image(name = 'x', layers = [write('/a', 'old')])");
    workspace.ok(&["build", "//:x", "-o", "oci-archive:x.tar"]);
    let (archive, index) =
        (fs::read(workspace.path("x.tar")).unwrap(), fs::read(workspace.store().join("index.json")).unwrap());
    workspace.write("BUILD.star", "image(name = 'x', layers = [write('/a', 'new'), files(srcs = ['nope'])])");
    workspace.fails(2, &["build", "//:x", "-o", "oci-archive:x.tar"]);
    assert_eq!(fs::read(workspace.path("x.tar")).unwrap(), archive);
    assert_eq!(fs::read(workspace.store().join("index.json")).unwrap(), index);
    let ingest = fs::read_dir(workspace.store().join("ingest")).unwrap().count();
    assert_eq!(ingest, 0, "nothing half-written is left");
}

#[test]
fn an_image_archive_that_readers_would_disagree_about_is_refused() {
    let workspace = Workspace::new().file("BUILD.star", "image(name = 'base', layers = [write('/a', 'a')])");
    workspace.ok(&["build", "//:base", "-o", "docker-archive:docker.tar"]);
    let mut doubled = tar::Builder::new(fs::read(workspace.path("docker.tar")).unwrap());
    // Behind the end blocks nobody looks, so the second manifest goes in front of them.
    let end = doubled.get_ref().len() - 1024;
    doubled.get_mut().truncate(end);
    let mut header = tar::Header::new_ustar();
    header.set_size(2);
    doubled.append_data(&mut header, "manifest.json", &b"[]"[..]).unwrap();
    workspace.write("docker.tar", doubled.into_inner().unwrap());
    workspace.write("BUILD.star", "image(name = 'x', base = docker_archive('docker.tar'))");
    let error = workspace.fails(1, &["build", "//:x"]);
    assert!(error.contains("it has `/manifest.json` twice"), "{error}");
}

#[test]
fn what_is_odd_about_an_archive_is_told() {
    let mut tar = tar::Builder::new(Vec::new());
    for content in ["first", "second"] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "a", content.as_bytes()).unwrap();
    }
    let workspace = Workspace::new()
        .file("twice.tar", tar.into_inner().unwrap())
        .file("BUILD.star", "image(name = 'x', layers = [archive(src = 'twice.tar')])");
    let run = workspace.run(&["build", "//:x", "--quiet"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.starts_with("warning: ") && run.stderr.contains("/a"), "{}", run.stderr);
}
