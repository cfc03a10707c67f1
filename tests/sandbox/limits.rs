//! What no step may use up: disk and memory.

use std::process::Command;

use super::program::{Story, Who, everybody};

#[test]
fn a_file_without_end_is_the_end_of_the_step() {
    for who in everybody() {
        let run = Story::new("must ; size /x 17179869184 ; rm /x ; say large ; size /x 17179869185").run_as(*who);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains("large") && run.stderr.contains("became larger than 16 GiB"), "{}", run.stderr);
    }
}

#[test]
fn a_step_that_fills_the_disk_is_ended_before_it_is_full() {
    if !everybody().contains(&Who::Root) {
        return;
    }
    let workspace = Story::new("must ; fill /x 128 ; say waiting ; sleep").workspace();
    std::fs::create_dir_all(workspace.store()).unwrap();
    let build = workspace.command(&["build", "//:x"]);
    let mut small = Command::new("unshare");
    small.args(["-m", "sh", "-c", "mount -t tmpfs -o size=192m,mode=700 none \"$0\" && exec \"$@\""]);
    small.arg(workspace.store()).arg(build.get_program()).args(build.get_args()).current_dir(workspace.root());
    small.envs(build.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = small.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("waiting") && error.contains("almost filled"), "{error}");
}

#[test]
fn a_step_has_no_more_memory_than_its_spec_says() {
    for who in everybody() {
        let run = |orders: &str| Story::new(orders).with("memory = 64 << 20").run_as(*who);
        let modest = run("must ; hog 16 ; say enough");
        assert!(modest.code == 0 && modest.stderr.contains("enough"), "{who:?}: {}", modest.stderr);
        let greedy = run("must ; hog 256 ; say enough");
        let error = &greedy.stderr;
        let is_told = error.contains("more than its `memory`") || error.contains("Cannot allocate memory");
        assert!(greedy.code == 1 && is_told && !error.contains("\nenough"), "{who:?}: {error}");
    }
}
