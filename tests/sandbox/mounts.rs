//! What a step sees beside the image, the same for root and for an ordinary user.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use super::program::{Story, Who, build_as, everybody, spoken};
use crate::workspace::Workspace;

#[test]
fn nothing_of_a_mount_is_in_the_layer() {
    let story = Story::new(
        "must ; write /t/deep/a x ; chmod /t/deep/a 0600 ; mkdir /t/deep/d ; chown /t/deep/d 7 8 ; stat /t/deep/a ;
         stat /t/deep/d ; stat /t/deep ; stat /t ; write /etc/t/b x ; stat /w/m ; write /t/x y ; rm /t/x ; write /made x",
    )
    .on("dir('/etc', mode = '0700', owner = '3:4'), dir('/w/m')")
    .with("mounts = [tmpfs('/t/deep', size = 65536), [tmpfs(target = '/etc/t')], tmpfs('/w/m')]");
    assert_eq!(
        story.wrote(),
        "/t/deep/a 100600 0:0\n/t/deep/d 40755 7:8\n/t/deep 41777 0:0\n/t 40755 0:0\n/w/m 41777 0:0"
    );
    // The directory that is made to mount in, in which something was made and removed, neither.
    assert_eq!(story.layer(), ["made 0644 0:0 x"]);
    // What the step makes beside a mount is in it, with the directories above.
    let story = Story::new("must ; write /t/kept x").with("mounts = [tmpfs('/t/a/b')]");
    assert_eq!(story.layer(), ["t/ 0755 0:0", "t/kept 0644 0:0 x"]);
}

#[test]
fn a_file_is_not_the_directory_in_which_it_lies() {
    let story = |source: &str| {
        Story::new("must ; stat /x").with(&format!("mounts = [bind(write('/a', 'x'), '/x', source = '{source}')]"))
    };
    for who in everybody() {
        let workspace = story("/a").workspace();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert_eq!(spoken(&run), "/x 100644 0:0", "{who:?}: {}", run.stderr);
        fs::write(workspace.path("BUILD.star"), story("/").spec()).unwrap();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert_eq!(spoken(&run), "/x 40755 0:0", "{who:?}: {}", run.stderr);
    }
}

#[test]
fn a_tmpfs_has_its_size() {
    let story = Story::new("write /t/a x ; deep 1 ; say full").with("mounts = [tmpfs('/t', size = 4096)]");
    assert_eq!(story.wrote(), "full");
    let text = "x".repeat(9000);
    let wrote =
        Story::new(&format!("write /t/a {text} ; cat /t/a")).with("mounts = [tmpfs('/t', size = 4096)]").wrote();
    assert!(wrote.len() < 5000, "{}", wrote.len());
}

#[test]
fn a_cache_is_there_for_the_next_command() {
    let mounts = "mounts = [cache('/c/pip', uid = 5, gid = 6, mode = '0750')]";
    let first = Story::new("must ; stat /c/pip ; write /c/pip/a one ; chown /c/pip/a 5 6").with(mounts);
    let second = Story::new("must ; cat /c/pip/a ; stat /c/pip/a ; append /c/pip/a two").with(mounts);
    let third = Story::new("must ; cat /c/pip/a ; symlink /etc /c/pip/l ; mkdir /c/pip/shut ; chmod /c/pip/shut 0")
        .with(mounts);
    for who in everybody() {
        let workspace = first.workspace();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert!(run.code == 0 && spoken(&run) == "/c/pip 40750 5:6", "{who:?}: {}", run.stderr);
        fs::write(workspace.path("BUILD.star"), second.spec()).unwrap();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert!(spoken(&run) == "one/c/pip/a 100644 5:6", "{who:?}: {}", run.stderr);
        fs::write(workspace.path("BUILD.star"), third.spec()).unwrap();
        let run = build_as(&workspace, *who, &["build", "//:x", "-o", "oci:out"]);
        assert!(run.code == 0 && run.stderr.contains("onetwo"), "{who:?}: {}", run.stderr);
        // The second is not run again for what has become of the cache.
        fs::write(workspace.path("BUILD.star"), second.spec()).unwrap();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert!(run.stderr.contains("(cached)"), "{who:?}: {}", run.stderr);

        let df = build_as(&workspace, *who, &["df"]);
        assert!(df.stdout.lines().any(|line| line.starts_with("step caches") && line.contains(" 1 ")), "{}", df.stdout);
        let kept = build_as(&workspace, *who, &["prune", "--keep-days", "1"]);
        assert!(!kept.stdout.contains("caches/"), "{}", kept.stdout);
        let pruned = build_as(&workspace, *who, &["prune", "--caches"]);
        assert!(pruned.code == 0 && pruned.stdout.contains("removed caches/"), "{}{}", pruned.stdout, pruned.stderr);
        assert_eq!(fs::read_dir(workspace.store().join("caches")).unwrap().count(), 0);
        assert!(std::path::Path::new("/etc/passwd").exists());
    }
}

#[test]
fn the_name_of_a_cache_is_no_path() {
    let story = Story::new("must ; write /c/file x").with("mounts = [cache('/c', id = '../../dir')]");
    for who in everybody() {
        let workspace = story.workspace();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let names: Vec<_> =
            fs::read_dir(workspace.store().join("caches")).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(!workspace.store().join("../dir").exists() && !workspace.store().join("dir").exists());
    }
}

#[test]
fn one_command_waits_for_the_other_if_a_cache_is_locked() {
    // Each finds the lock of the other gone, or fails: without the lock they would run at the same time.
    let run = |name: &str| {
        let orders = "must ; mkdir /c/busy ; write /c/a x ; rm /c/a ; rmdir /c/busy".split_whitespace();
        let orders: Vec<String> = orders.map(|word| format!("'{word}'")).collect();
        let mount = "cache('/c', sharing = 'locked')";
        format!(
            "image(name = '{name}', base = ':base', layers = [run(['step', 'say', '{name}', ';', {}], mounts = [{mount}])])\n",
            orders.join(", ")
        )
    };
    let images: String = (0..8).map(|number| run(&format!("x{number}"))).collect();
    for who in everybody() {
        let story = Story::new("");
        let workspace = story.workspace();
        let spec = story.spec();
        let base = spec.lines().next().unwrap();
        fs::write(workspace.path("BUILD.star"), format!("{base}\n{images}")).unwrap();
        let run = build_as(&workspace, *who, &["build", "//:all", "--jobs", "8"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
}

const FILES: &str = "write('/f', 'f', mode = '0640', owner = '1:2'), dir('/d', mode = '0700', owner = '3:4'),
    write('/d/g', 'g', owner = '5:6'), symlink('/d/l', 'g', owner = '9:9'), write('/s', 's', mode = '4711', owner = '7:0')";

/// A story with a target `//:files` beside its own.
fn with_files(story: &Story) -> String {
    format!("image(name = 'files', layers = [{FILES}])\n{}", story.spec())
}

#[test]
fn what_is_bound_has_its_owners_also_in_copies() {
    let story = Story::new(
        "must ; stat /in/f ; stat /in/d ; stat /in/d/g ; stat /in/d/l ; stat /in/s ; cp /in/f /f ; cp /in/s /s ;
         cat /one ; stat /one ; cp /one /g ; say done",
    )
    .with("mounts = [bind(':files', '/in'), bind(src = ':files', source = '/d/l', target = '/one')]");
    let mut digests = Vec::new();
    for who in everybody() {
        let workspace = story.workspace();
        fs::write(workspace.path("BUILD.star"), with_files(&story)).unwrap();
        let run = build_as(&workspace, *who, &["build", "//:x", "-o", "tar:x.tar"]);
        let seen = "/in/f 100640 1:2\n/in/d 40700 3:4\n/in/d/g 100644 5:6\n/in/d/l 120777 9:9\n/in/s 104711 7:0\n\
            g/one 100644 5:6\ndone";
        assert_eq!(spoken(&run), seen, "{who:?}: {}", run.stderr);
        let listed = crate::workspace::list(&workspace.path("x.tar"));
        let own: Vec<&String> = listed.iter().filter(|line| !line.starts_with("bin")).collect();
        assert_eq!(own, ["f 0640 1:2 f", "g 0644 5:6 g", "s 4711 7:0 s"], "{who:?}");
        digests.push(run.stdout);
    }
    digests.dedup();
    assert!(digests.len() <= 1, "{digests:?}");
}

#[test]
fn what_is_written_into_a_bind_is_lost_or_refused() {
    let read_only = Story::new("write /in/f x ; chown /in/f 1 1 ; mkdir /in/d ; rm /in/f ; cat /in/f")
        .with("inputs = {'/in': write('/f', 'text')}");
    assert_eq!(
        read_only.wrote(),
        "write /in/f: Read-only file system\nchown /in/f: Read-only file system\nmkdir /in/d: Read-only file system\n\
         rm /in/f: Read-only file system\ntext"
    );
    assert_eq!(read_only.layer(), [] as [&str; 0]);
    let writable = Story::new("must ; write /in/f x ; chown /in/f 8 9 ; stat /in/f ; mkdir /in/d ; cp /in/f /out")
        .with("mounts = [bind(write('/f', 'text'), '/in', writable = True)]");
    assert_eq!(writable.wrote(), "/in/f 100644 8:9");
    assert_eq!(writable.layer(), ["out 0644 8:9 x"]);
}

#[test]
fn files_of_the_workspace_are_seen_by_the_command_only() {
    let toml = "[image.base]\nlayers = [{ files = { srcs = ['step'], dest = '/bin' } }]\n\
        [image.x]\nbase = ':base'\n[[image.x.layers]]\nrun.command = ['step', 'must', ';', 'cp', '/src/a.txt', '/a', ';', 'ls', '/src']\n\
        run.inputs = { '/src' = { files = { srcs = { glob = ['*.txt'] } } } }\n\
        run.mounts = [{ tmpfs = { target = '/t' } }, { bind = { src = { files = { srcs = ['sub'] } }, target = '/src/sub' } }]\n";
    for who in everybody() {
        let workspace = Story::new("").workspace().file("ocify.toml", toml).file("a.txt", "a").file("sub/x", "x");
        fs::remove_file(workspace.path("BUILD.star")).unwrap();
        let run = build_as(&workspace, *who, &["build", "//:x", "-o", "tar:x.tar"]);
        assert!(run.code == 0 && run.stderr.contains("a.txt sub "), "{who:?}: {}", run.stderr);
        let listed = crate::workspace::list(&workspace.path("x.tar"));
        assert_eq!(listed.iter().filter(|line| !line.starts_with("bin")).collect::<Vec<_>>(), ["a 0644 0:0 a"]);
        // Another content runs it again, and the reason is told.
        let workspace = workspace.file("a.txt", "b");
        let run = build_as(&workspace, *who, &["explain", "//:x"]);
        assert!(run.stdout.contains("mounts./src.files"), "{}", run.stdout);
    }
}

#[test]
fn targets_lie_where_links_lead_and_one_in_another() {
    let story = Story::new(
        "must ; ls /real ; stat /real/c/d ; write /l/c/d/f x ; cat /real/c/d/f ; ls /in ; ls /in/sub",
    )
    .on("dir('/real'), symlink('/l', 'real')")
    .with(
        "mounts = [tmpfs('/l/c/d'), tmpfs('/real/c'), bind(write('/x', ''), '/in'), bind(write('/y', ''), '/in/sub')]",
    );
    assert_eq!(story.wrote(), "c \n/real/c/d 41777 0:0\nxsub x \ny ");
    assert_eq!(story.layer(), [] as [&str; 0]);
}

#[test]
fn a_step_that_moves_what_is_mounted_on_leads_nobody_astray() {
    let story = Story::new(
        "rmdir /a/b ; mv /a /z ; mv /a/b /a/c ; rm /a ; symlink /etc /a/b ; symlink /etc /a/l ; write /a/b/f x ; say done",
    )
    .with("mounts = [tmpfs('/a/b')]");
    let wrote = story.wrote();
    assert!(wrote.ends_with("done") && wrote.contains("rmdir /a/b: Device or resource busy"), "{wrote}");
    assert_eq!(story.layer(), ["a/ 0755 0:0", "a/l 0777 0:0 -> /etc"]);
}

#[test]
fn what_cannot_be_mounted_is_an_error_in_the_spec() {
    for (below, mounts, message) in [
        ("", "tmpfs('/')", "nothing can be mounted on the root"),
        ("", "tmpfs('/proc/x')", "nothing can be mounted on `/proc/x`"),
        ("", "tmpfs('dev')", "nothing can be mounted on `/dev`"),
        ("", "tmpfs('/a'), cache('/a')", "two mounts have the target `/a`"),
        ("symlink('/l', '/')", "tmpfs('/l')", "nothing can be mounted on `/l`: it leads to `/`"),
        ("symlink('/l', 'sys')", "tmpfs('/l/x')", "nothing can be mounted on `/l/x`: it leads to `/sys/x`"),
        ("dir('/a'), symlink('/l', 'a')", "tmpfs('/a'), tmpfs('/l')", "there is another mount at `/a`"),
        ("write('/f', '')", "tmpfs('/f')", "it is no directory of the image"),
        ("", "bind(write('/f', ''), '/bin', source = 'f')", "it is a directory of the image"),
        ("", "bind(write('/f', ''), '/b', source = 'g')", "there is no `/g` in what is mounted"),
        ("", "bind(run('x'), '/b')", "expected a layer, or an image, its name or a label"),
        ("", "write('/x', '')", "expected a mount, found the value of `write(...)`"),
        ("", "tmpfs('/t', sise = 1)", "did you mean `size`?"),
        ("", "cache('/t', sharing = 'lock')", "did you mean `locked`?"),
        ("", "secret('s')", "--secret id=s,src=FILE"),
        ("", "ssh()", "the ssh agent `default` is not given"),
    ] {
        let story = Story::new("must").on(below).with(&format!("mounts = [{mounts}]"));
        let run = story.run_as(if everybody().contains(&Who::User) { Who::User } else { Who::Root });
        assert!(run.code == 2 && run.stderr.contains(message), "{mounts}: {} {}", run.code, run.stderr);
    }
}

/// Every file below a directory with what is in it.
fn contents(directory: &std::path::Path, found: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.as_os_str().as_encoded_bytes().to_vec());
        if path.is_dir() && !path.is_symlink() {
            contents(&path, found);
        } else if path.is_file() {
            let mut bytes = fs::read(&path).unwrap();
            let mut unpacked = Vec::new();
            let _ = flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut unpacked);
            bytes.extend(unpacked);
            found.push(bytes);
        }
    }
}

#[test]
fn a_secret_is_nowhere_but_in_the_step() {
    use base64::Engine;
    let mut random = [0_u8; 16];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
    let canary: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let forms = [
        canary.clone(),
        base64::engine::general_purpose::STANDARD.encode(&canary),
        canary.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    let story = Story::new(
        "must ; stat /run/secrets/token ; cat /run/secrets/token ; getenv TOKEN ; stat /etc/key ; write /made x ; fail",
    );
    let mounts = "mounts = [secret('token'), secret('token', env = 'TOKEN'), \
        secret('token', target = '/etc/key', mode = '0440', uid = 3, gid = 4), secret('other', required = False)]";
    for who in everybody() {
        let failing = story.clone().with(mounts);
        let workspace = failing.workspace();
        fs::write(workspace.path("token"), &canary).unwrap();
        let outside = workspace.root().parent().unwrap().join("token");
        fs::rename(workspace.path("token"), &outside).unwrap();
        let secret = format!("id=token,src={}", outside.display());
        let mut said = Vec::new();
        for orders in [failing.spec(), failing.spec().replace(", \"fail\"", "")] {
            fs::write(workspace.path("BUILD.star"), orders).unwrap();
            for arguments in [
                &["build", "//:x", "--record", "record.json", "-o", "oci:out", "--secret", &secret][..],
                &["explain", "//:x", "--secret", &secret, "--json"],
            ] {
                let run = build_as(&workspace, *who, arguments);
                said.extend([run.stdout.into_bytes(), run.stderr.into_bytes()]);
            }
        }
        let log = String::from_utf8_lossy(&said[1]).into_owned();
        let log: Vec<&str> = log.lines().filter(|line| !line.starts_with('[')).collect();
        let log = log.join("\n");
        // It has read it: its length is known, its text is not shown.
        assert!(log.contains("/run/secrets/token 100400 0:0\n***TOKEN=***\n/etc/key 100440 3:4\n"), "{who:?}: {log}");
        assert!(workspace.path("record.json").exists(), "{}", String::from_utf8_lossy(&said[5]));
        contents(&workspace.root(), &mut said);
        contents(&workspace.store(), &mut said);
        for form in &forms {
            let found = said.iter().position(|bytes| bytes.windows(form.len()).any(|window| window == form.as_bytes()));
            assert_eq!(found, None, "{who:?}: {form} is in {}", String::from_utf8_lossy(&said[found.unwrap_or(0)]));
        }
        fs::remove_file(outside).unwrap();
        // It is made: nobody asks for the secret again.
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert!(run.code == 0 && run.stderr.contains("(cached)"), "{}", run.stderr);
    }
}

#[test]
fn a_secret_that_need_not_be_given_is_not_there_then() {
    let mounts =
        "mounts = [secret('s', required = False, env = 'S'), secret('s', required = False), ssh(required = False)]";
    let story = Story::new("getenv S ; cat /run/secrets/s ; getenv SSH_AUTH_SOCK").with(mounts);
    assert_eq!(story.wrote(), "S=(none)\ncat /run/secrets/s: No such file or directory\nSSH_AUTH_SOCK=(none)");
    assert_eq!(story.layer(), [] as [&str; 0]);
    for who in everybody() {
        let workspace = story.workspace();
        fs::write(workspace.path("s"), "given!").unwrap();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let run = build_as(&workspace, *who, &["explain", "//:x", "--secret", "id=s,src=s"]);
        assert!(run.stdout.contains("mounts.$S.given"), "{}", run.stdout);
    }
}

#[test]
fn secrets_of_the_command_line_are_read_or_refused() {
    let workspace = Workspace::new().file("BUILD.star", "image(name = 'x')").file("s", "s");
    for (given, message) in [
        ("id=a,src=s", ""),
        ("type=file,id=a,source=s", ""),
        ("id=a,env=PATH", ""),
        ("id=PATH", ""),
        ("type=env,id=a,src=PATH", ""),
        ("src=s", "has no name"),
        ("id=a,src=none", "cannot be read from `none`"),
        ("id=a,env=NOT_SET_HERE", "`NOT_SET_HERE` is not set"),
        ("id=NOT_SET_HERE", "write id=NOT_SET_HERE,src=FILE"),
        ("id=a,scr=s", "did you mean `src`?"),
        ("id=a,src=s,env=PATH", "as a file and as a variable"),
    ] {
        let run = workspace.run(&["build", "//:x", "--secret", given]);
        match message {
            "" => assert_eq!(run.code, 0, "{given}: {}", run.stderr),
            message => assert!(run.code == 2 && run.stderr.contains(message), "{given}: {}", run.stderr),
        }
    }
    for (given, message) in [("default=s", "is no socket"), ("default=none", "cannot be found")] {
        let run = workspace.run(&["build", "//:x", "--ssh", given]);
        assert!(run.code == 2 && run.stderr.contains(message), "{given}: {}", run.stderr);
    }
}

#[test]
fn an_agent_answers_through_a_socket_of_the_step() {
    let story = Story::new("must ; getenv SSH_AUTH_SOCK ; stat /run/buildkit/ssh_agent.0 ; ask /run/buildkit/ssh_agent.0 hello ; ask /run/buildkit/ssh_agent.0 again")
        .with("mounts = [ssh(mode = '0620', uid = 3)]");
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let agent = directory.path().join("agent");
    let listener = UnixListener::bind(&agent).unwrap();
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o666)).unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut asked = String::new();
            connection.read_to_string(&mut asked).unwrap();
            connection.write_all(asked.to_uppercase().as_bytes()).unwrap();
        }
    });
    let given = format!("default={}", agent.display());
    for who in everybody() {
        let run = build_as(&story.workspace(), *who, &["build", "//:x", "--ssh", &given]);
        let seen = "SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0\n/run/buildkit/ssh_agent.0 140620 3:0\nHELLO\nAGAIN";
        assert_eq!(spoken(&run), seen, "{who:?}: {}", run.stderr);
    }
}

#[test]
fn only_the_outputs_are_kept() {
    let orders =
        "must ; write /out/a a ; write /log x ; rm /out/old ; write /w/x/y y ; ln /out/a /linked ; ln /w/x/y /out/z";
    let story = Story::new(&format!("must ; mkdir /w/x ; {orders}"))
        .on("write('/out/old', ''), write('/out/kept', ''), dir('/w', mode = '1777')")
        .with("outputs = ['/out', '/w/x']");
    assert_eq!(
        story.layer(),
        [
            "out/ 0755 0:0",
            "out/.wh.old 0000 0:0",
            "out/a 0644 0:0 a",
            "out/z 0644 0:0 y",
            "w/ 1777 0:0",
            "w/x/ 0755 0:0",
            "w/x/y 0644 0:0 -> out/z",
        ]
    );
    for who in everybody() {
        let run = Story::new("must").with("outputs = ['/none']").run_as(*who);
        assert!(run.code == 1 && run.stderr.contains("the output `/none` does not exist"), "{}", run.stderr);
    }
}
