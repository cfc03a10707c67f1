//! `ocify shell`, and `ocify build --shell-on-failure`: people in the root of a step.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::program::{Story, Who, build_as, command_as, everybody, program};
use crate::workspace::{Run, Workspace};

/// An image `//:x` of which the shell obeys orders: a file, a command that makes another, and one more layer.
fn workspace() -> Workspace {
    let workspace = Story::new("").workspace();
    workspace.write(
        "BUILD.star",
        "image(name = 'x', env = {'OF': 'the image'}, workdir = '/made', layers = [
            files(srcs = {'sh': 'step', 'step': 'step'}, dest = '/bin'),
            run('must ; mkdir /made ; write /made/a x ; chown /made/a 3 4', env = {'OF': 'the step'}, workdir = '/bin'),
            write('/made/b', 'y'),
        ])",
    );
    workspace
}

fn spawn(command: &mut Command) -> Child {
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            child => return child.unwrap(),
        }
    }
}

/// Runs `ocify` with something on stdin.
fn told(workspace: &Workspace, who: Who, arguments: &[&str], input: &str) -> Run {
    let mut command = command_as(workspace, who, arguments);
    let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Run::from(child.wait_with_output().unwrap())
}

#[test]
fn a_shell_sees_what_its_step_sees_and_nothing_of_it_is_kept() {
    for who in everybody() {
        let workspace = workspace();
        let run = told(&workspace, *who, &["shell", "//:x@2"], "ls / ; pwd ; env\nwrite /bin/new x ; ls /bin\n");
        assert_eq!(run.code, 0, "{}", run.stderr);
        let seen = run.stdout.lines().collect::<Vec<_>>();
        assert_eq!(seen[..2], ["bin dev proc sys ", "/bin"], "{}", run.stdout);
        assert!(seen.contains(&"OF=the step") && seen.contains(&"new sh step "), "{}", run.stdout);
        assert!(run.stderr.contains("where `run must") && run.stderr.contains("thrown away"), "{}", run.stderr);
        let run = build_as(&workspace, *who, &["shell", "//:x", "--", "step", "ls", "/bin", ";", "tell", "so"]);
        assert_eq!((run.code, run.stdout.as_str()), (0, "sh step \n"), "{}", run.stderr);
        assert!(run.stderr.ends_with("in //:x; what is changed here is thrown away\nso\n"), "{}", run.stderr);
    }
}

#[test]
fn a_visitor_is_the_user_of_the_step_and_has_its_mounts_and_secrets() {
    for who in everybody() {
        let workspace = workspace();
        workspace.write("word", "hush");
        workspace.write(
            "BUILD.star",
            "image(name = 'x', layers = [
                files(srcs = {'sh': 'step'}, dest = '/bin'),
                run('say x', user = '5:6', inputs = {'/in': write('/f', 'given')}, mounts = [secret('word', target = '/word', uid = 5)]),
            ])",
        );
        let arguments = ["shell", "//:x@2", "--secret", "id=word,src=word"];
        let run = told(&workspace, *who, &arguments, "id ; cat /in/f ; say . ; cat /word ; say .\n");
        assert_eq!((run.code, run.stdout.as_str()), (0, "5 5 6 6\ngiven.\nhush.\n"), "{}", run.stderr);
    }
}

#[test]
fn without_a_step_it_is_the_whole_image_as_its_containers_have_it() {
    for who in everybody() {
        let run = told(&workspace(), *who, &["shell", "//:x", "-q"], "pwd ; cat a ; cat b ; stat a ; env\n");
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stdout.starts_with("/made\nxya 100644 3:4\n"), "{}", run.stdout);
        assert!(run.stdout.contains("OF=the image\n"), "{}", run.stdout);
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn a_step_is_found_by_its_number_or_a_part_of_its_title() {
    let Some(&who) = everybody().first() else { return };
    let workspace = workspace();
    for (step, sees) in
        [("1", "dev proc sys "), ("write /made/b", "bin dev made proc sys "), ("mkdir", "bin dev proc sys ")]
    {
        let target = format!("//:x@{step}");
        let run = build_as(&workspace, who, &["shell", &target, "--", "/bin/step", "ls", "/"]);
        match step {
            // In an empty root there is no program.
            "1" => assert!(run.code == 1 && run.stderr.contains("`/bin/step` cannot be run there"), "{}", run.stderr),
            _ => assert_eq!(run.stdout, format!("{sees}\n"), "{}", run.stderr),
        }
    }
    for (step, message) in [("4", "no layer of `//:x` is called `4`"), ("made", "in the titles of several layers")] {
        let error = build_as(&workspace, who, &["shell", &format!("//:x@{step}"), "--", "step"]);
        assert_eq!(error.code, 2);
        assert!(error.stderr.contains(message) && error.stderr.contains("3 write /made/b"), "{}", error.stderr);
    }
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let workspace = workspace();
    for who in everybody() {
        for (order, code) in [("exit 7", 7), ("die 9", 137), ("say", 99), ("say well", 0)] {
            let arguments: Vec<&str> = ["shell", "//:x", "--", "step"].into_iter().chain(order.split(' ')).collect();
            assert_eq!(build_as(&workspace, *who, &arguments).code, code, "{order}");
        }
    }
}

#[test]
fn without_a_terminal_and_input_there_is_no_shell() {
    let workspace = workspace();
    let run = workspace.run(&["shell", "//:x"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("there is no terminal, and nothing to read on stdin"), "{}", run.stderr);
    workspace.write("BUILD.star", "image(name = 'x')\nimage(name = 'y')\n");
    let error = workspace.fails(2, &["shell", "--", "ls"]);
    assert!(error.contains("name one of //:x, //:y"), "{error}");
}

#[test]
fn a_failed_step_can_be_looked_at_as_it_is() {
    for who in everybody() {
        let workspace = workspace();
        workspace.write(
            "BUILD.star",
            "image(name = 'x', layers = [
                files(srcs = {'sh': 'step'}, dest = '/bin'),
                run('write /half x ; chown /half 5 6 ; say working ; exit 3', env = {'A': 'b'}),
            ])",
        );
        let input = "stat /half ; env\nwrite /bin/new x ; exit 9\n";
        let run = told(&workspace, *who, &["build", "//:x", "--shell-on-failure"], input);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stdout.starts_with("/half 100644 5:6\nA=b\n"), "{}", run.stdout);
        assert!(run.stderr.contains("where the command failed; what is changed here is thrown away"), "{}", run.stderr);
        assert!(run.stderr.contains("exit code 3") && run.stderr.contains("working"), "{}", run.stderr);
        let left = std::fs::read_dir(workspace.store().join("ingest")).unwrap().count();
        assert_eq!(left, 0);
        let run = build_as(&workspace, *who, &["build", "//:x", "--shell-on-failure"]);
        assert!(run.code == 1 && run.stderr.contains("warning: no shell"), "{}", run.stderr);
    }
}

#[test]
fn a_step_of_a_dockerfile_has_a_shell_too() {
    for who in everybody() {
        let workspace = Workspace::new();
        std::fs::copy(program(), workspace.path("sh")).unwrap();
        workspace.write(
            "Dockerfile",
            "FROM scratch AS tools\nCOPY sh /bin/sh\nENV A=b\nRUN mkdir /made\nRUN exit 4\nFROM scratch\nCOPY --from=tools / /\n",
        );
        workspace.write("Unnamed", "FROM scratch\nCOPY sh /bin/sh\nRUN exit 5\nFROM scratch\nCOPY --from=0 / /\n");
        let run = build_as(&workspace, *who, &["build", "-f", "Unnamed", "."]);
        assert!(run.stderr.contains("\n        ocify shell -f Unnamed --target 0 .@2\n"), "{}", run.stderr);
        let run = told(&workspace, *who, &["shell", "-f", "Unnamed", "--target", "0", ".@2"], "exit 3\n");
        assert_eq!(run.code, 3, "{}", run.stderr);
        let run = build_as(&workspace, *who, &["build", "-f", "Dockerfile", ".", "--build-arg", "X=it's"]);
        assert_eq!(run.code, 1);
        let hint = "\n        ocify shell --arg 'X=it'\\''s' -f Dockerfile --target tools .@3\n";
        assert!(run.stderr.contains(hint) && run.stderr.contains("Dockerfile:5"), "{}", run.stderr);
        let run = told(&workspace, *who, &["shell", "-f", "Dockerfile", "--target", "tools", ".@3"], "ls / ; env\n");
        // What is mounted on may be there, too.
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stdout.contains(" made proc sys \nA=b\n"), "{}", run.stdout);
    }
}

/// A terminal as a person has it, and `ocify` in it.
fn in_terminal(mut command: Command, rows: u16) -> (File, Child) {
    let (mut near, mut far) = (0, 0);
    let size = libc::winsize { ws_row: rows, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: both numbers are written; the new descriptors have no other owner.
    let (near, far) = unsafe {
        let null = std::ptr::null_mut();
        assert_eq!(libc::openpty(&mut near, &mut far, null, null.cast(), (&raw const size).cast_mut()), 0);
        (File::from_raw_fd(near), OwnedFd::from_raw_fd(far))
    };
    let stdio = || Stdio::from(far.try_clone().unwrap());
    command.stdin(stdio()).stdout(stdio()).stderr(stdio());
    // SAFETY: neither call takes a lock.
    unsafe {
        command.pre_exec(|| match libc::setsid() > 0 && libc::ioctl(0, libc::TIOCSCTTY as _, 0) == 0 {
            true => Ok(()),
            false => Err(std::io::Error::last_os_error()),
        });
    }
    (near, spawn(&mut command))
}

#[test]
fn a_person_at_a_terminal_has_one_inside() {
    for who in everybody() {
        let workspace = workspace();
        let orders = ["step", "window", ";", "until", "40", ";", "window", ";", "sleep"];
        let arguments: Vec<&str> = ["shell", "//:x", "--"].into_iter().chain(orders).collect();
        let (mut terminal, mut child) = in_terminal(command_as(&workspace, *who, &arguments), 30);
        let mut lines = BufReader::new(terminal.try_clone().unwrap()).lines().map_while(Result::ok);
        let mut until = |text: &str| {
            let mut seen = Vec::new();
            let found = lines.by_ref().any(|line| {
                seen.push(line);
                seen.last().is_some_and(|line| line.contains(text))
            });
            assert!(found, "{seen:#?}");
        };
        until("terminal 1 of its own 1, 30 rows, 100 columns");
        let larger = libc::winsize { ws_row: 40, ws_col: 90, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the kernel reads the structure.
        assert_eq!(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &larger) }, 0);
        until("terminal 1 of its own 1, 40 rows, 90 columns");
        // Ctrl-C is the program's.
        terminal.write_all(b"\x03").unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}
