//! Who may do what: basic authentication (RFC 7617), and bearer tokens for a scope (RFC 6750, and the distribution
//! project's "Token Scope Documentation").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::Options;
use super::http::Listener;
use super::message::{Request, Response};
use super::tokens::{Grant, TokenServer, basic};

#[derive(Clone, Debug)]
pub enum Auth {
    None,
    Basic {
        user: String,
        password: String,
    },
    /// With a [`TokenServer`] on another port.
    Token {
        user: String,
        password: String,
    },
}

impl Auth {
    pub fn basic(user: &str, password: &str) -> Self {
        Auth::Basic { user: user.to_owned(), password: password.to_owned() }
    }

    pub fn token(user: &str, password: &str) -> Self {
        Auth::Token { user: user.to_owned(), password: password.to_owned() }
    }
}

/// A repository and what is to be done with it: `pull`, `push` or `delete`.
pub type Access = (String, &'static str);

/// Looks at what comes with a request.
pub struct Guard {
    auth: Auth,
    lifetime: Duration,
    realm: OnceLock<String>,
    tokens: Mutex<Tokens>,
}

#[derive(Default)]
struct Tokens {
    given: usize,
    good: BTreeMap<String, Token>,
}

struct Token {
    /// `REPOSITORY:ACTION`.
    access: BTreeSet<String>,
    until: Instant,
}

/// A name that has to be unquoted in the challenge and quoted in the query.
const SERVICE: &str = "registry of the tests, and \"more\"";

impl Guard {
    pub fn new(options: &Options) -> Self {
        let (realm, tokens) = (OnceLock::new(), Mutex::default());
        Guard { auth: options.auth.clone(), lifetime: options.token_lifetime, realm, tokens }
    }

    /// The server whose tokens it takes, where it takes tokens.
    pub fn token_server(self: &Arc<Self>, options: &Options) -> Option<Listener> {
        let Auth::Token { user, password } = self.auth.clone() else { return None };
        let guard = self.clone();
        let server = TokenServer {
            user,
            password,
            anonymous_pull: options.anonymous_pull,
            service: SERVICE.to_owned(),
            lifetime: self.lifetime,
            mint: Box::new(move |grants| guard.mint(grants)),
        };
        let listener = server.start(options.tls.then(crate::certificate::server_config));
        self.realm.get_or_init(|| format!("{}://{}/token", options.scheme(), listener.host()));
        Some(listener)
    }

    fn mint(&self, grants: &[Grant]) -> String {
        let access = grants.iter().flat_map(|Grant { repository, actions }| {
            actions.iter().map(move |action| format!("{repository}:{action}"))
        });
        let token = Token { access: access.collect(), until: Instant::now() + self.lifetime };
        let mut tokens = self.tokens.lock().unwrap();
        tokens.given += 1;
        let name = format!("canary-token-{}", tokens.given);
        tokens.good.insert(name.clone(), token);
        name
    }

    pub fn revoke(&self) {
        self.tokens.lock().unwrap().good.clear();
    }

    /// The challenge for a request that may not do what it wants.
    pub fn refuse(&self, request: &Request, wanted: &[Access]) -> Option<Response> {
        let sent = request.header("authorization");
        let challenge = match &self.auth {
            Auth::None => return None,
            Auth::Basic { user, password } if sent == Some(&basic(user, password)) => return None,
            Auth::Basic { .. } => "Basic realm=\"tests\", charset=\"UTF-8\"".to_owned(),
            Auth::Token { .. } => {
                let error = match sent.and_then(|value| value.strip_prefix("Bearer ")) {
                    None => "",
                    Some(token) => match self.grants(token, wanted) {
                        Some(true) => return None,
                        Some(false) => ",error=\"insufficient_scope\"",
                        None => ",error=\"invalid_token\"",
                    },
                };
                let realm = self.realm.get().map_or("", String::as_str);
                let service = SERVICE.replace('"', "\\\"");
                format!("Bearer realm=\"{realm}\",service=\"{service}\"{}{error}", scope(wanted))
            }
        };
        Some(
            Response::error(401, "UNAUTHORIZED", "authentication required")
                .header("WWW-Authenticate", &challenge)
                .header("Docker-Distribution-Api-Version", "registry/2.0"),
        )
    }

    /// Whether a token is enough; nothing where it is not good, or not any more.
    fn grants(&self, token: &str, wanted: &[Access]) -> Option<bool> {
        let tokens = self.tokens.lock().unwrap();
        let token = tokens.good.get(token).filter(|token| token.until > Instant::now())?;
        Some(wanted.iter().all(|(repository, action)| token.access.contains(&format!("{repository}:{action}"))))
    }
}

/// `,scope="repository:a/b:pull,push repository:c:pull"`, or nothing.
fn scope(wanted: &[Access]) -> String {
    let mut scopes: Vec<(&str, String)> = Vec::new();
    for (repository, action) in wanted {
        match scopes.iter_mut().find(|(known, _)| known == repository) {
            Some((_, scope)) => scope.push_str(&format!(",{action}")),
            None => scopes.push((repository, format!("repository:{repository}:{action}"))),
        }
    }
    let scopes: Vec<String> = scopes.into_iter().map(|(_, scope)| scope).collect();
    if scopes.is_empty() { String::new() } else { format!(",scope=\"{}\"", scopes.join(" ")) }
}
