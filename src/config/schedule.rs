//! What `schedule` means, for the agent and for a source.

use super::check::At;
use super::{Flaw, Flaws, raw};
use crate::model::{BadWindow, Window, Windows};

pub(super) fn windows(
    raw: Option<&raw::Schedule>,
    field: &str,
    at: &At<'_>,
    flaws: &mut Flaws,
) -> Windows {
    let Some(raw) = raw else { return Windows::default() };
    let mut list = |list: &[raw::Window], key: &str| -> Vec<Window> {
        let windows = list.iter().enumerate();
        let read = |(index, raw)| flaws.keep(window(raw, &format!("{field}.{key}[{index}]"), at));
        windows.filter_map(read).collect()
    };
    Windows { allow: list(&raw.allow, "allow"), deny: list(&raw.deny, "deny") }
}

fn window(raw: &raw::Window, field: &str, at: &At<'_>) -> Result<Window, Flaw> {
    Window::new(&raw.cron, raw.lasts.0, raw.timezone.as_deref()).map_err(|error| {
        let key = match error {
            BadWindow::Cron { .. } => "cron",
            BadWindow::Length => "for",
            BadWindow::Zone { .. } => "timezone",
        };
        at.wrong(&format!("{field}.{key}"), error)
    })
}
