//! How services are started, restarted and told to read their configuration on this host, and where what
//! they write is found: by systemd where it runs, else by hand.

use std::fs;
use std::path::{Path, PathBuf};

/// What there is where systemd runs, as `sd_booted(3)` has it.
const SYSTEMD: &str = "/run/systemd/system";

pub(super) fn has_systemd() -> bool {
    Path::new(SYSTEMD).is_dir()
}

/// The commands for Docker.
pub(super) fn docker(verb: &str) -> String {
    if has_systemd() {
        format!("sudo systemctl {verb} docker")
    } else if Path::new("/etc/init.d/docker").exists() {
        format!("sudo service docker {verb}")
    } else {
        format!("sudo dockerd  # {verb} it as this host does; no systemd runs here")
    }
}

/// Where Docker's own log is.
pub(super) fn docker_log() -> &'static str {
    if has_systemd() {
        "journalctl -u docker -n 50"
    } else {
        "sudo tail -n 50 /var/log/docker*.log"
    }
}

/// The commands for Bowline's agent.
#[derive(Debug)]
pub(super) struct Service {
    by_systemd: bool,
    config: PathBuf,
    process: Option<u32>,
}

impl Service {
    /// Of the agent that goes by the configuration `config`, and is that process if it runs.
    pub(super) fn of(config: &Path, process: Option<u32>) -> Self {
        let is_of_unit = |process| {
            let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
            groups.contains(super::unit::UNIT)
        };
        let by_systemd = has_systemd() && process.is_none_or(is_of_unit);
        Self { by_systemd, config: config.to_owned(), process }
    }

    pub(super) fn start(&self) -> String {
        if self.by_systemd {
            return format!("sudo systemctl start bowline; {}", self.log());
        }
        format!("sudo bowline agent --config {}", self.config.display())
    }

    pub(super) fn restart(&self) -> String {
        match self.process {
            _ if self.by_systemd => "sudo systemctl restart bowline".to_owned(),
            Some(process) => {
                format!("sudo kill {process}  # then start it again: {}", self.start())
            }
            None => format!("{}  # after the one that runs has ended", self.start()),
        }
    }

    pub(super) fn reload(&self) -> String {
        match self.process {
            Some(process) if !self.by_systemd => format!("sudo kill -HUP {process}"),
            Some(_) | None => "sudo systemctl reload bowline".to_owned(),
        }
    }

    pub(super) fn log(&self) -> String {
        match self.process {
            _ if self.by_systemd => "journalctl -u bowline -n 50".to_owned(),
            Some(process) => {
                format!("sudo readlink /proc/{process}/fd/2  # where its log goes")
            }
            None => format!("bowline agent --check --config {}", self.config.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_asked_only_for_what_it_runs() {
        let service =
            |by_systemd, process| Service { by_systemd, config: "/c.yaml".into(), process };
        let unit = service(true, Some(7));
        assert_eq!(unit.reload(), "sudo systemctl reload bowline");
        assert_eq!(unit.restart(), "sudo systemctl restart bowline");
        let by_hand = service(false, Some(7));
        assert_eq!(by_hand.reload(), "sudo kill -HUP 7");
        let restart = "sudo kill 7  # then start it again: sudo bowline agent --config /c.yaml";
        assert_eq!(by_hand.restart(), restart);
        let none = service(false, None);
        for command in [none.start(), none.restart(), none.log(), by_hand.log()] {
            assert!(!command.contains("systemctl") && !command.contains("journalctl"), "{command}");
        }
    }
}
