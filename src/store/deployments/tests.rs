//! What the history keeps, for how long, and what it makes of files that are not as they should be.

use super::*;
use crate::model::Revision;
use crate::plan::{Action, Object, Reason};
use crate::status::{ActionReport, DeploymentCause, Occasion, Report};
use crate::store::victim;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

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
        orders: Vec::new(),
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

/// The last of the shop in full.
fn last(deployments: &Deployments, most: usize) -> Vec<Deployment> {
    deployments.last(&shop(), most).unwrap()
}

fn ids(deployments: &Deployments) -> Vec<u64> {
    last(deployments, usize::MAX).iter().map(|deployment| deployment.entry.id).collect()
}

/// What stands on the disk of a stack, read as by somebody else.
fn stored(dir: &Path, stack: &StackName) -> Result<Option<Vec<Deployment>>, HistoryUnread> {
    Deployments::stored(dir, |rows| rows.newest(stack, usize::MAX))
}

#[test]
fn what_was_written_is_there_again_the_newest_first_and_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let here = Deployments::of(dir.path(), kept(10));
    (1..=3).for_each(|second| here.note(deployment(&shop(), second)));
    here.note(deployment(&StackName::new("shop-2").unwrap(), 9));
    let unwritten = last(&here, 10);
    assert_eq!(ids(&here), [3, 2, 1], "what waits is told");
    here.flush(at(5)).unwrap();
    assert_eq!(last(&here, 10), unwritten);
    here.note(deployment(&shop(), 4));
    assert_eq!(ids(&here), [4, 3, 2, 1], "and so is the rest with it");
    assert_eq!(last(&here, 1)[0].entry.begun, at(4));
    drop(here);
    let again = Deployments::of(dir.path(), kept(10));
    again.flush(at(5)).unwrap();
    assert_eq!(last(&again, 10), unwritten);
    assert_eq!(again.get(&shop(), 2).unwrap().as_ref(), Ok(&unwritten[1]));
    assert_eq!(again.get(&shop(), 7).unwrap(), Err(Some((1, 3))));
    again.note(deployment(&shop(), 5));
    assert_eq!(again.get(&shop(), 4).unwrap().unwrap().entry.begun, at(5));
    assert_eq!(again.get(&shop(), 1).unwrap().as_ref(), Ok(&unwritten[2]));
    assert_eq!(again.get(&shop(), 7).unwrap(), Err(Some((1, 4))));
    assert_eq!(again.get(&StackName::new("blog").unwrap(), 1).unwrap(), Err(None));
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
        last(here, 10)
            .iter()
            .map(|it| (it.entry.id, it.entry.times, it.entry.last.as_second()))
            .collect()
    };
    assert_eq!(times(&here), [(2, 1, 2), (1, 2, 4)]);
    assert_eq!(last(&here, 1)[0].entry.id, 2, "however few are asked for");
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
    assert_eq!(here.last::<Deployment>(&gone, 10).unwrap(), []);
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
        assert_eq!(stored(dir.path(), &shop()).unwrap().unwrap().len(), 1);
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
    assert_eq!(last(&here, 1)[0].entry.begun, at(most + 10));
    std::fs::create_dir_all(&missing).unwrap();
    here.flush(at(1)).unwrap();
    let written = last(&here, usize::MAX);
    assert_eq!((written.len(), written.last().unwrap().entry.begun), (MOST_WAITING, at(11)));
}

/// Full histories of many stacks cost whoever asks for a little of one no more than that.
#[test]
fn only_what_is_asked_for_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let here = Deployments::of(dir.path(), kept(50));
    let stacks = ["a", "b", "shop"].map(|name| StackName::new(name).unwrap());
    for second in 1..=50 {
        for stack in &stacks {
            here.note(deployment(stack, second));
        }
        here.flush(at(second)).unwrap();
    }
    let read = |work: &dyn Fn()| {
        let before = rows::DECODED.get();
        work();
        rows::DECODED.get() - before
    };
    assert_eq!(read(&|| assert!(here.get(&shop(), 7).unwrap().is_ok())), 1);
    assert_eq!(read(&|| assert!(here.get(&shop(), 99).unwrap().is_err())), 0);
    assert_eq!(read(&|| assert_eq!(last(&here, 5).len(), 5)), 5);
    let again = Deployments::of(dir.path(), kept(50));
    drop(here);
    let tidied = read(&|| again.flush(at(50)).unwrap());
    assert_eq!(tidied, stacks.len(), "the oldest of each, to see that it may stay");
    again.note(deployment(&shop(), 51));
    assert_eq!(read(&|| assert_eq!(last(&again, 3).len(), 3)), LOOKED_BACK);
}

#[test]
fn what_cannot_be_written_now_can_still_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let here = Deployments::of(dir.path(), kept(50));
    (1..=2).for_each(|second| here.note(deployment(&shop(), second)));
    here.flush(at(2)).unwrap();
    drop(here);
    // As after a write that failed: the file is closed.
    let again = Deployments::of(dir.path(), kept(50));
    again.note(deployment(&shop(), 3));
    assert_eq!(ids(&again), [3, 2, 1]);
    assert_eq!(again.get(&shop(), 1).unwrap().unwrap().entry.begun, at(1));
}

/// A small file system, as long as it lives.
struct Small(tempfile::TempDir);

impl Small {
    /// `None`: only root may have one; CI is root.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(dir.path());
        mount.status().is_ok_and(|it| it.success()).then(|| Self(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn on_a_full_disk_nothing_is_lost_and_it_is_written_once_there_is_room() {
    let Some(small) = Small::new() else { return };
    let dir = small.0.path();
    let here = Deployments::of(dir, kept(50));
    here.note(huge(1));
    here.flush(at(1)).unwrap();
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![0; 8 << 20]).unwrap_err();
    for second in 2..=4 {
        here.note(huge(second));
        let told = here.flush(at(second)).unwrap_err().to_string();
        assert!(told.contains("No space left on device") && told.contains("make room"), "{told}");
    }
    assert_eq!(ids(&here), [4, 3, 2, 1], "what is written and what waits");
    std::fs::remove_file(&ballast).unwrap();
    here.flush(at(5)).unwrap();
    drop(here);
    assert_eq!(stored(dir, &shop()).unwrap().unwrap().len(), 4);
}

#[test]
fn others_read_what_nobody_has_open_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(stored(dir.path(), &shop()).unwrap(), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let here = Deployments::of(dir.path(), kept(10));
    here.flush(at(1)).unwrap();
    here.note(deployment(&shop(), 1));
    here.flush(at(1)).unwrap();
    let told = stored(dir.path(), &shop()).unwrap_err().to_string();
    assert!(told.contains("already open"), "{told}");
    let told = last(&here, 9);
    drop(here);
    let before = std::fs::read(dir.path().join(FILE)).unwrap();
    assert_eq!(stored(dir.path(), &shop()).unwrap(), Some(told));
    assert_eq!(std::fs::read(dir.path().join(FILE)).unwrap(), before);
}

/// Writes until it is killed: two at a time, of two stacks.
#[test]
fn writes_until_killed() {
    let Some(dir) = victim::directory() else { return };
    let here = Deployments::of(&dir, kept(50));
    here.flush(at(1)).unwrap();
    let written = last(&here, 1).first().map_or(0, |it| it.entry.id);
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
        let writes = "store::deployments::tests::writes_until_killed";
        victim::killed(writes, dir.path(), Duration::from_millis(millis));
        let read = |stack: &str| -> Vec<u64> {
            let stack = StackName::new(stack).unwrap();
            let stored = stored(dir.path(), &stack).unwrap().unwrap_or_default();
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
