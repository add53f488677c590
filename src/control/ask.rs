//! The other side: a command asks the agent.

use crate::model::{ServiceName, SourceName, StackName};
use crate::status::{
    Confirmation, Confirmed, Departed, Deployment, Done, Explanation, History, Order, Preview,
    RollbackTo, Snapshot, SourceDone, StackStatus,
};
use axum::body::Body;
use axum::http::{Method, Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use hyperlocal::UnixConnector;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// How long the agent may take to answer: it asks the engine meanwhile.
const BOUND: Duration = Duration::from_secs(30);
/// The longest answer that is read.
const LONGEST_BYTES: usize = 16 << 20;

/// The agent could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The socket is not for us.
    #[error("permission denied on the agent's socket {}; run as root or as a member of its group", path.display())]
    PermissionDenied {
        /// The socket.
        path: PathBuf,
    },
    /// It answered that it does not.
    #[error("{problem}")]
    Refused {
        /// Why.
        problem: String,
    },
    /// It did not answer, or not as an agent does.
    #[error("the agent at {} did not answer: {problem}", path.display())]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}

/// What the agent answers where it does not do what is asked.
#[derive(Deserialize)]
struct Trouble {
    error: String,
}

/// Asks the agent at one socket.
#[derive(Debug)]
pub struct Asker {
    path: PathBuf,
    client: Client<UnixConnector, Body>,
}

impl Asker {
    /// An agent that answers at the socket `path`; `None` if none does.
    pub fn at(path: &Path) -> Result<Option<Self>, AskError> {
        let path = path.to_owned();
        match UnixStream::connect(&path) {
            Ok(_) => {
                let client = Client::builder(TokioExecutor::new()).build(UnixConnector);
                Ok(Some(Self { path, client }))
            }
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                io::ErrorKind::PermissionDenied => Err(AskError::PermissionDenied { path }),
                _ => Err(AskError::NoAnswer { path, problem: error.to_string() }),
            },
        }
    }

    /// What is known of all stacks and sources.
    pub async fn status(&self) -> Result<Snapshot, AskError> {
        self.ask(Method::GET, "/v1/status", Body::empty()).await
    }

    /// What is known of one stack.
    pub async fn stack(&self, name: &StackName) -> Result<StackStatus, AskError> {
        self.ask(Method::GET, &format!("/v1/stacks/{name}"), Body::empty()).await
    }

    /// Gives an order; the answer comes before what follows from it is done.
    pub async fn order(&self, name: &StackName, order: &Order) -> Result<Done, AskError> {
        let body = match order {
            Order::Rollback(to) => Body::from(self.json(to)?),
            Order::Suspend(suspension) => Body::from(self.json(suspension)?),
            Order::Retry | Order::Pause | Order::Resume | Order::Sync => Body::empty(),
        };
        self.ask(Method::POST, &format!("/v1/stacks/{name}/{}", order.word()), body).await
    }

    /// Has a source fetched; the answer comes before it is.
    pub async fn fetch(&self, source: &SourceName) -> Result<SourceDone, AskError> {
        self.ask(Method::POST, &format!("/v1/sources/{source}/sync"), Body::empty()).await
    }

    /// What a pass would change now.
    pub async fn preview(&self, name: &StackName) -> Result<Preview, AskError> {
        self.ask(Method::GET, &format!("/v1/stacks/{name}/plan"), Body::empty()).await
    }

    /// What going back would change.
    pub async fn preview_rollback(
        &self,
        name: &StackName,
        to: &RollbackTo,
    ) -> Result<Preview, AskError> {
        let to = to.to.as_ref().map(|to| format!("&to={to}")).unwrap_or_default();
        let address = format!("/v1/stacks/{name}/plan?rollback=true{to}");
        self.ask(Method::GET, &address, Body::empty()).await
    }

    /// The stacks that left their source and are still there.
    pub async fn departed(&self) -> Result<Vec<Departed>, AskError> {
        self.ask(Method::GET, "/v1/held", Body::empty()).await
    }

    /// Has stacks taken away; the answer comes before they are gone.
    pub async fn confirm(&self, wanted: &Confirmation) -> Result<Confirmed, AskError> {
        let body = self.json(wanted)?;
        self.ask(Method::POST, "/v1/prune", Body::from(body)).await
    }

    /// The last deployments of a stack.
    pub async fn history(&self, name: &StackName, most: usize) -> Result<History, AskError> {
        let address = format!("/v1/stacks/{name}/history?limit={most}");
        self.ask(Method::GET, &address, Body::empty()).await
    }

    /// One of them in full.
    pub async fn deployment(&self, name: &StackName, id: u64) -> Result<Deployment, AskError> {
        self.ask(Method::GET, &format!("/v1/stacks/{name}/history/{id}"), Body::empty()).await
    }

    /// Why a service is as it is.
    pub async fn explain(
        &self,
        name: &StackName,
        service: &ServiceName,
    ) -> Result<Explanation, AskError> {
        let address = format!("/v1/stacks/{name}/services/{service}");
        self.ask(Method::GET, &address, Body::empty()).await
    }

    fn json(&self, value: &impl Serialize) -> Result<Vec<u8>, AskError> {
        serde_json::to_vec(value).map_err(|error| self.failed(&error))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        address: &str,
        body: Body,
    ) -> Result<T, AskError> {
        let request = Request::builder()
            .method(method)
            .uri(axum::http::Uri::from(hyperlocal::Uri::new(&self.path, address)))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| self.failed(&error))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| self.failed(&error))?;
            let status = answer.status();
            let body = axum::body::to_bytes(Body::new(answer.into_body()), LONGEST_BYTES).await;
            Ok::<_, AskError>((status, body.map_err(|error| self.failed(&error))?))
        };
        let (status, body) = timeout(BOUND, exchange)
            .await
            .map_err(|_| self.failed(&format!("not within {} s", BOUND.as_secs())))??;
        if !status.is_success() {
            if let Ok(Trouble { error }) = serde_json::from_slice(&body) {
                return Err(AskError::Refused { problem: error });
            }
            return Err(
                self.failed(&format!("{status}: {}", String::from_utf8_lossy(&body).trim()))
            );
        }
        serde_json::from_slice(&body).map_err(|error| self.failed(&error))
    }

    fn failed(&self, problem: &dyn std::fmt::Display) -> AskError {
        AskError::NoAnswer { path: self.path.clone(), problem: problem.to_string() }
    }
}
