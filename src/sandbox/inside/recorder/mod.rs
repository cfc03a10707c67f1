//! Owners as the step set them, in the tier in which there is only one user.
//!
//! In a user namespace with a single user, the kernel refuses every change of an owner or a user. There, the calls about
//! these become notifications (seccomp_unotify(2)), and are answered in the kernel's place: a `chown` is written down and
//! succeeds, a `stat` says what was written down. So programs go the same way, and the layer is the same, as for root.
//!
//! It is no guard. The step has no right that this process could lend it: whoever changes the arguments of a call while it is
//! looked at changes what is written down about the step's own files. The kernel does the call itself wherever nothing is on
//! record (SECCOMP_USER_NOTIF_FLAG_CONTINUE).
//!
//! What differs from root all the same: of a process that changed its user, only the making of files and changes of owners
//! are checked against what that user may do.

mod calls;
mod create;
mod device;
mod journal;
mod owner;
mod status;
mod tracee;
mod users;
mod walk;

pub(super) use create::NAMELESS;
pub(super) use journal::{Journal, Known};

use std::io;
use std::os::fd::OwnedFd;

use super::super::kernel::{self, Answer};
use super::super::request::User;
use super::super::tier::Tier;
use users::Users;

/// Answers the notifications of one step.
pub(super) struct Recorder {
    listener: Option<OwnedFd>,
    journal: Journal,
    users: Users,
}

impl Recorder {
    /// A recorder that writes into `journal` what a step does that begins as `user`; without a listener it is never asked.
    pub(super) fn new(listener: Option<OwnedFd>, journal: Journal, user: &User) -> Self {
        listener.iter().for_each(kernel::wake_at_once);
        Recorder { listener, journal, users: Users::beginning_as(user) }
    }

    /// Where the notifications arrive.
    pub(super) fn listener(&self) -> Option<&OwnedFd> {
        self.listener.as_ref()
    }

    /// No process is left that could ask.
    pub(super) fn close(&mut self) {
        self.listener = None;
    }

    /// What was written down.
    pub(super) fn into_journal(self) -> Journal {
        self.journal
    }

    /// Answers one notification. With subordinate ids, it is about what cannot be done.
    pub(super) fn answer_next(&mut self, tier: Tier) -> io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        let Some(notification) = kernel::receive(listener)? else { return Ok(()) };
        if tier == Tier::SubordinateIds {
            kernel::respond(listener, notification.id, Answer::Error(libc::EPERM));
            return Ok(());
        }
        let call = calls::Call { notification: &notification, listener };
        let answer = call.answer(&mut self.journal, &mut self.users).unwrap_or_else(|error| {
            // A process that was ended meanwhile does not hear this.
            Answer::Error(error.raw_os_error().unwrap_or(libc::EIO))
        });
        kernel::respond(listener, notification.id, answer);
        Ok(())
    }
}
