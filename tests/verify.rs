//! Signed and unsigned revisions made by git, ssh-keygen and gpg: what is shown of them and what is not.
//! Where a program is missing they do not run, unless `BOWLINE_TEST_SIGNATURES=required` is set.

#![allow(clippy::unwrap_used)] // A helper that fails fails its test.

mod support;

#[path = "verify/agent.rs"]
mod agent;
#[path = "verify/forge.rs"]
mod forge;
#[path = "verify/gpg.rs"]
mod gpg;
#[path = "verify/keys.rs"]
mod keys;
#[path = "verify/ssh.rs"]
mod ssh;
#[path = "verify/staying.rs"]
mod staying;
#[path = "verify/tags.rs"]
mod tags;
