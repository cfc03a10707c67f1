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
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2, readlink};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::super::super::Tier;
use super::super::super::kernel;
use super::super::super::request::Fact;
use super::super::bind::{Mounted, mount_id};
use super::super::files::itself;

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

/// A file of the upper directory or of a mount: the device on which it lies, inode, and time of birth in nanoseconds, as inodes
/// are used again.
type Identity = ((u32, u32), u64, i128);

/// So many more files can be open beside those that are kept, to answer a call or two.
const SPARE: u64 = 64;

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
    /// To whom belongs what nothing is known about in a mount beside the image, by its number.
    areas: BTreeMap<u64, (u32, u32)>,
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
        let (recorded, below, kept, areas) = (BTreeMap::new(), BTreeMap::new(), Vec::new(), BTreeMap::new());
        let mut journal = Journal { tier, upper, overlay, recorded, below, kept, areas };
        for mount in mounted {
            journal.areas.insert(mount_id(mount.root.as_fd())?, mount.owner);
            journal.know_all(mount)?;
        }
        let maximum = getrlimit(Resource::Nofile).maximum;
        let leave = |spare: u64| {
            let current = maximum.map(|maximum| maximum.saturating_sub(spare));
            setrlimit(Resource::Nofile, Rlimit { current, maximum })
        };
        leave(SPARE)?;
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
        leave(0)?;
        Ok(journal)
    }

    /// Writes down what of a mount is not on disk.
    fn know_all(&mut self, mount: &Mounted) -> io::Result<()> {
        for fact in mount.facts {
            let file = match open_below(mount.root.as_fd(), fact.path.as_bytes()) {
                // Devices cannot be extracted.
                Err(Errno::NOENT) => continue,
                // A file that is mounted is its root itself.
                Err(Errno::NOTDIR) if fact.path.is_root() => mount.root.try_clone()?,
                file => file?,
            };
            let known = Known { uid: fact.uid, gid: fact.gid, ..Known::default() };
            self.recorded.insert(self.identity(&file)?, known);
        }
        Ok(())
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
            let Some((uid, gid)) = self.area(file)? else { return Ok(None) };
            let recorded = self.recorded.get(&self.identity(file)?).copied();
            let unknown = ((uid, gid) != (0, 0)).then_some(Known { uid, gid, ..Known::default() });
            return Ok(recorded.or(unknown));
        }
        let recorded = match self.recorded.is_empty() {
            true => None,
            false => self.in_upper(file)?.map_or(Ok(None), |copy| self.of_upper(&copy))?,
        };
        Ok(recorded.or_else(|| self.below.get(&stat.stx_ino).copied()))
    }

    /// What is known about a file of the upper directory because the step did it.
    pub(in super::super) fn of_upper(&self, file: &OwnedFd) -> io::Result<Option<Known>> {
        Ok(self.recorded.get(&self.identity(file)?).copied())
    }

    /// What is known about the files of the image below, by the name that each has now.
    pub(in super::super) fn by_name(&self) -> BTreeMap<Vec<u8>, Known> {
        let name = |(file, known): &(OwnedFd, Known)| Some((name_of(file).ok()??, *known));
        self.kept.iter().filter_map(name).collect()
    }

    /// Writes down what a file of the step is from now on. One of its root must have been changed before, so that it is in the
    /// upper directory.
    pub(super) fn record(&mut self, file: &OwnedFd, known: Known) -> io::Result<()> {
        if self.area(file)?.is_some() {
            self.recorded.insert(self.identity(file)?, known);
            return Ok(());
        }
        let Some(copy) = self.in_upper(file)? else {
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

    /// Whose the mount beside the image is in which a file lies.
    fn area(&self, file: &OwnedFd) -> io::Result<Option<(u32, u32)>> {
        if self.areas.is_empty() {
            return Ok(None);
        }
        Ok(self.areas.get(&mount_id(file.as_fd())?).copied())
    }

    fn is_of_root(&self, file: &OwnedFd) -> io::Result<bool> {
        let stat = kernel::statx(file.as_fd(), 0, libc::STATX_BASIC_STATS)?;
        Ok((stat.stx_dev_major, stat.stx_dev_minor) == self.overlay)
    }

    /// The file of the upper directory that is behind a file of the overlay, if there is one.
    fn in_upper(&self, file: &OwnedFd) -> io::Result<Option<OwnedFd>> {
        let Some(name) = name_of(file)? else { return Ok(None) };
        let copy = match open_below(self.upper.as_fd(), &name) {
            // Nothing that it says about the file.
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NAMETOOLONG)) => return Err(error.into()),
            Err(_) => return Ok(None),
            Ok(copy) => copy,
        };
        // Another process may have put something else there meanwhile.
        let is_same = self.identity(file)?.2 == self.identity(&copy)?.2;
        Ok(is_same.then_some(copy))
    }

    fn identity(&self, file: &OwnedFd) -> io::Result<Identity> {
        let stat = kernel::statx(file.as_fd(), 0, libc::STATX_INO | libc::STATX_BTIME)?;
        let born = stat.stx_btime;
        let device = (stat.stx_dev_major, stat.stx_dev_minor);
        Ok((device, stat.stx_ino, i128::from(born.tv_sec) * 1_000_000_000 + i128::from(born.tv_nsec)))
    }
}

/// The path of an open file, relative to the root; `None` for one that is gone.
fn name_of(file: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
    let path = readlink(itself(file), Vec::new())?.into_bytes();
    // So the kernel says that a file is gone; and so the name of another may end.
    let is_gone = path.ends_with(b" (deleted)") && !is_at(file, &path)?;
    Ok(path.strip_prefix(b"/").filter(|_| !is_gone).map(<[u8]>::to_vec))
}

/// True if a file has this path.
fn is_at(file: &OwnedFd, path: &[u8]) -> io::Result<bool> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        found => found?,
    };
    let (own, found) = (kernel::stat(file.as_fd())?, kernel::stat(found.as_fd())?);
    Ok((own.st_dev, own.st_ino) == (found.st_dev, found.st_ino))
}

/// Opens a path below a directory without following a link, to look at it.
fn open_below(directory: BorrowedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(directory, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}
