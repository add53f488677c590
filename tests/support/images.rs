//! The images that scenarios run, on both kinds of engine.

use super::docker::docker;
use bowline::engine::sim::{Behaviour, Deed, Sim};
use bowline::model::{ContainerPort, ImageConfig, Protocol, labels};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Sleeps until told to stop.
pub const SLEEPER: &str = "t-scn-sleeper:1";
/// Ends with code 3 after a moment.
pub const CRASHER: &str = "t-scn-crasher:1";
/// Ends with code 0 after a moment.
pub const JOB: &str = "t-scn-job:1";
/// Is healthy.
pub const WELL: &str = "t-scn-well:1";
/// Is never healthy.
pub const ILL: &str = "t-scn-ill:1";
/// Sets everything that an image can.
pub const RICH: &str = "t-scn-rich:1";
/// Cannot be started.
pub const BROKEN: &str = "t-scn-broken:1";
/// Was built from a container of [`INHERITED_STACK`].
pub const INHERITED: &str = "t-scn-inherited:1";
/// The stack whose labels an image passes on.
pub const INHERITED_STACK: &str = "t-scn-inherited-stack";
/// Takes no notice of signals.
pub const DEAF: &str = "t-scn-deaf:1";

const SLEEP: &str = r#"CMD ["sh","-c","trap 'exit 0' TERM; while :; do sleep 0.1; done"]"#;

/// A command, for containers of [`SLEEPER`], that writes a line and ends with a code.
pub fn say(line: &'static str, code: i64) -> [&'static str; 3] {
    let said = SAID.iter().find(|(said, ends, _)| (*said, *ends) == (line, code));
    ["sh", "-c", said.expect("it is among those that the images know").2]
}

/// A command that does nothing for so many seconds.
pub fn pause(seconds: &'static str) -> [&'static str; 2] {
    ["sleep", seconds]
}

const SAID: [(&str, i64, &str); 9] = [
    ("ready", 0, "echo ready"),
    ("one", 0, "echo one"),
    ("two", 0, "echo two"),
    ("migrated", 0, "echo migrated"),
    ("warm", 0, "echo warm"),
    ("broken", 3, "echo broken; exit 3"),
    ("no", 3, "echo no; exit 3"),
    ("no such table", 3, "echo no such table; exit 3"),
    ("prepared", 0, "echo prepared > /data/state"),
];

/// What these commands do, for the simulated engine.
fn deeds() -> BTreeMap<Vec<String>, Deed> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let said = SAID.map(|(line, code, text)| {
        let output = if text.contains('>') { vec![] } else { vec![line.to_owned()] };
        (words(&["sh", "-c", text]), Deed { code, output, ..Deed::default() })
    });
    let pause = Deed { takes: Duration::from_secs(600), ..Deed::default() };
    said.into_iter().chain([(words(&["sleep", "600"]), pause)]).collect()
}

struct Recipe {
    name: &'static str,
    changes: Vec<&'static str>,
    behaviour: Behaviour,
}

fn recipes() -> Vec<Recipe> {
    let sleeps = || Behaviour { stops_with: Some(0), ..Behaviour::default() };
    let ends = |code| Behaviour { exits: Some((Duration::from_millis(200), code)), ..sleeps() };
    let recipe = |name, changes, behaviour| Recipe { name, changes, behaviour };
    vec![
        recipe(SLEEPER, vec![SLEEP], Behaviour { commands: deeds(), ..sleeps() }),
        recipe(CRASHER, vec![r#"CMD ["sh","-c","sleep 0.2; exit 3"]"#], ends(3)),
        recipe(
            JOB,
            vec![r#"CMD ["sh","-c","echo done; sleep 0.2"]"#],
            Behaviour { output: vec!["done".into()], ..ends(0) },
        ),
        recipe(
            WELL,
            vec![SLEEP, "HEALTHCHECK --interval=200ms --timeout=5s --retries=2 CMD true"],
            sleeps(),
        ),
        recipe(
            ILL,
            vec![
                SLEEP,
                "HEALTHCHECK --interval=200ms --timeout=5s --retries=2 CMD echo no db; false",
            ],
            Behaviour { healthy_after: None, health_output: Some("no db".into()), ..sleeps() },
        ),
        recipe(
            RICH,
            vec![
                r#"ENTRYPOINT ["sh","-c"]"#,
                r#"CMD ["sleep 600"]"#,
                "ENV A=image B=image",
                "LABEL kind=rich",
                "USER 7",
                "WORKDIR /tmp",
                "VOLUME /data",
                "EXPOSE 80/tcp",
            ],
            sleeps(),
        ),
        recipe(
            BROKEN,
            vec![r#"CMD ["/no/such"]"#],
            Behaviour {
                fails_to_start: Some("exec: \"/no/such\": no such file".into()),
                ..sleeps()
            },
        ),
        recipe(DEAF, vec![r#"CMD ["sleep","600"]"#], Behaviour { stops_with: None, ..sleeps() }),
        recipe(
            INHERITED,
            vec![
                SLEEP,
                "LABEL bowline.mark=1f bowline.stack=t-scn-inherited-stack bowline.slot=web/1",
            ],
            sleeps(),
        ),
    ]
}

/// Puts all images on the real engine, unless they are there.
pub fn import_all() {
    let there = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    for recipe in recipes() {
        if !there.lines().any(|line| line == recipe.name) {
            import(recipe.name, &recipe.changes);
        }
    }
}

/// Takes them off again.
pub fn remove_all() {
    for recipe in recipes() {
        docker(&["rmi", "-f", recipe.name]);
    }
}

/// Puts all images on a simulated engine.
pub fn add_all(sim: &Sim) {
    for recipe in recipes() {
        sim.image_add(recipe.name, config(recipe.name), recipe.behaviour);
    }
}

/// The label of images that a test makes for itself: whose they are.
const OWNER: &str = "bowline.test";

/// Imports an image that sleeps; its id. It belongs to the scenario that its name begins with.
pub fn import_sleeper(name: &str, kind: &str) -> String {
    let (owner, _) = name.rsplit_once('-').unwrap();
    import(name, &[SLEEP, &format!("LABEL kind={kind} {OWNER}={owner}")]);
    docker(&["image", "inspect", "--format", "{{.Id}}", name]).trim().to_owned()
}

/// The same on a simulated engine.
pub fn add_sleeper(sim: &Sim, name: &str, kind: &str) -> String {
    let mut config = config(SLEEPER);
    config.labels = [("kind".to_owned(), kind.to_owned())].into();
    sim.image_add(name, config, Behaviour { stops_with: Some(0), ..Behaviour::default() })
}

/// Removes the images of a scenario, also those without a name.
pub fn remove_sleepers(owner: &str) {
    let found = docker(&["images", "-q", "--filter", &format!("label={OWNER}={owner}")]);
    let found: Vec<_> = found.split_whitespace().collect();
    if !found.is_empty() {
        docker(&[&["rmi", "-f"], &found[..]].concat());
    }
}

fn config(name: &str) -> ImageConfig {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let path = (
        "PATH".to_owned(),
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
    );
    let mut config = ImageConfig { environment: [path].into(), ..ImageConfig::default() };
    let mut check = bowline::model::Healthcheck {
        interval: Some(Duration::from_millis(200)),
        timeout: Some(Duration::from_secs(5)),
        retries: Some(2),
        ..Default::default()
    };
    config.command = texts(&["sleep", "600"]);
    match name {
        INHERITED => {
            let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
            config.labels = [
                label(labels::MARK, "1f"),
                label(labels::STACK, INHERITED_STACK),
                label(labels::SLOT, "web/1"),
            ]
            .into();
        }
        WELL => {
            check.test = Some(texts(&["CMD-SHELL", "true"]));
            config.healthcheck = Some(check);
        }
        ILL => {
            check.test = Some(texts(&["CMD-SHELL", "echo no db; false"]));
            config.healthcheck = Some(check);
        }
        RICH => {
            config.entrypoint = texts(&["sh", "-c"]);
            config.command = texts(&["sleep 600"]);
            let entry = |key: &str| (key.to_owned(), "image".to_owned());
            config.environment.extend([entry("A"), entry("B")]);
            config.labels = [("kind".to_owned(), "rich".to_owned())].into();
            "7".clone_into(&mut config.user);
            "/tmp".clone_into(&mut config.working_dir);
            config.volumes = ["/data".to_owned()].into();
            config.exposed_ports = [ContainerPort { port: 80, protocol: Protocol::Tcp }].into();
        }
        _ => {}
    }
    config
}

fn import(name: &str, changes: &[&str]) {
    let busybox = std::fs::read("/bin/busybox").expect("a static busybox is installed");
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(busybox.len() as u64);
    header.set_mode(0o755);
    for path in ["bin/sh", "bin/sleep", "bin/true", "bin/false"] {
        archive.append_data(&mut header.clone(), path, busybox.as_slice()).unwrap();
    }
    let changes = changes.iter().flat_map(|&change| ["--change", change]);
    let mut import = Command::new("docker")
        .arg("import")
        .args(changes)
        .args(["-", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(&archive.into_inner().unwrap()).unwrap();
    assert!(import.wait().unwrap().success(), "{name}");
}
