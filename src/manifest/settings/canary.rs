//! What `x-bowline.canary` says: the first slots of an update, and what is asked about them.

use super::At;
use crate::manifest::node::Node;
use crate::manifest::schema::{OF_A_CANARY, OF_HTTP, OF_PROMETHEUS};
use crate::model::{Canary, CanaryCheck};
use std::num::NonZeroU16;
use std::time::Duration;
use url::Url;

/// Between two questions where nothing is said.
const INTERVAL: Duration = Duration::from_secs(5);
/// The shortest time between two questions.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

impl At<'_> {
    pub(super) fn canary(&mut self, node: &Node) -> Option<Canary> {
        let found = node.get("canary")?;
        let at = &mut self.below("canary");
        if !at.known_keys(found, OF_A_CANARY) {
            return None;
        }
        let slots = match found.get("slots") {
            None => Some(1),
            Some(slots) => at.number(slots, "slots", "a number from 1"),
        };
        let hold = at.needed(found, "hold", "how long the first slots are watched", "60s");
        let hold = hold.and_then(|_| at.duration(found, "hold"));
        let checks: Vec<_> = [at.http(found), at.prometheus(found)].into_iter().flatten().collect();
        let interval = at.interval(found);
        at.warn_of_rare_questions(found, interval, hold);
        Some(Canary { slots: slots?, hold: hold?, interval: interval?, checks })
    }

    fn interval(&mut self, canary: &Node) -> Option<Duration> {
        let Some(found) = canary.get("interval") else { return Some(INTERVAL) };
        if canary.get("http").or(canary.get("prometheus")).is_none() {
            let message = "says how often `http` or `prometheus` is asked, and there is neither";
            self.fail(found, "interval", message.to_owned(), None);
        }
        let interval = self.duration(canary, "interval")?;
        if interval < SHORTEST_INTERVAL {
            self.fail(found, "interval", "must be 1s or longer".to_owned(), None);
        }
        Some(interval)
    }

    /// With an interval above the hold there are the first question and the last one.
    fn warn_of_rare_questions(
        &mut self,
        canary: &Node,
        interval: Option<Duration>,
        hold: Option<Duration>,
    ) {
        let Some(found) = canary.get("interval").filter(|_| hold < interval && hold.is_some())
        else {
            return;
        };
        let message = "is longer than `hold`: each check is made only at its begin and its end";
        self.notes.warning(found.mark, format_args!("{}.interval", self.path), message);
    }

    fn http(&mut self, canary: &Node) -> Option<CanaryCheck> {
        let found = canary.get("http")?;
        let at = &mut self.below("http");
        if !at.known_keys(found, OF_HTTP) {
            return None;
        }
        let port = at.needed(found, "port", "where the container listens", "8080");
        let port = port.and_then(|port| at.number(port, "port", "a port from 1 to 65535"));
        let path = found.get("path").map_or(Some("/".to_owned()), |path| at.path(path));
        Some(CanaryCheck::Http { port: NonZeroU16::new(port?)?, path: path? })
    }

    /// A path of a page, as it is sent.
    fn path(&mut self, node: &Node) -> Option<String> {
        let text = node.text().unwrap_or_default();
        let is_sent_so = |c: char| c.is_ascii_graphic() && c != '#';
        if text.starts_with('/') && text.chars().all(is_sent_so) {
            return Some(text);
        }
        let message = format!("`{text}` is no path of a page");
        let help = "write one that begins with a slash, without spaces, like `/healthz`";
        self.fail(node, "path", message, Some(help.to_owned()));
        None
    }

    fn prometheus(&mut self, canary: &Node) -> Option<CanaryCheck> {
        let found = canary.get("prometheus")?;
        let at = &mut self.below("prometheus");
        if !at.known_keys(found, OF_PROMETHEUS) {
            return None;
        }
        let url = at.needed(found, "url", "where Prometheus is", "http://127.0.0.1:9090");
        let url = url.and_then(|url| at.server(url));
        let query = at.needed(found, "query", "what has a sample when the canary fails", "up == 0");
        let query = query.and_then(Node::text);
        Some(CanaryCheck::Prometheus { url: url?, query: query? })
    }

    /// The address of a server. What is wrong with it is told without it: it may hold a password.
    fn server(&mut self, node: &Node) -> Option<String> {
        let mut refuse = |message: &str, help: &str| {
            let field = format!("{}.url", self.path);
            self.notes.error_without_line(node.mark, field, message, help);
            None
        };
        let example = "write for example `http://127.0.0.1:9090`";
        let Some(url) = node.text().and_then(|text| Url::parse(&text).ok()) else {
            return refuse("is no URL", example);
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("must begin with `http://` or `https://`", example);
        }
        if !url.username().is_empty() || url.password().is_some() {
            let help = "what stands in a repository is no secret; let the server listen where only this host asks it";
            return refuse("holds a user or a password, which is not supported", help);
        }
        if url.query().or(url.fragment()).is_some() {
            return refuse("must end with the path", "leave out what follows `?` or `#`");
        }
        Some(url.into())
    }

    /// The value of a key that must be there and not be empty.
    pub(super) fn needed<'n>(
        &mut self,
        node: &'n Node,
        key: &str,
        what: &str,
        example: &str,
    ) -> Option<&'n Node> {
        let is_said = |found: &&Node| found.text().is_some_and(|text| !text.is_empty());
        let found = node.get(key).filter(is_said);
        if found.is_none() {
            let help = Some(format!("write for example `{key}: {example}`"));
            self.fail(node, key, format!("is missing: it says {what}"), help);
        }
        found
    }

    /// A number above 0.
    fn number<T: TryFrom<i128>>(&mut self, node: &Node, key: &str, what: &str) -> Option<T> {
        let number = node.as_int().or_else(|| node.as_str()?.parse().ok());
        let number =
            number.filter(|number| *number > 0).and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.fail(node, key, format!("must be {what}"), None);
        }
        number
    }
}
