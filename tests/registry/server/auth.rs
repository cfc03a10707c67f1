//! Who may do what: basic authentication (RFC 7617), and bearer tokens from a server of their own as in the
//! distribution project's "Token Authentication Specification".

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Options;
use super::http::Service;
use super::message::{Request, Response};

#[derive(Clone, Debug)]
pub enum Auth {
    None,
    Basic {
        user: String,
        password: String,
    },
    /// The password is good as a refresh token too.
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
    anonymous_pull: bool,
    lifetime: Duration,
    realm: OnceLock<String>,
    tokens: Mutex<BTreeMap<String, Token>>,
    given: Mutex<usize>,
}

struct Token {
    /// `REPOSITORY:ACTION`.
    access: BTreeSet<String>,
    until: Instant,
}

const SERVICE: &str = "registry of the tests, and \"more\"";

impl Guard {
    pub fn new(options: &Options) -> Self {
        Guard {
            auth: options.auth.clone(),
            anonymous_pull: options.anonymous_pull,
            lifetime: options.token_lifetime,
            realm: OnceLock::new(),
            tokens: Mutex::default(),
            given: Mutex::default(),
        }
    }

    pub fn set_realm(&self, realm: String) {
        self.realm.get_or_init(|| realm);
    }

    pub fn revoke(&self) {
        self.tokens.lock().unwrap().clear();
    }

    /// The challenge for a request that may not do what it wants.
    pub fn refuse(&self, request: &Request, wanted: &[Access]) -> Option<Response> {
        let sent = request.header("authorization");
        let challenge = match &self.auth {
            Auth::None => return None,
            Auth::Basic { .. } if self.knows(sent) => return None,
            Auth::Basic { .. } => "Basic realm=\"tests\", charset=\"UTF-8\"".to_owned(),
            Auth::Token { .. } => {
                let token = sent.and_then(|value| value.strip_prefix("Bearer "));
                let tokens = self.tokens.lock().unwrap();
                let token = token.map(|token| tokens.get(token).filter(|token| token.until > Instant::now()));
                let error = match token {
                    None => "",
                    Some(None) => ",error=\"invalid_token\"",
                    Some(Some(token)) => {
                        let may = |(name, action): &Access| token.access.contains(&format!("{name}:{action}"));
                        if wanted.iter().all(may) {
                            return None;
                        }
                        ",error=\"insufficient_scope\""
                    }
                };
                let realm = self.realm.get().map_or("", String::as_str);
                let service = SERVICE.replace('"', "\\\"");
                let scope = match wanted.is_empty() {
                    true => String::new(),
                    false => format!(",scope=\"{}\"", scope(wanted)),
                };
                format!("Bearer realm=\"{realm}\",service=\"{service}\"{scope}{error}")
            }
        };
        Some(
            Response::error(401, "UNAUTHORIZED", "authentication required")
                .header("WWW-Authenticate", &challenge)
                .header("Docker-Distribution-Api-Version", "registry/2.0"),
        )
    }

    /// Whether a header has the user's name and password.
    fn knows(&self, header: Option<&str>) -> bool {
        let (Auth::Basic { user, password } | Auth::Token { user, password }) = &self.auth else { return false };
        let expected = STANDARD.encode(format!("{user}:{password}"));
        header.and_then(|value| value.strip_prefix("Basic ")) == Some(&expected)
    }
}

/// `repository:a/b:pull,push repository:c:pull`.
fn scope(wanted: &[Access]) -> String {
    let mut repositories: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, action) in wanted {
        match repositories.iter_mut().find(|(known, _)| known == name) {
            Some((_, actions)) => actions.push(action),
            None => repositories.push((name, vec![action])),
        }
    }
    let scopes: Vec<String> =
        repositories.iter().map(|(name, actions)| format!("repository:{name}:{}", actions.join(","))).collect();
    scopes.join(" ")
}

/// The server of tokens: `GET /token?service=&scope=` with basic authentication, or `POST /token` as in OAuth 2.0.
pub struct TokenService(pub Arc<Guard>);

impl Service for TokenService {
    fn refuses(&self, request: &Request) -> bool {
        request.method == "GET" && !self.0.anonymous_pull && !self.0.knows(request.header("authorization"))
    }

    fn answer(&self, request: &Request) -> io::Result<Response> {
        let guard = &self.0;
        let (Auth::Basic { user, password } | Auth::Token { user, password }) = &guard.auth else {
            return Ok(Response::new(404));
        };
        let read = |name: &str| if request.method == "POST" { request.form(name) } else { request.query(name) };
        let is = |name: &str, value: &str| read(name) == [value];
        let refused = Response::error(401, "UNAUTHORIZED", "wrong name or password");
        let known = match request.method.as_str() {
            "GET" if request.header("authorization").is_some() => guard.knows(request.header("authorization")),
            "GET" if guard.anonymous_pull => false,
            "POST" if is("grant_type", "refresh_token") => is("refresh_token", password),
            "POST" if is("grant_type", "password") => is("username", user) && is("password", password),
            _ => return Ok(refused),
        };
        if !known && (request.method == "POST" || request.header("authorization").is_some()) {
            return Ok(refused);
        }
        if request.path() != "/token" || !is("service", SERVICE) {
            return Ok(Response::error(400, "UNSUPPORTED", "no such service"));
        }
        let mut access = BTreeSet::new();
        for scope in read("scope").iter().flat_map(|scopes| scopes.split(' ')) {
            let Some((name, actions)) = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':')) else {
                continue;
            };
            let actions = actions.split(',').filter(|action| known || *action == "pull");
            access.extend(actions.map(|action| format!("{name}:{action}")));
        }
        let mut given = guard.given.lock().unwrap();
        *given += 1;
        let token = format!("token-{given}-of-{}", guard.realm.get().map_or("", String::as_str).len());
        guard.tokens.lock().unwrap().insert(token.clone(), Token { access, until: Instant::now() + guard.lifetime });
        let key = if request.method == "POST" { "access_token" } else { "token" };
        Ok(Response::new(200).json(&json!({key: token, "expires_in": guard.lifetime.as_secs()})))
    }
}
