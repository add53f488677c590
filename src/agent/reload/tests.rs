use super::*;
use std::path::Path;

fn config(text: &str) -> Config {
    Config::parse(text, Path::new("/etc/bowline/config.yaml")).unwrap()
}

fn told(former: &str, new: &str) -> String {
    Difference::between(&config(former), &config(new)).told()
}

#[test]
fn only_sources_that_say_something_else_are_changed() {
    let former = "sources: [{ name: a, url: /a }, { name: b, url: /b }]";
    assert_eq!(told(former, former), "the same sources");
    let new = "sources: [{ name: c, url: /c }, { name: b, url: /b }]";
    assert_eq!(told(former, new), "new: c; gone: a");
    for key in [
        "ref: v1",
        "interval: 5s",
        "path: hosts",
        "schedule: { deny: [] , allow: [{ cron: '0 3 * * *', for: 1h }] }",
    ] {
        let new = format!("sources: [{{ name: a, url: /a }}, {{ name: b, url: /b, {key} }}]");
        assert_eq!(told(former, &new), "changed: b", "{key}");
    }
}

#[test]
fn other_keys_change_what_every_source_holds() {
    let former = "sources: [{ name: a, url: /a }, { name: b, url: /b }]";
    let new = format!("{former}\nsops: {{ age_key_file: /etc/keys }}");
    assert_eq!(told(former, &new), "changed: a, b");
}

#[test]
fn what_a_running_agent_cannot_exchange_stays_and_is_named() {
    let former = config("sources: [{ url: /a }]");
    let mut new = config(
        "sources: [{ url: /b }]\nstate_dir: /other\nsocket: off\nresync: 1h\nlog: { level: debug }\n\
         http: { listen: off }\nengine: { host: 'tcp://127.0.0.1:1' }",
    );
    let keys = keep_what_stays(&former, &mut new);
    assert_eq!(keys, ["state_dir", "engine.host", "http.listen", "socket", "log"]);
    assert_eq!((&new.state_dir, new.http.listen), (&former.state_dir, former.http.listen));
    assert_eq!(new.resync.as_secs(), 3600);
    assert_eq!(keep_what_stays(&former, &mut new), Vec::<&str>::new());
}
