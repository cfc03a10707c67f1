//! What hostile steps try, beside what `isolation` has: docs/design/sandbox.md lists which test is about which attack.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use super::program::{Story, Who, build_as, command_as, everybody, program, spoken};
use crate::workspace::{Run, Workspace};

#[test]
fn calls_that_act_on_the_machine_are_refused() {
    assert_eq!(Story::new("calls").wrote(), "");
}

#[test]
fn the_first_process_is_out_of_reach() {
    let wrote =
        Story::new("trace 1 ; cat /proc/1/mem ; cat /proc/1/root/etc/shadow ; cat /proc/1/fd/3 ; cat /proc/1/maps");
    assert_eq!(
        wrote.wrote(),
        "trace 1: Operation not permitted\ncat /proc/1/mem: Permission denied\n\
         cat /proc/1/root/etc/shadow: Permission denied\ncat /proc/1/fd/3: Permission denied\n\
         cat /proc/1/maps: Permission denied"
    );
}

#[test]
fn an_emulator_cannot_be_changed_by_what_it_runs() {
    let orders = "chmod /proc/self/exe 0700 ; hold 9 /proc/self/exe ; chmod /proc/self/fd/9 0700 ; say done";
    let words: Vec<String> = orders.split_whitespace().map(|word| format!("{word:?}")).collect();
    let spec = format!(
        "image(name = 'x', platform = 'linux/arm64', layers = [files(srcs = ['program'], dest = '/bin'),
         run(['/bin/program', {}])])",
        words.join(", ")
    );
    // No more than what tells the processor.
    let mut header = [0; 64];
    header[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0");
    for who in everybody().iter().filter(|who| **who != Who::Root) {
        let workspace = Workspace::new().file("BUILD.star", &spec).file("program", header);
        let emulator = workspace.path("qemu-aarch64-static");
        fs::copy(program(), &emulator).unwrap();
        for file in [&emulator, &workspace.path("program")] {
            fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = command_as(&workspace, *who, &["build", "//:x"]);
        let run = Run::from(command.env("PATH", workspace.root()).output().unwrap());
        let refused = |name: &str| format!("chmod {name}: Read-only file system\n");
        let expected = refused("/proc/self/exe") + &refused("/proc/self/fd/9") + "done";
        assert_eq!(spoken(&run), expected, "{who:?}: {}", run.stderr);
    }
}

#[test]
fn limits_of_the_first_process_are_its_own() {
    assert_eq!(Story::new("limit 1 ; limit 0 ; say done").wrote(), "limit 1: Operation not permitted\ndone");
}

#[test]
fn a_link_in_the_place_of_what_is_made_for_a_step_leads_nowhere() {
    for who in everybody() {
        let workspace = Workspace::new().file("canary", "mine");
        let canary = workspace.path("canary").canonicalize().unwrap();
        fs::set_permissions(&canary, fs::Permissions::from_mode(0o600)).unwrap();
        let story = Story::new(&format!("swap {} ; say done", canary.display())).with("cpus = 2");
        fs::write(workspace.path("BUILD.star"), story.spec()).unwrap();
        fs::copy(program(), workspace.path("step")).unwrap();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert!(run.stderr.contains("done"), "{who:?}: {}", run.stderr);
        assert_eq!(fs::metadata(&canary).unwrap().permissions().mode() & 0o7777, 0o600, "{who:?}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_shell_that_is_a_link_to_the_program_that_starts_it_cannot_change_that() {
    let loader = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("loader-{}", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox/loader.c");
    let compiled =
        Command::new("cc").args(["-nostdlib", "-static-pie", "-fPIC", "-o"]).arg(&loader).arg(source).status();
    assert!(compiled.unwrap().success());
    let spec = "image(name = 'x', layers = [files(srcs = {'/lib64/ld-linux-x86-64.so.2': 'loader'}),
        symlink('/bin/sh', '/proc/self/exe'), run('true')])";
    for who in everybody() {
        let workspace = Workspace::new().file("BUILD.star", spec);
        fs::copy(&loader, workspace.path("loader")).unwrap();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert!(run.code == 0 && spoken(&run) == "refused", "{who:?}: {}", run.stderr);
    }
    fs::remove_file(loader).unwrap();
}

#[test]
fn nothing_of_the_kernel_is_in_sys() {
    let wrote = Story::new("ls /sys/kernel ; ls /sys/fs ; ls /sys/class ; write /sys/devices/system/cpu/online x");
    assert_eq!(
        wrote.wrote(),
        "ls /sys/kernel: No such file or directory\nls /sys/fs: No such file or directory\n\
         ls /sys/class: No such file or directory\nwrite /sys/devices/system/cpu/online: Read-only file system"
    );
}

#[test]
fn sockets_of_the_machine_are_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let path = path.to_str().unwrap();
    let wrote = Story::new(&format!("unix {path} ; unix /run/docker.sock ; unix /proc/1/root{path}")).wrote();
    assert_eq!(
        wrote,
        format!(
            "unix {path}: No such file or directory\nunix /run/docker.sock: No such file or directory\n\
             unix /proc/1/root{path}: Permission denied"
        )
    );
}

#[test]
fn two_steps_at_the_same_time_do_not_meet() {
    for who in everybody() {
        let workspace = Story::new("").workspace();
        let step = |name: &str, orders: &str| {
            let words: Vec<String> = orders.split_whitespace().map(|word| format!("{word:?}")).collect();
            format!(
                "image(name = '{name}', layers = [files(srcs = ['step'], dest = '/bin'),
                    run(['step', {}], mounts = [cache('/meet', id = 'meet')], timeout = 300)])\n",
                words.join(", ")
            )
        };
        // By a cache they know of each other; the socket is another way.
        let spec = step("a", "must ; offer somebody ; write /meet/offered x ; await /meet/tried")
            + &step("b", "await /meet/offered ; abstract somebody ; write /meet/tried x");
        workspace.write("BUILD.star", spec);
        let run = build_as(&workspace, *who, &["build", "//:a", "//:b", "--jobs", "2"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stderr.contains("abstract somebody: Connection refused"), "{}", run.stderr);
    }
}

#[test]
fn accounts_are_read_inside_the_image_and_only_so_far() {
    for (passwd, message) in [
        ("symlink('/etc/passwd', '/dev/zero')", "`app`"),
        ("symlink('/etc/passwd', '../../../../../etc/passwd')", "`app`"),
        ("write('/etc/passwd', 'root:x:0:0::/root:/bin/sh\\n' * 50000)", "larger than 1048576 bytes"),
    ] {
        for who in everybody() {
            let run = Story::new("id").on(passwd).with("user = 'app'").run_as(*who);
            assert_ne!(run.code, 0, "{passwd}");
            assert!(run.stderr.contains(message), "{passwd}: {}", run.stderr);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_program_for_32_bits_says_so() {
    for who in everybody() {
        let run = Story::new("foreign").run_as(*who);
        assert_eq!(run.code, 1);
        assert!(run.stderr.contains("SIGSYS") && run.stderr.contains("linux/386"), "{}", run.stderr);
    }
}
