//! What `x-bowline.schedule` says: the windows in which another definition of the stack may be begun.

use super::At;
use crate::manifest::node::Node;
use crate::manifest::schema::{OF_A_SCHEDULE, OF_A_WINDOW};
use crate::model::{BadWindow, Window, Windows};

impl At<'_> {
    pub(super) fn schedule(&mut self, node: &Node) -> Windows {
        let Some(found) = node.get("schedule") else { return Windows::default() };
        let at = &mut self.below("schedule");
        at.known_keys(found, OF_A_SCHEDULE);
        Windows { allow: at.windows(found, "allow"), deny: at.windows(found, "deny") }
    }

    fn windows(&mut self, schedule: &Node, key: &str) -> Vec<Window> {
        let list = self.list(schedule, key, "windows");
        let windows = list.into_iter().enumerate();
        let read = |(index, (node, _)): (usize, (&Node, _))| {
            self.below(&format!("{key}[{index}]")).window(node)
        };
        windows.filter_map(read).collect()
    }

    fn window(&mut self, node: &Node) -> Option<Window> {
        if !self.known_keys(node, OF_A_WINDOW) {
            return None;
        }
        let cron = self.needed(node, "cron", "when it begins", "0 22 * * *").and_then(Node::text);
        let lasts = self.needed(node, "for", "how long it is open", "2h");
        let lasts = lasts.and_then(|_| self.duration(node, "for"));
        let zone = node.get("timezone").map(|zone| zone.text().unwrap_or_default());
        match Window::new(&cron?, lasts?, zone.as_deref()) {
            Ok(window) => Some(window),
            Err(error) => {
                let key = match error {
                    BadWindow::Cron { .. } => "cron",
                    BadWindow::Length => "for",
                    BadWindow::Zone { .. } => "timezone",
                };
                self.fail(node.get(key).unwrap_or(node), key, error.to_string(), None);
                None
            }
        }
    }
}
