//! Containers start, stop, freeze, end and come back.

use super::catalogue::Key;
use super::clock::Due;
use super::containers::FIRST_BACKOFF;
use super::images::{Behaviour, Deed};
use super::state::{SimContainer, World, refused};
use crate::engine::EngineError;
use crate::model::{HostPorts, Networking, PortBinding, RestartPolicy, State};
use crate::plan::ContainerRef;
use std::time::Duration;

const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// A container that ran so long is restarted without delay again.
const PROVEN: Duration = Duration::from_secs(10);
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// Where the engine takes host ports from that nobody chose.
const FIRST_FREE_PORT: u16 = 32768;

impl World {
    /// What the container's process does.
    pub(super) fn behaviour(&self, container: &SimContainer) -> Behaviour {
        let by_image = || self.images.get(&container.image_id).map(|image| image.behaviour.clone());
        let behaviour =
            self.behaviours.get(&container.name).cloned().or_else(by_image).unwrap_or_default();
        let command = container.spec.command.as_ref();
        match command.and_then(|command| behaviour.commands.get(command)).cloned() {
            Some(Deed { takes, code, output }) => {
                Behaviour { exits: Some((takes, code)), output, ..behaviour }
            }
            None => behaviour,
        }
    }

    /// Starts what does not run.
    pub(super) fn start(&mut self, wanted: &ContainerRef) -> Result<(), EngineError> {
        let object = format!("container {}", wanted.name);
        let container = self.container("start", wanted)?;
        let id = container.id.clone();
        match container.state {
            State::Running => return Ok(()),
            State::Paused => {
                let message = "cannot start a paused container, try unpause instead";
                return Err(refused("start", object, 409, message));
            }
            _ => {}
        }
        self.containers.change(&id, |container| {
            container.stopped_by_hand = false;
            container.backoff = FIRST_BACKOFF;
            container.restarts = 0;
        });
        self.unschedule(&id);
        self.launch(&id, &object)
    }

    fn launch(&mut self, id: &str, object: &str) -> Result<(), EngineError> {
        let behaviour = self.behaviour(&self.containers[id]);
        let addressed = self.join_all(id, object);
        let launched = addressed.and_then(|()| self.take_ports(id, object)).and_then(|()| {
            let failure = behaviour.fails_to_start.clone();
            failure.map_or(Ok(()), |message| Err(refused("start", object, 400, message)))
        });
        if let Err(error) = launched {
            self.leave_all(id);
            let fails_to_start = behaviour.fails_to_start.is_some();
            self.containers.change(id, |container| {
                container.ports.clear();
                if fails_to_start {
                    container.state = State::Created;
                }
            });
            return Err(error);
        }
        let (now, at) = (self.now, self.timestamp());
        self.containers.change(id, |container| {
            container.state = State::Running;
            container.started = Some(now);
            container.started_at = Some(at);
        });
        self.watch_health(id);
        if let Some((after, code)) = behaviour.exits {
            self.schedule(id, after, Due::Exit(code));
        }
        self.tell_of(id, "start");
        Ok(())
    }

    fn take_ports(&mut self, id: &str, object: &str) -> Result<(), EngineError> {
        let container = &self.containers[id];
        if matches!(container.spec.networking, Networking::Host | Networking::None) {
            return Ok(());
        }
        let mut held = Vec::new();
        for wanted in container.spec.ports.clone() {
            let host = self.free_port(wanted, &held).map_err(|port| EngineError::PortTaken {
                operation: "start",
                object: object.to_owned(),
                port: port.to_string(),
            })?;
            held.push(PortBinding { host: Some(HostPorts { first: host, last: host }), ..wanted });
        }
        held.sort_unstable();
        self.containers.change(id, |container| container.ports = held);
        Ok(())
    }

    fn free_port(&self, wanted: PortBinding, own: &[PortBinding]) -> Result<u16, u16> {
        let range = wanted.host.unwrap_or(HostPorts { first: FIRST_FREE_PORT, last: u16::MAX });
        let is_held = |port: u16| {
            let holders = self.containers.having(&Key::HostPort(port));
            holders.flat_map(|holder| &holder.ports).chain(own).any(|held| {
                held.host.is_some_and(|host| host.first == port)
                    && held.container.protocol == wanted.container.protocol
                    && (held.host_ip == wanted.host_ip
                        || held.host_ip.is_none()
                        || wanted.host_ip.is_none())
            })
        };
        (range.first..=range.last).find(|&port| !is_held(port)).ok_or(range.first)
    }

    /// The process of a container ends by itself.
    pub(super) fn exit(&mut self, id: &str, code: i64) {
        let now = self.now;
        self.end(id, code);
        let Some(container) = self.containers.get(id) else { return };
        if container.stopped_by_hand || !restarts_after(container, code) {
            return;
        }
        let is_proven = container.started.is_some_and(|started| now - started >= PROVEN);
        let wait = if is_proven { FIRST_BACKOFF } else { container.backoff };
        self.containers.change(id, |container| {
            container.backoff = (wait * 2).min(LONGEST_BACKOFF);
            container.restarts += 1;
            container.state = State::Restarting;
        });
        self.schedule(id, wait, Due::Restart);
    }

    /// The restart policy's turn.
    pub(super) fn restart(&mut self, id: &str) {
        let ended =
            |code| move |container: &mut SimContainer| container.state = State::Exited { code };
        let Some(container) = self.containers.get(id) else { return };
        let object = format!("container {}", container.name);
        self.containers.change(id, ended(0));
        if self.launch(id, &object).is_err() {
            self.containers.change(id, ended(128));
        }
    }

    fn end(&mut self, id: &str, code: i64) {
        self.unschedule(id);
        self.containers.change(id, |container| {
            container.state = State::Exited { code };
            container.frozen.clear();
            container.ports.clear();
        });
        self.forsake_health(id);
        self.tell_of(id, "die");
        self.leave_all(id);
    }

    /// Ends a container because somebody said so: no policy starts it again.
    pub(super) fn end_by_hand(&mut self, id: &str, code: i64) {
        self.containers.change(id, |container| container.stopped_by_hand = true);
        self.end(id, code);
    }

    /// Asks a container to stop; gives how long it is waited for if it does not.
    pub(super) fn begin_stop(
        &mut self,
        wanted: &ContainerRef,
        grace: Option<Duration>,
    ) -> Option<Duration> {
        let id = self.find(&wanted.key)?;
        let container = self.containers.get(&id)?;
        let own = container.spec.stop_grace_period.unwrap_or(DEFAULT_GRACE);
        if container.state == State::Restarting {
            self.containers.change(&id, |container| {
                container.stopped_by_hand = true;
                container.state = State::Exited { code: 0 };
            });
            self.unschedule(&id);
            self.tell_of(&id, "stop");
            return None;
        }
        if !container.is_up() {
            return None;
        }
        let kills = container.spec.stop_signal.as_deref().is_some_and(is_kill);
        self.containers.change(&id, |container| container.stopped_by_hand = true);
        self.tell_of(&id, "kill");
        let code = if kills { Some(137) } else { self.behaviour(&self.containers[&id]).stops_with };
        match code {
            Some(code) => {
                self.end_by_hand(&id, code);
                self.tell_of(&id, "stop");
                None
            }
            None => Some(grace.unwrap_or(own)),
        }
    }

    /// Kills what did not stop when asked.
    pub(super) fn end_stop(&mut self, wanted: &ContainerRef) {
        let Some(id) = self.find(&wanted.key) else { return };
        if self.containers[&id].is_up() {
            self.tell_of(&id, "kill");
            self.end_by_hand(&id, 137);
        }
        self.tell_of(&id, "stop");
    }

    /// Sends a signal to the process.
    pub(super) fn signal(
        &mut self,
        wanted: &ContainerRef,
        signal: &str,
    ) -> Result<(), EngineError> {
        let object = format!("container {}", wanted.name);
        let container = self.container("signal", wanted)?;
        let id = container.id.clone();
        if !container.is_up() {
            let message =
                format!("Cannot kill container: {}: Container {id} is not running", wanted.key);
            return Err(refused("signal", object, 409, message));
        }
        // Without a stop signal of its own any signal counts as a stop by hand.
        let stop_signal = container.spec.stop_signal.clone();
        let cancels = is_kill(signal) || stop_signal.as_deref().is_none_or(|own| own == signal);
        self.containers.change(&id, |container| container.stopped_by_hand |= cancels);
        self.tell_of(&id, "kill");
        if is_kill(signal) {
            self.end_by_hand(&id, 137);
        } else if matches!(signal.trim_start_matches("SIG"), "TERM" | "INT" | "QUIT")
            && let Some(code) = self.behaviour(&self.containers[&id]).stops_with
        {
            self.exit(&id, code);
        }
        Ok(())
    }

    /// Freezes a container.
    pub(super) fn pause(&mut self, wanted: &ContainerRef) -> Result<(), EngineError> {
        let now = self.now;
        let object = format!("container {}", wanted.name);
        let id = self.container("pause", wanted)?.id.clone();
        if self.containers[&id].state != State::Running {
            return Err(refused("pause", object, 409, format!("Container {id} is not running")));
        }
        let frozen = self.agenda.of(&id).map(|(at, due)| (at - now, due)).collect();
        self.unschedule(&id);
        self.containers.change(&id, |container| {
            container.frozen = frozen;
            container.state = State::Paused;
        });
        self.forsake_health(&id);
        self.tell_of(&id, "pause");
        Ok(())
    }

    /// Lets a paused container go on.
    pub(super) fn unpause(&mut self, wanted: &ContainerRef) -> Result<(), EngineError> {
        let container = self.container("unpause", wanted)?;
        if container.state != State::Paused {
            return Ok(());
        }
        let id = container.id.clone();
        let frozen = self.containers.change(&id, |container| {
            container.state = State::Running;
            std::mem::take(&mut container.frozen)
        });
        for (wait, due) in frozen.into_iter().flatten() {
            self.schedule(&id, wait, due);
        }
        self.tell_of(&id, "unpause");
        Ok(())
    }
}

fn restarts_after(container: &SimContainer, code: i64) -> bool {
    match container.spec.restart {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure { max_retries } => {
            code != 0 && (max_retries == 0 || container.restarts < max_retries)
        }
    }
}

fn is_kill(signal: &str) -> bool {
    matches!(signal.trim_start_matches("SIG"), "KILL" | "9")
}
