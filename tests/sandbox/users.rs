//! Steps of other users than root: who they are, what they may do, and to whom belongs what they make.

use std::os::unix::process::CommandExt;

use super::program::{Story, build_as, command_as, everybody, spoken};
use crate::workspace::Run;

const APP: &str = "accounts(users = [{'name': 'app', 'uid': 1000, 'gid': 100, 'home': '/home/app'}], groups = [
    {'name': 'users', 'gid': 100}, {'name': 'disk', 'gid': 6, 'members': ['app']}, {'name': 'audio', 'gid': 29, 'members': ['app']},
    {'name': 'other', 'gid': 7, 'members': ['someone', 'apple']}]), dir('/open', mode = 0o1777)";

fn wrote(user: &str, orders: &str) -> String {
    Story::new(orders).on(APP).with(&format!("user = '{user}'")).wrote()
}

#[test]
fn names_and_numbers_are_those_of_the_image() {
    for (user, id, groups, home) in [
        ("app", "1000 1000 100 100", "6 29 in 2 groups", "/home/app"),
        ("1000", "1000 1000 100 100", "6 29 in 2 groups", "/home/app"),
        ("app:users", "1000 1000 100 100", "in 0 groups", "/home/app"),
        ("app:audio", "1000 1000 29 29", "in 0 groups", "/home/app"),
        ("1000:77", "1000 1000 77 77", "in 0 groups", "/home/app"),
        ("7777", "7777 7777 0 0", "in 0 groups", "/"),
        ("0:5", "0 0 5 5", "in 0 groups", "/"),
        ("root", "0 0 0 0", "in 0 groups", "/"),
    ] {
        let wrote = wrote(user, "id ; groups ; env");
        assert!(wrote.starts_with(&format!("{id}\n{groups}\nHOME={home}\n")), "{user}: {wrote}");
    }
}

#[test]
fn nobody_but_root_may_do_what_root_may() {
    let wrote = wrote(
        "app",
        "write /x x ; mkdir /etc/d ; chown /home/app 0 0 ; write /home/app/a a ; chown /home/app/a 0 0 ;
         chown /home/app/a 1000 6 ; stat /home/app/a ; chown /home/app/a 1000 7 ; setuid 0 ; setgid 0 ;
         mknod /home/app/null c 1 3 ; chroot /open ; id",
    );
    assert_eq!(
        wrote,
        "write /x: Permission denied\nmkdir /etc/d: Permission denied\nchown /home/app: Operation not permitted\n\
         chown /home/app/a: Operation not permitted\n/home/app/a 100644 1000:6\n\
         chown /home/app/a: Operation not permitted\nsetuid 0: Operation not permitted\n\
         setgid 0: Operation not permitted\nmknod /home/app/null: Operation not permitted\n\
         chroot /open: Operation not permitted\n1000 1000 100 100"
    );
}

#[test]
fn what_a_user_makes_belongs_to_it() {
    let story = Story::new(
        "must ; write /home/app/file x ; mkdir /home/app/dir ; write /home/app/dir/b b ; symlink b /home/app/dir/link ;
         mkfifo /open/fifo ; orphan /open/orphan ; write /dev/stdout written ; append /proc/self/fd/2 too",
    );
    let story = story.on(APP).with("user = 'app'");
    assert_eq!(
        story.layer(),
        [
            "home/ 0755 0:0",
            "home/app/ 0700 1000:100",
            "home/app/dir/ 0755 1000:100",
            "home/app/dir/b 0644 1000:100 b",
            "home/app/dir/link 0777 1000:100 -> b",
            "home/app/file 0644 1000:100 x",
            "open/ 1777 0:0",
            "open/fifo 0600 1000:100",
            "open/orphan 0644 1000:100 x",
        ]
    );
}

#[test]
fn the_umask_of_whoever_builds_changes_nothing() {
    let story = Story::new(
        "must ; write /home/app/file x ; mkdir /home/app/dir ; mkfifo /open/fifo ; stat /home/app/file ; stat /home/app/dir ;
         stat /open/fifo ; stat /sys/devices ; stat /t/a ; system",
    );
    let story = story.on(APP).with("user = 'app', mounts = [tmpfs('/t'), tmpfs('/t/a/b')]");
    let expected = story.wrote();
    for who in everybody() {
        for umask in [0, 0o077] {
            let workspace = story.workspace();
            let mut command = command_as(&workspace, *who, &["build", "//:x"]);
            // SAFETY: the call sets a number of the new process, and touches no memory.
            unsafe {
                command.pre_exec(move || {
                    libc::umask(umask);
                    Ok(())
                });
            }
            let run = Run::from(command.output().unwrap());
            assert_eq!(spoken(&run), expected, "{who:?} {umask:o}: {}", run.stderr);
        }
    }
}

#[test]
fn a_working_directory_may_be_one_that_only_root_enters() {
    let story = Story::new("pwd ; write x x").on(&format!("{APP}, dir('/closed', mode = '0700')"));
    assert_eq!(story.with("user = 'app', workdir = '/closed'").wrote(), "/closed\nwrite x: Permission denied");
}

#[test]
fn a_user_whom_the_image_does_not_know_is_an_error_at_its_place() {
    for (user, messages) in [
        ("ap", ["`ap` is not in the image's /etc/passwd", "did you mean `app`?"]),
        ("app:nosuch", ["`nosuch` is not in the image's /etc/group", "give the number"]),
        ("4294967295", ["4294967295 means nobody", "smaller number"]),
        ("a b", ["`a b` is neither a number", "name of a user or group"]),
    ] {
        let workspace = Story::new("id").on(APP).with(&format!("user = '{user}'")).workspace();
        for who in everybody() {
            let run = build_as(&workspace, *who, &["build", "//:x"]);
            let is_told = messages.iter().all(|message| run.stderr.contains(message));
            assert!(run.code == 2 && is_told && run.stderr.contains("BUILD.star:"), "{user} {who:?}: {}", run.stderr);
        }
    }
}
