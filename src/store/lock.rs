//! A lock between processes and between threads.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use std::os::unix::fs::OpenOptionsExt;

use super::StoreError;

/// A flock on a file of its own, released when dropped or when the process ends, however it ends. Each
/// lock opens the file anew, so it holds between threads too.
#[must_use]
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock at `path`, creating the file if it is missing.
    pub(super) fn acquire(path: &Path) -> Result<Lock, StoreError> {
        let file = open(path)?;
        lock_file(&file).map_err(StoreError::write("lock", path))?;
        Ok(Lock { _file: file })
    }

    /// As [`Lock::acquire`], but many may hold it at once, while nobody holds it exclusively.
    pub(super) fn acquire_shared(path: &Path) -> Result<Lock, StoreError> {
        let file = open(path)?;
        wait(|| file.lock_shared()).map_err(StoreError::write("lock", path))?;
        Ok(Lock { _file: file })
    }

    /// `None` if another one holds the lock.
    pub(super) fn try_acquire(path: &Path) -> Result<Option<Lock>, StoreError> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(StoreError::write("lock", path)(error)),
        }
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
    file.map_err(StoreError::write("open the lock", path))
}

/// Waits for an exclusive flock on `file`; a signal does not end the wait.
pub(super) fn lock_file(file: &File) -> io::Result<()> {
    wait(|| file.lock())
}

fn wait(lock: impl Fn() -> io::Result<()>) -> io::Result<()> {
    loop {
        match lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::thread::JoinHandleExt;
    use std::thread;
    use std::time::Duration;

    use super::*;

    extern "C" fn ignore(_: libc::c_int) {}

    #[test]
    fn a_signal_does_not_end_the_wait() {
        // SAFETY: the handler does nothing; without SA_RESTART a signal ends what the kernel does with EINTR.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as *const () as usize;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = Lock::acquire(&path).unwrap();
        type Wait = fn(&Path) -> Result<Lock, StoreError>;
        let waits: [Wait; 2] = [Lock::acquire, Lock::acquire_shared];
        let waiters = waits.map(|wait| {
            let path = path.clone();
            thread::spawn(move || wait(&path).map(drop))
        });
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(5));
            for waiter in &waiters {
                assert!(!waiter.is_finished());
                // SAFETY: the thread was not joined.
                assert_eq!(unsafe { libc::pthread_kill(waiter.as_pthread_t(), libc::SIGUSR1) }, 0);
            }
        }
        drop(held);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
    }
}
