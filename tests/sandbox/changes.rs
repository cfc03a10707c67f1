//! What a step changes is its layer, the same for root and for an ordinary user.

use super::program::{Story, Who, build_as, everybody};

#[test]
fn files_that_a_step_makes_are_the_layer() {
    let story = Story::new(
        "must ; mkdir /made ; write /made/a hello ; ln /made/a /made/b ; symlink a /made/l ; mkfifo /made/p ;
         write /made/s x ; chmod /made/s 04755 ; chmod /made 01777 ; xattr /made/a user.tag t",
    );
    assert_eq!(
        story.layer(),
        [
            "made/ 1777 0:0",
            "made/a 0644 0:0 hello",
            "made/b 0644 0:0 -> made/a",
            "made/l 0777 0:0 -> a",
            "made/p 0600 0:0",
            "made/s 4755 0:0 x",
        ]
    );
}

#[test]
fn owners_and_devices_are_as_the_step_set_them() {
    let story = Story::new(
        "must ; mkdir /d ; write /d/a x ; chown /d/a 33 34 ; mv /d/a /d/b ; symlink b /d/l ; lchown /d/l 7 8 ;
         fchown /d 5 -1 ; mknod /d/null c 1 3 ; chown /d/null 0 6 ; mknod /d/disk b 8 1 ;
         write /d/s x ; chmod /d/s 06755 ; chown /d/s 1 1 ; ln /d/b /d/c ; chown /d/c 9 -1 ;
         write /d/reused x ; chown /d/reused 77 77 ; rm /d/reused ; write /d/new x",
    );
    assert_eq!(
        story.layer(),
        [
            "d/ 0755 5:0",
            "d/b 0644 9:34 x",
            "d/c 0644 9:34 -> d/b",
            "d/disk 0640 0:0",
            "d/l 0777 7:8 -> b",
            "d/new 0644 0:0 x",
            "d/null 0640 0:6",
            "d/s 0755 1:1 x",
        ]
    );
}

const BELOW: &str = "dir('/w', mode = '1777'), dir('/etc/p', mode = '0700', owner = '3:3'),
    write('/etc/shadow', 's', mode = '0640', owner = '0:42'), write('/etc/p/f', 'f', owner = '5:6'),
    symlink('/etc/l', 'shadow', owner = '9:9'), write('/etc/q', 'q', mode = '4711', owner = '1:2')";

#[test]
fn what_was_there_keeps_its_owner_whatever_is_done_to_it() {
    let story = Story::new(
        "must ; stat /etc/shadow ; stat /etc/p ; stat /etc/l ; stat /etc/q ;
         append /etc/shadow x ; chmod /etc/p/f 0600 ; mv /etc/l /etc/m ; mv /etc/q /w/q ; stat /w/q ; stat /etc/m ;
         stat /etc/p/f ; stat /etc/shadow ; chmod /etc/p 0711",
    )
    .on(BELOW);
    let seen = "/etc/shadow 100640 0:42\n/etc/p 40700 3:3\n/etc/l 120777 9:9\n/etc/q 104711 1:2\n/w/q 104711 1:2\n\
        /etc/m 120777 9:9\n/etc/p/f 100600 5:6\n/etc/shadow 100640 0:42";
    assert_eq!(story.wrote(), seen);
    assert_eq!(
        story.layer(),
        [
            "etc/ 0755 0:0",
            "etc/.wh.l 0000 0:0",
            "etc/.wh.q 0000 0:0",
            "etc/m 0777 9:9 -> shadow",
            "etc/p/ 0711 3:3",
            "etc/p/f 0600 5:6 f",
            "etc/shadow 0640 0:42 sx",
            "w/ 1777 0:0",
            "w/q 4711 1:2 q",
        ]
    );
}

#[test]
fn what_is_gone_is_whited_out_and_what_comes_back_is_new() {
    let story = Story::new(
        "must ; rm /etc/shadow ; rm /etc/l ; symlink x /etc/l ; rm /etc/p/f ; rmdir /etc/p ; mkdir /etc/p ; write /etc/p/g g ;
         rm /etc/q ; mkdir /etc/q ; rmdir /w ; write /w now",
    )
    .on(BELOW);
    assert_eq!(
        story.layer(),
        [
            "etc/ 0755 0:0",
            "etc/.wh.shadow 0000 0:0",
            "etc/l 0777 0:0 -> x",
            "etc/p/ 0755 0:0",
            "etc/p/.wh.f 0000 0:0",
            "etc/p/g 0644 0:0 g",
            "etc/q/ 0755 0:0",
            "w 0644 0:0 now",
        ]
    );
}

#[test]
fn what_the_kernel_says_of_a_file_that_is_gone_is_no_name() {
    let story =
        Story::new("must ; write /w/a x ; chown /w/a 5 6 ; replace /w/a ; replace /etc/shadow ; replace /etc/q")
            .on(BELOW);
    assert_eq!(
        story.layer(),
        [
            "etc/ 0755 0:0",
            "etc/.wh.q 0000 0:0",
            "etc/.wh.shadow 0000 0:0",
            "etc/q (deleted) 0644 0:0 x",
            "etc/shadow (deleted) 0644 0:0 x",
            "w/ 1777 0:0",
            "w/a (deleted) 0644 0:0 x",
        ]
    );
}

#[test]
fn what_is_as_it_was_is_not_in_the_layer() {
    let story = Story::new(
        "must ; write /w/t x ; rm /w/t ; write /etc/shadow s ; touch /etc/shadow 0 ; chmod /etc/p 0711 ; chmod /etc/p 0700 ;
         mv /etc/q /w/q ; mv /w/q /etc/q ; chown /etc/l2 1 1 ; chown /etc/l2 0 0",
    )
    .on(&format!("{BELOW}, write('/etc/l2', '2')"));
    assert_eq!(story.layer(), Vec::<String>::new());
}

#[test]
fn times_are_the_epoch_unless_a_step_says_an_older_one() {
    for who in everybody() {
        let story =
            Story::new("must ; write /now x ; write /old x ; touch /old 1000 ; write /late x ; touch /late 99999999");
        let workspace = story.workspace();
        workspace.write("ocify.toml", "epoch = 5000");
        let run = build_as(&workspace, *who, &["build", "//:x", "-o", "tar:out.tar"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let mut archive = tar::Archive::new(std::fs::File::open(workspace.path("out.tar")).unwrap());
        let times = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), entry.header().mtime().unwrap())
        });
        let times: Vec<(String, u64)> = times.filter(|(path, _)| !path.starts_with("bin")).collect();
        assert_eq!(times, [("late".into(), 5000), ("now".into(), 5000), ("old".into(), 1000)]);
    }
}

#[test]
fn a_changed_user_is_seen_by_the_step() {
    let story = Story::new("setgid 34 ; setuid 33 ; id ; setuid 0 ; chown /bin 1 1");
    assert_eq!(story.wrote(), "33 33 34 34\nsetuid 0: Operation not permitted\nchown /bin: Operation not permitted");
}

#[test]
fn owners_are_recorded_below_a_changed_root() {
    let story = Story::new(
        "must ; mkdir /r ; mkdir /r/d ; write /r/d/f x ; chroot /r ; cd / ; chown /d/f 1 2 ; cd d ; chown f -1 3 ; stat f",
    );
    assert_eq!(story.wrote(), "f 100644 1:3");
    assert_eq!(story.layer(), ["r/ 0755 0:0", "r/d/ 0755 0:0", "r/d/f 0644 1:3 x"]);
}

#[test]
fn a_working_directory_outside_of_a_changed_root_is_where_it_was() {
    let story = Story::new(
        "must ; mkdir /r ; mkdir /r/2 ; write /r/2/f y ; mkdir /r2 ; write /r2/f x ; cd /r2 ; chroot /r ; chown f 1 2 ; stat f ;
         chown /2/f 3 4 ; symlink /2/f /l ; chown /l 5 -1 ; chown ../r/2/f -1 6",
    );
    assert_eq!(story.wrote(), "f 100644 1:2");
    assert_eq!(story.layer()[2..], ["r/2/f 0644 5:6 y", "r/l 0777 0:0 -> /2/f", "r2/ 0755 0:0", "r2/f 0644 1:2 x"]);
}

#[test]
fn a_process_finds_itself_in_proc() {
    let story = Story::new(
        "must ; mkdir /d ; write /d/a x ; write /d/b x ; write /d/c x ; hold 90 /d/a ; hold 91 /d/b ; symlink /proc/self/fd/91 /d/l ;
         chown /dev/fd/90 7 8 ; chown /d/l 5 6 ; cd /d ; chown /proc/self/cwd/c 3 4 ; chown /proc/thread-self/root/d/l -1 9 ;
         stat /proc/self/cwd/b",
    );
    assert_eq!(story.wrote(), "/proc/self/cwd/b 100644 5:9");
    let owned =
        ["d/ 0755 0:0", "d/a 0644 7:8 x", "d/b 0644 5:9 x", "d/c 0644 3:4 x", "d/l 0777 0:0 -> /proc/self/fd/91"];
    assert_eq!(story.layer(), owned);
}

#[test]
fn a_step_builds_upon_the_one_before_and_later_layers_see_it() {
    for who in everybody() {
        let workspace = Story::new("must").workspace();
        workspace.write(
            "BUILD.star",
            "image(name = 'x', layers = [
                files(srcs = ['step'], dest = '/bin'),
                run(['step', 'must', ';', 'mkdir', '/srv', ';', 'chown', '/srv', '4', '4', ';', 'write', '/srv/a', '1']),
                write('/srv/b', '2'),
                run(['step', 'must', ';', 'append', '/srv/a', '+', ';', 'append', '/srv/b', '+', ';', 'stat', '/srv']),
            ])",
        );
        let run = build_as(&workspace, *who, &["build", "//:x", "-o", "tar:out.tar"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stderr.contains("/srv 40755 4:4"), "{}", run.stderr);
        let files = crate::workspace::list(&workspace.path("out.tar"));
        assert_eq!(files[2..], ["srv/ 0755 4:4", "srv/a 0644 0:0 1+", "srv/b 0644 0:0 2+"]);
    }
}

#[test]
fn a_store_that_was_built_by_another_right_serves_the_same() {
    if ![Who::Root, Who::User].iter().all(|who| everybody().contains(who)) {
        return;
    }
    let workspace = Story::new("must ; write /a x ; chown /a 3 4").workspace();
    let first = build_as(&workspace, Who::User, &["build", "//:x"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let second = build_as(&workspace, Who::Root, &["build", "//:x"]);
    assert_eq!(second.stdout, first.stdout);
    assert!(second.stderr.contains("(cached)") && !second.stderr.contains("not built before"), "{}", second.stderr);
}

#[test]
fn what_a_process_makes_belongs_to_the_user_that_it_became() {
    let story = Story::new(
        "must ; mkdir /home ; chown /home 33 34 ; setgid 34 ; setuid 33 ; write /home/f x ; mkdir /home/d ; write /home/d/g y ;
         symlink f /home/l ; mkfifo /home/p ; chown /home/f -1 34 ; append /home/f z ; stat /home/f ; say done",
    );
    assert_eq!(story.wrote(), "/home/f 100644 33:34\ndone");
    assert_eq!(
        story.layer(),
        [
            "home/ 0755 33:34",
            "home/d/ 0755 33:34",
            "home/d/g 0644 33:34 y",
            "home/f 0644 33:34 xz",
            "home/l 0777 33:34 -> f",
            "home/p 0600 33:34",
        ]
    );
    let story = Story::new("setuid 33 ; write /f x ; mkdir /d ; chown /bin -1 0 ; write /w/f x ; say done").on(BELOW);
    assert_eq!(
        story.wrote(),
        "write /f: Permission denied\nmkdir /d: Permission denied\nchown /bin: Operation not permitted\ndone"
    );
    assert_eq!(story.layer(), ["w/ 1777 0:0", "w/f 0644 33:0 x"]);
}

#[test]
fn who_a_process_is_its_parent_was_when_it_began() {
    let story = Story::new("must ; setgid 34 ; setuid 33 ; orphan /w/a ; locks ; write /w/b x ; say done").on(BELOW);
    assert_eq!(story.wrote(), "done");
    assert_eq!(story.layer(), ["w/ 1777 0:0", "w/a 0644 33:34 x", "w/b 0644 33:34 x"]);
    let story = Story::new("must ; before 33 /w/a ; write /w/b x").on(BELOW);
    assert_eq!(story.layer(), ["w/ 1777 0:0", "w/a 0644 0:0 x", "w/b 0644 33:0 x"]);
}

#[test]
fn whichever_way_a_user_makes_a_file_it_is_its_own() {
    let story = Story::new(
        "must ; symlink there /w/l ; setgid 34 ; setuid 33 ; write /w/l x ; tmpfile /w /w/a ; beneath /w/b ; cd /w ;
         write /proc/self/cwd/c x ; mkdir d/",
    );
    let story = story.on(BELOW);
    assert_eq!(
        story.layer(),
        [
            "w/ 1777 0:0",
            "w/a 0644 33:34 x",
            "w/b 0644 33:34 x",
            "w/c 0644 33:34 x",
            "w/d/ 0755 33:34",
            "w/l 0777 0:0 -> there",
            "w/there 0644 33:34 x",
        ]
    );
}

#[test]
fn a_directory_gives_its_group_to_what_is_made_in_it() {
    let story = Story::new(
        "must ; write /g/new x ; mkdir /g/d ; write /g/d/deep x ; append /g/old y ; mkdir /h ; chown /h 0 9 ; chmod /h 02755 ;
         write /h/f x ; chown /h/f 1 2",
    )
    .on("dir('/g', mode = '2775', owner = '0:8'), write('/g/old', 'x'), write('/g/same', 's')");
    assert_eq!(
        story.layer(),
        [
            "g/ 2775 0:8",
            "g/d/ 2755 0:8",
            "g/d/deep 0644 0:8 x",
            "g/new 0644 0:8 x",
            "g/old 0644 0:0 xy",
            "h/ 2755 0:9",
            "h/f 0644 1:2 x",
        ]
    );
}
