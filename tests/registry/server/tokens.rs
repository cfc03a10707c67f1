//! A server of tokens, as in the distribution project's "Token Authentication Specification" and its "OAuth2 Token
//! Authentication".

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::http::{Listener, Service};
use super::message::{Request, Response};

/// Gives tokens at `/token`: by `GET` with basic authentication, or by `POST` with the password as such or as a refresh
/// token.
pub struct TokenServer {
    pub user: String,
    pub password: String,
    /// Anybody gets a token to pull with.
    pub anonymous_pull: bool,
    /// Whom the tokens are for; another is refused.
    pub service: String,
    /// How long they are good for, as the answer says.
    pub lifetime: Duration,
    pub mint: Mint,
}

/// Makes a token that grants what it is called with.
pub type Mint = Box<dyn Fn(&[Grant]) -> String + Send + Sync>;

/// What a token is good for.
pub struct Grant {
    pub repository: String,
    /// `pull`, `push`, `delete`.
    pub actions: Vec<String>,
}

impl TokenServer {
    pub fn start(self, tls: Option<Arc<rustls::ServerConfig>>) -> Listener {
        Listener::start(tls, |_| self)
    }

    /// Whether it is the user who asks; an error where somebody else says to be.
    fn knows(&self, request: &Request) -> Result<bool, Response> {
        let is = |name: &str, value: &str| request.form(name) == [value];
        let known = match (request.method.as_str(), request.header("authorization")) {
            ("GET", None) if self.anonymous_pull => return Ok(false),
            ("GET", Some(header)) => header == basic(&self.user, &self.password),
            ("POST", None) if is("grant_type", "refresh_token") => is("refresh_token", &self.password),
            ("POST", None) if is("grant_type", "password") => {
                is("username", &self.user) && is("password", &self.password)
            }
            _ => false,
        };
        match known {
            true => Ok(true),
            false => Err(Response::error(401, "UNAUTHORIZED", "wrong name or password")),
        }
    }
}

impl Service for TokenServer {
    /// What comes from here is an answer or an error, never a challenge.
    fn refuses(&self, _: &Request) -> bool {
        false
    }

    fn answer(&self, request: &Request) -> io::Result<Response> {
        let known = match self.knows(request) {
            Ok(known) => known,
            Err(refused) => return Ok(refused),
        };
        let form = request.method == "POST";
        let read = |name: &str| if form { request.form(name) } else { request.query(name) };
        if request.path() != "/token" || read("service") != [&*self.service] {
            return Ok(Response::error(400, "UNSUPPORTED", "no such service"));
        }
        let scopes = read("scope");
        let grants = scopes.iter().flat_map(|scopes| scopes.split(' ')).filter_map(|scope| {
            let (repository, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
            let actions = actions.split(',').filter(|action| known || *action == "pull").map(str::to_owned);
            Some(Grant { repository: repository.to_owned(), actions: actions.collect() })
        });
        let token = (self.mint)(&grants.collect::<Vec<_>>());
        let key = if form { "access_token" } else { "token" };
        Ok(Response::new(200).json(&json!({key: token, "expires_in": self.lifetime.as_secs()})))
    }
}

/// The value of `Authorization` for a user (RFC 7617).
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
