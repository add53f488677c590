//! What the history keeps, for how long, and what it makes of files that are not as they should be.

use super::*;
use crate::model::Revision;
use crate::plan::{Action, Object, Reason};
use crate::status::{ActionReport, DeploymentCause, Occasion, Report};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

fn shop() -> StackName {
    StackName::new("shop").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A number in letters: what comes again is told by its words.
fn word(number: i64) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

/// One that failed for a reason of its own.
fn deployment(stack: &StackName, second: i64) -> Deployment {
    failure(stack, second, &format!("fails for {}", word(second)))
}

fn failure(stack: &StackName, second: i64, message: &str) -> Deployment {
    let report = Report { message: message.to_owned(), ..Report::begun(stack.clone(), at(second)) };
    Deployment::of(&report, occasion())
}

fn occasion() -> Occasion {
    Occasion {
        cause: DeploymentCause::Commit,
        order: None,
        revision: Some(Revision("abc".to_owned())),
        commit: None,
        instead_of: None,
        definition: None,
    }
}

/// The largest that there can be.
fn huge(second: i64) -> Deployment {
    let long = "x".repeat(1000);
    let reason =
        Reason { field: long.clone(), desired: long.clone(), actual: long.clone(), place: None };
    let action = ActionReport {
        object: Object::Network("front".to_owned()),
        action: Action::Create,
        reasons: vec![reason; 2],
        error: Some(long.clone()),
        took: Duration::ZERO,
    };
    let report = Report {
        plan: "x".repeat(100_000),
        actions: vec![action; 300],
        ..Report::begun(shop(), at(second))
    };
    let mut deployment = Deployment::of(&report, occasion());
    deployment.entry.message = word(second);
    deployment
}

fn kept(keep: usize) -> HistoryBounds {
    HistoryBounds { keep, lasts: Duration::from_secs(1000) }
}

fn ids(deployments: &Deployments) -> Vec<u64> {
    let last = deployments.last(&shop(), usize::MAX).unwrap();
    last.iter().map(|deployment| deployment.entry.id).collect()
}

#[test]
fn what_was_written_is_there_again_the_newest_first_and_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let here = Deployments::of(dir.path(), kept(10));
    (1..=3).for_each(|second| here.note(deployment(&shop(), second)));
    here.note(deployment(&StackName::new("shop-2").unwrap(), 9));
    let unwritten = here.last(&shop(), 10).unwrap();
    assert_eq!(ids(&here), [3, 2, 1], "what waits is told");
    here.flush(at(5)).unwrap();
    assert_eq!(here.last(&shop(), 10).unwrap(), unwritten);
    here.note(deployment(&shop(), 4));
    assert_eq!(ids(&here), [4, 3, 2, 1], "and so is the rest with it");
    assert_eq!(here.last(&shop(), 1).unwrap()[0].entry.begun, at(4));
    drop(here);
    let again = Deployments::of(dir.path(), kept(10));
    again.flush(at(5)).unwrap();
    assert_eq!(again.last(&shop(), 10).unwrap(), unwritten);
    assert_eq!(again.get(&shop(), 2).unwrap().as_ref(), Some(&unwritten[1]));
    assert_eq!(again.get(&shop(), 7).unwrap(), None);
    let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_only_comes_again_is_counted_whether_it_was_written_or_waits() {
    let dir = tempfile::tempdir().unwrap();
    let here = Deployments::of(dir.path(), kept(10));
    here.note(failure(&shop(), 1, "the registry is away"));
    here.note(failure(&shop(), 2, "the engine is away"));
    here.flush(at(3)).unwrap();
    here.note(failure(&shop(), 4, "the registry is away"));
    let times = |here: &Deployments| -> Vec<(u64, u32, i64)> {
        let last = here.last(&shop(), 10).unwrap();
        last.iter().map(|it| (it.entry.id, it.entry.times, it.entry.last.as_second())).collect()
    };
    assert_eq!(times(&here), [(2, 1, 2), (1, 2, 4)]);
    here.flush(at(5)).unwrap();
    here.note(failure(&shop(), 6, "the registry is away"));
    here.flush(at(6)).unwrap();
    assert_eq!(times(&here), [(2, 1, 2), (1, 3, 6)]);
}

#[test]
fn what_is_too_much_or_too_old_goes_but_not_the_last_of_a_stack_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let here = Deployments::of(dir.path(), kept(3));
    (1..=7).for_each(|second| here.note(deployment(&shop(), second)));
    let gone = StackName::new("gone").unwrap();
    let mut removed = deployment(&gone, 7);
    removed.entry.result = PassResult::Removed;
    here.note(removed);
    here.flush(at(7)).unwrap();
    assert_eq!(ids(&here), [7, 6, 5]);
    let day = 24 * 3600;
    here.flush(at(day + 7)).unwrap();
    assert_eq!(ids(&here), [7], "all are old, and the last stays");
    assert_eq!(here.last(&gone, 10).unwrap(), []);
    here.note(deployment(&shop(), day + 8));
    here.flush(at(day + 8)).unwrap();
    assert_eq!(ids(&here), [8], "numbers go on");
}

#[test]
fn the_file_stays_within_a_bound_however_much_is_written_and_shrinks_with_its_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let here = Deployments::of(dir.path(), kept(5));
    let largest = serde_json::to_vec(&huge(1)).unwrap().len();
    assert!(largest < 600_000, "{largest} bytes");
    let size = || std::fs::metadata(dir.path().join(FILE)).unwrap().len();
    let mut sizes = Vec::new();
    for second in 1..=120 {
        here.note(huge(second));
        here.flush(at(second)).unwrap();
        sizes.push(size());
    }
    assert_eq!(ids(&here).len(), 5);
    let (early, late) = (sizes[..30].iter().max(), sizes[30..].iter().max());
    assert!(late <= early, "it grows on: {sizes:?}");
    drop(here);
    let fewer = Deployments::of(dir.path(), kept(1));
    fewer.flush(at(121)).unwrap();
    assert_eq!(ids(&fewer).len(), 1);
    drop(fewer);
    assert!(size() < sizes[119] / 2, "{} after {}", size(), sizes[119]);
}

#[test]
fn a_damaged_file_is_put_aside_and_a_new_one_begins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let here = Deployments::of(dir.path(), kept(10));
    here.note(deployment(&shop(), 1));
    here.flush(at(1)).unwrap();
    drop(here);
    let whole = std::fs::read(&path).unwrap();
    let mut overwritten = whole.clone();
    overwritten[4096..].fill(0xaa);
    for (number, bytes) in (1..).zip([b"no database".to_vec(), vec![0; 4096], overwritten]) {
        std::fs::write(&path, bytes).unwrap();
        let here = Deployments::of(dir.path(), kept(10));
        here.note(deployment(&shop(), 2));
        let mishap = here.flush(at(2)).unwrap_err();
        let Mishap::Damaged { aside, .. } = &mishap.0 else { panic!("{number}: {mishap}") };
        assert!(aside.ends_with(format!("{FILE}.damaged-{number}")), "{}", aside.display());
        assert!(mishap.to_string().contains("nothing else is lost"), "{mishap}");
        assert_eq!(ids(&here), [1], "what was noted is in the new one");
        drop(here);
        assert_eq!(Deployments::stored(dir.path(), &shop(), 9).unwrap().unwrap().len(), 1);
    }
}

#[test]
fn what_cannot_be_written_waits_within_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("not/there");
    let here = Deployments::of(&missing, kept(10_000));
    let most = i64::try_from(MOST_WAITING).unwrap();
    (1..=most + 10).for_each(|second| here.note(deployment(&shop(), second)));
    let told = here.flush(at(1)).unwrap_err().to_string();
    assert!(told.contains("not/there/history.redb") && told.contains("No such file"), "{told}");
    assert_eq!(here.last(&shop(), 1).unwrap()[0].entry.begun, at(most + 10));
    std::fs::create_dir_all(&missing).unwrap();
    here.flush(at(1)).unwrap();
    let written = here.last(&shop(), usize::MAX).unwrap();
    assert_eq!((written.len(), written.last().unwrap().entry.begun), (MOST_WAITING, at(11)));
}

#[test]
fn others_read_what_nobody_has_open_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Deployments::stored(dir.path(), &shop(), 9).unwrap(), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let here = Deployments::of(dir.path(), kept(10));
    here.flush(at(1)).unwrap();
    here.note(deployment(&shop(), 1));
    here.flush(at(1)).unwrap();
    let told = Deployments::stored(dir.path(), &shop(), 9).unwrap_err().to_string();
    assert!(told.contains("already open"), "{told}");
    let last = here.last(&shop(), 9).unwrap();
    drop(here);
    let before = std::fs::read(dir.path().join(FILE)).unwrap();
    assert_eq!(Deployments::stored(dir.path(), &shop(), 9).unwrap(), Some(last));
    assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), before);
}

/// The directory for the process that is killed; without it that test does nothing.
const VICTIM: &str = "BOWLINE_TEST_HISTORY";

/// Writes until it is killed: two at a time, of two stacks.
#[test]
fn writes_until_killed() {
    let Some(dir) = std::env::var_os(VICTIM) else { return };
    let here = Deployments::of(Path::new(&dir), kept(50));
    here.flush(at(1)).unwrap();
    let written = here.last(&shop(), 1).unwrap().first().map_or(0, |it| it.entry.id);
    for second in i64::try_from(written).unwrap() + 1.. {
        here.note(deployment(&shop(), second));
        here.note(deployment(&StackName::new("other").unwrap(), second));
        here.flush(at(second)).unwrap();
    }
}

#[test]
fn killed_at_any_moment_it_is_whole_and_can_be_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut newest = 0;
    for millis in [40, 60, 80, 110, 150, 200, 1000, 5000] {
        // The longest are for a machine that is too busy to have written anything so far.
        if millis >= 1000 && newest > 0 {
            break;
        }
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::deployments::tests::writes_until_killed"])
            .env(VICTIM, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Not a wait for anything: the moment of the end is what is tried out.
        std::thread::sleep(Duration::from_millis(millis));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let read = |stack: &str| -> Vec<u64> {
            let stack = StackName::new(stack).unwrap();
            let stored = Deployments::stored(dir.path(), &stack, usize::MAX).unwrap();
            let stored = stored.unwrap_or_default();
            assert!(stored.iter().all(|it| it.entry.begun == at(it.entry.id.cast_signed())));
            stored.iter().map(|it| it.entry.id).collect()
        };
        let stored = read("shop");
        assert_eq!(stored, read("other"), "both or none");
        assert!(stored.len() <= 50 && stored.windows(2).all(|pair| pair[0] == pair[1] + 1));
        let last = stored.first().copied().unwrap_or_default();
        assert!(last >= newest, "{last} after {newest}");
        newest = last;
        Deployments::of(dir.path(), kept(50)).flush(at(newest.cast_signed())).unwrap();
    }
    assert!(newest > 0, "nothing was written");
}
