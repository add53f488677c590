//! What `schedule` means, for the agent and for a source.

use super::check::At;
use super::{ConfigError, raw};
use crate::model::{BadWindow, Window, Windows};

pub(super) fn windows(
    raw: Option<&raw::Schedule>,
    field: &str,
    at: &At<'_>,
) -> Result<Windows, ConfigError> {
    let Some(raw) = raw else { return Ok(Windows::default()) };
    let list = |list: &[raw::Window], key: &str| -> Result<Vec<Window>, ConfigError> {
        let windows = list.iter().enumerate();
        windows.map(|(index, raw)| window(raw, &format!("{field}.{key}[{index}]"), at)).collect()
    };
    Ok(Windows { allow: list(&raw.allow, "allow")?, deny: list(&raw.deny, "deny")? })
}

fn window(raw: &raw::Window, field: &str, at: &At<'_>) -> Result<Window, ConfigError> {
    Window::new(&raw.cron, raw.lasts.0, raw.timezone.as_deref()).map_err(|error| {
        let key = match error {
            BadWindow::Cron { .. } => "cron",
            BadWindow::Length => "for",
            BadWindow::Zone { .. } => "timezone",
        };
        at.wrong(&format!("{field}.{key}"), error)
    })
}
