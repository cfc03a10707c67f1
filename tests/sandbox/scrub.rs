//! Noise that does not get into a layer: each scrubber, and what it leaves alone.

use super::program::{Story, build_as, everybody, last_layer};

/// The files that are noise as a whole: scrubber, path, and whether it is one of the default.
const NOISE: [(&str, &str, bool); 22] = [
    ("apk-log", "/var/log/apk.log", true),
    ("apt-cache", "/var/cache/apt/pkgcache.bin", true),
    ("apt-cache", "/var/cache/apt/srcpkgcache.bin", true),
    ("apt-lists", "/var/cache/apt/archives/a.deb", false),
    ("apt-lists", "/var/lib/apt/lists/deb.debian.org_Packages", false),
    ("dpkg-logs", "/var/log/alternatives.log", true),
    ("dpkg-logs", "/var/log/apt/history.log", true),
    ("dpkg-logs", "/var/log/apt/term.log", true),
    ("dpkg-logs", "/var/log/bootstrap.log", true),
    ("dpkg-logs", "/var/log/dpkg.log", true),
    ("fontconfig", "/var/cache/fontconfig/a.cache-7", false),
    ("ldconfig", "/var/cache/ldconfig/aux-cache", true),
    ("machine-id", "/var/lib/dbus/machine-id", true),
    ("man-db", "/var/cache/man/index.db", true),
    ("man-db", "/var/cache/man/de/index.db", true),
    ("npm-logs", "/root/.npm/_logs/debug.log", true),
    ("package-caches", "/root/.cache/pip/http", false),
    ("package-caches", "/home/app/.npm/_cacache/index", false),
    ("package-caches", "/var/cache/apk/APKINDEX.tar.gz", false),
    ("package-caches", "/var/cache/dnf/expired", false),
    ("rpm-logs", "/var/log/dnf.rpm.log", true),
    ("rpm-logs", "/var/log/yum.log", true),
];

/// A step that does something with each file that is noise, whose directories are there.
fn noisy(files: impl Iterator<Item = &'static str>, order: &str, further: &str) -> Story {
    let orders: String = files.map(|path| format!("{} ; ", order.replace("FILE", path))).collect();
    let parents = NOISE.map(|(_, path, _)| format!("dir('{}')", path.rsplit_once('/').unwrap().0));
    Story::new(&format!("must ; {orders}{further}")).on(&parents.join(", "))
}

#[test]
fn each_scrubber_takes_its_files_and_none_of_the_others() {
    let files = |with: &str| -> Vec<String> {
        let layer = noisy(NOISE.iter().map(|row| row.1), "write FILE x", "").with(with).layer();
        layer.into_iter().filter(|line| line.ends_with(" x")).collect()
    };
    let all = files("scrub = []");
    assert_eq!(all.len(), NOISE.len(), "{all:?}");
    let mut names = NOISE.map(|row| row.0).to_vec();
    names.dedup();
    for name in names {
        let is_taken =
            |line: &&String| NOISE.iter().any(|row| row.0 == name && line.starts_with(&format!("{} ", &row.1[1..])));
        let kept: Vec<&String> = all.iter().filter(|line| !is_taken(line)).collect();
        assert_eq!(files(&format!("scrub = ['{name}']")).iter().collect::<Vec<_>>(), kept, "{name}");
    }
}

#[test]
fn two_runs_give_the_same_although_their_noise_differs() {
    let Some(&who) = everybody().first() else { return };
    let further =
        "noise /etc/machine-id ; write /m.py x ; mkdir /__pycache__ ; pyc /__pycache__/m.cpython-311.pyc /m.py";
    let build = |with: &str| {
        let story =
            noisy(NOISE.iter().filter(|row| row.2).map(|row| row.1), "noise FILE", &format!("mkdir /etc ; {further}"));
        let run = story.with(with).run_as(who);
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stdout
    };
    assert_eq!(build("env = {}"), build("scrub = ['default']"));
    assert_ne!(build("scrub = []"), build("scrub = []"));
}

#[test]
fn noise_is_as_it_was_below_and_what_was_removed_stays_removed() {
    let below = "write('/var/log/dpkg.log', 'old'), write('/var/log/alternatives.log', 'old'),
        write('/var/cache/apt/pkgcache.bin', 'old')";
    let story = Story::new(
        "must ; append /var/log/dpkg.log new ; rm /var/log/alternatives.log ; rm /var/cache/apt/pkgcache.bin ;
         mkdir /var/cache/apt/pkgcache.bin ; write /var/log/other x",
    );
    assert_eq!(
        story.on(below).layer(),
        ["var/ 0755 0:0", "var/log/ 0755 0:0", "var/log/.wh.alternatives.log 0000 0:0", "var/log/other 0644 0:0 x"]
    );
}

#[test]
fn a_directory_of_noise_goes_with_what_is_in_it() {
    let orders = "must ; mkdir /root ; mkdir /root/.cache ; mkdir /root/.cache/pip ; mkdir /root/.cache/pip/a ;
        write /root/.cache/pip/a/b x ; write /root/.cache/pipx x";
    assert_eq!(
        Story::new(orders).with("scrub = ['package-caches']").layer(),
        ["root/ 0755 0:0", "root/.cache/ 0755 0:0", "root/.cache/pip/ 0755 0:0", "root/.cache/pipx 0644 0:0 x"]
    );
}

#[test]
fn a_machine_id_that_a_step_makes_is_empty() {
    let layer = |below: &str, orders: &str| Story::new(orders).on(&format!("dir('/etc'){below}")).layer();
    let parent = "etc/ 0755 0:0".to_owned();
    assert_eq!(layer("", "noise /etc/machine-id"), [parent.clone(), "etc/machine-id 0644 0:0".into()]);
    assert_eq!(
        layer("", "write /etc/machine-id uninitialized"),
        [parent.clone(), "etc/machine-id 0644 0:0 uninitialized".into()]
    );
    let below = ", write('/etc/machine-id', 'mine')";
    assert_eq!(layer(below, "write /etc/machine-id mine"), Vec::<String>::new());
    assert_eq!(layer(below, "chmod /etc/machine-id 0444"), [parent, "etc/machine-id 0444 0:0 mine".into()]);
}

#[test]
fn days_in_shadow_are_not_after_the_epoch() {
    let story = Story::new("append /etc/shadow new:!:19700:0:99999:7::: ; write /etc/shadow- old:x:18000:0:::::")
        .on("write('/etc/shadow', 'root:*:20000:0:99999:7:::\\n')");
    assert_eq!(
        story.layer(),
        [
            "etc/ 0755 0:0",
            "etc/shadow 0644 0:0 root:*:20000:0:99999:7:::|new:!::0:99999:7:::",
            "etc/shadow- 0644 0:0 old:x::0:::::",
        ]
    );
}

#[test]
fn bytecode_with_a_time_goes_and_bytecode_with_a_hash_stays() {
    let story = Story::new(
        "must ; write /m.py x ; mkdir /__pycache__ ; pyc /__pycache__/m.cpython-311.pyc /m.py ; pyc /m.pyc /m.py ;
         mkdir /h ; mkdir /h/__pycache__ ; write /h/m.py x ; pyc /h/__pycache__/m.cpython-311.pyc hash ;
         pyc /h/__pycache__/gone.cpython-311.pyc /m.py ; pyc /h/alone.pyc /m.py ; write /h/short.pyc x ; write /h/short.py x",
    );
    let layer = story.layer();
    let paths: Vec<&str> = layer.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    let kept = ["h/", "h/__pycache__/", "h/__pycache__/m.cpython-311.pyc", "h/alone.pyc", "h/m.py", "h/short.py"];
    assert_eq!(paths, [&kept[..], &["h/short.pyc", "m.py"]].concat());
    // Without a source, the time is the epoch's; the size is that of the source that it had.
    assert!(layer[3].ends_with("\0\0\0\0\0\0\0\0\u{1}\0\0\0"), "{:?}", layer[3]);
}

#[test]
fn bytecode_of_a_source_that_is_older_than_the_epoch_stays() {
    for (orders, expected) in
        [("pyc /m.pyc /m.py", vec![]), ("touch /m.py 1000 ; pyc /m.pyc /m.py", vec!["m.py", "m.pyc"])]
    {
        for who in everybody() {
            let workspace = Story::new(orders).on("write('/m.py', 'x')").workspace();
            workspace.write("ocify.toml", "epoch = 5000");
            let run = build_as(&workspace, *who, &["build", "//:x", "-o", "oci:out"]);
            assert_eq!(run.code, 0, "{}", run.stderr);
            let layer = last_layer(&workspace.path("out"), &workspace.path("layer.tar"));
            let paths: Vec<&str> = layer.iter().map(|line| line.split(' ').next().unwrap_or_default()).collect();
            assert_eq!(paths, expected, "{orders}");
        }
    }
}

#[test]
fn a_scrubber_must_be_one() {
    let workspace = Story::new("").workspace();
    for (list, message) in
        [("['pyx']", "did you mean `pyc`?"), ("['everything']", "there are default, apk-log"), ("'pyc'", "scrub")]
    {
        workspace.write("BUILD.star", format!("image(name = 'x', layers = [run('x', scrub = {list})])"));
        let error = workspace.fails(2, &["build", "//:x"]);
        assert!(error.contains(message), "{list}: {error}");
    }
}
