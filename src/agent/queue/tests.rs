//! The queue's promises, on paused time.

use super::*;
use futures_util::FutureExt;
use proptest::prelude::*;
use std::collections::BTreeSet;
use tokio::time::{advance, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn queue<K: Ord + Clone>() -> Queue<K> {
    Queue::new(Backoff::new(SECOND, 8 * SECOND, 0.0), || 0.0)
}

/// The key that is due now, if one is.
fn take<K: Ord + Clone>(queue: &Queue<K>) -> Option<Work<K>> {
    queue.next().now_or_never().flatten()
}

/// Takes all that is due now, ending each well.
fn drain(queue: &Queue<&'static str>) -> Vec<&'static str> {
    std::iter::from_fn(|| take(queue))
        .map(|work| {
            let key = *work.key();
            work.done(Outcome::Succeeded);
            key
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_key_added_many_times_runs_once_and_keys_run_in_the_order_they_came() {
    let queue = queue();
    for key in ["b", "a", "b", "b"] {
        queue.add(key);
    }
    assert_eq!(queue.depth(), 2);
    assert_eq!(drain(&queue), ["b", "a"]);
    assert_eq!(queue.depth(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_touched_while_it_runs_runs_once_more_afterwards_and_not_before() {
    let queue = queue();
    queue.add("a");
    let work = take(&queue).unwrap();
    queue.add("a");
    queue.add("a");
    assert!(take(&queue).is_none());
    work.done(Outcome::Succeeded);
    assert_eq!(drain(&queue), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_for_one_key_never_gives_another() {
    let queue = queue();
    queue.restrict_to("a");
    queue.add("b");
    queue.add_rate_limited("b");
    queue.add("a");
    assert_eq!((queue.takes(&"a"), queue.takes(&"b")), (true, false));
    assert_eq!(drain(&queue), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn the_earliest_deadline_wins() {
    let queue = queue();
    queue.add_after("a", 5 * SECOND);
    queue.add_after("a", 2 * SECOND);
    queue.add_after("a", 9 * SECOND);
    advance(SECOND).await;
    assert_eq!(drain(&queue), Vec::<&str>::new());
    assert_eq!(queue.depth(), 0);
    advance(SECOND).await;
    assert_eq!(drain(&queue), ["a"]);
    advance(9 * SECOND).await;
    assert_eq!(drain(&queue), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn an_immediate_add_overtakes_a_delayed_one_for_a_worker_that_already_waits() {
    let queue = queue();
    queue.add_after("a", 60 * SECOND);
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next().await.map(|work| (*work.key(), Instant::now())) }
    });
    let began = Instant::now();
    tokio::task::yield_now().await;
    queue.add("a");
    let (key, at) = worker.await.unwrap().unwrap();
    assert_eq!((key, at - began), ("a", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn failures_wait_longer_each_time_up_to_the_bound_and_a_success_resets_them() {
    let queue = queue();
    queue.add("a");
    let mut waits = Vec::new();
    for _ in 0..6 {
        let asked = Instant::now();
        let work = queue.next().await.unwrap();
        waits.push((asked.elapsed().as_secs(), work.failures()));
        work.done(Outcome::Failed);
    }
    assert_eq!(waits, [(0, 0), (1, 1), (2, 2), (4, 3), (8, 4), (8, 5)]);
    queue.next().await.unwrap().done(Outcome::Succeeded);
    queue.add("a");
    assert_eq!(take(&queue).unwrap().failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_add_keeps_to_the_backoff_that_a_plain_add_overtakes() {
    let queue = queue();
    queue.add_rate_limited("a");
    let work = take(&queue).unwrap();
    queue.add_rate_limited("a");
    work.done(Outcome::Failed);
    queue.add_rate_limited("a");
    assert!(take(&queue).is_none());
    queue.add("a");
    let work = take(&queue).unwrap();
    assert_eq!(work.failures(), 1);
    work.done(Outcome::Succeeded);
    queue.add_rate_limited("a");
    assert_eq!(drain(&queue), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn work_that_panics_counts_as_failed_and_frees_its_key() {
    let queue = queue();
    queue.add("a");
    let work = take(&queue).unwrap();
    let panicked = tokio::spawn(async move {
        let _work = work;
        panic!("as asked");
    });
    assert!(panicked.await.is_err());
    assert_eq!(queue.running(), 0);
    assert_eq!(queue.next().await.unwrap().failures(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_key_does_not_come_back_unless_it_is_added_again() {
    let queue = queue();
    queue.add("waits");
    queue.forget(&"waits");
    queue.add("runs");
    let work = take(&queue).unwrap();
    queue.add("runs");
    queue.forget(&"runs");
    work.done(Outcome::Failed);
    advance(60 * SECOND).await;
    assert_eq!(drain(&queue), Vec::<&str>::new());
    queue.add("runs");
    assert_eq!(take(&queue).unwrap().failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_waiter_and_takes_no_more() {
    let queue: Queue<&str> = queue();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.next().await.is_none() })
        })
        .collect();
    tokio::task::yield_now().await;
    queue.add_after("a", SECOND);
    queue.close();
    for waiter in waiters {
        assert!(timeout(SECOND, waiter).await.unwrap().unwrap());
    }
    queue.add("a");
    assert!(queue.next().await.is_none());
    assert_eq!(queue.depth(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_adds_over_ten_keys_give_few_runs_and_lose_none() {
    let queue = queue();
    let runs = Arc::new(Mutex::new(Vec::new()));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (queue, runs) = (queue.clone(), Arc::clone(&runs));
            tokio::spawn(async move {
                while let Some(work) = queue.next().await {
                    runs.lock().unwrap().push(*work.key());
                    tokio::task::yield_now().await;
                    work.done(Outcome::Succeeded);
                }
            })
        })
        .collect();
    for batch in 0..10 {
        for add in 0..10_000 {
            queue.add((batch + add) % 10);
        }
        tokio::task::yield_now().await;
    }
    while queue.depth() + queue.running() > 0 {
        tokio::task::yield_now().await;
    }
    queue.close();
    for worker in workers {
        worker.await.unwrap();
    }
    let runs = runs.lock().unwrap();
    assert!((10..=110).contains(&runs.len()), "{} runs", runs.len());
    assert_eq!(runs.iter().collect::<BTreeSet<_>>().len(), 10);
}

/// What can happen to a queue.
#[derive(Debug, Clone)]
enum Happening {
    Add(u8),
    AddAfter(u8, u64),
    AddRateLimited(u8),
    Take,
    Finish(usize, bool),
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let key = || 0u8..4;
    prop_oneof![
        key().prop_map(Happening::Add),
        (key(), 0u64..20).prop_map(|(key, secs)| Happening::AddAfter(key, secs)),
        key().prop_map(Happening::AddRateLimited),
        Just(Happening::Take),
        (0usize..4, any::<bool>()).prop_map(|(which, well)| Happening::Finish(which, well)),
        (0u64..5).prop_map(Happening::Pass),
    ]
}

/// Plays `happenings`, then lets the queue run empty. `owed` are keys with an add that no run has
/// followed yet.
async fn play(happenings: Vec<Happening>) -> Result<(), TestCaseError> {
    let queue = queue();
    let mut running: Vec<Work<u8>> = Vec::new();
    let mut owed: BTreeSet<u8> = BTreeSet::new();
    for happening in happenings {
        match happening {
            Happening::Add(key) => {
                queue.add(key);
                owed.insert(key);
            }
            Happening::AddAfter(key, secs) => {
                queue.add_after(key, Duration::from_secs(secs));
                owed.insert(key);
            }
            Happening::AddRateLimited(key) => {
                queue.add_rate_limited(key);
                owed.insert(key);
            }
            Happening::Take => {
                if let Some(work) = take(&queue) {
                    prop_assert!(running.iter().all(|other| other.key() != work.key()));
                    owed.remove(work.key());
                    running.push(work);
                }
            }
            Happening::Finish(which, well) if which < running.len() => {
                let outcome = if well { Outcome::Succeeded } else { Outcome::Failed };
                running.swap_remove(which).done(outcome);
            }
            Happening::Finish(..) => {}
            Happening::Pass(secs) => advance(Duration::from_secs(secs)).await,
        }
        prop_assert_eq!(queue.running(), running.len());
    }
    for work in running {
        work.done(Outcome::Succeeded);
    }
    // No deadline lies farther off than the longest delay that was asked for.
    advance(60 * SECOND).await;
    while let Some(work) = take(&queue) {
        owed.remove(work.key());
        work.done(Outcome::Succeeded);
    }
    prop_assert!(owed.is_empty(), "lost: {:?}", owed);
    prop_assert_eq!(queue.depth(), 0);
    Ok(())
}

proptest! {
    #[test]
    fn no_add_is_lost_and_no_key_runs_twice_at_once(
        happenings in proptest::collection::vec(happening(), 0..80)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(happenings))?;
    }
}

#[tokio::test(start_paused = true)]
async fn work_beside_a_backoff_leaves_it_as_it_is() {
    let queue = queue();
    queue.add("a");
    take(&queue).unwrap().done(Outcome::Failed);
    assert!(queue.backs_off(&"a"));
    advance(SECOND / 2).await;
    queue.add("a");
    let work = take(&queue).unwrap();
    queue.add_rate_limited("a");
    work.done(Outcome::Beside);
    assert!(take(&queue).is_none(), "the backoff is not over");
    advance(SECOND / 2).await;
    assert!(!queue.backs_off(&"a"));
    let work = take(&queue).expect("the backoff is over");
    assert_eq!(work.failures(), 1);
    work.done(Outcome::Failed);
    advance(SECOND).await;
    assert!(take(&queue).is_none(), "it grows on");
    advance(SECOND).await;
    assert!(take(&queue).is_some());
}
