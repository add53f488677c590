//! Whether a stack may begin a new definition, as far as the stacks go that it depends on. Pure: it
//! is told what is known of them.

use crate::manifest::stacks::{in_a_circle, unknown};
use crate::manifest::{Diagnostic, Severity};
use crate::model::{Stack, StackName};
use std::collections::BTreeSet;

/// What is known of a stack that another one depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is as it was asked for, and all of it is up.
    Ready,
    /// It is not, and why.
    NotReady(String),
    /// No pass over its present definition has ended.
    Pending,
    /// No source has it.
    Unknown,
    /// No source that was read has it, and some were not read yet.
    Unread,
}

/// What a stack may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Begin.
    Begin,
    /// Begin later, and why.
    Wait(String),
    /// Not before its files are mended.
    Refuse(Vec<Diagnostic>),
}

impl Leave {
    /// Why a stack may not begin.
    pub(crate) fn obstacle(&self) -> Option<String> {
        match self {
            Self::Begin => None,
            Self::Wait(why) => Some(why.clone()),
            Self::Refuse(problems) => Some(lines(problems)),
        }
    }
}

/// Whether `stack` may begin, given the circle of dependencies that it is in, if it is in one, what is
/// known of the others, and all their names.
pub(crate) fn leave(
    stack: &Stack,
    circle: Option<&[StackName]>,
    standing: impl Fn(&StackName) -> Standing,
    names: &BTreeSet<StackName>,
) -> Leave {
    if let Some(circle) = circle {
        return Leave::Refuse(vec![in_a_circle(stack, circle)]);
    }
    let (mut wrong, mut waits) = (Vec::new(), Vec::new());
    for other in &stack.policy.depends_on {
        let why = match standing(other) {
            Standing::Ready => continue,
            Standing::Unknown => {
                wrong.push(unknown(Severity::Error, stack, other, "no source", names.iter()));
                continue;
            }
            Standing::Unread => "not in the sources that were read so far".to_owned(),
            Standing::Pending => "not yet brought to what its source asks for".to_owned(),
            Standing::NotReady(why) => why,
        };
        waits.push(format!("waiting for stack {other}: {why}"));
    }
    match (wrong.is_empty(), waits.is_empty()) {
        (false, _) => Leave::Refuse(wrong),
        (true, false) => Leave::Wait(waits.join("\n")),
        (true, true) => Leave::Begin,
    }
}

/// Problems, a line each.
pub(crate) fn lines(problems: &[Diagnostic]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{DigestKey, Request, load};
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    fn name(text: &str) -> StackName {
        StackName::new(text).unwrap()
    }

    /// A stack `web` that depends on `others`.
    fn web(others: &str) -> Stack {
        let text =
            format!("x-bowline:\n  depends_on: [{others}]\nservices: {{ a: {{ image: a:1 }} }}\n");
        let request =
            Request::new(vec![PathBuf::from("/web/compose.yaml")], DigestKey::new([0; 32]));
        let read = |path: &std::path::Path| match path.file_name() {
            Some(file) if file == "compose.yaml" => Ok(text.clone().into_bytes()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        load(&request, &read).unwrap().stack
    }

    #[test]
    fn a_stack_begins_once_all_that_it_depends_on_is_ready() {
        let not = |why: &str| Standing::NotReady(why.to_owned());
        let place = "error: /web/compose.yaml:2:16: x-bowline.depends_on:";
        for (db, proxy, expected) in [
            (Standing::Ready, Standing::Ready, Leave::Begin),
            (
                Standing::Ready,
                Standing::Pending,
                Leave::Wait(
                    "waiting for stack proxy: not yet brought to what its source asks for".into(),
                ),
            ),
            (
                not("failed: no space"),
                Standing::Unread,
                Leave::Wait(
                    "waiting for stack db: failed: no space\n\
                     waiting for stack proxy: not in the sources that were read so far"
                        .into(),
                ),
            ),
        ] {
            let all = BTreeMap::from([(name("db"), db), (name("proxy"), proxy)]);
            let stack = web("db, proxy");
            let names = all.keys().cloned().collect();
            assert_eq!(leave(&stack, None, |of| all[of].clone(), &names), expected);
        }
        let none = BTreeSet::new();
        assert_eq!(leave(&web(""), None, |_| Standing::Unknown, &none), Leave::Begin);
        // What no source has is an error, whatever else it would wait for.
        let names = BTreeSet::from([name("dbs"), name("web")]);
        let standing =
            |of: &StackName| if *of == name("db") { Standing::Unknown } else { Standing::Pending };
        let told = leave(&web("db, proxy"), None, standing, &names).obstacle().unwrap();
        assert_eq!(told, format!("{place} no source has a stack named `db`; did you mean `dbs`?"));
        // A circle is one even if all in it were ready once.
        let circle = [name("web"), name("db"), name("web")];
        let told = leave(&web("db"), Some(&circle), |_| Standing::Ready, &names);
        let told = told.obstacle().unwrap();
        assert!(told.starts_with(place), "{told}");
        assert!(told.contains("in a circle: web -> db -> web"), "{told}");
    }
}
