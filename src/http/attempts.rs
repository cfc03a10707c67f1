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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_vary_and_attempts_end() {
        let pause = Duration::from_secs(2);
        let pauses: Vec<Duration> = (0..100).map(|_| varied(pause)).collect();
        assert!(pauses.iter().all(|varied| (pause / 2..=pause * 3 / 2).contains(varied)));
        assert!(pauses.iter().any(|varied| *varied != pauses[0]));

        let patient = Options { backoff: Duration::ZERO, retry_after: Duration::from_millis(1), ..Options::default() };
        let mut attempts = Attempts::new(&patient);
        assert!(!attempts.next(Again::Never));
        let asked = Again::After(Duration::from_secs(u64::MAX));
        assert!(attempts.next(asked) && attempts.next(Again::Soon) && !attempts.next(Again::Soon));
        let hurried = Options { total: Duration::ZERO, ..patient };
        assert!(!Attempts::new(&hurried).next(Again::Soon));
    }
}
