//! Further attempts: how many, after which pauses, and until when.

use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use super::{Again, Options};

/// The attempts at one file or document, of which the first is under way.
#[derive(Debug)]
pub struct Attempts {
    deadline: Instant,
    left: u32,
    backoff: Duration,
    retry_after: Duration,
}

impl Attempts {
    /// As many as the options allow, from now on.
    pub fn new(options: &Options) -> Self {
        Attempts {
            deadline: Instant::now() + options.total,
            left: options.attempts.saturating_sub(1),
            backoff: options.backoff,
            retry_after: options.retry_after,
        }
    }

    /// When the last attempt has to be over.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// After a failed attempt: pauses and returns true if there is to be another.
    #[must_use]
    pub fn next(&mut self, again: Again) -> bool {
        let pause = match again {
            Again::Never => return false,
            Again::Soon => varied(self.backoff),
            Again::After(asked) => asked.min(self.retry_after),
        };
        if self.left == 0 || Instant::now() + pause >= self.deadline {
            return false;
        }
        thread::sleep(pause);
        self.backoff *= 2;
        self.left -= 1;
        true
    }
}

/// `pause`, more or less by up to half, so that clients which failed together do not return together.
fn varied(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1001;
    pause / 2 + pause.mul_f64(random as f64 / 1000.0)
}
