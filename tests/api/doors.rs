//! Who is let in, and how trouble is told.

use crate::desk::{Desk, TOKEN, begin};
use crate::support::agent::{Agent as Program, Settings};
use crate::support::program;
use crate::support::repository::Git;
use crate::support::site::{Site, until};
use crate::support::wait::until as until_now;

#[tokio::test]
async fn anybody_may_look_and_the_token_alone_may_change_something() {
    let site = Site::new("");
    let (agent, desk) = begin(&site, &["shop"]).await;
    for page in ["/v1/openapi.json", "/v1/status", "/v1/stacks/shop", "/v1/held"] {
        let answer = desk.get(page).await;
        assert_eq!(answer.status, 200, "{page}: {answer:?}");
        assert!(answer.head.contains("content-type: application/json"), "{answer:?}");
        assert!(answer.head.contains("cache-control: no-store"), "{answer:?}");
        let head = desk.ask("HEAD", page, "", "").await;
        assert_eq!((head.status, head.body.is_null()), (200, true), "{page}");
    }
    let path = "/v1/stacks/shop/pause";
    let missing = desk.ask("POST", path, "", "").await;
    assert_eq!(missing.status, 401, "{missing:?}");
    assert!(missing.head.contains(r#"www-authenticate: bearer realm="bowline""#), "{missing:?}");
    assert!(missing.error().contains("Authorization: Bearer TOKEN"), "{missing:?}");
    for wrong in ["Bearer nothing", "Basic YTpi", "Bearer"] {
        for method in ["GET", "POST"] {
            let answer = desk.ask(method, path, &format!("Authorization: {wrong}"), "").await;
            assert_eq!(answer.status, 401, "{method} {wrong}: {answer:?}");
            assert!(answer.head.contains("invalid_token"), "{answer:?}");
        }
    }
    assert!(agent.stack("shop").unwrap().paused.is_none());
    let right = desk.post(path, "").await;
    assert_eq!((right.status, right.body["stack"].as_str()), (200, Some("shop")), "{right:?}");
    assert!(agent.stack("shop").unwrap().paused.is_some());
    agent.end().await;
    let ended = desk.get("/v1/status").await;
    assert_eq!(ended.status, 503, "{ended:?}");
}

#[tokio::test]
async fn without_a_token_nothing_can_be_changed_and_it_is_told_how_that_is_set() {
    let site = Site::new("");
    let agent = site.begin(&["shop"]).await;
    let desk = Desk::open(&agent, None, false).await;
    for authorization in ["", "Authorization: Bearer x"] {
        let answer = desk.ask("POST", "/v1/stacks/shop/pause", authorization, "").await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.error().contains("http.token_file"), "{answer:?}");
    }
    assert_eq!(desk.get("/v1/status").await.status, 200);
    agent.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_asked_for_looking_takes_the_token_too_but_health_and_metrics_do_not() {
    let site = Site::new("");
    let agent = site.begin(&["shop"]).await;
    let desk = Desk::open(&agent, Some(TOKEN), true).await;
    for page in ["/v1/openapi.json", "/v1/status", "/v1/stacks/shop", "/v1/nothing", "/v1/", "/v1"]
    {
        let answer = desk.get(page).await;
        assert_eq!(answer.status, 401, "{page}: {answer:?}");
    }
    let right = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(desk.ask("GET", "/v1/status", &right, "").await.status, 200);
    for page in ["/healthz", "/readyz", "/metrics"] {
        let url = format!("http://{}{page}", desk.address);
        let asked = tokio::task::spawn_blocking(move || {
            ureq::get(url).config().http_status_as_error(false).build().call()
        });
        // It may not be ready yet.
        let status = asked.await.unwrap().unwrap().status().as_u16();
        assert!([200, 503].contains(&status), "{page}: {status}");
    }
    agent.end().await;
}

#[tokio::test]
async fn a_page_of_another_name_and_a_form_of_a_browser_get_nowhere() {
    let site = Site::new("");
    let (agent, desk) = begin(&site, &["shop"]).await;
    let foreign = desk.ask("GET", "/v1/status", "Host: attacker.example:9184", "").await;
    assert_eq!(foreign.status, 421, "{foreign:?}");
    assert!(foreign.error().contains("localhost"), "{foreign:?}");
    let token = format!("Authorization: Bearer {TOKEN}");
    let named = format!("Host: web1.example\n{token}");
    assert_eq!(desk.ask("GET", "/v1/status", &named, "").await.status, 200);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        let headers = format!("{token}\nContent-Type: {kind}");
        let answer = desk.ask("POST", "/v1/stacks/shop/suspend", &headers, "{}").await;
        assert_eq!(answer.status, 415, "{kind}: {answer:?}");
        assert!(answer.error().contains("application/json"), "{answer:?}");
    }
    let preflight = "Origin: http://attacker.example\nAccess-Control-Request-Method: POST";
    let answer = desk.ask("OPTIONS", "/v1/stacks/shop/suspend", preflight, "").await;
    assert_eq!(answer.status, 405, "{answer:?}");
    assert!(!answer.head.contains("access-control"), "{answer:?}");
    assert!(agent.stack("shop").unwrap().suspended.is_none());
    agent.end().await;
}

#[tokio::test]
async fn trouble_is_told_in_one_shape_with_a_fitting_status() {
    let site = Site::new("");
    let (agent, desk) = begin(&site, &["shop"]).await;
    let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(65 * 1024));
    for (method, path, body, status, words) in [
        ("GET", "/v1/stacks/blog", "", 404, "there is no stack blog"),
        ("GET", "/v1/stacks/blog/plan", "", 404, "known are: shop"),
        ("POST", "/v1/stacks/blog/sync", "", 404, "known are: shop"),
        ("POST", "/v1/stacks/N%20O/sync", "", 404, "is no stack name"),
        ("POST", "/v1/sources/blog/sync", "", 404, "known are: infra"),
        ("GET", "/v1/stacks/shop/plan?what=1", "", 400, "unknown field `what`"),
        ("POST", "/v1/stacks/shop/pause", "{", 400, "the body cannot be read"),
        ("POST", "/v1/stacks/shop/pause", "[]", 400, "the body cannot be read"),
        ("POST", "/v1/stacks/shop/suspend", &long, 413, "65536 bytes"),
        ("POST", "/v1/stacks/shop/rollback", "", 409, "no former revision"),
        ("DELETE", "/v1/stacks/shop", "", 405, "GET /v1/status"),
        ("POST", "/v1/status", "", 405, "GET /v1/status"),
        ("GET", "/v1/nothing", "", 404, "GET /v1/status"),
        ("GET", "/nothing", "", 404, "/v1/openapi.json"),
    ] {
        let headers = format!("Authorization: Bearer {TOKEN}\nContent-Type: application/json");
        let answer = desk.ask(method, path, &headers, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(answer.error().contains(words), "{method} {path}: {answer:?}");
        let allow = answer.head.lines().find_map(|line| line.strip_prefix("allow: "));
        let expected = match path {
            "/v1/stacks/shop" | "/v1/status" if status == 405 => Some("get,head"),
            _ => None,
        };
        assert_eq!(allow, expected, "{method} {path}");
    }
    agent.end().await;
}

#[tokio::test]
async fn what_a_pass_would_do_is_told_with_its_reasons_and_not_done() {
    let site = Site::new("");
    let (agent, desk) = begin(&site, &["shop"]).await;
    let path = "/v1/stacks/shop/plan";
    until("nothing to be left to do", async || {
        let plan = desk.get(path).await;
        plan.body["changes"] == serde_json::json!([]) && plan.body.get("obstacle").is_none()
    })
    .await;
    assert_eq!(desk.post("/v1/stacks/shop/suspend", "{}").await.status, 200);
    site.write("shop", "shop:2").git.push("Next");
    let synced = desk.post("/v1/sources/infra/sync", "").await;
    assert_eq!((synced.status, &synced.body["source"]), (200, &"infra".into()), "{synced:?}");
    until("the commit to be seen", async || {
        desk.get(path).await.body["changes"].as_array().is_some_and(|all| !all.is_empty())
    })
    .await;
    let plan = desk.get(path).await.body;
    assert!(
        plan["obstacle"]
            .as_str()
            .unwrap()
            .starts_with("suspended by the token's bearer at 127.0.0.1")
    );
    let text = plan["plan"].as_str().unwrap();
    assert!(text.contains("shop:2") && text.contains("shop:1"), "{text}");
    let changes = plan["changes"].as_array().unwrap();
    let replace = changes.iter().find(|it| it["action"] == "replace").unwrap();
    assert_eq!(replace["object"], "container app/1", "{plan}");
    let reason = &replace["reasons"][0];
    assert_eq!((&reason["desired"], &reason["actual"]), (&"shop:2".into(), &"shop:1".into()));
    let revision = agent.stack("shop").unwrap().revision.unwrap().0;
    assert_eq!(plan["revision"], revision);
    // At the socket, by the command.
    let told = site.run(&["plan", "--stack", "shop"]).await.expect(2);
    assert!(told.out.contains("shop:2"), "{told:?}");
    assert!(told.err.contains("not now: suspended by"), "{told:?}");
    let told = site.run(&["plan", "--stack", "shop", "-o", "json"]).await.expect(2);
    let json: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(json["plans"][0]["changes"], plan["changes"]);
    let told = site.run(&["sync", "--source", "infra"]).await.expect(0);
    assert_eq!(told.out, "infra: fetching infra\n");
    agent.end().await;
}

#[test]
fn the_token_of_the_configuration_opens_the_program_s_api_and_stands_in_no_log() {
    let git = Git::new();
    git.write("first/compose.yaml", "services: {}\n").push("Begin");
    let settings = Settings::new("api", &git.url(), "log: { level: debug }");
    let file = settings.dir.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let text = std::fs::read_to_string(settings.file()).unwrap();
    let text = text.replace("http: { ", "http: { token_file: token, ");
    std::fs::write(settings.file(), text).unwrap();
    let agent = Program::start_with(&settings, &["--engine", "sim"], &[]);
    agent.until_ready();
    let post = |token: &str| {
        let url = format!("{}/v1/sources/api/sync", agent.url());
        let asked = ureq::post(url).header("authorization", format!("Bearer {token}")).send_empty();
        match asked {
            Ok(answer) => answer.status().as_u16(),
            Err(ureq::Error::StatusCode(status)) => status,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!((post(TOKEN), post("another-token-that-is-wrong")), (200, 401));
    agent.until_logged(0, &["a request was refused", "this is not the token"]);
    // Another reason is told, however soon it comes.
    assert!(ureq::post(format!("{}/v1/sources/api/sync", agent.url())).send_empty().is_err());
    agent.until_logged(0, &["a request was refused", "this takes the token"]);
    agent.until_logged(0, &["sync by hand, by the token's bearer at 127.0.0.1"]);
    // Another token in the file is the token from then on.
    let other = TOKEN.replace('0', "f");
    std::fs::write(&file, &other).unwrap();
    assert_eq!((post(TOKEN), post(&other)), (401, 200));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(post(&other), 503);
    let log = until_now("the log", || Some(agent.log()));
    assert!(
        !log.contains(TOKEN) && !log.contains(&other) && !log.contains("another-token"),
        "{log}"
    );
    agent.terminate();
}

#[test]
fn a_credential_of_systemd_is_the_token_and_what_is_no_good_as_one_is_told() {
    let git = Git::new();
    git.write("first/compose.yaml", "services: {}\n").push("Begin");
    let settings = Settings::new("api", &git.url(), "");
    let text = std::fs::read_to_string(settings.file()).unwrap();
    let text = text.replace("http: { ", "http: { credential: api-token, ");
    std::fs::write(settings.file(), text).unwrap();
    let file = settings.file();
    let check = |directory: Option<&std::path::Path>| {
        let arguments = ["agent", "--check", "--config", file.to_str().unwrap()];
        let mut command = program::command(&settings.state_dir(), &arguments);
        command.env_remove("CREDENTIALS_DIRECTORY");
        directory.map(|it| command.env("CREDENTIALS_DIRECTORY", it));
        program::run(&mut command)
    };
    let credentials = settings.dir.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    check(None).expect(1).says(&["http.credential", "LoadCredential=api-token:PATH"]);
    check(Some(&credentials)).expect(1).says(&["http.credential", "credentials/api-token"]);
    let token = credentials.join("api-token");
    std::fs::write(&token, "short\n").unwrap();
    let told = check(Some(&credentials)).expect(1).says(&["shorter than 16 characters"]);
    assert!(!told.all().contains("`short`"), "{told:?}");
    std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
    check(Some(&credentials)).expect(0);

    let variables = [("CREDENTIALS_DIRECTORY", credentials.as_path())];
    let agent = Program::start_with(&settings, &["--engine", "sim"], &variables);
    agent.until_ready();
    let post = |token: &str| {
        let url = format!("{}/v1/sources/api/sync", agent.url());
        let asked = ureq::post(url).header("authorization", format!("Bearer {token}"));
        let asked = asked.config().http_status_as_error(false).build().send_empty();
        asked.unwrap().status().as_u16()
    };
    assert_eq!((post(TOKEN), post("another-token-that-is-wrong")), (200, 401));
    assert!(!agent.log().contains(TOKEN), "{}", agent.log());
    agent.terminate();
}
