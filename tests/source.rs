//! Repositories made by the git program, followed by the source room: from disk, over HTTP and
//! over ssh.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod support;

#[path = "source/agent.rs"]
mod agent;
#[path = "source/broken_servers.rs"]
mod broken_servers;
#[path = "source/checkout.rs"]
mod checkout;
#[path = "source/clones.rs"]
mod clones;
#[path = "source/daemon.rs"]
mod daemon;
#[path = "source/discovery.rs"]
mod discovery;
#[path = "source/disk.rs"]
mod disk;
#[path = "source/former.rs"]
mod former;
#[path = "source/history.rs"]
mod history;
#[path = "source/http.rs"]
mod http;
#[path = "source/links.rs"]
mod links;
#[path = "source/nginx.rs"]
mod nginx;
#[path = "source/proxy.rs"]
mod proxy;
#[path = "source/redirects.rs"]
mod redirects;
#[path = "source/references.rs"]
mod references;
#[path = "source/relay.rs"]
mod relay;
#[path = "source/ssh.rs"]
mod ssh;
#[path = "source/ssh_broken.rs"]
mod ssh_broken;
#[path = "source/sshd.rs"]
mod sshd;
#[path = "source/submodule_games.rs"]
mod submodule_games;
#[path = "source/submodules.rs"]
mod submodules;
#[path = "source/tls.rs"]
mod tls;
#[path = "source/upstream.rs"]
mod upstream;
#[path = "source/watching.rs"]
mod watching;
