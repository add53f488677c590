//! The clock: against the engine's, against that of git servers, and whether it is kept right.

use super::finding::Finding;
use super::service::has_systemd;
use super::unit::said;
use crate::engine::Surroundings;
use jiff::Timestamp;
use std::time::Duration;

const CHECK: &str = "clock";
/// From here on certificates and tokens may not be valid yet, or any more.
const MUCH_SECONDS: f64 = 300.0;
/// From here on times in logs and windows mislead.
const SOME_SECONDS: f64 = 5.0;
/// How long a server may take.
const BOUND: Duration = Duration::from_secs(10);

/// `servers` are addresses of git servers that could be reached.
pub(super) async fn check(
    surroundings: Option<&Surroundings>,
    servers: Vec<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(time) = surroundings.and_then(|it| it.time) {
        findings.push(judged("the engine's clock", ahead(time, Timestamp::now())));
    }
    for server in servers {
        let asked = server.clone();
        // A server that does not tell the time says nothing about ours.
        if let Ok(Some(seconds)) =
            tokio::task::spawn_blocking(move || ahead_of_server(&asked)).await
        {
            findings.push(judged(&server, seconds));
        }
    }
    findings.extend(synchronised().await);
    findings
}

/// How many seconds we are ahead of `theirs`.
fn ahead(theirs: Timestamp, ours: Timestamp) -> f64 {
    ours.duration_since(theirs).as_secs_f64()
}

/// How many seconds we are ahead of what a server says in its answer's `Date`, which has whole seconds.
fn ahead_of_server(address: &str) -> Option<f64> {
    let config = ureq::Agent::config_builder().timeout_global(Some(BOUND));
    let agent: ureq::Agent = config.http_status_as_error(false).max_redirects(0).build().into();
    let begun = Timestamp::now();
    let answer = agent.head(address).call().ok()?;
    let took = begun.duration_until(Timestamp::now());
    let date = answer.headers().get("date")?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    // What stands there was cut to a whole second, and was true in the middle of the exchange.
    Some(ahead(theirs, begun + took / 2) - 0.5)
}

fn judged(against: &str, seconds: f64) -> Finding {
    let word = if seconds < 0.0 { "behind" } else { "ahead" };
    let told = format!("this host is {:.0} s {word}", seconds.abs());
    let fix = if has_systemd() {
        "sudo timedatectl set-ntp true; timedatectl"
    } else {
        "sudo apt install chrony && sudo chronyd -q  # sets it once; no systemd runs here"
    };
    if seconds.abs() >= MUCH_SECONDS {
        let told = format!("{told}: certificates, tokens and signatures may be refused");
        Finding::error(CHECK, against, told, fix)
    } else if seconds.abs() >= SOME_SECONDS {
        Finding::warning(CHECK, against, told, fix)
    } else {
        Finding::ok(CHECK, against, "this host's is the same")
    }
}

/// Whether systemd says that the clock is kept right; `None` where it cannot say.
async fn synchronised() -> Option<Finding> {
    let looked_at = "timedatectl";
    let said = said("timedatectl", &["show", "--property", "NTPSynchronized", "--value"]).await?;
    Some(match said.trim() {
        "yes" => Finding::ok(CHECK, looked_at, "synchronised"),
        "no" => {
            let told = "not synchronised with a time server";
            Finding::warning(CHECK, looked_at, told, "sudo timedatectl set-ntp true; timedatectl")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        for (seconds, verdict, told) in [
            (0.4, Verdict::Ok, "the same"),
            (-4.9, Verdict::Ok, "the same"),
            (7.0, Verdict::Warning, "7 s ahead"),
            (-400.0, Verdict::Error, "400 s behind"),
        ] {
            let found = judged("x", seconds);
            assert_eq!(found.verdict, verdict, "{found:?}");
            assert!(found.message.contains(told), "{found:?}");
        }
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!((ahead(at(100), at(107)) - 7.0).abs() < 1e-9);
    }
}
