//! What the disk does not say about a file: its owner, and that it is a device.
//!
//! An entry is found by the file itself, whatever its name has become:
//!
//! - What the step made or gave to somebody is in the upper directory: by its inode there and the time of its birth, since
//!   inodes are used again.
//! - What was in the image below is kept open from the beginning. The kernel knows such a file by its name in the overlay, also after a
//!   rename, and after overlayfs has copied it up; it shows the same inode all the time.
//!
//! - What is mounted beside the image lies on no overlay: by its inode, in its mount.
//!
//! Without being kept open, the second would not do: in a user namespace, overlayfs cannot note of what a copy is one
//! (`user.overlay.origin` is empty), and as soon as the kernel forgets the name, the file has another inode.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2, readlink};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::super::super::Tier;
use super::super::super::kernel;
use super::super::super::request::Fact;
use super::super::bind::{Mounted, mount_id};

/// What was found out about a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Known {
    pub(in super::super) uid: u32,
    pub(in super::super) gid: u32,
    /// Type, major and minor number of what is a plain file on disk.
    pub(in super::super) device: Option<(u32, u32, u32)>,
    /// Which fact says so; `None` if the step does.
    pub(in super::super) fact: Option<usize>,
}

/// A file of the upper directory or of a mount: the device on which it lies, inode, and time of birth in nanoseconds.
type Identity = ((u32, u32), u64, i128);

/// A mount beside the image.
struct Area {
    /// To whom belongs what nothing is known about.
    owner: (u32, u32),
    /// By inode.
    below: BTreeMap<u64, Known>,
}

pub(in super::super) struct Journal {
    tier: Tier,
    upper: OwnedFd,
    /// The device number that the overlay's files have.
    overlay: (u32, u32),
    recorded: BTreeMap<Identity, Known>,
    /// By the inode that the overlay shows.
    below: BTreeMap<u64, Known>,
    /// The files of the image below, kept open.
    kept: Vec<(OwnedFd, Known)>,
    /// By the number of the mount.
    areas: BTreeMap<u64, Area>,
}

impl Journal {
    /// A journal that knows what `facts` say of the image below. The root of this process is the overlay.
    ///
    /// # Errors
    /// There are more than this process may have open files.
    pub(in super::super) fn new(tier: Tier, upper: OwnedFd, facts: &[Fact], mounted: &[Mounted]) -> io::Result<Self> {
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let overlay = kernel::statx(root.as_fd(), 0, libc::STATX_BASIC_STATS)?;
        let overlay = (overlay.stx_dev_major, overlay.stx_dev_minor);
        let mut areas = BTreeMap::new();
        for mount in mounted {
            areas.insert(mount_id(mount.root.as_fd())?, Area::of(mount)?);
        }
        let (recorded, below, kept) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut journal = Journal { tier, upper, overlay, recorded, below, kept, areas };
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
        for (index, fact) in facts.iter().enumerate() {
            let known = Known { uid: fact.uid, gid: fact.gid, device: None, fact: Some(index) };
            let file = match open_below(root.as_fd(), fact.path.as_bytes()) {
                Ok(file) if journal.is_of_root(&file)? => file,
                // Devices cannot be extracted, and something is mounted on /dev and its like.
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => continue,
                Err(error) => return Err(error.into()),
            };
            journal.below.insert(kernel::stat(file.as_fd())?.st_ino, known);
            journal.kept.push((file, known));
        }
        Ok(journal)
    }

    /// False if the disk says all.
    pub(in super::super) fn is_needed(&self) -> bool {
        self.tier == Tier::SingleUser
    }

    /// The upper directory.
    pub(in super::super) fn upper(&self) -> &OwnedFd {
        &self.upper
    }

    /// What is known about a file of the step's root; `None` if there is nothing to know.
    pub(super) fn of(&self, file: &OwnedFd) -> io::Result<Option<Known>> {
        let stat = kernel::statx(file.as_fd(), 0, libc::STATX_BASIC_STATS)?;
        if (stat.stx_dev_major, stat.stx_dev_minor) != self.overlay {
            let Some(area) = self.area(file)? else { return Ok(None) };
            let recorded = self.recorded.get(&self.identity(file)?).or_else(|| area.below.get(&stat.stx_ino));
            let (uid, gid) = area.owner;
            let unknown = ((uid, gid) != (0, 0)).then_some(Known { uid, gid, ..Known::default() });
            return Ok(recorded.copied().or(unknown));
        }
        let recorded = match self.recorded.is_empty() {
            true => None,
            false => self.in_upper(file).map_or(Ok(None), |copy| self.of_upper(&copy))?,
        };
        Ok(recorded.or_else(|| self.below.get(&stat.stx_ino).copied()))
    }

    /// What is known about a file of the upper directory because the step did it.
    pub(in super::super) fn of_upper(&self, file: &OwnedFd) -> io::Result<Option<Known>> {
        Ok(self.recorded.get(&self.identity(file)?).copied())
    }

    /// What is known about the files of the image below, by the name that each has now.
    pub(in super::super) fn by_name(&self) -> BTreeMap<Vec<u8>, Known> {
        let name = |(file, known): &(OwnedFd, Known)| Some((name_of(file)?, *known));
        self.kept.iter().filter_map(name).collect()
    }

    /// Writes down what a file of the step is from now on. One of its root must have been changed before, so that it is in the
    /// upper directory.
    pub(super) fn record(&mut self, file: &OwnedFd, known: Known) -> io::Result<()> {
        if self.area(file)?.is_some() {
            self.recorded.insert(self.identity(file)?, known);
            return Ok(());
        }
        let Some(copy) = self.in_upper(file) else {
            // Without a name, it is gone with the step's last descriptor.
            return Ok(());
        };
        let identity = self.identity(&copy)?;
        self.recorded.insert(identity, known);
        Ok(())
    }

    /// True for a file of the step's root or of what it has mounted, rather than one of /proc or /dev.
    pub(super) fn is_of_step(&self, file: &OwnedFd) -> io::Result<bool> {
        Ok(self.is_of_root(file)? || self.area(file)?.is_some())
    }

    /// The mount beside the image in which a file lies.
    fn area(&self, file: &OwnedFd) -> io::Result<Option<&Area>> {
        if self.areas.is_empty() {
            return Ok(None);
        }
        Ok(self.areas.get(&mount_id(file.as_fd())?))
    }

    fn is_of_root(&self, file: &OwnedFd) -> io::Result<bool> {
        let stat = kernel::statx(file.as_fd(), 0, libc::STATX_BASIC_STATS)?;
        Ok((stat.stx_dev_major, stat.stx_dev_minor) == self.overlay)
    }

    /// The file of the upper directory that is behind a file of the overlay, if there is one.
    fn in_upper(&self, file: &OwnedFd) -> Option<OwnedFd> {
        let copy = open_below(self.upper.as_fd(), &name_of(file)?).ok()?;
        // Another process may have put something else there meanwhile.
        let (seen, found) = (self.identity(file).ok()?, self.identity(&copy).ok()?);
        (seen.2 == found.2).then_some(copy)
    }

    fn identity(&self, file: &OwnedFd) -> io::Result<Identity> {
        let stat = kernel::statx(file.as_fd(), 0, libc::STATX_INO | libc::STATX_BTIME)?;
        let born = stat.stx_btime;
        let device = (stat.stx_dev_major, stat.stx_dev_minor);
        Ok((device, stat.stx_ino, i128::from(born.tv_sec) * 1_000_000_000 + i128::from(born.tv_nsec)))
    }
}

impl Area {
    fn of(mount: &Mounted) -> io::Result<Self> {
        let mut below = BTreeMap::new();
        for fact in mount.facts {
            let file = match open_below(mount.root.as_fd(), fact.path.as_bytes()) {
                // Devices cannot be extracted.
                Err(Errno::NOENT) => continue,
                // A file that is mounted is its root itself.
                Err(Errno::NOTDIR) if fact.path.is_root() => mount.root.try_clone()?,
                file => file?,
            };
            let known = Known { uid: fact.uid, gid: fact.gid, ..Known::default() };
            below.insert(kernel::stat(file.as_fd())?.st_ino, known);
        }
        Ok(Area { owner: mount.owner, below })
    }
}

/// The path of an open file, relative to the root; that of one that is gone names nothing.
fn name_of(file: &OwnedFd) -> Option<Vec<u8>> {
    let path = readlink(format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new()).ok()?;
    path.as_bytes().strip_prefix(b"/").map(<[u8]>::to_vec)
}

/// Opens a path below a directory without following a link, to look at it.
fn open_below(directory: BorrowedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(directory, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}
