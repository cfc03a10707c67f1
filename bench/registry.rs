//! R1: the image of W2 in four layers, to a registry on this machine and back.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::contender::{Contender, Outcome, output_of, rounds};
use crate::mixed_files;
use crate::table::Table;
use crate::workspace::Workspace;

const SKOPEO: &str = "skopeo copy";

pub fn measure(root: &Path, count: usize, table: &mut Table) {
    let workspace = Workspace::new(root);
    let directory = &workspace.directory;
    mixed_files::write(directory);
    let layers: Vec<String> = (0..4).map(|tens| format!("files(srcs = glob(['tree/{tens}*']))")).collect();
    workspace.write("BUILD.star", format!("image(name = 'image', layers = [{}])\n", layers.join(", ")));
    let ocify = env!("CARGO_BIN_EXE_ocify");
    let build = format!("{ocify} build //:image --quiet --store ../store -o oci:../layout");
    output_of(directory, &build).expect("the image is built");

    let registry = Registry::new(root);
    let name = format!("127.0.0.1:{}/image", registry.port);
    let needs = &["docker-registry", "skopeo"];
    let copy = "skopeo --insecure-policy copy -q";
    let push = format!("{copy} --dest-tls-verify=false oci:../layout docker://{name}:x");
    let contenders = [
        Contender::ocify(directory, &["push", "//:image", &format!("{name}:x"), "--store", "../store"])
            .needing(needs)
            .before(&registry.restart()),
        Contender::script(SKOPEO, needs, directory, &push).before(&registry.restart()),
    ];
    let [ours, skopeo] = rounds(count, contenders, |_| ());
    if let Outcome::Missing(program) = ours.outcome {
        println!("R1: {program} is missing");
        return;
    }
    table.ratio("R1 push of 1 GiB", &ours, &skopeo, 1.3);
    table.memory("R1 push, peak memory", &ours, &skopeo, 150);

    let pull = format!("{copy} --src-tls-verify=false docker://{name}:x oci:../pulled");
    let contenders = [
        Contender::ocify(directory, &["pull", &format!("{name}:x"), "--store", "../other-store"])
            .before("rm -rf ../other-store"),
        Contender::script(SKOPEO, needs, directory, &pull).before("rm -rf ../pulled"),
    ];
    let [ours, skopeo] = rounds(count, contenders, |_| ());
    table.ratio("R1 pull of 1 GiB", &ours, &skopeo, 1.3);
    table.memory("R1 pull, peak memory", &ours, &skopeo, 150);
}

/// Debian's docker-registry on a port of its own. It ends when this is dropped.
struct Registry {
    root: PathBuf,
    port: u16,
}

impl Registry {
    fn new(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (root, port) = (root.join("registry"), listener.local_addr().unwrap().port());
        fs::create_dir_all(&root).unwrap();
        let place = root.display();
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {place}/data}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        );
        fs::write(root.join("config.yml"), config).unwrap();
        Registry { root, port }
    }

    /// The script that makes it an empty one.
    fn restart(&self) -> String {
        let (place, port) = (self.root.display(), self.port);
        format!(
            "{}; rm -rf {place}/data
             setsid docker-registry serve {place}/config.yml > {place}/log 2>&1 < /dev/null & echo $! > {place}/pid
             for i in $(seq 100); do
                 if bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null; then exit 0; fi
                 sleep 0.1
             done
             exit 1",
            self.stop()
        )
    }

    fn stop(&self) -> String {
        let place = self.root.display();
        format!("if [ -e {place}/pid ]; then kill $(cat {place}/pid); rm {place}/pid; sleep 0.2; fi")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        output_of(&self.root, &self.stop());
    }
}
