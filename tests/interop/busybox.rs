//! A root in which busybox is every program: the step makes accounts, owners, links and devices, and the layer is the same
//! whoever builds it.

use std::fs;

use crate::busybox;
use crate::packages::{build, tiers};
use crate::workspace::Workspace;

const SCRIPT: &str = "
set -e
busybox --install -s /bin
echo 'shop:x:1000:' >> /etc/group
echo 'shop:x:1000:1000::/:/bin/sh' >> /etc/passwd
mkdir /srv/shop
echo open > /srv/shop/state
chown -R shop:shop /srv/shop
chmod 2750 /srv/shop
ln /srv/shop/state /srv/shop/same
ln -s ../srv/shop /etc/shop
mknod -m 0660 /srv/shop/console c 5 1
tar -C /srv -cf - shop | tar -C /tmp -xpf -
echo more > /srv/shop/more
rm /etc/gone
";

#[test]
fn a_root_of_busybox_is_changed_in_the_same_way_by_everybody() {
    let spec = format!(
        "image(name = 'root', layers = [\n\
         \x20   files(srcs = ['busybox'], dest = '/bin', mode = '0755'), symlink('/bin/sh', 'busybox'),\n\
         \x20   dir('/tmp', mode = '1777'), dir('/srv'), dir('/proc'), dir('/sys'), dir('/dev'), write('/etc/gone', ''),\n\
         \x20   write('/etc/passwd', 'root:x:0:0::/:/bin/sh\\n'), write('/etc/group', 'root:x:0:\\n')])\n\
         image(name = 'shop', base = ':root', layers = [run({SCRIPT:?})])\n"
    );
    let workspace = Workspace::new().file("BUILD.star", spec);
    fs::copy(busybox(), workspace.path("busybox")).unwrap();
    let mut built = tiers().into_iter().map(|(who, tier)| (tier, build(&workspace, who, tier, "shop", false)));
    let (first_tier, first) = built.next().unwrap();
    for (other, layer) in built {
        assert_eq!(layer, first, "in the tiers {other} and {first_tier}");
    }
    let lines = workspace.tree("//:shop");
    for line in [
        "etc/shop 0777 0:0 -> ../srv/shop",
        "srv/shop/ 2750 1000:1000",
        "srv/shop/console 0660 0:1000",
        "srv/shop/same 0644 1000:1000 open|",
        "srv/shop/more 0644 0:1000 more|",
        "tmp/shop/ 2750 1000:1000",
        "tmp/shop/console 0660 0:1000",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}\n{lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.starts_with("etc/gone")), "{lines:#?}");
}
