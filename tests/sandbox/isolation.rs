//! What a step can see and reach: its image, and nothing of the machine.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::program::{Story, Who, build_as, everybody, spoken};

#[test]
fn the_environment_is_the_same_everywhere() {
    let wrote = Story::new("env ; fds ; pwd ; id").with("env = {'A': 'b', 'TZ': 'CET'}, workdir = '/bin'").wrote();
    assert_eq!(
        wrote,
        "A=b\nHOME=/root\nLANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         SOURCE_DATE_EPOCH=0\nTZ=CET\nfd 0\nfd 1\nfd 2\n/bin\n0 0 0 0"
    );
}

#[test]
fn the_machine_looks_the_same_everywhere() {
    let one = Story::new("system").wrote();
    assert!(one.starts_with("ocify cpus 1 online 1 umask 22 stack 0x7ff") && one.ends_with("pid 2"), "{one}");
    assert_eq!(Story::new("system").wrote(), one, "the layout of memory is fixed");
}

#[test]
fn only_the_image_and_a_few_devices_are_there() {
    let wrote =
        Story::new("ls / ; ls /dev ; ls /sys ; ls /sys/devices/system/cpu ; cat /etc/shadow ; cat /proc/1/fd/0")
            .wrote();
    assert_eq!(
        wrote,
        "bin dev proc sys \nfd full null ptmx pts random shm stderr stdin stdout tty urandom zero \ndevices \n\
         online possible present \ncat /etc/shadow: No such file or directory\ncat /proc/1/fd/0: Permission denied"
    );
}

#[test]
fn nothing_of_the_machine_is_in_proc() {
    let wrote = Story::new(
        "cat /proc/1/environ ; cat /proc/2/environ ; cat /proc/kcore ; cat /proc/keys ; write /proc/sys/kernel/hostname x ;
         write /proc/sysrq-trigger x",
    )
    .wrote();
    assert!(!wrote.contains("secret of the machine") && !wrote.contains("OCIFY"), "{wrote}");
    let refused = wrote.lines().filter(|line| line.contains("Permission denied") || line.contains("Read-only"));
    assert!(refused.count() >= 2, "{wrote}");
}

#[test]
fn there_is_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let name = format!("ocify-test-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let wrote = Story::new(&format!(
        "connect 127.0.0.1 {port} ; connect 169.254.169.254 80 ; connect 192.0.2.1 80 ; abstract {name} ; vsock"
    ))
    .wrote();
    assert_eq!(
        wrote,
        format!(
            "connect 127.0.0.1: Connection refused\nconnect 169.254.169.254: Network is unreachable\n\
             connect 192.0.2.1: Network is unreachable\nabstract {name}: Connection refused\n\
             vsock socket: Operation not permitted"
        )
    );
}

#[test]
fn no_right_leads_out() {
    let wrote = Story::new("must ; mkdir /m").wrote();
    assert_eq!(wrote, "");
    let wrote = Story::new("mount /bin ; unshare ; killparent ; mknod /whiteout c 0 0 ; write /sys/x x").wrote();
    assert_eq!(
        wrote,
        "mount /bin: Operation not permitted\nunshare user: Operation not permitted\n\
         mknod /whiteout: Operation not permitted\nwrite /sys/x: Read-only file system"
    );
}

#[test]
fn a_device_that_a_step_makes_opens_nothing() {
    let wrote = Story::new("must ; mknod /kmsg c 1 11 ; stat /kmsg").wrote();
    assert_eq!(wrote, "/kmsg 20640 0:0 1,11");
    // To root it is a device that may not be opened here, to the others an empty file.
    let wrote = Story::new("mknod /zero c 1 5 ; write /zero x ; rm /zero ; say done");
    for who in everybody() {
        let run = wrote.run_as(*who);
        assert!(run.code == 0 && run.stderr.contains("done"), "{}", run.stderr);
    }
}

#[test]
fn nothing_of_the_machine_can_be_made_or_changed_in_dev_and_proc() {
    // The modes are those that they have: should it be possible, the machine is as it was.
    let story = Story::new(
        "write /dev/null x ; chmod /dev/full 0666 ; chmod /proc/version 0444 ; mknod /dev/new c 1 5 ; write /dev/new x ;
         write /dev/newer x ; cat /dev/newer",
    );
    for who in everybody() {
        let run = story.run_as(*who);
        let wrote = spoken(&run);
        let is_kept = ["/dev/full", "/proc/version"];
        let is_kept = is_kept.map(|name| format!("chmod {name}: Read-only file system\n")).concat();
        assert!(run.code == 0 && wrote.starts_with(&is_kept), "{who:?}: {}", run.stderr);
        let is_closed = wrote[is_kept.len()..] == *"write /dev/new: Permission denied\nx";
        // To root it is a device that may not be opened here; no other can make one.
        assert!(wrote.ends_with('x') && (is_closed || *who != Who::Root), "{who:?}: {wrote}");
    }
}

#[test]
fn names_of_the_image_lead_no_mount_astray() {
    for link in ["symlink('/proc', '/bin')", "symlink('/dev', '../../../../tmp')", "write('/sys', '')"] {
        for who in everybody() {
            let run = Story::new("must").on(link).run_as(*who);
            assert_eq!(run.code, 1, "{link}");
            assert!(run.stderr.contains("cannot be run"), "{}", run.stderr);
        }
    }
}

#[test]
fn the_doctor_says_by_which_right_steps_run() {
    for (who, right) in [
        (Who::Root, "root             works, used by builds"),
        (Who::WithIds, "subordinate ids  works, used by builds"),
        (Who::User, "single user      works, used by builds"),
    ] {
        if everybody().contains(&who) {
            let run = build_as(&Story::new("").workspace(), who, &["doctor"]);
            assert!(run.code == 0 && run.stdout.contains(right), "{}{}", run.stdout, run.stderr);
        }
    }
}
