//! Bowline ties Docker hosts to git. This is the map.
//!
//! ```text
//!   git                files                         Docker
//!    |                   |                              |
//! [source] -Checkout-> [manifest] -Stack-> [plan] <-Observed- [engine]
//!                                             |                  ^
//!                                           Plan                 | Step
//!                                             v                  |
//! [agent] -- wakes up, makes a [pass] -> [rollout] + [execute] --+
//!    |                                          |
//!    +--- Report --> [status] --> [http] [metrics] [systemd] [log]
//! ```
//!
//! Start-up, restart after a crash, drift, a new commit and `bowline apply` are the same [`pass`]
//! with other inputs. Wake-ups carry no data: they only say that a pass is due for a stack.
//!
//! Pure rooms, without IO, async, clock or chance:
//! - [`model`]: the words. What should run, and what does.
//! - [`sops`]: encrypted files to what they hold.
//! - [`chart`]: templates and values to the text of a compose file.
//! - [`manifest`]: text to [`model::Stack`]; every problem has its place in the file.
//! - [`plan`]: a stack and a snapshot to a [`plan::Plan`] with its reasons.
//! - [`rollout`]: paces the changes of one service; a state machine that is given the time.
//! - [`webhook`]: whether a webhook is signed by who knows the secret.
//! - [`status`]: reports of passes to what is known of each stack.
//!
//! Edges, each of which knows one outside system and no other edge:
//! - [`source`]: git repositories.
//! - [`engine`]: the one door to Docker, and its simulation.
//! - [`store`]: what must outlive the process; losing it loses history, never control, but of what
//!   Compose made for a stack that was taken over by `bowline adopt`: that must be adopted again.
//! - [`control`]: the socket by which commands speak with the agent.
//! - [`renderer`]: charts, rendered in a process of their own.
//! - [`http`], [`metrics`], [`systemd`], [`log`]: what others see.
//!
//! Wiring:
//! - [`config`]: the agent's configuration, checked.
//! - [`execute`]: carries a plan out; decides nothing.
//! - [`pass`]: look, plan, carry out, look again.
//! - [`agent`]: wake-ups, queue, passes, shutdown.
//! - [`cli`]: a file a verb.
//!
//! What always holds:
//! 1. The same stack and snapshot give the same plan, byte for byte. A plan prints; the command
//!    line, the log and the tests share that text.
//! 2. Docker is reached only through [`engine::Engine`], git only through [`source`], disk state
//!    only through [`store`] and the clones of [`source`].
//! 3. A failed step stops what depends on it and nothing else.
//! 4. Every state that a crash can leave is a state that [`plan`] accepts. There is no recovery
//!    path.
//! 5. One pass a stack at a time; one stack's failure never stops another's. A pass returns a
//!    report, not an error.
//! 6. What does not carry our ownership is never touched. Volumes are never removed unless asked by
//!    name. An empty, unreadable or broken desired state never removes anything.
//! 7. Secrets never reach `Display`, logs, labels, metrics or the API.
//! 8. No manifest key is ignored in silence.

pub mod agent;
pub mod chart;
pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod execute;
pub mod http;
pub mod log;
pub mod manifest;
pub mod metrics;
pub mod model;
pub mod pass;
pub mod plan;
pub mod renderer;
pub mod rollout;
pub mod sops;
pub mod source;
pub mod status;
pub mod store;
pub mod systemd;
pub mod webhook;
