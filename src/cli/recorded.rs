//! Has the history tell of what a command did itself, without an agent.

use super::{Common, EngineKind};
use crate::control;
use crate::status::{Deployment, DeploymentCause, GivenOrder, Occasion, Report};
use crate::store::{self, Deployments, HistoryBounds};
use jiff::Timestamp;
use rustix::process::getuid;

/// Notes in the state directory what a pass by hand did, if it did anything. An agent that runs has the
/// directory to itself: then this is left out. What is simulated never happened.
pub(super) fn record(common: &Common, report: &Report, order: &str) {
    if common.engine == EngineKind::Sim || !report.is_deployment() {
        return;
    }
    let state_dir = common.state_dir();
    let _lock = match store::lock(&state_dir) {
        Ok(lock) => lock,
        Err(error) => {
            tracing::debug!("not noted in the history: {error}");
            return;
        }
    };
    let occasion = Occasion {
        cause: DeploymentCause::ByHand,
        orders: vec![GivenOrder {
            order: order.to_owned(),
            by: control::user(getuid().as_raw()).0,
            at: report.started,
            did: String::new(),
        }],
        revision: report.revision.clone(),
        commit: None,
        instead_of: None,
        definition: None,
    };
    // How much an agent keeps here is for its configuration to say.
    let deployments = Deployments::of(&state_dir, HistoryBounds::WIDEST);
    deployments.note(Deployment::of(report, occasion));
    if let Err(mishap) = deployments.flush(Timestamp::now()) {
        anstream::eprintln!("warning: {mishap}");
    }
}
