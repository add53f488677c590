//! What people do to a running stack by hand is seen, explained, and repaired with the gentlest
//! action; see tests/drift/catalogue.yaml. On the simulated engine, and with
//! `BOWLINE_TEST_ENGINE=docker` on the real one. docs/drift.md is made of the catalogue
//! (`UPDATE_DOCS=1` writes it).

// Only tests are here; the lint sees that of functions that are marked as one.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "drift/by_docker.rs"]
mod by_docker;
#[path = "drift/by_sim.rs"]
mod by_sim;
#[path = "drift/compose.rs"]
mod compose;
#[path = "drift/page.rs"]
mod page;
#[path = "drift/row.rs"]
mod row;
#[path = "drift/snapshot.rs"]
mod snapshot;
mod support;

use bowline::engine::Engine;
use bowline::engine::sim::{Behaviour, Sim};
use bowline::model::{ImageConfig, ImageRef, Stack};
use bowline::pass::{Moment, Subject, preview, preview_in};
use bowline::plan::{Circumstances, Completed};
use bowline::status::{PassResult, Report};
use by_sim::Hand;
use row::{Lane, Row, catalogue};
use snapshot::{Lives, Look, differing, look, unrepaired};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::docker::{docker, import_busybox};
use support::passes::{means, stack};
use support::stacks::Stacks;
use support::wait::until_within;

/// The images of the stack.
const IMAGES: [&str; 3] = ["shop-app:1", "shop-db:1", "shop-other:1"];
/// On the real engine; each has containers of its own, and most time goes into waiting.
const LANES: usize = 3;
/// In which a repaired process has to be as before.
const REPAIRED: Duration = Duration::from_secs(10);

/// Rows by their full titles.
fn rows() -> Vec<(String, Row)> {
    let sections = catalogue().into_iter();
    sections
        .flat_map(|section| {
            let title = section.title;
            section.rows.into_iter().map(move |row| (format!("{title}: {}", row.what), row))
        })
        .collect()
}

/// A lane on an engine.
struct Scene {
    lane: Lane,
    engine: Arc<dyn Engine>,
    stack: Stack,
    /// Absent: the real engine.
    sim: Option<Sim>,
    noise: BTreeSet<String>,
    /// The jobs that ran to their end, as passes told.
    completed: Completed,
}

impl Scene {
    async fn act(&self, row: &Row) {
        match &self.sim {
            Some(sim) => Hand { sim, lane: self.lane }.act(row).await,
            None => by_docker::act(self.lane, row),
        }
    }

    async fn undo(&self, row: &Row) {
        match &self.sim {
            Some(sim) => Hand { sim, lane: self.lane }.commands(&row.undo).await,
            None => by_docker::undo(self.lane, row),
        }
    }

    /// The plan as the catalogue writes it: without places in the file, and without ids of images,
    /// which are another at every run.
    async fn plan(&self) -> String {
        let completed = self.completed.clone();
        let around = Circumstances { completed, ..Circumstances::default() };
        let mut plan = preview_in(&around, &*self.engine, &self.stack).await.unwrap();
        plan.problems.iter_mut().chain(&mut plan.notes).for_each(|one| one.place = None);
        without_ids(&self.lane.plain(&plan.to_string()))
    }

    async fn pass(&mut self) -> Report {
        let subject = Subject { stack: &self.stack, source: None, revision: None };
        let completed = self.completed.clone();
        let moment = Moment { completed, ..Moment::by_hand(Duration::ZERO) };
        let report = means(Arc::clone(&self.engine)).reconcile(&subject, &moment).await;
        if let Some(seen) = &report.seen {
            self.completed.clone_from(&seen.completed);
        }
        report
    }

    /// Whatever was left is repaired, and the job has a container again and ran to its end.
    async fn settle(&mut self) {
        self.completed.clear();
        let ended = tokio::time::timeout(REPAIRED, async {
            while self.completed.is_empty() {
                let report = self.pass().await;
                assert!(report.result.is_success(), "{}", report.message);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        ended.await.expect("the job ends");
    }

    fn look(&self) -> Look {
        if self.sim.is_some() { Look::default() } else { look(self.lane) }
    }

    /// What is wrong about a row.
    async fn play(&mut self, row: &Row) -> Result<(), String> {
        let before = self.look();
        self.act(row).await;
        let changed = self.look();
        if !row.edit.is_empty() {
            self.stack = stack(&self.lane.manifest(&row.edit));
        }
        let plan = self.plan().await;
        let report = self.pass().await;
        let left = self.plan().await;
        let repaired = row.undo.is_empty() && self.sim.is_none() && row.edit.is_empty();
        let unrepaired = if repaired && !row.plan.is_empty() {
            self.never_repaired(&before, &changed)
        } else {
            BTreeSet::new()
        };
        let disturbed = disturbed(&plan, &changed.lives, &self.look().lives);
        if !row.undo.is_empty() || !heads(&left).is_empty() {
            self.undo(row).await;
            self.settle().await;
        } else if !preview(&*self.engine, &self.stack, None).await.unwrap().is_empty() {
            // The job has no container; later rows need one.
            self.settle().await;
        }
        let at_last = if row.undo.is_empty() { left.clone() } else { self.plan().await };
        if plan != row.plan {
            return Err(format!("the plan is\n{plan}in place of\n{}", row.plan));
        }
        if done(&report) != heads(&plan) {
            return Err(format!("done was {:?}, planned\n{plan}", done(&report)));
        }
        let expected = expected_result(&plan);
        if report.result != expected {
            return Err(format!("the pass is {:?}: {}", report.result, report.message));
        }
        if expected != PassResult::Failed && !heads(&left).is_empty() {
            return Err(format!("left to do:\n{left}"));
        }
        if !heads(&at_last).is_empty() {
            return Err(format!("at last left to do:\n{at_last}"));
        }
        if !disturbed.is_empty() {
            return Err(format!("disturbed {disturbed:?}"));
        }
        if !unrepaired.is_empty() {
            return Err(format!("not as before: {unrepaired:?}"));
        }
        Ok(())
    }

    /// What is still not as before after a while.
    fn never_repaired(&self, before: &Look, changed: &Look) -> BTreeSet<String> {
        let left = || {
            let mut left =
                unrepaired(&before.fields, &changed.fields, &self.look().fields, &self.noise);
            // A job that ran to its end need not be there.
            let past: Vec<String> =
                self.completed.keys().map(|slot| format!("container {slot} ")).collect();
            left.retain(|field| !past.iter().any(|past| field.starts_with(past)));
            left
        };
        let repaired =
            until_within(REPAIRED, "all is as before", || left().is_empty().then_some(()));
        repaired.map_or_else(left, |()| BTreeSet::new())
    }
}

/// `update container web/1` of each change in a plan's text.
fn heads(plan: &str) -> BTreeSet<String> {
    let is_head = |line: &&str| !line.starts_with([' ', 'p', 'n']) || line.starts_with("pull");
    let heads = plan.lines().filter(is_head);
    heads.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn done(report: &Report) -> BTreeSet<String> {
    let lane = |text: &str| {
        (0..LANES).fold(text.to_owned(), |text, lane| text.replace(&Lane(lane).stack(), "shop"))
    };
    let done = report.actions.iter();
    done.map(|action| lane(&format!("{} {}", action.action.word(), action.object))).collect()
}

fn expected_result(plan: &str) -> PassResult {
    let has_problem = plan.lines().any(|line| line.starts_with("problem"));
    match (has_problem, heads(plan).is_empty()) {
        (true, _) => PassResult::Failed,
        (false, true) => PassResult::Unchanged,
        (false, false) => PassResult::Changed,
    }
}

/// The containers that changed though the plan did not say so: their start by any action but a
/// start, themselves by any but one that makes or removes.
fn disturbed(plan: &str, before: &Lives, after: &Lives) -> Vec<String> {
    let heads = heads(plan);
    let ids = |lives: Option<&BTreeSet<(String, String)>>| -> BTreeSet<String> {
        lives.into_iter().flatten().map(|(id, _)| id.clone()).collect()
    };
    let slots: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    slots
        .into_iter()
        .filter(|slot| {
            let (was, is) = (before.get(*slot), after.get(*slot));
            let says = |words: &[&str]| {
                words.iter().any(|word| heads.contains(&format!("{word} container {slot}")))
            };
            if says(&["replace", "create", "remove"]) {
                return false;
            }
            if says(&["start"]) { ids(was) != ids(is) } else { was != is }
        })
        .cloned()
        .collect()
}

/// A text with `(0123456789ab)` as `(an id)`.
fn without_ids(text: &str) -> String {
    let mut parts = text.split('(');
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let id = part.get(..12).filter(|id| id.chars().all(|c| c.is_ascii_hexdigit()));
        match id {
            Some(_) => all = all + "(an id" + &part[12..],
            None => all = all + "(" + part,
        }
    }
    all
}

fn simulated() -> Scene {
    let (sim, lane) = (Sim::with_api(41), Lane(0));
    for image in IMAGES {
        sim.image_add(&lane.of(image), ImageConfig::default(), Behaviour::default());
    }
    sim.behave(&lane.of("shop-migrate-1"), by_sim::ends(0));
    let stack = stack(&lane.manifest(&BTreeMap::new()));
    Scene {
        lane,
        engine: Arc::new(sim.clone()),
        stack,
        sim: Some(sim),
        noise: BTreeSet::new(),
        completed: Completed::new(),
    }
}

fn complain(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn every_row_on_the_simulated_engine() {
    let mut scene = simulated();
    scene.settle().await;
    let mut wrong = Vec::new();
    for (title, row) in rows() {
        if let Err(error) = scene.play(&row).await {
            wrong.push(format!("{title}\n{error}"));
        }
    }
    complain(&wrong);
}

/// Puts the lane's images on the real engine.
fn import(lane: Lane) {
    for image in IMAGES {
        import_busybox(&ImageRef::new(lane.of(image)).unwrap());
    }
}

/// The rows of one lane on the real engine.
async fn play_lane(engine: Arc<dyn Engine>, lane: Lane, rows: Vec<(String, Row)>) -> Vec<String> {
    import(lane);
    let stack = stack(&lane.manifest(&BTreeMap::new()));
    let mut scene = Scene {
        lane,
        engine,
        stack,
        sim: None,
        noise: BTreeSet::new(),
        completed: Completed::new(),
    };
    scene.settle().await;
    scene.noise = noise(lane);
    let mut wrong = Vec::new();
    for (title, row) in rows {
        let began = std::time::Instant::now();
        if let Err(error) = scene.play(&row).await {
            wrong.push(format!("{title}\n{error}"));
        }
        println!("{:?} {title}", began.elapsed());
    }
    wrong
}

/// What differs between a container made by hand and one made by a program anyway.
fn noise(lane: Lane) -> BTreeSet<String> {
    let as_it_was = rows().into_iter().find(|(title, _)| title.ends_with("labels: As it was"));
    let before = look(lane);
    by_docker::act(lane, &as_it_was.expect("such a row is there").1);
    differing(&before.fields, &look(lane).fields)
}

/// The rows of each lane.
fn lanes() -> Vec<Vec<(String, Row)>> {
    let mut lanes = vec![Vec::new(); LANES];
    for (index, row) in rows().into_iter().enumerate() {
        lanes[index % LANES].push(row);
    }
    lanes
}

fn clear_up() {
    for lane in (0..LANES).map(Lane) {
        for odd in ["shop-x", "shop-web-1"] {
            docker(&["rm", "-f", "-v", &lane.of(odd)]);
        }
        docker(&["volume", "rm", &lane.of("shop_more")]);
        for image in IMAGES {
            docker(&["rmi", "-f", &lane.of(image)]);
        }
    }
}

fn stacks() -> Stacks {
    let names: Vec<String> = (0..LANES).map(|lane| Lane(lane).stack()).collect();
    Stacks::named(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_on_docker() {
    let Some(engine) = support::engine() else { return };
    let engine: Arc<dyn Engine> = Arc::new(engine);
    let stacks = stacks();
    let lanes: Vec<_> = lanes()
        .into_iter()
        .enumerate()
        .map(|(lane, rows)| tokio::spawn(play_lane(Arc::clone(&engine), Lane(lane), rows)))
        .collect();
    let mut ended = Vec::new();
    for lane in lanes {
        ended.push(lane.await);
    }
    drop(stacks);
    clear_up();
    let wrong: Vec<String> = ended.into_iter().flat_map(Result::unwrap).collect();
    complain(&wrong);
}

#[test]
#[ignore = "a measurement; bench/drift-compose.sh runs it"]
fn what_compose_makes_of_each_row() {
    let compose = PathBuf::from(std::env::var_os("COMPOSE").expect("COMPOSE names the program"));
    let stacks = stacks();
    let play = |(lane, rows): (usize, Vec<(String, Row)>)| {
        let (compose, lane) = (compose.clone(), Lane(lane));
        std::thread::spawn(move || {
            import(lane);
            compose::play(&compose, lane, rows)
        })
    };
    let lanes: Vec<_> = lanes().into_iter().enumerate().map(play).collect();
    let ended: Vec<_> = lanes.into_iter().map(std::thread::JoinHandle::join).collect();
    drop(stacks);
    clear_up();
    let mut outcomes: BTreeMap<String, String> = BTreeMap::new();
    for lane in ended {
        outcomes.extend(lane.unwrap());
    }
    let lines = rows().into_iter().map(|(title, _)| format!("{title}\t{}\n", outcomes[&title]));
    std::fs::write(page::MEASURED, lines.collect::<String>()).unwrap();
}

#[test]
fn the_page_is_made_of_the_catalogue() {
    let page = page::page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(page::PAGE, &page).unwrap();
    }
    let there = std::fs::read_to_string(page::PAGE).unwrap();
    assert!(there == page, "docs/drift.md is not as the catalogue says; UPDATE_DOCS=1 writes it");
    assert!(!page.contains("not measured"), "bench/drift-compose.sh has not seen every row");
}

#[test]
fn the_catalogue_is_long_and_each_row_says_what_comes_of_it() {
    let rows = rows();
    let titles: BTreeSet<&String> = rows.iter().map(|(title, _)| title).collect();
    assert_eq!(titles.len(), rows.len(), "two rows have one title");
    assert!(rows.len() >= 60, "only {} rows", rows.len());
    for (title, row) in &rows {
        assert_eq!(row.plan.is_empty(), row.note.is_some(), "{title} needs a plan or a note");
    }
}
