//! Answers what happened to a stack, and why a service is as it is.

use super::World;
use super::desired::{Want, Wish};
use crate::engine::{Engine, EngineError};
use crate::model::{Container, Query, ServiceName, StackName};
use crate::pass::preview_in;
use crate::plan::{Circumstances, ContainerRef};
use crate::status::{
    Deployment, Explanation, History, Refusal, first_line, near_misses, no_deployment,
};
use std::collections::BTreeMap;

/// How many deployments are looked through for those that concern a service.
const LOOKED_THROUGH: usize = 100;

impl World {
    pub(super) async fn history(&self, name: &StackName, most: usize) -> Result<History, Refusal> {
        let stack = name.clone();
        let deployments: Vec<_> = self.in_history(move |all| all.last(&stack, most)).await?;
        if deployments.is_empty() && self.desired().wish(name).is_none() {
            return Err(self.unknown(name));
        }
        Ok(History { stack: name.clone(), deployments })
    }

    fn unknown(&self, name: &StackName) -> Refusal {
        let desired = self.desired();
        let names = desired.names();
        let near = near_misses(name.as_str(), names.iter().map(StackName::as_str));
        Refusal::Unknown(format!("there is no stack {name}{near}, and no history of one"))
    }

    pub(super) async fn deployment(
        &self,
        name: &StackName,
        id: u64,
    ) -> Result<Deployment, Refusal> {
        let stack = name.clone();
        let found = self.in_history(move |all| all.get(&stack, id)).await?;
        found.map_err(|known| Refusal::Unknown(no_deployment(name, id, known)))
    }

    pub(super) async fn explain(
        &self,
        name: &StackName,
        service: &ServiceName,
    ) -> Result<Explanation, Refusal> {
        let failed = |error: EngineError| Refusal::Failed(error.to_string());
        let of = name.clone();
        let history: Vec<Deployment> =
            self.in_history(move |all| all.last(&of, LOOKED_THROUGH)).await?;
        let wish = self.desired().wish(name);
        if wish.is_none() && history.is_empty() {
            return Err(self.unknown(name));
        }
        let source = wish.as_ref().map(|wish| wish.source.clone());
        let query = self.adopted.owned_by(name, source.as_ref());
        let of = (name, service);
        let mut explanation = explain(&*self.engine, &query, of, &history).await.map_err(failed)?;
        let status = self.views.shared.board().stack(name).cloned();
        if let Some(status) = status {
            explanation.note_status(&status);
        }
        let revision = explanation.revision.as_ref();
        explanation.commit = revision.and_then(|revision| self.chronicle.commit(revision));
        explanation.differs_unknown = Some(unasked(wish.as_ref(), service));
        if let Some(wish) = wish
            && let Want::Run(stack) = &wish.want
            && stack.services.contains_key(service)
        {
            let (stack, _) = self.with_adoption(name, stack, &wish.source);
            let around = Circumstances {
                source: Some(wish.source.clone()),
                monitor: self.config().monitor,
                completed: self.jobs.completed(&stack, &self.digest_key),
                ..Circumstances::default()
            };
            let plan = preview_in(&around, &*self.engine, &stack).await.map_err(failed)?;
            explanation.note_plan(&plan);
        }
        if explanation.is_empty() {
            let told = format!(
                "{name} has no service {service}, and had none as far as its history tells"
            );
            return Err(Refusal::Unknown(told));
        }
        Ok(explanation)
    }
}

/// What the engine and the history, the newest first, tell of a service.
pub async fn explain(
    engine: &dyn Engine,
    query: &Query,
    (stack, service): (&StackName, &ServiceName),
    history: &[Deployment],
) -> Result<Explanation, EngineError> {
    let observed = engine.observe(query).await?;
    let mut restarts = BTreeMap::new();
    for container in observed.containers.iter().filter(|it| it.slot.service == *service) {
        // One that went away meanwhile has none to tell.
        if let Ok(sighting) = engine.watch(&ContainerRef::of(container)).await {
            restarts.insert(container.id.clone(), sighting.restarts);
        }
    }
    let restarts = |container: &Container| restarts.get(&container.id).copied();
    Ok(Explanation::of((stack, service), &observed, restarts, history))
}

/// Why nothing can be compared with what git asks for.
fn unasked(wish: Option<&Wish>, service: &ServiceName) -> String {
    match wish.map(|wish| &wish.want) {
        None => "git asks for no such stack any more".to_owned(),
        Some(Want::Run(_)) => format!("git asks for no service {service} any more"),
        Some(Want::Invalid { problem, .. }) => {
            format!("the stack's files are in error: {}", first_line(problem))
        }
        Some(Want::Held(_) | Want::Gone(_)) => "the stack left its source".to_owned(),
    }
}
