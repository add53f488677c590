//! Answers what is asked of the agent, at its socket and over HTTP, and takes orders.

use super::{World, keeping};
use crate::control::{self, Door, Office};
use crate::model::{ServiceName, SourceName, StackName};
use crate::status::{
    Caller, Confirmation, Confirmed, Departed, Departure, Deployment, Done, Explanation, History,
    Holdings, Order, Preview, Refusal, RollbackTo, Snapshot, SourceDone, StackStatus,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Who answers.
pub(super) struct Desk(pub(super) Arc<World>);

/// Answers until the agent stops.
pub(super) async fn answer(door: Door, desk: Arc<Desk>, stop: CancellationToken) {
    if let Err(error) = control::serve(door, desk, stop).await {
        tracing::error!("the socket for commands ended: {error}");
    }
}

#[async_trait]
impl Office for Desk {
    async fn status(&self) -> Snapshot {
        let config = self.0.memory().config.clone();
        Snapshot { config: Some(config), ..self.0.views.shared.board().snapshot() }
    }

    async fn stack(&self, name: &StackName) -> Option<StackStatus> {
        self.0.views.shared.board().stack(name).cloned()
    }

    async fn obey(&self, name: &StackName, order: Order, by: &Caller) -> Result<Done, Refusal> {
        // Whoever asks may break off; what was begun is carried out.
        let (world, name, by) = (Arc::clone(&self.0), name.clone(), by.clone());
        let obeyed = tokio::spawn(async move { world.obey(&name, &order, &by).await }).await;
        obeyed.unwrap_or_else(|error| Err(Refusal::Failed(format!("a defect of Bowline: {error}"))))
    }

    async fn fetch(&self, source: &SourceName, by: &Caller) -> Result<SourceDone, Refusal> {
        let at = Timestamp::now();
        if !self.0.fetch_soon(source) {
            let config = self.0.config();
            let names: Vec<_> = config.sources.iter().map(|it| it.name.to_string()).collect();
            let known = names.join(", ");
            return Err(Refusal::Unknown(format!(
                "there is no source {source}; known are: {known}"
            )));
        }
        tracing::info!(source = %source, by = %by, "sync by hand, by {by}");
        Ok(SourceDone { source: source.clone(), at, did: format!("fetching {source}") })
    }

    async fn preview(&self, name: &StackName) -> Result<Preview, Refusal> {
        self.0.preview(name).await
    }

    async fn preview_rollback(&self, name: &StackName, to: RollbackTo) -> Result<Preview, Refusal> {
        self.0.preview_rollback(name, &to).await
    }

    async fn departed(&self) -> Vec<Departed> {
        let departed = self.0.desired().departed();
        let mut list = Vec::new();
        for (stack, (source, state)) in departed {
            let holdings = self.holdings(&stack, &source).await;
            list.push(match state {
                Ok(hold) => Departed {
                    stack,
                    source,
                    departure: Departure { since: hold.since, held: Some(hold.reason.to_string()) },
                    failures: 0,
                    problem: None,
                    holdings,
                },
                Err(removal) => Departed {
                    stack,
                    source,
                    departure: Departure { since: removal.since, held: None },
                    failures: removal.failures,
                    problem: removal.problem,
                    holdings,
                },
            });
        }
        list
    }

    async fn confirm(&self, wanted: Confirmation, by: &Caller) -> Confirmed {
        let records = self.0.inventory.stacks().into_iter();
        let suspended = records.filter(|(_, record)| record.suspended.is_some());
        let suspended = suspended.map(|(name, _)| name).collect();
        let confirmed = self.0.desired().confirm(&wanted.stacks, &suspended, Timestamp::now());
        self.0.remember();
        for stack in &confirmed.removing {
            tracing::warn!(
                stack = %stack, by = %by, "its removal was confirmed by hand, by {by}; removing it"
            );
            self.0.renew(stack);
        }
        keeping::write_now(&self.0).await;
        confirmed
    }

    async fn history(&self, name: &StackName, most: usize) -> Result<History, Refusal> {
        self.0.history(name, most).await
    }

    async fn deployment(&self, name: &StackName, id: u64) -> Result<Deployment, Refusal> {
        self.0.deployment(name, id).await
    }

    async fn explain(
        &self,
        name: &StackName,
        service: &ServiceName,
    ) -> Result<Explanation, Refusal> {
        self.0.explain(name, service).await
    }
}

impl Desk {
    /// What a stack owns now; while the engine cannot tell, what it owned at its last pass.
    async fn holdings(&self, stack: &StackName, source: &SourceName) -> Holdings {
        let query = self.0.adopted.owned_by(stack, Some(source));
        match self.0.engine.observe(&query).await {
            Ok(observed) => Holdings::of(stack, &observed),
            Err(_) => self.0.inventory.stack(stack).holdings,
        }
    }
}
