//! Which jobs ran to their end: an agent and commands beside it know it, whether or not their
//! containers are still there.

use super::Notes;
use crate::manifest::DigestKey;
use crate::model::{ContentDigest, Service, ServiceName, Slot, Stack, StackName};
use crate::plan::{Completed, job_definition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// A note for each stack that has jobs.
#[derive(Debug, Clone)]
pub struct Jobs(Notes);

/// What is noted of a job: how it was defined, and the image that it ran in each slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    definition: ContentDigest,
    slots: BTreeMap<u32, Option<String>>,
}

impl Jobs {
    /// The notes of a state directory.
    pub fn of(state_dir: &Path) -> Self {
        Self(Notes::of(state_dir, "jobs"))
    }

    /// The jobs of `stack` that ran to their end as they are defined now, by digests of this key.
    pub fn completed(&self, stack: &Stack, key: &DigestKey) -> Completed {
        if stack.jobs().is_empty() {
            return Completed::new();
        }
        let noted = self.noted(&stack.name).into_iter();
        let current = noted.filter(|(name, note)| {
            let service = stack.services.get(name);
            service.is_some_and(|service| digest(service, key) == note.definition)
        });
        let slots = current.flat_map(|(service, note)| {
            let slot = move |number| Slot { service: service.clone(), number };
            note.slots.into_iter().map(move |(number, image)| (slot(number), image))
        });
        slots.collect()
    }

    /// Notes which of the jobs of `stack` that are `concerned` ran to their end as they are defined now. Of
    /// one that has not yet, it stays known how it was defined when it last did.
    pub fn note(
        &self,
        stack: &Stack,
        completed: &Completed,
        concerned: impl Fn(&ServiceName) -> bool,
        key: &DigestKey,
    ) -> io::Result<()> {
        let jobs = stack.jobs();
        if jobs.is_empty() {
            return Ok(());
        }
        let noted = self.noted(&stack.name);
        let mut notes = noted.clone();
        notes.retain(|name, _| jobs.contains(name) || !concerned(name));
        for name in jobs.into_iter().filter(|name| concerned(name)) {
            let Some(service) = stack.services.get(name) else { continue };
            let slots: BTreeMap<u32, Option<String>> = completed
                .iter()
                .filter(|(slot, _)| slot.service == *name)
                .map(|(slot, image)| (slot.number, image.clone()))
                .collect();
            let definition = digest(service, key);
            let is_current = notes.get(name).is_some_and(|note| note.definition == definition);
            if !slots.is_empty() {
                notes.insert(name.clone(), Note { definition, slots });
            } else if is_current {
                notes.remove(name);
            }
        }
        if notes == noted {
            return Ok(());
        }
        let text = serde_json::to_string(&notes).expect("a map of names is always JSON");
        self.0.write(stack.name.as_str(), &text)
    }

    /// Forgets all jobs of a stack: each that has no container is run again.
    pub fn forget(&self, stack: &StackName) {
        self.0.forget(stack.as_str());
    }

    /// A note that cannot be read is none.
    fn noted(&self, stack: &StackName) -> BTreeMap<ServiceName, Note> {
        let text = self.0.read(stack.as_str());
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }
}

/// Keyed, since a definition may hold secrets.
fn digest(service: &Service, key: &DigestKey) -> ContentDigest {
    key.digest(job_definition(service).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Request, load};
    use std::path::PathBuf;

    fn key() -> DigestKey {
        DigestKey::new([7; 32])
    }

    /// A stack with a job `migrate` that says `more`.
    fn stack(more: &str) -> Stack {
        let text = format!(
            "services:\n  migrate: {{ image: app:1, restart: 'no', {more} }}\n  web: {{ image: web:1 }}\n"
        );
        let request = Request::new(vec![PathBuf::from("/shop/compose.yaml")], key());
        let read = |path: &Path| match path.file_name() {
            Some(file) if file == "compose.yaml" => Ok(text.clone().into_bytes()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        load(&request, &read).unwrap().stack
    }

    fn slot(number: u32) -> Slot {
        Slot { service: ServiceName::new("migrate").unwrap(), number }
    }

    #[test]
    fn a_job_is_known_to_have_ended_for_as_long_as_it_is_defined_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = || Jobs::of(dir.path());
        let completed = |stack: &Stack| jobs().completed(stack, &key());
        let plain = stack("environment: { PASSWORD: hunter2 }");
        let ended = Completed::from([(slot(1), Some("sha256:1".to_owned()))]);
        assert_eq!(completed(&plain), Completed::new());
        jobs().note(&plain, &ended, |_| true, &key()).unwrap();
        assert_eq!(completed(&plain), ended);
        let kept = std::fs::read_to_string(dir.path().join("jobs/shop")).unwrap();
        assert!(!kept.contains("hunter2"), "{kept}");
        for (more, same) in [
            ("environment: { PASSWORD: hunter2 }, scale: 3", true),
            ("environment: { PASSWORD: hunter2 }, depends_on: [web]", true),
            // What changes while a container is there is no reason to run it again.
            ("environment: { PASSWORD: hunter2 }, mem_limit: 64m", true),
            ("environment: { PASSWORD: hunter3 }", false),
            ("environment: { PASSWORD: hunter2 }, command: [other]", false),
            ("environment: { PASSWORD: hunter2 }, volumes: ['/data']", false),
        ] {
            let expected = if same { ended.clone() } else { Completed::new() };
            assert_eq!(completed(&stack(more)), expected, "{more}");
        }
        // With another key nothing is known.
        let other = DigestKey::new([8; 32]);
        assert_eq!(jobs().completed(&plain, &other), Completed::new());
        jobs().forget(&plain.name);
        assert_eq!(completed(&plain), Completed::new());
    }

    #[test]
    fn how_it_was_defined_when_it_last_ended_stays_known_until_it_ends_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let jobs = Jobs::of(dir.path());
        let note = |stack: &Stack, ended: &Completed| jobs.note(stack, ended, |_| true, &key());
        let completed = |stack: &Stack| jobs.completed(stack, &key());
        let (one, two) = (stack("command: [one]"), stack("command: [two]"));
        let ended = Completed::from([(slot(1), None)]);
        note(&one, &ended).unwrap();
        // The other fails, so it is gone back from.
        note(&two, &Completed::new()).unwrap();
        assert_eq!(completed(&one), ended);
        note(&two, &ended).unwrap();
        assert_eq!((completed(&one), completed(&two)), (Completed::new(), ended.clone()));
        // Of another one's way back nothing follows.
        jobs.note(&one, &ended, |name| name.as_str() != "migrate", &key()).unwrap();
        assert_eq!(completed(&two), ended);
        // Run again by hand, it failed.
        note(&two, &Completed::new()).unwrap();
        assert_eq!(completed(&two), Completed::new());
    }
}
