//! What `docker compose up -d` makes of each row of the catalogue, measured: the same stack, the same
//! act, the same judge.

use super::by_docker;
use super::row::{Lane, Row};
use super::snapshot::{Lives, Look, differing, look, unrepaired};
use super::support::docker::docker;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Ends before the look, and is run again by every `up`.
const ONE_SHOT: &str = "migrate/1";

/// Plays the rows of one lane; gives what came of each.
pub fn play(compose: &Path, lane: Lane, rows: Vec<(String, Row)>) -> Vec<(String, String)> {
    let dir = tempfile::tempdir().unwrap();
    let project = Project { compose, lane, file: dir.path().join("compose.yaml") };
    project.reset();
    let noise = super::noise(lane);
    project.reset();
    let mut outcomes = Vec::new();
    for (title, row) in rows {
        let outcome = project.outcome(&row, &noise);
        println!("{title}: {outcome}");
        outcomes.push((title, outcome));
    }
    project.run(&["down", "--volumes", "--remove-orphans"]);
    outcomes
}

/// A project of Compose on a lane.
struct Project<'a> {
    compose: &'a Path,
    lane: Lane,
    file: PathBuf,
}

impl Project<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.compose);
        command.arg("--file").arg(&self.file).args(arguments).output().unwrap()
    }

    fn write(&self, edit: &BTreeMap<String, String>) {
        std::fs::write(&self.file, self.lane.manifest(edit)).unwrap();
    }

    /// All as in the file.
    fn reset(&self) {
        self.write(&BTreeMap::new());
        self.run(&["down", "--volumes", "--remove-orphans"]);
        let up = self.run(&["up", "--detach"]);
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        self.until_the_one_shot_ended();
    }

    fn until_the_one_shot_ended(&self) {
        let at = format!("container {ONE_SHOT} State");
        super::support::wait::until("the end of the one-shot", || {
            let state = look(self.lane).fields.remove(&at);
            state.is_none_or(|state| !state.contains("running")).then_some(())
        });
    }

    fn outcome(&self, row: &Row, noise: &BTreeSet<String>) -> String {
        let before = look(self.lane);
        by_docker::act(self.lane, row);
        self.write(&row.edit);
        let changed = look(self.lane);
        let up = self.run(&["up", "--detach"]);
        self.until_the_one_shot_ended();
        let after = look(self.lane);
        let outcome = if up.status.success() {
            let is_due = !row.plan.is_empty();
            Looks { before: &before, changed: &changed, after: &after, noise }.told(is_due)
        } else {
            "fails".to_owned()
        };
        by_docker::undo(self.lane, row);
        // What an undoing leaves due may not be seen on the containers: an image under a name.
        let may_be_due = !row.edit.is_empty() || !row.undo.is_empty();
        if may_be_due || !self.is_mended(&before) {
            self.reset();
        }
        outcome
    }

    /// Whether all is as before with what differs made anew.
    fn is_mended(&self, before: &Look) -> bool {
        let now = look(self.lane);
        let differing = differing(&before.fields, &now.fields);
        if differing.is_empty() {
            return true;
        }
        let lives = now.lives.iter().filter(|(slot, _)| {
            differing.iter().any(|field| field.starts_with(&format!("container {slot} ")))
        });
        for (id, _) in lives.flat_map(|(_, lives)| lives) {
            docker(&["rm", "--force", id]);
        }
        let up = self.run(&["up", "--detach", "--remove-orphans"]);
        self.until_the_one_shot_ended();
        up.status.success() && look(self.lane).fields == before.fields
    }
}

/// Before and after the act, and after `up`; what is noise is not the act's.
struct Looks<'a> {
    before: &'a Look,
    changed: &'a Look,
    after: &'a Look,
    noise: &'a BTreeSet<String>,
}

impl Looks<'_> {
    /// What Compose did. What the engine does not show can be due as well: another content, another
    /// image under a name.
    fn told(&self, is_due: bool) -> String {
        let Self { before, changed, after, noise } = self;
        let acted: BTreeSet<String> =
            differing(&before.fields, &changed.fields).difference(noise).cloned().collect();
        let left = unrepaired(&before.fields, &changed.fields, &after.fields, noise);
        let is_about = |fields: &BTreeSet<String>, slot: &str| {
            fields.iter().any(|field| field.starts_with(&format!("container {slot} ")))
        };
        let mut touched = self.touched();
        if !is_about(&acted, ONE_SHOT) {
            touched.remove(ONE_SHOT);
        }
        let is_replaced = touched.iter().any(|slot| self.is_replaced(slot));
        let outcome = match (acted.is_empty(), left.is_empty()) {
            (true, _) if touched.is_empty() => return "nothing".to_owned(),
            (true, _) if !is_due => "changes what needs no change",
            (_, true) if is_replaced => "replaces",
            (_, true) => "repairs",
            (_, false) if touched.is_empty() && left == acted => return "nothing".to_owned(),
            (_, false) if touched.iter().any(|slot| self.is_instead(slot, &left)) => {
                return "repairs, with another number".to_owned();
            }
            (_, false) => "in part",
        };
        let others = touched.iter().filter(|slot| !acted.is_empty() && !is_about(&acted, slot));
        let others: Vec<&str> = others.map(String::as_str).collect();
        if others.is_empty() {
            return outcome.to_owned();
        }
        format!("{outcome}; also touches {}", others.join(", "))
    }

    /// The slots whose containers are others than after the act, or were started since.
    fn touched(&self) -> BTreeSet<String> {
        let (was, is) = (&self.changed.lives, &self.after.lives);
        let all = was.keys().chain(is.keys());
        all.filter(|slot| was.get(*slot) != is.get(*slot)).cloned().collect()
    }

    /// Whether another container took the place of one that was there.
    fn is_replaced(&self, slot: &str) -> bool {
        let ids = |lives: &Lives| -> BTreeSet<String> {
            lives.get(slot).into_iter().flatten().map(|(id, _)| id.clone()).collect()
        };
        let was = ids(&self.changed.lives);
        !was.is_empty() && !ids(&self.after.lives).is_subset(&was)
    }

    /// Whether it is a new replica in place of the one that `left` is about.
    fn is_instead(&self, slot: &str, left: &BTreeSet<String>) -> bool {
        let service = slot.split('/').next().unwrap_or_default();
        !self.changed.lives.contains_key(slot)
            && !self.before.lives.contains_key(slot)
            && left.iter().all(|field| field.starts_with(&format!("container {service}/")))
    }
}
