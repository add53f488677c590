//! An engine that keeps a stack's secrets to itself: what containers say goes into messages, and a
//! program that fails may print the password that it was given.

use super::{
    Ended, Engine, EngineError, EventStream, LogLine, LogLines, LogRange, Progress, Sighting,
    Surroundings, Word,
};
use crate::model::{EngineFacts, Hidden, Hook, Observed, Query, SourceName, Stack, StackName};
use crate::plan::{ContainerRef, Step, suggests_secret};
use async_trait::async_trait;
use futures_util::stream::StreamExt;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Shorter ones are parts of ordinary words.
const MIN_CHARS: usize = 4;

/// What texts about a stack must not tell.
#[derive(Clone, Default)]
pub struct Secrets(Hidden);

impl Secrets {
    /// Those of `stack`: what its files say is hidden, and what may well be secret: variables whose names
    /// suggest it, passwords in their URLs, and all variables of its hooks.
    pub fn of(stack: &Stack) -> Self {
        let mut hidden = stack.hidden.clone();
        for value in likely(stack).iter().filter(|it| it.trim().chars().count() >= MIN_CHARS) {
            hidden.put(value);
        }
        stack.spare_names(&mut hidden);
        Self(hidden)
    }

    /// `text` without them.
    pub fn hidden_in(&self, text: &str) -> String {
        self.0.without(text)
    }

    /// What an engine answers, without them.
    fn told(&self, error: EngineError) -> EngineError {
        match error {
            EngineError::Refused { operation, object, status, message } => {
                let message = self.hidden_in(&message);
                EngineError::Refused { operation, object, status, message }
            }
            EngineError::PullFailed { image, message, transient } => {
                EngineError::PullFailed { image, message: self.hidden_in(&message), transient }
            }
            EngineError::Unreadable { operation, object, message } => {
                let message = self.hidden_in(&message);
                EngineError::Unreadable { operation, object, message }
            }
            // The rest has nothing of the engine's own words but names and ports.
            other => other,
        }
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

fn likely(stack: &Stack) -> Vec<String> {
    let containers = || stack.services.values().map(|service| &service.container);
    let variables = || containers().flat_map(|container| &container.environment);
    let named = variables().filter(|(name, _)| suggests_secret(name));
    let named = named.filter_map(|(_, value)| value.clone());
    let passwords = variables().filter_map(|(_, value)| password_in(value.as_ref()?)).flatten();
    let hooks = stack.services.values().flat_map(|service| service.hooks.all());
    let of_hooks = hooks.flat_map(|hook| hook.environment.values().flatten().cloned());
    named.chain(passwords).chain(of_hooks).collect()
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
        self.inner.observe(query).await.map_err(|error| self.secrets.told(error))
    }

    async fn stacks(&self) -> Result<BTreeMap<StackName, Option<SourceName>>, EngineError> {
        self.inner.stacks().await
    }

    async fn watch(&self, container: &ContainerRef) -> Result<Sighting, EngineError> {
        let mut seen =
            self.inner.watch(container).await.map_err(|error| self.secrets.told(error))?;
        seen.health_output = seen.health_output.map(|text| self.secrets.hidden_in(&text));
        Ok(seen)
    }

    async fn tail(
        &self,
        container: &ContainerRef,
        lines: usize,
    ) -> Result<Vec<String>, EngineError> {
        let said = self.inner.tail(container, lines).await;
        let said = said.map_err(|error| self.secrets.told(error))?;
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
        let ended = self.inner.exec(container, hook, bound).await;
        let Ended { code, output } = ended.map_err(|error| self.secrets.told(error))?;
        Ok(Ended { code, output: output.iter().map(|line| self.secrets.hidden_in(line)).collect() })
    }

    async fn perform(&self, step: &Step, progress: Progress<'_>) -> Result<(), EngineError> {
        let discreet = |word: Word<'_>| match word {
            Word::Doing(text) => progress(Word::Doing(&self.secrets.hidden_in(text))),
            Word::Warning(text) => progress(Word::Warning(&self.secrets.hidden_in(text))),
        };
        let done = self.inner.perform(step, &discreet).await;
        done.map_err(|error| self.secrets.told(error))
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
