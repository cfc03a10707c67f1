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
    }
}

#[test]
fn a_signal_is_named() {
    for error in fails(&Story::new("die 9")) {
        assert!(error.contains("was ended by signal 9") && error.contains("it wrote nothing"), "{error}");
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
        ("run('x', network = 'host')", "unknown key `network`"),
        ("run()", "`command` is missing"),
    ] {
        workspace.write("BUILD.star", format!("image(name = 'x', layers = [{call}])"));
        let error = workspace.fails(2, &["build", "//:x"]);
        assert!(error.contains(message), "{call}: {error}");
    }
}

#[test]
fn a_name_that_no_layer_can_hold_is_an_error() {
    for error in fails(&Story::new("must ; write /.wh.a x")) {
        assert!(error.contains("cannot be run") && error.contains(".wh.a"), "{error}");
    }
}
