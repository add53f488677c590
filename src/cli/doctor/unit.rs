//! The unit of systemd, where that runs.

use super::finding::Finding;
use super::service::has_systemd;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

const CHECK: &str = "systemd";
pub(super) const UNIT: &str = "bowline.service";
/// How long systemd may take to answer.
const BOUND: Duration = Duration::from_secs(5);
/// What is asked for.
const PROPERTIES: &str =
    "LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,NeedDaemonReload";

/// `None` where systemd does not run.
pub(super) async fn check() -> Option<Finding> {
    if !has_systemd() {
        return None;
    }
    let asked = said("systemctl", &["show", UNIT, "--property", PROPERTIES]).await;
    Some(match asked {
        Some(text) => judged(&text),
        None => Finding::warning(
            CHECK,
            UNIT,
            "systemd could not be asked",
            format!("systemctl status {UNIT}"),
        ),
    })
}

/// What a program wrote, if it ended well and in time.
pub(super) async fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").kill_on_drop(true);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let output = tokio::time::timeout(BOUND, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Of lines such as `ActiveState=active`.
fn judged(text: &str) -> Finding {
    let said: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let of = |key: &str| said.get(key).copied().unwrap_or_default();
    let restarts = of("NRestarts").parse().unwrap_or(0_u32);
    let logs = format!("journalctl -u {UNIT} -n 50");
    if of("LoadState") != "loaded" {
        return Finding::ok(CHECK, UNIT, format!("no such unit ({})", of("LoadState")));
    }
    let state = format!("{} ({})", of("ActiveState"), of("SubState"));
    match of("ActiveState") {
        "active" if of("NeedDaemonReload") == "yes" => {
            let told = format!("{state}, but its file changed on the disk since");
            Finding::warning(
                CHECK,
                UNIT,
                told,
                "sudo systemctl daemon-reload && sudo systemctl restart bowline",
            )
        }
        "active" if restarts > 0 => Finding::warning(
            CHECK,
            UNIT,
            format!("{state}, restarted {restarts} times by itself"),
            format!("{logs}; sudo systemctl reset-failed {UNIT}  # forgets how often"),
        ),
        "active" if of("UnitFileState") == "disabled" => {
            let told = format!("{state}, but not begun at the next boot");
            Finding::warning(CHECK, UNIT, told, "sudo systemctl enable bowline")
        }
        "active" => Finding::ok(CHECK, UNIT, state),
        "activating" | "reloading" => {
            Finding::warning(CHECK, UNIT, format!("{state}: not up yet"), logs)
        }
        "failed" => Finding::error(CHECK, UNIT, format!("failed: {}", of("Result")), logs),
        _ => Finding::warning(CHECK, UNIT, state, "sudo systemctl enable --now bowline"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn the_unit_is_judged_by_what_systemd_says() {
        let loaded = "LoadState=loaded\nUnitFileState=enabled\nNRestarts=0\n";
        for (more, verdict, told) in [
            ("ActiveState=active\nSubState=running", Verdict::Ok, "active (running)"),
            ("ActiveState=active\nSubState=running\nNRestarts=3", Verdict::Warning, "3 times"),
            (
                "ActiveState=active\nSubState=running\nUnitFileState=disabled",
                Verdict::Warning,
                "boot",
            ),
            (
                "ActiveState=active\nSubState=running\nNeedDaemonReload=yes",
                Verdict::Warning,
                "changed",
            ),
            ("ActiveState=activating\nSubState=auto-restart", Verdict::Warning, "not up yet"),
            ("ActiveState=failed\nResult=exit-code", Verdict::Error, "exit-code"),
            ("ActiveState=inactive\nSubState=dead", Verdict::Warning, "inactive (dead)"),
            ("LoadState=not-found", Verdict::Ok, "no such unit"),
        ] {
            let found = judged(&format!("{loaded}{more}\n"));
            assert_eq!(found.verdict, verdict, "{more}: {found:?}");
            assert!(found.message.contains(told), "{more}: {found:?}");
            assert_eq!(found.fix.is_some(), verdict != Verdict::Ok);
        }
    }
}
