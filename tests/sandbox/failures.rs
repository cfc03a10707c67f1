//! How steps fail, and what they leave behind then: nothing.

use std::fs;
use std::time::{Duration, Instant};

use super::program::{Story, build_as, everybody};

/// Builds as everybody, which fails, and returns what is said on stderr.
#[track_caller]
fn fails(story: &Story) -> Vec<String> {
    let fail = |who: &_| {
        let workspace = story.workspace();
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert_eq!(run.code, 1, "{who:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
        let left: Vec<_> = fs::read_dir(workspace.store().join("ingest")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        run.stderr
    };
    everybody().iter().map(fail).collect()
}

#[test]
fn an_exit_code_comes_with_the_place_and_the_last_lines() {
    for error in fails(&Story::new("say first ; say last ; exit 3")) {
        assert!(error.contains("`run step say first ; say last ; exit 3` ended with exit code 3"), "{error}");
        assert!(error.contains("BUILD.star:2") && error.contains("the end of what it wrote:"), "{error}");
        assert!(error.contains("last"), "{error}");
        assert!(error.contains("to look around where it ran:\n        ocify shell //:x@1\n"), "{error}");
    }
}

#[test]
fn a_signal_is_named() {
    for error in fails(&Story::new("die 9")) {
        assert!(error.contains("was ended by signal 9 (SIGKILL)") && error.contains("it wrote nothing"), "{error}");
    }
}

#[test]
fn a_step_that_will_not_end_is_ended() {
    let begun = Instant::now();
    for error in fails(&Story::new("leave /x ; ignore ; sleep").with("timeout = 1")) {
        assert!(error.contains("took longer than its `timeout`"), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn what_a_step_leaves_running_is_ended_with_it() {
    for who in everybody() {
        let run = Story::new("leave /x ; say done").run_as(*who);
        assert!(run.code == 0 && run.stderr.contains("done"), "{}", run.stderr);
    }
}

#[test]
fn processes_without_end_are_refused() {
    for who in everybody() {
        let run = Story::new("forkbomb").run_as(*who);
        assert!(run.code == 0 && run.stderr.contains("forked until refused"), "{who:?}: {}", run.stderr);
    }
}

#[test]
fn a_program_that_is_not_there_says_what_is_needed() {
    let story = Story::new("");
    for who in everybody() {
        let workspace = story.workspace();
        workspace
            .write("BUILD.star", "image(name = 'x', layers = [files(srcs = ['step'], dest = '/bin'), run('make')])");
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert_eq!(run.code, 1);
        assert!(run.stderr.contains("starting the program failed"), "{}", run.stderr);
        assert!(run.stderr.contains("needs /bin/sh"), "{}", run.stderr);
    }
}

#[test]
fn a_program_for_another_processor_says_so() {
    let mut other = fs::read(super::program::program()).unwrap();
    // e_machine of the ELF header: a SPARC.
    other[18..20].copy_from_slice(&2_u16.to_le_bytes());
    for who in everybody() {
        let workspace = Story::new("").workspace();
        workspace.write("step", &other);
        let run = build_as(&workspace, *who, &["build", "//:x"]);
        assert_eq!(run.code, 1);
        assert!(run.stderr.contains("binfmt_misc") && run.stderr.contains("linux/"), "{}", run.stderr);
        // An architecture that this machine is not: the error names what it needs.
        let platform = if cfg!(target_arch = "s390x") { "linux/arm64" } else { "linux/s390x" };
        let run = build_as(&workspace, *who, &["build", "//:x", "--platform", platform]);
        assert_eq!(run.code, 1);
        let text: String = run.stderr.split_whitespace().collect();
        for needed in ["binfmt_misc", "qemu-", "qemu-user-static", &format!("cannot be run for {platform}")] {
            assert!(text.contains(&needed.replace(' ', "")), "{needed}: {}", run.stderr);
        }
    }
}

#[test]
fn a_working_directory_must_exist_in_the_image() {
    for workdir in ["/nowhere", "/proc/self/fd/3", "/proc/1/root"] {
        for error in fails(&Story::new("pwd").with(&format!("workdir = '{workdir}'"))) {
            assert!(error.contains("entering the working directory failed"), "{error}");
        }
    }
}

#[test]
fn a_command_must_be_one() {
    let workspace = Story::new("").workspace();
    for (call, message) in [
        ("run([])", "a command needs a program"),
        ("run(5)", "expected a command"),
        ("run('x', cpus = 0)", "a number from 1 to 65535"),
        ("run('x', network = 'lan')", "unknown value `lan`"),
        ("run('x', hosts = {'a': '1.2.3.4'})", "unknown key `hosts`"),
        ("run()", "`command` is missing"),
        ("run('x', env = {'A=B': 'c'})", "`A=B` cannot be an environment variable"),
    ] {
        workspace.write("BUILD.star", format!("image(name = 'x', layers = [{call}])"));
        let error = workspace.fails(2, &["build", "//:x"]);
        assert!(error.contains(message), "{call}: {error}");
    }
}

#[test]
fn a_path_that_no_layer_can_hold_is_an_error_and_is_removed() {
    for error in fails(&Story::new("must ; deep 4000")) {
        assert!(error.contains("reading the changes failed") && error.contains("name too long"), "{error}");
    }
}

#[test]
fn a_name_that_no_layer_can_hold_is_an_error() {
    for error in fails(&Story::new("must ; write /.wh.a x")) {
        assert!(error.contains("cannot be run") && error.contains(".wh.a"), "{error}");
    }
}

/// The processes of this machine whose arguments have `marker` in them.
fn processes(marker: &str) -> usize {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let has_marker = |entry: &fs::DirEntry| {
        let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(marker)
    };
    all.filter(has_marker).count()
}

#[test]
fn a_build_that_is_interrupted_takes_its_step_along() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let marker = format!("marker-{}", std::process::id());
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
        let workspace = Story::new(&format!("leave /x ; ignore ; say ready ; say {marker} ; sleep")).workspace();
        if !super::is_allowed() {
            return;
        }
        let mut build = workspace.command(&["build", "//:x"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(build.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(&marker)));
        assert!(processes(&marker) > 0);
        let pid = rustix::process::Pid::from_raw(build.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        build.wait().unwrap();
        let begun = Instant::now();
        while processes(&marker) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "the step goes on");
            std::thread::yield_now();
        }
        // What a killed process leaves, the next one removes.
        workspace.ok(&["images"]);
        assert_eq!(fs::read_dir(workspace.store().join("ingest")).unwrap().count(), 0);
    }
}
