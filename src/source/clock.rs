//! The clock that stamps files, and whether it has moved on since it stamped one.
//!
//! A write within the same tick of that clock as an earlier one leaves size and times as they were; git calls such a
//! file "racily clean". Once the clock has moved on, each later write changes the stamp.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::entry::Stamp;
use crate::store::Store;

/// Longer than a tick of the kernel's clock, from which it takes the times of files: 10 ms at 100 Hz.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// How long to wait until [`Clock::has_passed`] says so: by then the file system's clock, which may be one tick of at most
/// 10 ms behind, shows that more than [`TICK`] went by.
pub(super) const WAIT: Duration = Duration::from_millis(32);

/// Longer than the two seconds between the times that FAT can tell apart, the coarsest of all file systems.
const COARSE_TICK: Duration = Duration::from_millis(2020);

const SECOND: i128 = 1_000_000_000;

/// A moment of the clock that stamps the store's files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The file system whose clock it surely is; others may be those of a server whose clock differs.
    device: Option<u64>,
    /// Nanoseconds since 1970.
    now: i128,
}

impl Clock {
    /// The time now, taken from a file that is made for it, as a file system on a server does not follow this machine's
    /// clock. In a store that cannot be written, the machine's clock has to do.
    pub(super) fn read(store: &Store) -> Clock {
        match store.spool().ok().and_then(|file| file.metadata().ok()) {
            Some(metadata) => {
                let made = Stamp::of(&metadata);
                Clock { device: Some(made.device), now: made.ctime }
            }
            None => {
                #[allow(
                    clippy::disallowed_methods,
                    reason = "only tells how long ago a file changed; no output sees it"
                )]
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
                Clock { device: None, now }
            }
        }
    }

    /// True if both times of the stamp lie more than a tick back. A time to come is none of these, be it that somebody
    /// set it or that the clock was set back: then the clock will be there a second time.
    pub(super) fn has_passed(&self, stamp: &Stamp) -> bool {
        let tick = if is_coarse(stamp) { COARSE_TICK } else { TICK };
        self.now - stamp.ctime.max(stamp.mtime) > tick.as_nanos() as i128
    }

    /// True if this clock made the stamp. For others, how far they are ahead or behind is not known, so only time that
    /// passes between two looks at a file tells that its clock has moved on.
    pub(super) fn made(&self, stamp: &Stamp) -> bool {
        self.device == Some(stamp.device)
    }
}

/// True if the file system keeps whole seconds only. Where it keeps more, a stamp that looks so by chance only has to be
/// older.
pub(super) fn is_coarse(stamp: &Stamp) -> bool {
    stamp.ctime % SECOND == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i128 = 1_700_000_000 * SECOND + 500_000_000;
    const CLOCK: Clock = Clock { device: Some(1), now: NOW };

    fn stamp(mtime: i128, ctime: i128) -> Stamp {
        Stamp { device: 1, inode: 2, size: 3, mtime, ctime }
    }

    #[test]
    fn only_what_lies_a_tick_back_has_passed() {
        let long_ago = NOW - 3600 * SECOND + 1;
        let years = 10 * 365 * 86_400 * SECOND;
        for (mtime, ctime, passed) in [
            (long_ago, long_ago, true),
            (long_ago, NOW - 21_000_000, true),
            (long_ago, NOW - 20_000_000, false),
            (NOW - 20_000_000, long_ago, false),
            (long_ago, NOW, false),
            // Set by `touch -d`, or the clock was set back.
            (NOW + years, long_ago, false),
            (long_ago, NOW + years, false),
            // A file system of whole seconds, as FAT.
            (long_ago, NOW - NOW % SECOND - SECOND, false),
            (long_ago, NOW - NOW % SECOND - 2 * SECOND, true),
        ] {
            assert_eq!(CLOCK.has_passed(&stamp(mtime, ctime)), passed, "{} {}", mtime - NOW, ctime - NOW);
        }
    }

    #[test]
    fn the_clock_is_that_of_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let before = Clock::read(&store);
        let made = Stamp::of(&tempfile::tempfile_in(directory.path()).unwrap().metadata().unwrap());
        assert!(before.made(&made) && !before.has_passed(&made) && made.ctime >= before.now);
        std::thread::sleep(TICK + TICK);
        assert!(Clock::read(&store).has_passed(&made));
    }
}
