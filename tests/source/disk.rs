//! A disk that is full in the middle of a fetch: said, cleaned up, and no more than that.

use super::agent::noise;
use super::http::Served;
use super::nginx::Server;
use super::upstream::{Upstream, sync};
use crate::support::program::{PROGRAM, run};
use bowline::source::Reference;
use std::fs;
use std::process::Command;

/// Fetches `main` of `$1`, then `large`, which is more than the disk holds and is there after `$2`, then `main`
/// after `$3`; after each says how it ended, and at last how many kilobytes are taken.
const SCRIPT: &str = "mount -t tmpfs -o size=4m none \"$BOWLINE_STATE_DIR\" || exit 9
try() { \"$PROGRAM\" validate \"$1\" --ref $2; echo \"ended: $?\"; }
try \"$1\" main; eval \"$2\"; try \"$1\" large; eval \"$3\"; try \"$1\" main
du -sk \"$BOWLINE_STATE_DIR\"";

#[test]
fn a_disk_that_is_full_is_said_and_what_came_is_removed() {
    let Some(server) = Server::start() else { return };
    let served = Served::by(&server, &[("compose.yaml", "services: { a: { image: x } }\n")]);
    let work = &served.work;
    work.git(&["checkout", "--quiet", "-b", "large"]);
    work.commit(&[("large", &noise(16 << 20))]);
    work.git(&["push", "--quiet", served.bare.to_str().unwrap(), "large"]);
    if run(Command::new("unshare").args(["-m", "true"])).code != 0 {
        println!("not tried with a small disk: only root can");
        return;
    }
    // From a local repository all that its branches hold comes.
    let set = format!("git -C '{}' update-ref refs/heads/large", work.path().display());
    let (show, hide) =
        (format!("{set} {}", work.head()), set.replace("update-ref ", "update-ref -d "));
    work.git(&["checkout", "--quiet", "main"]);
    work.git(&["branch", "--quiet", "-D", "large"]);
    let local = format!("file://{}", work.path().display());
    for (url, show, hide) in [(&*server.url("open/a.git"), "", ""), (&local, &show, &hide)] {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", SCRIPT, "sh", url, show, hide]).env("PROGRAM", PROGRAM);
        let ended = run(command.env("BOWLINE_STATE_DIR", state.path())).expect(0);
        let codes: Vec<_> = ended.out.lines().filter_map(|it| it.strip_prefix("ended: ")).collect();
        assert_eq!(codes, ["0", "1", "0"], "{url}: {}", ended.all());
        let last = ended.out.lines().last().unwrap();
        let taken: u64 = last.split_whitespace().next().unwrap().parse().unwrap();
        assert!(taken < 1000, "{url}: {taken} kB are left");
        ended.says(&["No space left on device", "make room"]);
    }
}

#[test]
fn on_a_full_disk_a_file_that_is_shown_is_not_cut_off() {
    let upstream = Upstream::with(&[("a", "one\n"), ("b", "one\n")]);
    fs::create_dir(upstream.state()).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(upstream.state());
    if run(&mut mount).code != 0 {
        println!("not tried with a small disk: only root can");
        return;
    }
    let mut source = upstream.follow(Reference::Head);
    let shown = || fs::read(upstream.shown("a")).unwrap().len();
    sync(&mut source).unwrap();
    let ballast = upstream.state().join("ballast");
    fs::write(&ballast, vec![0; 7 << 20]).unwrap();
    upstream.commit(&[("a", &"x".repeat(2 << 20)), ("b", "two\n")]);
    let told = sync(&mut source).unwrap_err().to_string();
    let between = shown();
    fs::remove_file(&ballast).unwrap();
    let synced = sync(&mut source).map(|_| shown());
    // Half of it, as a loss of power leaves it, and no room for the rest.
    fs::File::options().write(true).open(upstream.shown("a")).unwrap().set_len(1 << 20).unwrap();
    let _ = fs::write(&ballast, vec![0; 9 << 20]);
    let last = upstream.follow(Reference::Head).last().map(drop).map_err(|it| it.to_string());
    let unmounted = run(Command::new("umount").arg(upstream.state()));
    assert!(told.contains("No space left on device") && told.contains("make room"), "{told}");
    assert_eq!((between, synced.unwrap()), (4, 2 << 20));
    assert!(last.as_ref().is_err_and(|it| it.contains("No space left on device")), "{last:?}");
    unmounted.expect(0);
}
