//! Steps that install a package of Debian's with dpkg and with apt-get, offline: by root, and by an ordinary user in both ways that there
//! are; from nothing each time, and with a clock that is an hour ahead. The layer is the same.
//!
//! `OCIFY_TEST_BOOKWORM` names an archive of what `debootstrap --variant=minbase bookworm` makes; .ci/run sets it.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{Who, command_as};
use crate::tool;
use crate::workspace::{Run, Workspace};

/// What Debian's package `faketime` has, where it has it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A script as maintainers write them.
const SCRIPT: &str = "#!/bin/sh
set -e
useradd --system --home-dir /var/lib/shop --shell /usr/sbin/nologin shop
install -d -o shop -g shop -m 2750 /var/lib/shop
su -s /bin/sh shop -c 'echo state > /var/lib/shop/state'
chown root:shop /usr/bin/shop
chmod 4755 /usr/bin/shop
chown -h shop /usr/share/shop/link
ldconfig
";

/// As in packages of old.
const DEVICE: &str = "mknod -m 0660 /var/lib/shop/console c 5 1\nchown root:tty /var/lib/shop/console\n";

/// A package `NAME.deb` with this script.
fn package(workspace: &Workspace, name: &str, script: &str) {
    let root = workspace.path(name);
    let write = |path: &str, text: &str, mode: u32| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let control = format!(
        "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: Shop <shop@example.com>\nDescription: A shop\n"
    );
    write("DEBIAN/control", &control, 0o644);
    write("DEBIAN/postinst", script, 0o755);
    write("usr/bin/shop", "#!/bin/sh\necho open\n", 0o755);
    write("etc/shop/conf", "a = b\n", 0o644);
    write("DEBIAN/conffiles", "/etc/shop/conf\n", 0o644);
    fs::create_dir_all(root.join("usr/share/shop")).unwrap();
    std::os::unix::fs::symlink("../../bin/shop", root.join("usr/share/shop/link")).unwrap();
    let to = workspace.path(&format!("{name}.deb")).display().to_string();
    tool("dpkg-deb", &["--root-owner-group", "--build", &root.display().to_string(), &to]);
}

fn workspace(archive: &Path) -> Workspace {
    let installed = "test \"$(stat -c %U /var/lib/shop)\" = shop";
    let spec = format!(
        "def image_of(name, deb, command = 'dpkg -i', **options):\n    image(name = name, base = ':bookworm', layers = [\n\
         \x20       run(command + ' /packages/' + deb + '.deb && ' + {installed:?}, **options)])\n\
         image(name = 'bookworm', layers = [archive(src = 'bookworm.tar')])\n\
         packages = files(srcs = glob(['*.deb']), dest = '/')\n\
         image_of('shop', 'shop', inputs = {{'/packages': packages}})\n\
         image_of('console', 'console', inputs = {{'/packages': packages}})\n\
         image_of('apt', 'shop', command = 'apt-get install -y', inputs = {{'/packages': packages}})\n\
         image_of('later', 'shop', env = {{'LD_PRELOAD': '/faketime/libfaketime.so.1', 'FAKETIME': '+1h'}},\n\
         \x20   inputs = {{'/packages': packages, '/faketime': files(srcs = ['libfaketime.so.1'], dest = '/')}})\n"
    );
    let workspace = Workspace::new().file("BUILD.star", spec);
    fs::hard_link(archive, workspace.path("bookworm.tar"))
        .or_else(|_| fs::copy(archive, workspace.path("bookworm.tar")).map(drop))
        .unwrap();
    fs::copy(FAKETIME, workspace.path("libfaketime.so.1")).expect("install Debian's package `faketime`");
    package(&workspace, "shop", SCRIPT);
    package(&workspace, "console", &format!("{SCRIPT}{DEVICE}"));
    workspace
}

/// Who builds, and in which tier.
pub fn tiers() -> Vec<(Who, &'static str)> {
    match rustix::process::geteuid().is_root() {
        true => vec![(Who::Root, "root"), (Who::WithIds, "subordinate-ids"), (Who::WithIds, "single-user")],
        false => vec![(Who::User, "single-user")],
    }
}

/// Builds in a store of its own, and gives what was printed and the digest of the last layer.
pub fn build(workspace: &Workspace, who: Who, tier: &str, target: &str, is_later: bool) -> (String, String) {
    let out = format!("oci:{target}-{tier}-{is_later}");
    let mut command = command_as(workspace, who, &["build", &format!("//:{target}"), "--sandbox", tier, "-o", &out]);
    command.env("OCIFY_STORE", workspace.root().parent().unwrap().join(format!("store-{tier}-{is_later}")));
    if is_later {
        // Its own programs begin with an empty environment: the step has no other time by this.
        command.env("LD_PRELOAD", FAKETIME).env("FAKETIME", "+1h");
    }
    let run = Run::from(command.output().unwrap());
    assert_eq!(run.code, 0, "{who:?} {tier}: {}", run.stderr);
    (run.stdout, last_layer(&workspace.path(&out["oci:".len()..])))
}

/// The digest of the last layer of the only image in a layout.
fn last_layer(layout: &Path) -> String {
    let json = |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let index = json(layout.join("index.json"));
    let digest = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
    let manifest = json(layout.join("blobs").join(digest));
    manifest["layers"].as_array().unwrap().last().unwrap()["digest"].as_str().unwrap().to_owned()
}

#[test]
fn a_package_is_installed_in_the_same_way_by_everybody_and_at_every_hour() {
    let archive = env::var_os("OCIFY_TEST_BOOKWORM").expect("OCIFY_TEST_BOOKWORM names no archive, see .ci/run");
    let workspace = workspace(Path::new(&archive));
    let tiers = tiers();
    for target in ["shop", "console", "apt"] {
        let mut built = tiers.iter().map(|&(who, tier)| (tier, build(&workspace, who, tier, target, false)));
        let (_, first) = built.next().unwrap();
        for (tier, other) in built {
            assert_eq!(other, first, "{target} in the tier {tier}");
        }
    }
    let (who, tier) = tiers[tiers.len() - 1];
    let now = build(&workspace, who, tier, "shop", false);
    // By its environment, the other step is another one.
    let later = build(&workspace, who, tier, "later", true);
    assert_eq!(later.1, now.1, "an hour later");
    assert_eq!(build(&workspace, who, tier, "shop", true), now, "in a cold store, with ocify an hour ahead");
}
