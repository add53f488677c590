//! The two requests of a fetch.

use super::Advertisement;
use crate::source::error::SourceError;
use crate::source::repository::Credentials;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::io::{self, Read};
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body};
use url::Url;

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long to wait for the beginning of an answer: the server may have a pack to make.
const ANSWER: Duration = Duration::from_secs(60);
/// How long one exchange may take in all.
const WHOLE: Duration = Duration::from_secs(600);
/// The largest list of references, in bytes.
const MAX_REFERENCES: u64 = 64 << 20;

/// A server, with the login for it.
pub(in crate::source) struct Client {
    agent: Agent,
    /// Without the slash at its end.
    base: String,
    authorization: Option<String>,
}

impl Client {
    pub(in crate::source) fn new(url: &Url, credentials: Option<&Credentials>) -> Self {
        let agent = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_global(Some(WHOLE))
            .http_status_as_error(false)
            .user_agent(concat!("git/2.0 (bowline ", env!("CARGO_PKG_VERSION"), ")"))
            .build()
            .into();
        let authorization = credentials.map(|login| {
            let pair = format!("{}:{}", login.username, login.password.expose());
            format!("Basic {}", BASE64_STANDARD.encode(pair))
        });
        Self { agent, base: url.as_str().trim_end_matches('/').to_owned(), authorization }
    }

    /// What the server has.
    pub(in crate::source) fn advertisement(&self) -> Result<Advertisement, SourceError> {
        let mut request =
            self.agent.get(format!("{}/info/refs?service=git-upload-pack", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut answer = self.accepted(request.call())?;
        let mut body = answer.body_mut().as_reader().take(MAX_REFERENCES);
        Advertisement::read(&mut body).map_err(|error| self.broken(&error))
    }

    /// The answer to a request for a pack.
    pub(in crate::source) fn upload_pack(
        &self,
        request_body: &[u8],
    ) -> Result<impl Read + use<>, SourceError> {
        let mut request = self
            .agent
            .post(format!("{}/git-upload-pack", self.base))
            .header("Content-Type", "application/x-git-upload-pack-request");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        Ok(self.accepted(request.send(request_body))?.into_body().into_reader())
    }

    /// An error while an answer is read.
    pub(in crate::source) fn broken(&self, error: &io::Error) -> SourceError {
        let (location, cause) = (self.base.clone(), error.to_string());
        if error.kind() == io::ErrorKind::InvalidData {
            SourceError::NotGit { location, cause }
        } else {
            SourceError::Unreachable { location, cause }
        }
    }

    fn accepted(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, SourceError> {
        let location = self.base.clone();
        let answer = answer.map_err(|error| SourceError::Unreachable {
            location: location.clone(),
            cause: error.to_string(),
        })?;
        match answer.status().as_u16() {
            200 => Ok(answer),
            status @ (401 | 403) => Err(SourceError::AuthenticationFailed { location, status }),
            status @ (404 | 410) => {
                let cause = format!("the server answers {status}");
                Err(SourceError::NotFound { location, cause })
            }
            status => {
                let cause = format!("the server answers {status}");
                Err(SourceError::Unreachable { location, cause })
            }
        }
    }
}
