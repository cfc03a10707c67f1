//! What is sent as `Authorization`: passwords, and tokens of token servers (distribution, "Token Authentication
//! Specification" and "OAuth2 Token Authentication").

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use ureq::http::{HeaderValue, Method, Uri};

use crate::http::{Attempts, is_hidden, is_loopback, parse_url, shown};

use super::challenge::Challenge;
use super::credentials::Credential;
use super::error::{Denied, Failed, Proof, RegistryError};
use super::exchange::{Exchange, Payload, Request};
use super::query::{form, with_query};
use super::secret::Secret;

/// The largest answer of a token server, in bytes.
const LARGEST: u64 = 1 << 20;

/// How long a token is good for if the server does not say.
const DEFAULT_LIFE: u64 = 60;

/// The longest life of a token that is believed, in seconds.
const LONGEST_LIFE: u64 = 24 * 3600;

/// The scopes of a challenge that are heeded.
const MOST_SCOPES: usize = 8;

/// What a client has found out about authentication. Threads share it: the first asks, the others wait for it.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// How a registry wants to be authenticated to, by origin, once it has said so.
    challenges: Mutex<BTreeMap<String, Challenge>>,
    /// By origin and scopes.
    grants: Mutex<BTreeMap<(String, Vec<String>), Slot>>,
}

type Slot = Arc<Mutex<Option<Grant>>>;

/// An `Authorization`, or that there is nothing to prove with.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub header: Option<HeaderValue>,
    pub proof: Proof,
    /// What must not be repeated from an answer.
    pub secrets: Vec<Secret>,
    expires: Option<Instant>,
}

impl Grant {
    fn without(proof: Proof) -> Self {
        Grant { header: None, proof, secrets: Vec::new(), expires: None }
    }

    fn is_valid(&self) -> bool {
        self.expires.is_none_or(|expires| Instant::now() < expires)
    }
}

impl Access {
    fn slot(&self, origin: &Uri, scopes: &[String]) -> Slot {
        lock(&self.grants).entry((origin.to_string(), scopes.to_vec())).or_default().clone()
    }
}

impl Exchange<'_> {
    /// What the next request is sent with: as other requests of these scopes, or as the registry wanted it before.
    pub(super) fn grant(&self) -> Result<Option<Grant>, Failed> {
        let (access, origin) = (&self.client.access, &self.endpoint.origin);
        if let Some(wider) = self.wider()
            && let Some(grant) = lock(&access.slot(origin, &wider)).as_ref().filter(|grant| grant.is_valid())
        {
            return Ok(Some(grant.clone()));
        }
        let slot = access.slot(origin, &self.scopes);
        let mut kept = lock(&slot);
        if kept.as_ref().is_none_or(|grant| !grant.is_valid()) {
            let challenge = lock(&access.challenges).get(&origin.to_string()).cloned();
            *kept = challenge.map(|challenge| self.ask(&[challenge])).transpose()?;
        }
        Ok(kept.clone())
    }

    /// What a request is sent with again after a challenge. `used` is what it was sent with before.
    pub(super) fn renewed(&self, used: Option<&Grant>, challenges: &[Challenge]) -> Result<Grant, Failed> {
        let access = &self.client.access;
        let slot = access.slot(&self.endpoint.origin, &self.scopes);
        let mut kept = lock(&slot);
        if let Some(grant) = kept.as_ref().filter(|grant| grant.is_valid())
            && used.is_none_or(|used| used.header != grant.header)
        {
            // Another thread was here first.
            return Ok(grant.clone());
        }
        let grant = self.ask(challenges)?;
        if let Some(challenge) = preferred(challenges) {
            let mut challenge = challenge.clone();
            if let Challenge::Bearer { scope, .. } = &mut challenge {
                // It is that of this request.
                *scope = None;
            }
            lock(&access.challenges).insert(self.endpoint.origin.to_string(), challenge);
        }
        *kept = Some(grant.clone());
        Ok(grant)
    }

    /// What requests of these scopes are sent with and must not be repeated.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let scopes = [Some(self.scopes.clone()), self.wider()];
        let slots = scopes.iter().flatten().map(|scopes| self.client.access.slot(&self.endpoint.origin, scopes));
        slots.flat_map(|slot| lock(&slot).as_ref().map(|grant| grant.secrets.clone()).unwrap_or_default()).collect()
    }

    /// The scopes of a push, of which these are a part.
    fn wider(&self) -> Option<Vec<String>> {
        let [scope] = self.scopes.as_slice() else { return None };
        scope.ends_with(":pull").then(|| vec![format!("{scope},push")])
    }

    fn ask(&self, challenges: &[Challenge]) -> Result<Grant, Failed> {
        let Some(challenge) = preferred(challenges) else { return Ok(Grant::without(Proof::NotAsked)) };
        let registry = &self.endpoint.name;
        let credentials = &self.client.credentials;
        let found = credentials.find(registry, &self.repository).map_err(RegistryError::from)?;
        let (credential, proof) = match found {
            Some(found) => match self.endpoint.withheld {
                None => (Some(found.credential), Proof::Found(found.source)),
                Some(why) => (None, Proof::Withheld(found.source, why)),
            },
            None => (None, Proof::NotFound(credentials.places())),
        };
        match (challenge, credential) {
            (Challenge::Bearer { realm, service, scope }, credential) => {
                let asked = TokenRequest { realm: self.realm(realm, credential.is_some())?, service, scope };
                self.token(&asked, credential, proof)
            }
            (Challenge::Basic, Some(Credential::Password { user, password })) => {
                let (header, secrets) = basic(&user, password)?;
                Ok(Grant { header: Some(header), proof, secrets, expires: None })
            }
            (Challenge::Basic, _) => Ok(Grant::without(proof)),
        }
    }

    /// The token server's URL, if credentials may be sent to it.
    fn realm(&self, realm: &str, with_credentials: bool) -> Result<Uri, RegistryError> {
        let fail = |reason| RegistryError::Realm { registry: self.endpoint.name.clone(), realm: shown(realm), reason };
        let url = parse_url(realm).map_err(fail)?;
        if is_hidden(&url) {
            return Err(fail("its address is link-local or unspecified"));
        }
        let plain = url.scheme_str() == Some("http");
        if plain && !self.endpoint.is_plain() {
            return Err(fail("it leaves TLS"));
        }
        if plain && with_credentials && !is_loopback(&url) && url.host() != self.endpoint.origin.host() {
            return Err(fail("credentials would go to another host in the clear"));
        }
        Ok(url)
    }

    fn token(&self, asked: &TokenRequest, credential: Option<Credential>, proof: Proof) -> Result<Grant, Failed> {
        let theirs = asked.scope.iter().flat_map(|scope| scope.split_whitespace()).take(MOST_SCOPES);
        let theirs = theirs.filter(|scope| !self.scopes.iter().any(|own| own == scope));
        let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).chain(theirs).collect();
        let service = asked.service.iter().map(|service| ("service", service.as_str()));
        let realm = asked.realm.to_string();
        let joined = scopes.join(" ");
        let mut secrets = Vec::new();
        let body;
        let request = match credential {
            Some(Credential::IdentityToken(token)) => {
                let pairs =
                    [("grant_type", "refresh_token"), ("client_id", "ocify"), ("refresh_token", token.reveal())];
                body = form(pairs.into_iter().chain(service).chain([("scope", joined.as_str())]));
                secrets.push(token);
                let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))];
                Request { headers, payload: Payload::Bytes(body.as_bytes()), ..Request::new(Method::POST, &realm)? }
            }
            other => {
                let mut headers = Vec::new();
                let mut pairs: Vec<(&str, &str)> = service.collect();
                let account;
                if let Some(Credential::Password { user, password }) = other {
                    let (header, shown) = basic(&user, password)?;
                    headers.push((AUTHORIZATION, header));
                    secrets = shown;
                    account = user;
                    pairs.push(("account", &account));
                }
                pairs.extend(scopes.iter().map(|scope| ("scope", *scope)));
                Request { headers, ..Request::new(Method::GET, &with_query(&realm, pairs))? }
            }
        };
        let attempts = Attempts::new(&self.client.options.http);
        let response = self.plain(&request, &request.url, None)?;
        let status = response.status().as_u16();
        if matches!(status, 400 | 401 | 403) {
            let said = self.said(&request, response, &secrets);
            let (registry, scopes) = (self.endpoint.name.clone(), self.scopes.clone());
            return Err(RegistryError::from(Box::new(Denied { registry, scopes, proof, status, said })).into());
        }
        if status != 200 {
            return Err(self.refused(&request, response, &secrets));
        }
        let bytes = self.body(&request, response, LARGEST, attempts.deadline())?;
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|_| request.malformed("the token server's answer is not the JSON that it should be"))?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let token = token.ok_or_else(|| request.malformed("the token server's answer has no token"))?;
        let header = sensitive(&format!("Bearer {}", token.reveal()))
            .ok_or_else(|| request.malformed("the token server's token is no header"))?;
        secrets.push(token);
        let life = answer.expires_in.unwrap_or(DEFAULT_LIFE).clamp(1, LONGEST_LIFE);
        // Good a little longer than the requests that are about to be made with it.
        let life = Duration::from_secs(life - (life / 4).min(10));
        Ok(Grant { header: Some(header), proof, secrets, expires: Some(Instant::now() + life) })
    }
}

/// A Bearer challenge that has been checked.
struct TokenRequest<'a> {
    realm: Uri,
    service: &'a Option<String>,
    scope: &'a Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<Secret>,
    /// What OAuth2 calls it.
    access_token: Option<Secret>,
    /// Seconds.
    expires_in: Option<u64>,
}

fn preferred(challenges: &[Challenge]) -> Option<&Challenge> {
    challenges.iter().max_by_key(|challenge| matches!(challenge, Challenge::Bearer { .. }))
}

/// The header of a password (RFC 7617), and what must not be repeated.
fn basic(user: &str, password: Secret) -> Result<(HeaderValue, Vec<Secret>), RegistryError> {
    let pair = Secret::new(STANDARD.encode(format!("{user}:{}", password.reveal())));
    let header = sensitive(&format!("Basic {}", pair.reveal()));
    let header = header.ok_or_else(|| RegistryError::Malformed {
        request: "Authorization".into(),
        reason: "user and password are no header".into(),
    })?;
    Ok((header, vec![pair, password]))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// A thread that panicked has left nothing half-done behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::super::error::Withheld;
    use super::super::{Client, Credentials, Hosts, Options};
    use super::*;
    use crate::target::RegistrySettings;

    /// What a plain registry gets that the settings of a workspace, or of the user, call insecure.
    fn asked(challenge: Challenge, by_user: bool) -> Result<Grant, Failed> {
        let settings = RegistrySettings { insecure: Some(true), ..RegistrySettings::default() };
        let mut hosts = Hosts::default();
        hosts.add(&BTreeMap::from([("lan.example".to_owned(), settings)]), Path::new("/"), by_user).unwrap();
        let credential = Credential::of("me".into(), Secret::new("hunter2"));
        let client = Client::new(Options::default(), hosts, Credentials::given("lan.example", credential));
        let endpoint = client.hosts.endpoint("lan.example").unwrap();
        let exchange = client.exchange(endpoint, "a".into(), vec!["repository:a:pull".into()]).unwrap();
        exchange.ask(&[challenge])
    }

    #[test]
    fn credentials_travel_in_the_clear_only_where_the_user_says_so() {
        let withheld = asked(Challenge::Basic, false).unwrap();
        assert_eq!((withheld.header, withheld.secrets), (None, Vec::new()));
        assert!(matches!(withheld.proof, Proof::Withheld(_, Withheld::InTheClear)));
        assert!(asked(Challenge::Basic, true).unwrap().header.is_some());
    }

    #[test]
    fn credentials_do_not_go_to_another_host_in_the_clear() {
        let realm = "http://tokens.example/token".to_owned();
        let failed = asked(Challenge::Bearer { realm, service: None, scope: None }, true).unwrap_err();
        let text = format!("{} {:?}", failed.error, failed.error);
        assert!(text.contains("in the clear") && !text.contains("hunter2"), "{text}");
    }
}
