//! Who is let in over HTTP, by the configuration.

use super::patient::Patient;
use crate::config;
use crate::http::{Access, Found, Token};
use futures_util::future::FutureExt;
use std::sync::Arc;

/// Who may ask the API over HTTP. The token is read for each request, so it can be exchanged in its file.
pub fn access(http: &config::Http) -> Access {
    let patient = Arc::new(Patient::default());
    let token = http.token.is_some().then(|| {
        let http = http.clone();
        Box::new(move || read(http.clone(), Arc::clone(&patient)).boxed()) as Token
    });
    Access { token, closed: http.closed }
}

async fn read(http: config::Http, patient: Arc<Patient>) -> Found {
    let missing = || Err("there is no token".to_owned());
    patient.read("the token".to_owned(), move || http.read_token().unwrap_or_else(missing)).await
}
