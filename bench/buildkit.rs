//! `docker build` with BuildKit, by a daemon of its own where one can be started: as root, with dockerd installed.

use std::env::temp_dir;
use std::path::{Path, PathBuf};

use crate::contender::{Contender, output_of};

/// A daemon with its files below `root`, which neither sees nor changes the machine's images, networks or firewall. It ends
/// when this is dropped.
pub struct BuildKit {
    root: PathBuf,
}

impl BuildKit {
    pub const NAME: &str = "docker build (BuildKit)";

    /// Starts the daemon. Where that fails, what is run with it fails, too.
    pub fn start(root: &Path) -> Self {
        let buildkit = BuildKit { root: root.to_owned() };
        let place = root.display();
        let options = "--iptables=false --ip6tables=false --bridge=none --storage-driver=overlay2";
        let places =
            format!("--data-root {place}/data --exec-root {place}/exec -p {place}/pid -H unix://{place}/socket");
        let start = format!(
            "mkdir -p {place}; setsid dockerd {options} {places} > {place}/log 2>&1 < /dev/null &
             for i in $(seq 100); do if {} info > {place}/info 2>&1; then exit 0; fi; sleep 0.1; done; exit 1",
            buildkit.command()
        );
        output_of(&temp_dir(), &start);
        buildkit
    }

    /// Loads the image in a file of `docker save`, and gives its name; an empty one where that fails.
    pub fn load(&self, archive: &Path) -> String {
        let load = format!("{} load -q -i {} | sed 's/^Loaded image[^:]*: //'", self.command(), archive.display());
        output_of(&temp_dir(), &load).unwrap_or_default()
    }

    /// Builds the Dockerfile in `context`.
    pub fn build(&self, context: &Path) -> Contender {
        let script = format!("DOCKER_BUILDKIT=1 {} build -q -t x .", self.command());
        Contender::script(Self::NAME, &["dockerd", "docker"], context, &script)
    }

    /// Debian's own client fits its daemon; another one on the search path may not.
    fn command(&self) -> String {
        let client = if Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" };
        format!("{client} -H unix://{}/socket", self.root.display())
    }
}

impl Drop for BuildKit {
    /// Its mounts are gone only after it has ended, and a directory with a mount in it can't be removed.
    fn drop(&mut self) {
        let place = self.root.display();
        let stop =
            format!("kill $(cat {place}/pid); for i in $(seq 100); do [ -e {place}/pid ] || exit 0; sleep 0.1; done");
        output_of(&temp_dir(), &stop);
        output_of(&temp_dir(), &format!("umount {place}/data/overlay2 {place}/data"));
    }
}
