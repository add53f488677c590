//! Who is let in over HTTP, by the configuration.

use crate::config;
use crate::http::{Access, Token};

/// Who may ask the API over HTTP. The token is read for each request, so it can be exchanged in its file.
pub fn access(http: &config::Http) -> Access {
    let token = http.token.is_some().then(|| {
        let http = http.clone();
        let missing = || Err("there is no token".to_owned());
        Box::new(move || http.read_token().unwrap_or_else(missing)) as Token
    });
    Access { token, closed: http.closed }
}
