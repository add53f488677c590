//! Tells systemd that the agent is ready, alive or ending. Does nothing where systemd does not
//! listen (no `NOTIFY_SOCKET`); what cannot be told is logged and otherwise ignored.

use sd_notify::NotifyState;
use std::time::Duration;

/// How long a start may go on after each sign of life, in microseconds.
const STARTING_USEC: u32 = 60_000_000;
/// systemd shows one line.
const STATUS_CHARS: usize = 200;

/// The configuration is being read anew; it ends with [`ready`].
pub fn reloading() {
    // The time lets systemd tell the `READY=1` that follows from an earlier one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "systemd could not be told"),
    }
}

/// The first full look is over (`Type=notify`), or a reload.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// One line for `systemctl status`.
pub fn status(text: &str) {
    let line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(STATUS_CHARS).collect();
    tell(&[NotifyState::Status(&line)]);
}

/// The first full look goes on: the unit's `TimeoutStartSec=` begins anew.
pub fn starting() {
    tell(&[NotifyState::ExtendTimeoutUsec(STARTING_USEC)]);
}

/// The agent's loop turns.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The agent ends on purpose.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How often to call [`alive`]: half of what the unit's `WatchdogSec=` allows. `None` without a
/// watchdog, and when it is meant for another process.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|allowed| !allowed.is_zero()).map(|allowed| allowed / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    const SPEAK: &str = "BOWLINE_TEST_SPEAK_TO_SYSTEMD";

    /// The environment belongs to the whole process, so the one that speaks is a child: this test
    /// again, with the variables set.
    #[test]
    fn systemd_hears_what_the_agent_says() {
        if std::env::var_os(SPEAK).is_some() {
            assert_eq!(watchdog_interval(), Some(Duration::from_secs(15)));
            ready();
            status("3 stacks,\n1 failed");
            alive();
            return stopping();
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let spoke = child().env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "30000000").output();
        let spoke = spoke.unwrap();
        assert!(spoke.status.success(), "{}", String::from_utf8_lossy(&spoke.stdout));
        let heard: Vec<_> = (0..4).map(|_| hear(&socket)).collect();
        assert_eq!(
            heard,
            ["READY=1\n", "STATUS=3 stacks, 1 failed\n", "WATCHDOG=1\n", "STOPPING=1\n"]
        );
    }

    #[test]
    fn a_systemd_that_does_not_listen_does_no_harm() {
        let spoke = child()
            .env("NOTIFY_SOCKET", "/nonexistent/notify")
            .env("WATCHDOG_USEC", "30000000")
            .output()
            .unwrap();
        assert!(spoke.status.success(), "{}", String::from_utf8_lossy(&spoke.stdout));
    }

    fn child() -> Command {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "systemd::tests::systemd_hears_what_the_agent_says"])
            .env(SPEAK, "1")
            .env_remove("WATCHDOG_PID");
        child
    }

    fn hear(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}
