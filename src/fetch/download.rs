//! A file over HTTP or HTTPS.

use ureq::http::Uri;
use ureq::http::header::CONTENT_LENGTH;

use crate::digest::Digest;
use crate::http::{Attempts, Refusal, follow};
use crate::store::Store;

use super::client::{Client, Stop, commit};
use super::error::Failure;

impl Client {
    /// Downloads `url` into the store, in as many attempts as it takes and the options allow.
    pub(super) fn download(&self, url: &Uri, expected: Option<&Digest>, store: &Store) -> Result<Digest, Stop> {
        let mut attempts = Attempts::new(&self.options);
        loop {
            match self.attempt(url, expected, store, &attempts) {
                Err(Stop::Attempt(refusal)) if attempts.next(refusal.again) => {}
                result => return result,
            }
        }
    }

    fn attempt(
        &self,
        url: &Uri,
        expected: Option<&Digest>,
        store: &Store,
        attempts: &Attempts,
    ) -> Result<Digest, Stop> {
        let get = |url: &Uri| self.agent().get(url).call().map_err(|error| Stop::Attempt(error.into()));
        let response = follow(url, self.options.redirects, get)?;
        if response.status().as_u16() != 200 {
            return Err(Refusal::of_status(&response).into());
        }
        let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.options.size) {
            return Err(Stop::Url(Failure::TooLarge(self.options.size)));
        }
        let body = response.into_body().into_reader();
        commit(self.copy(body, store, attempts.deadline(), |error| Stop::Attempt(error.into()))?, expected)
    }
}
