//! Steps that have the machine's network, and how they are marked.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::program::{Story, build_as, everybody};

const SHARED: &str = "network = 'host'";

#[test]
fn a_step_that_has_the_network_reaches_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let wrote = Story::new(&format!("connect 127.0.0.1 {port} ; say done")).with(SHARED).wrote();
    assert_eq!(wrote, "done");
    everybody().iter().for_each(|_| drop(listener.accept().unwrap()));
}

#[test]
fn sockets_with_abstract_names_are_out_of_reach() {
    let name = format!("ocify-shared-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let story = Story::new(&format!("abstract {name}")).with(SHARED);
    for who in everybody() {
        let doctor = build_as(&story.workspace(), *who, &["doctor"]).stdout;
        let run = story.run_as(*who);
        let kept = run.stderr.contains(&format!("abstract {name}: Operation not permitted"));
        assert!(
            run.code == 0 && kept == doctor.contains("abstract sockets of this machine are kept"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn names_are_found_by_files_that_are_not_in_the_layer() {
    let story = Story::new("cat /etc/hosts ; write /etc/resolv.conf x ; write /etc/hosts x ; ls /etc ; write /a a");
    let wrote = story.with(SHARED).wrote();
    assert_eq!(
        wrote,
        "127.0.0.1\tlocalhost ocify\n::1\tlocalhost ip6-localhost ip6-loopback\n\
         write /etc/resolv.conf: Read-only file system\nwrite /etc/hosts: Read-only file system\nhosts resolv.conf "
    );
    let layer = Story::new("must ; write /a a ; cat /etc/hosts ; cat /etc/resolv.conf").with(SHARED).layer();
    assert_eq!(layer, ["a 0644 0:0 a"]);
    let layer = Story::new("must ; write /etc/a a").with(SHARED).layer();
    assert_eq!(layer, ["etc/ 0755 0:0", "etc/a 0644 0:0 a"]);
}

#[test]
fn names_of_the_image_lead_these_files_nowhere_else() {
    let links =
        "symlink('/etc/resolv.conf', '../run/resolve/stub.conf'), symlink('/etc/hosts', '/../../../../lib/hosts'),
        write('/lib/hosts', 'of the image')";
    let story = Story::new("cat /etc/hosts ; ls /run/resolve ; write /etc/resolv.conf x ; write /run/x x");
    let story = story.on(links).with(SHARED);
    let wrote = story.wrote();
    assert!(wrote.starts_with("127.0.0.1\tlocalhost ocify\n"), "{wrote}");
    assert!(wrote.ends_with("stub.conf \nwrite /etc/resolv.conf: Read-only file system"), "{wrote}");
    assert_eq!(story.layer(), ["run/ 0755 0:0", "run/x 0644 0:0 x"]);
    for wrong in ["symlink('/etc/hosts', 'hosts')", "write('/etc', '')", "dir('/etc/hosts')"] {
        for who in everybody() {
            let run = Story::new("must").on(wrong).with(SHARED).run_as(*who);
            assert!(run.code == 2 && run.stderr.contains("/etc/hosts"), "{wrong}: {}", run.stderr);
        }
    }
}

#[test]
fn a_step_that_has_the_network_is_marked_wherever_it_shows() {
    let workspace = Story::new("write /a a").with(SHARED).workspace();
    for who in everybody() {
        let mark = "run step write /a a [not hermetic]";
        let run = build_as(&workspace, *who, &["build", "//:x", "-o", "oci:out", "--json", "--record", "record.json"]);
        assert!(run.code == 0 && run.stderr.contains(&format!("{mark} (not built before)")), "{}", run.stderr);
        assert!(run.stdout.contains("\"hermetic\":false"), "{}", run.stdout);
        let base = build_as(&workspace, *who, &["build", "//:base", "--json"]);
        assert!(base.stdout.contains("\"hermetic\":true"), "{}", base.stdout);
        let says = |arguments: &[&str], text: &str| {
            let run = build_as(&workspace, *who, arguments);
            assert!(run.code == 0 && run.stdout.contains(text), "{arguments:?}: {}{}", run.stdout, run.stderr);
        };
        says(&["explain", "//:x"], &format!("{mark}: hit"));
        says(&["explain", "//:x", "--json"], "\"hermetic\":false");
        says(&["graph", "//:x"], mark);
        says(&["graph", "//:x", "--format", "svg"], mark);
        says(&["graph", "//:x", "--format", "json"], "\"hermetic\": false");
        says(&["history", "//:x", "--no-trunc"], "not hermetic: the command had the network");
        let record = std::fs::read_to_string(workspace.path("record.json")).unwrap();
        assert!(record.contains("\"hermetic\":false") && record.contains("\"network\":\"host\""), "{record}");
        std::fs::remove_dir_all(workspace.path("out")).unwrap();
        std::fs::remove_dir_all(workspace.store()).unwrap();
    }
}

#[test]
fn a_hermetic_build_refuses_it_at_its_place() {
    let workspace = Story::new("write /a a").with(SHARED).workspace();
    let refused = |error: String| {
        assert!(error.contains("`run step write /a a` has the network") && error.contains("BUILD.star:2"), "{error}");
    };
    refused(workspace.fails(2, &["build", "//:x", "--hermetic"]));
    refused(workspace.fails(2, &["explain", "//:x", "--hermetic"]));
    workspace.write("ocify.toml", "hermetic = true\n");
    refused(workspace.fails(2, &["build", "//:x"]));
    workspace.ok(&["build", "//:base"]);
}
