//! The socket from both sides.

use super::*;
use crate::model::{SourceName, StackName};
use crate::status::{Departure, Holdings};
use jiff::Timestamp;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

struct Clerk;

#[async_trait]
impl Office for Clerk {
    async fn departed(&self) -> Vec<Departed> {
        vec![Departed {
            stack: StackName::new("shop").unwrap(),
            source: SourceName::new("infra").unwrap(),
            departure: Departure { since: Timestamp::UNIX_EPOCH, held: Some("why".to_owned()) },
            failures: 0,
            problem: None,
            holdings: Holdings::default(),
        }]
    }

    async fn confirm(&self, wanted: Confirmation) -> Confirmed {
        Confirmed { removing: wanted.stacks, refused: vec!["no".to_owned()] }
    }
}

fn asker(path: &Path) -> Option<Asker> {
    Asker::at(path).unwrap()
}

#[tokio::test]
async fn what_is_asked_at_the_socket_is_answered_by_the_office_until_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/bowline.sock");
    assert!(asker(&path).is_none());
    let door = listen(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(door, Arc::new(Clerk), stop.clone()));
    let agent = asker(&path).unwrap();
    assert_eq!(agent.departed().await.unwrap(), Clerk.departed().await);
    let wanted = Confirmation { stacks: vec![StackName::new("shop").unwrap()] };
    let confirmed = agent.confirm(&wanted).await.unwrap();
    assert_eq!((confirmed.removing, confirmed.refused.len()), (wanted.stacks, 1));
    drop(agent);
    stop.cancel();
    served.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_one_that_is_in_use_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bowline.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let door = listen(&path).unwrap();
    let error = listen(&path).unwrap_err().to_string();
    assert!(error.contains("bowline.sock: another process answers there"), "{error}");
    drop(door);
    std::fs::write(&path, "a file").unwrap();
    let error = listen(&path).unwrap_err().to_string();
    assert!(error.contains("no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
}
