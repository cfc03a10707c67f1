//! Files that are noise as a whole.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::path::ImagePath;
use crate::target::{Scrub, Scrubber};

/// The files that some scrubbers take.
pub(super) struct Noise(GlobSet);

impl Noise {
    /// Those of `scrub`.
    pub(super) fn of(scrub: &Scrub) -> Self {
        let mut set = GlobSetBuilder::new();
        for pattern in scrub.iter().flat_map(patterns) {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            set.add(glob.expect("the patterns below are well-formed"));
        }
        Noise(set.build().expect("the patterns below are few"))
    }

    /// True for what is noise.
    pub(super) fn is(&self, path: &ImagePath) -> bool {
        self.0.is_match(OsStr::from_bytes(path.as_bytes()))
    }
}

/// What a scrubber takes as a whole, as patterns of paths without the leading slash.
fn patterns(scrubber: Scrubber) -> &'static [&'static str] {
    match scrubber {
        // Times of what was installed.
        Scrubber::ApkLog => &["var/log/apk.log"],
        Scrubber::DpkgLogs => {
            &["var/log/{alternatives,bootstrap,dpkg}.log", "var/log/apt/{history,term}.log", "var/log/apt/eipp.log*"]
        }
        Scrubber::RpmLogs => &["var/log/{dnf*,hawkey,yum}.log"],
        Scrubber::NpmLogs => &["**/.npm/_logs/**", "**/.npm/_update-notifier-last-checked"],
        // Times and inodes; each program makes its own anew where it is out of date.
        Scrubber::AptCache => &["var/cache/apt/{pkgcache,srcpkgcache}.bin"],
        Scrubber::Ldconfig => &["var/cache/ldconfig/aux-cache"],
        Scrubber::ManDb => &["var/cache/man/**/index.db"],
        Scrubber::Fontconfig => &["var/cache/fontconfig/**", "**/.cache/fontconfig/**"],
        // Room.
        Scrubber::AptLists => &["var/lib/apt/lists/**", "var/cache/apt/archives/**"],
        Scrubber::PackageCaches => {
            &["**/.cache/{pip,uv,yarn}/**", "**/.npm/_cacache/**", "var/cache/{apk,dnf,libdnf5,yum}/**"]
        }
        // One for each machine, beside that in /etc.
        Scrubber::MachineId => &["var/lib/dbus/machine-id"],
        Scrubber::Pyc | Scrubber::ShadowLastchange => &[],
    }
}
