//! An engine that keeps a stack's secrets to itself: what containers say goes into messages, and a
//! program that fails may print the password that it was given.

use super::{
    Ended, Engine, EngineError, EventStream, LogLine, LogLines, LogRange, Progress, Sighting,
    Surroundings,
};
use crate::model::{
    ContainerSpec, EngineFacts, Hook, Observed, Query, SourceName, Stack, StackName,
};
use crate::plan::{ContainerRef, Step, suggests_secret};
use async_trait::async_trait;
use futures_util::stream::StreamExt;
use percent_encoding::percent_decode_str;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";
/// Shorter ones are parts of ordinary words.
const MIN_CHARS: usize = 4;

/// What texts about a stack must not tell.
#[derive(Clone, Default)]
pub struct Secrets(
    /// The longest first, since one may hold another.
    Arc<[String]>,
);

impl Secrets {
    /// Those of `stack`: the contents of its configs and secrets, variables and labels that come from
    /// encrypted files, variables whose names suggest a secret, passwords in their URLs, and all variables of its hooks.
    pub fn of(stack: &Stack) -> Self {
        let mut secrets: Vec<String> = secrets(stack).into_iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets.into())
    }

    /// `text` without them.
    pub fn hidden_in(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

/// Another engine, with the secrets of one stack taken out of what its containers say.
pub struct Discreet {
    inner: Arc<dyn Engine>,
    secrets: Secrets,
}

impl Discreet {
    /// `inner`, discreet about `secrets`.
    pub fn over(inner: &Arc<dyn Engine>, secrets: &Secrets) -> Arc<dyn Engine> {
        if secrets.0.is_empty() {
            return Arc::clone(inner);
        }
        Arc::new(Self { inner: Arc::clone(inner), secrets: secrets.clone() })
    }
}

fn secrets(stack: &Stack) -> BTreeSet<String> {
    let containers = || stack.services.values().map(|service| &service.container);
    let is_secret = |container: &ContainerSpec, name: &str| {
        suggests_secret(name) || container.secret.contains(&format!("environment.{name}"))
    };
    let variables = containers().flat_map(|container| {
        let variables = container.environment.iter();
        variables.filter_map(|(name, value)| value.clone().filter(|_| is_secret(container, name)))
    });
    let values = containers().flat_map(|container| container.environment.values().flatten());
    let passwords = values.filter_map(|value| password_in(value)).flatten();
    let labels = containers().flat_map(|container| {
        let is_secret = |name: &str| container.secret.contains(&format!("labels.{name}"));
        container.labels.iter().filter(move |(name, _)| is_secret(name)).map(|(_, it)| it.clone())
    });
    let files = containers().flat_map(|container| &container.files);
    let contents = files.map(|file| String::from_utf8_lossy(file.content.expose()).into_owned());
    let hooks = stack.services.values().flat_map(|service| service.hooks.all());
    let of_hooks = hooks.flat_map(|hook| hook.environment.values().flatten().cloned());
    variables
        .chain(passwords)
        .chain(labels)
        .chain(contents)
        .chain(of_hooks)
        .map(|text| text.trim().to_owned())
        .filter(|text| text.chars().count() >= MIN_CHARS)
        .collect()
}

/// The password of a URL, `postgres://app:PASSWORD@db/shop`, as it is written and as it is meant.
fn password_in(value: &str) -> Option<[String; 2]> {
    let url = Url::parse(value.trim()).ok()?;
    let written = url.password()?;
    let meant = percent_decode_str(written).decode_utf8_lossy().into_owned();
    Some([written.to_owned(), meant])
}

#[async_trait]
impl Engine for Discreet {
    async fn facts(&self) -> Result<EngineFacts, EngineError> {
        self.inner.facts().await
    }

    async fn surroundings(&self) -> Result<Surroundings, EngineError> {
        self.inner.surroundings().await
    }

    async fn observe(&self, query: &Query) -> Result<Observed, EngineError> {
        self.inner.observe(query).await
    }

    async fn stacks(&self) -> Result<BTreeMap<StackName, Option<SourceName>>, EngineError> {
        self.inner.stacks().await
    }

    async fn watch(&self, container: &ContainerRef) -> Result<Sighting, EngineError> {
        let mut seen = self.inner.watch(container).await?;
        seen.health_output = seen.health_output.map(|text| self.secrets.hidden_in(&text));
        Ok(seen)
    }

    async fn tail(
        &self,
        container: &ContainerRef,
        lines: usize,
    ) -> Result<Vec<String>, EngineError> {
        let said = self.inner.tail(container, lines).await?;
        Ok(said.iter().map(|line| self.secrets.hidden_in(line)).collect())
    }

    async fn logs(
        &self,
        container: &ContainerRef,
        range: &LogRange,
    ) -> Result<LogLines, EngineError> {
        let (lines, secrets) = (self.inner.logs(container, range).await?, self.secrets.clone());
        Ok(Box::pin(lines.map(move |line| {
            let line = line?;
            let text = secrets.hidden_in(&String::from_utf8_lossy(&line.text));
            Ok(LogLine { text: text.into_bytes(), ..line })
        })))
    }

    async fn exec(
        &self,
        container: &ContainerRef,
        hook: &Hook,
        bound: Duration,
    ) -> Result<Ended, EngineError> {
        let Ended { code, output } = self.inner.exec(container, hook, bound).await?;
        Ok(Ended { code, output: output.iter().map(|line| self.secrets.hidden_in(line)).collect() })
    }

    async fn perform(&self, step: &Step, progress: Progress<'_>) -> Result<(), EngineError> {
        self.inner.perform(step, progress).await
    }

    async fn events(&self) -> Result<EventStream, EngineError> {
        self.inner.events().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_known_as_it_is_written_and_as_it_is_meant() {
        let found = password_in("postgres://app:s%2Fecret@db:5432/shop").unwrap();
        assert_eq!(found, ["s%2Fecret", "s/ecret"]);
        for none in ["postgres://app@db/shop", "http://db", "a:b@c", ""] {
            assert_eq!(password_in(none), None, "{none}");
        }
    }
}
