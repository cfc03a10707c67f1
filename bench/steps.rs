//! S1: the start of a step. S2: what the recorder of the single-user tier costs a package manager.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ocify::digest::Digest;
use ocify::entry::{Content, Entry, Kind, Metadata};
use ocify::path::ImagePath;
use ocify::sandbox::{Root, Step, Tier, User, extract, run};
use ocify::tree::{Changeset, Tree};

use crate::child::Finished;
use crate::contender::{Measured, Outcome, output_of};
use crate::table::Table;
use crate::workspace::Workspace;

/// How often a step is started.
const STARTS: usize = 50;

/// The namespaces and mounts that a step has, but for those that bwrap does not know.
const BWRAP: &str = "bwrap --unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup \
    --die-with-parent --as-pid-1 --clearenv --cap-drop ALL --hostname ocify --bind tree / --dev /dev --proc /proc --tmpfs /sys";

/// S1. The program ends at once. The root lies on the disk already, as after an earlier step in the image.
pub fn starts(root: &Path, _: usize, table: &mut Table) {
    fs::write(root.join("true.c"), "int main(void) { return 0; }\n").unwrap();
    if output_of(root, "cc -static -O1 -o true true.c").is_none() {
        println!("S1: no C compiler, or no static C library");
        return;
    }
    let image = image(&fs::read(root.join("true")).unwrap());
    let tier = Tier::of_process();
    let tree = root.join("tree");
    let hidden = extract(&image.clone().into(), tier, &tree).unwrap();
    let step = Step {
        below: &image,
        argv: vec!["/true".into()],
        env: [].into(),
        workdir: "/".into(),
        user: User::default(),
        cpus: 1,
        memory: None,
        timeout: Duration::from_secs(60),
        mounts: Vec::new(),
        emulator: None,
        network: false,
        hosts: Vec::new(),
        epoch: 0,
    };
    let bwrap = Command::new("sh").args(["-c", "command -v bwrap"]).output().unwrap().status.success();
    let [mut bare, mut ours, mut theirs] = [const { Vec::new() }; 3];
    for round in 0..STARTS {
        bare.push(timed(|| assert!(Command::new(root.join("true")).status().unwrap().success())));
        let place = root.join(format!("place-{round}"));
        fs::create_dir(&place).unwrap();
        let ground = Root { tier, paths: vec![tree.as_path()], hidden: &hidden };
        ours.push(timed(|| drop(run(&step, &ground, &place, &mut |_| (), None).unwrap())));
        if bwrap {
            let mut words = BWRAP.split_whitespace();
            let mut command = Command::new(words.next().unwrap());
            command.args(words).arg("/true").current_dir(root);
            theirs.push(timed(|| assert!(command.status().unwrap().success())));
        }
    }
    let over = ours.iter().zip(&bare).map(|(ours, bare)| Finished { seconds: ours.seconds - bare.seconds, ..*ours });
    let over = Measured { name: "ocify", outcome: Outcome::Runs(over.collect()) };
    table.milliseconds("S1 start of a step, over the bare program", &over, 1, 15.0);
    let ours = Measured { name: "ocify", outcome: Outcome::Runs(ours) };
    let outcome = if bwrap { Outcome::Runs(theirs) } else { Outcome::Missing("bwrap") };
    table.ratio("S1 start of a step", &ours, &Measured { name: "bwrap", outcome }, 1.5);
}

fn timed(work: impl FnOnce()) -> Finished {
    let begun = Instant::now();
    work();
    Finished { success: true, seconds: begun.elapsed().as_secs_f64(), peak_kib: 0 }
}

/// An image with one program, and the directories that every image has.
fn image(program: &[u8]) -> Tree {
    let content = Content { digest: Digest::of(program), ..Content::inline(program.to_vec()) };
    let mut layer = Changeset::new();
    let directories = ["dev", "proc", "sys"].map(|name| (name, Kind::Directory));
    for (path, kind) in directories.into_iter().chain([("true", Kind::File { content })]) {
        let (path, metadata) = (ImagePath::parse(path).unwrap(), Metadata::root_owned(0o755, 0));
        layer.insert(Entry { path, metadata, kind }).unwrap();
    }
    Tree::of_layer(layer).unwrap()
}

/// A root with this machine's dpkg and what it calls, and a package of 5,000 files.
const PACKAGE: &str = "
mkdir root package && cd root
for program in sh date dpkg dpkg-deb dpkg-split tar rm diff ldconfig start-stop-daemon; do
    file=$(readlink -f \"$(command -v $program || echo /sbin/$program)\"); mkdir -p usr/bin
    cp \"$file\" usr/bin/$program
    ldd \"$file\" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p \".$(dirname \"$library\")\"; cp -L \"$library\" \".$library\"
    done
done
[ -e bin ] || ln -s usr/bin bin
[ -e sbin ] || ln -s usr/bin sbin
mkdir -p var/lib/dpkg/info var/lib/dpkg/updates var/lib/dpkg/triggers var/log tmp etc
: > var/lib/dpkg/status
cd .. && tar -cf root.tar --owner=0 --group=0 -C root . && cd package
mkdir -p DEBIAN
printf 'Package: large\\nVersion: 1\\nArchitecture: all\\nMaintainer: A <a@example.com>\\nDescription: large\\n' > DEBIAN/control
for directory in $(seq 50); do
    mkdir -p usr/share/large/$directory
    for file in $(seq 100); do echo \"$directory $file\" > usr/share/large/$directory/$file; done
done
cd .. && dpkg-deb --root-owner-group --build package large.deb
";

/// S2. Times are those of `dpkg -i` in the step, in the image that has run a step before. The tier to compare with is that of
/// whoever runs this: root's, or that of subordinate ids.
pub fn package(root: &Path, count: usize, table: &mut Table) {
    let workspace = Workspace::new(root);
    if output_of(&workspace.directory, PACKAGE).is_none() {
        println!("S2: no dpkg");
        return;
    }
    let name = match Tier::of_process() {
        Tier::Root => "root",
        Tier::SubordinateIds => "subordinate ids",
        Tier::SingleUser => {
            println!(
                "S2: no tier without the recorder to compare with; run it as root, or as a user with ranges of ids"
            );
            return;
        }
    };
    let tiers = [Tier::of_process(), Tier::SingleUser];
    let mut times: [Vec<Finished>; 2] = [const { Vec::new() }; 2];
    for round in 0..=count {
        let command = format!(
            "a=$(date +%s%N); dpkg -i --force-depends /large/large.deb >/dev/null; b=$(date +%s%N); echo took $((b - a)) {round}"
        );
        workspace.write(
            "BUILD.star",
            format!(
                "image(name = 'x', layers = [archive(src = 'root.tar'), run({command:?}, \
                 inputs = {{'/large': files(srcs = ['large.deb'], dest = '/')}})])\n"
            ),
        );
        for (tier, times) in tiers.iter().zip(&mut times) {
            let mut build = Command::new(env!("CARGO_BIN_EXE_ocify"));
            let store = root.join(format!("store-{tier}"));
            build.args(["build", "//:x", "--sandbox", &tier.to_string(), "--store"]).arg(store);
            let output = build.current_dir(&workspace.directory).output().unwrap();
            let wrote = String::from_utf8_lossy(&output.stderr).into_owned();
            let took =
                wrote.lines().find_map(|line| line.strip_prefix("took ")?.split(' ').next()?.parse::<f64>().ok());
            let seconds = took.unwrap_or_else(|| panic!("{wrote}")) / 1e9;
            // The first fills the caches.
            if round > 0 {
                times.push(Finished { success: output.status.success(), seconds, peak_kib: 0 });
            }
        }
    }
    let [plain, recorded] = times;
    let of = |name, runs| Measured { name, outcome: Outcome::Runs(runs) };
    table.ratio("S2 dpkg -i with the recorder, 5,000 files", &of("recorder", recorded), &of(name, plain), 1.3);
}
