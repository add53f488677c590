//! What the inventory remembers, and what it makes of files that are not as they should be.

use super::*;
use crate::model::{ContentDigest, SourceName};
use crate::status::HoldReason;
use crate::store::{Good, HoldRecord, Origin, victim};
use jiff::Timestamp;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

fn name(text: &str) -> StackName {
    StackName::new(text).unwrap()
}

fn opened(dir: &Path) -> Inventory {
    let (inventory, mishap) = Inventory::open(dir);
    assert_eq!(mishap, None);
    inventory
}

fn hold(inventory: &Inventory, stack: &str) {
    let reason = HoldReason::Renamed { to: name("other") };
    let since = Timestamp::from_second(7).unwrap();
    inventory.update(&name(stack), |record| {
        record.held = Some(HoldRecord { reason, since });
        record.origin = Some(Origin {
            source: SourceName::new("infra").unwrap(),
            file: "a/compose.yaml".to_owned(),
            since,
            left: Some(since),
            place: None,
            depends_on: [].into(),
        });
    });
}

#[test]
fn what_was_written_is_there_again_and_what_was_forgotten_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let inventory = opened(dir.path());
    hold(&inventory, "a");
    hold(&inventory, "b");
    let web = ServiceName::new("web").unwrap();
    let note = |record: &mut ImageRecord| record.note("sha256:1", "web:1", Timestamp::UNIX_EPOCH);
    assert!(inventory.update_images(&name("a"), &web, note));
    inventory.flush().unwrap();
    assert!(inventory.forget(&name("b")));
    assert!(!inventory.update(&name("a"), |_| {}));
    inventory.flush().unwrap();
    let (stacks, images) = (inventory.stacks(), inventory.images());
    drop(inventory);
    let again = opened(dir.path());
    assert_eq!((again.stacks(), again.images()), (stacks, images));
    assert_eq!(again.stacks().len(), 1);
    let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_damaged_file_is_put_aside_whatever_is_in_it_and_a_new_one_begins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let inventory = opened(dir.path());
    hold(&inventory, "a");
    inventory.flush().unwrap();
    drop(inventory);
    let whole = std::fs::read(&path).unwrap();
    let overwritten = |from: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[from..].iter_mut().for_each(|one| *one = byte);
        bytes
    };
    let cases = [
        b"no database".to_vec(),
        vec![0; 4096],
        whole[..whole.len() / 2].to_vec(),
        overwritten(0, 0xff),
        overwritten(64, 0),
        overwritten(4096, 0xaa),
    ];
    for (number, bytes) in (1..).zip(cases) {
        std::fs::write(&path, bytes).unwrap();
        let (inventory, mishap) = Inventory::open(dir.path());
        let Some(Mishap::Damaged { aside, .. }) = &mishap else { panic!("{number}: {mishap:?}") };
        assert!(aside.ends_with(format!("{FILE}.damaged-{number}")), "{}", aside.display());
        assert!(inventory.stacks().is_empty());
        hold(&inventory, "b");
        inventory.flush().unwrap();
        drop(inventory);
        assert_eq!(opened(dir.path()).stacks().len(), 1);
    }
}

/// Any single byte may have changed: then all is as it was, or it is seen. No record is made up.
#[test]
fn no_changed_byte_is_taken_for_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let inventory = opened(dir.path());
    hold(&inventory, "a");
    inventory.flush().unwrap();
    let stacks = inventory.stacks();
    drop(inventory);
    let whole = std::fs::read(&path).unwrap();
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    for at in used.iter().step_by(used.len() / 60 + 1) {
        let mut bytes = whole.clone();
        bytes[*at] ^= 0x55;
        std::fs::write(&path, bytes).unwrap();
        let (inventory, mishap) = Inventory::open(dir.path());
        let told = matches!(mishap, Some(Mishap::Damaged { .. }));
        assert!(told || inventory.stacks() == stacks, "byte {at}: {mishap:?}");
    }
}

#[test]
fn what_cannot_be_written_is_kept_in_memory_and_written_once_it_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("not/there");
    let (inventory, mishap) = Inventory::open(&missing);
    let told = mishap.unwrap().to_string();
    assert!(told.contains("not/there/state.redb") && told.contains("No such file"), "{told}");
    hold(&inventory, "a");
    assert!(matches!(inventory.flush(), Err(Mishap::Unavailable { .. })));
    assert_eq!(inventory.stacks().len(), 1);
    std::fs::create_dir_all(&missing).unwrap();
    inventory.flush().unwrap();
    drop(inventory);
    assert_eq!(opened(&missing).stacks().len(), 1);
}

#[test]
fn what_can_be_read_only_late_is_taken_in_and_not_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let earlier = opened(dir.path());
    hold(&earlier, "a");
    hold(&earlier, "b");
    let web = ServiceName::new("web").unwrap();
    let noting = |id: &'static str| {
        move |record: &mut ImageRecord| record.note(id, "web:1", Timestamp::UNIX_EPOCH)
    };
    earlier.update_images(&name("a"), &web, noting("old"));
    let good = |definition: &str| Good {
        revision: None,
        file: "compose.yaml".to_owned(),
        definition: ContentDigest(definition.to_owned()),
        images: BTreeMap::new(),
        since: Timestamp::UNIX_EPOCH,
    };
    earlier.update(&name("a"), |record| record.note_good(good("first")));
    earlier.update(&name("b"), |record| record.note_good(good("first")));
    earlier.flush().unwrap();
    // It is locked by another process: here by one that does not end yet.
    let (inventory, mishap) = Inventory::open(dir.path());
    assert!(matches!(mishap, Some(Mishap::Unavailable { .. })), "{mishap:?}");
    assert!(!inventory.is_read() && inventory.stacks().is_empty());
    inventory.update(&name("b"), |record| record.holdings.networks = ["b_x".to_owned()].into());
    inventory.update(&name("b"), |record| record.note_good(good("second")));
    inventory.update_images(&name("a"), &web, noting("new"));
    assert!(inventory.flush().is_err() && !inventory.is_read());
    let stacks = earlier.stacks();
    drop(earlier);
    inventory.flush().unwrap();
    assert_eq!(inventory.found_late(), Some(stacks));
    assert!(inventory.is_read() && inventory.found_late().is_none());
    let known = inventory.stacks();
    drop(inventory);
    let again = opened(dir.path());
    assert_eq!(again.stacks(), known);
    assert!(known.values().all(|record| record.held.is_some() && record.origin.is_some()));
    assert_eq!(known[&name("b")].holdings.networks.len(), 1);
    assert_eq!(known[&name("a")].good, Some(good("first")));
    assert_eq!(known[&name("b")].good, Some(good("second")));
    assert_eq!(known[&name("b")].former, [good("first")]);
    let used = &again.images()[&(name("a"), web)].used;
    assert_eq!(used.iter().map(|image| image.id.as_str()).collect::<Vec<_>>(), ["new", "old"]);
}

/// Writes until it is killed: each time one more stack, and all of them say how many there are.
#[test]
fn writes_until_killed() {
    let Some(dir) = victim::directory() else { return };
    let inventory = opened(&dir);
    for round in inventory.stacks().len() + 1.. {
        for number in 1..=round {
            inventory.update(&name(&format!("s{number}")), |record| {
                record.holdings.containers = [round.to_string()].into();
            });
        }
        inventory.flush().unwrap();
    }
}

#[test]
fn killed_at_any_moment_it_holds_all_of_a_write_or_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut rounds = 0;
    for millis in [30, 45, 60, 80, 110, 150] {
        let writes = "store::inventory::tests::writes_until_killed";
        victim::killed(writes, dir.path(), Duration::from_millis(millis));
        let stacks = opened(dir.path()).stacks();
        let count = stacks.len();
        assert!(count >= rounds, "{count} after {rounds}");
        rounds = count;
        let whole = [count.to_string()].into();
        assert!(stacks.values().all(|record| record.holdings.containers == whole), "{stacks:?}");
    }
    assert!(rounds > 0, "nothing was written");
}
