//! Questions to real servers on the loopback, and what their answers mean.

use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

/// Time enough for every server that answers.
const AMPLE: Duration = Duration::from_secs(20);

/// A server that gives one answer, and what it was asked.
fn server(answer: String) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, questions) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        asked.send(read(&stream)).unwrap();
        // Whoever has read enough may be gone.
        let _ = stream.write_all(answer.as_bytes());
    });
    (address, questions)
}

/// A request: its head, and its body if it has one.
fn read(stream: impl Read) -> String {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
        request += &line;
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    request + &String::from_utf8(body).unwrap()
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

async fn page_that_answers(answer: String) -> Answer {
    let (address, _questions) = server(answer);
    match page(address, "/healthz?key=hunter2", AMPLE, &Secrets::default()).await {
        Answer::Ill(what) => Answer::Ill(what.replace(&address.to_string(), "HERE")),
        Answer::Silent(what) => Answer::Silent(what.replace(&address.to_string(), "HERE")),
        other => other,
    }
}

async fn prometheus_that_answers(status: &str, body: &str) -> Answer {
    let (address, _questions) = server(answer(status, body));
    let here = |what: String| what.replace(&address.to_string(), "HERE");
    match alert(&format!("http://{address}/"), "up == 0", AMPLE, &Secrets::default()).await {
        Answer::Ill(what) => Answer::Ill(here(what)),
        Answer::Unknown(what) => Answer::Unknown(here(what)),
        other => other,
    }
}

#[tokio::test]
async fn a_page_is_well_from_200_to_399_and_no_redirect_is_followed() {
    for status in ["200 OK", "204 No Content", "399 Odd"] {
        assert_eq!(page_that_answers(answer(status, "")).await, Answer::Well, "{status}");
    }
    // Nobody listens there: whoever followed it would get no answer.
    let elsewhere =
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(page_that_answers(elsewhere.to_owned()).await, Answer::Well);
    for status in [400, 404, 500, 503] {
        let told = Answer::Ill(format!("http://HERE/healthz answered {status}"));
        let secret = answer(&format!("{status} No"), "hunter2");
        assert_eq!(page_that_answers(secret).await, told);
    }
}

#[tokio::test]
async fn a_page_that_is_refused_slow_or_no_http_gives_no_answer() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    let slow = page(address, "/", Duration::from_millis(50), &Secrets::default()).await;
    assert_eq!(
        slow,
        Answer::Silent(format!("http://{address}/ gave no answer (it took too long)"))
    );
    drop(free);
    let Answer::Silent(refused) = page(address, "/", AMPLE, &Secrets::default()).await else {
        panic!("refused")
    };
    assert!(refused.contains("refused"), "{refused}");
    for garbage in ["SSH-2.0-OpenSSH\r\n", "HTTP/1.1 what\r\n\r\n", ""] {
        let told = page_that_answers(garbage.to_owned()).await;
        let Answer::Silent(told) = told else { panic!("{garbage}: {told:?}") };
        assert!(told.starts_with("http://HERE/healthz gave no answer ("), "{told}");
    }
}

#[tokio::test]
async fn prometheus_is_asked_for_one_sample_of_now() {
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    let (address, questions) = server(answer("200 OK", empty));
    let url = format!("http://{address}/prometheus/");
    assert_eq!(alert(&url, "a{b=\"c\"} > 1", AMPLE, &Secrets::default()).await, Answer::Well);
    let asked = questions.recv().unwrap();
    assert!(asked.starts_with("POST /prometheus/api/v1/query HTTP/1.1\r\n"), "{asked}");
    let form = asked.split("\r\n\r\n").nth(1).unwrap();
    let form: BTreeMap<_, _> = url::form_urlencoded::parse(form.as_bytes()).collect();
    assert_eq!((&*form["query"], &*form["limit"]), ("a{b=\"c\"} > 1", "1"));
}

#[tokio::test]
async fn a_sample_is_a_failure_and_an_empty_answer_is_well() {
    let success = |kind: &str, result: &str| {
        format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
    };
    let sample = r#"[{"metric":{"version":"2"},"value":[1.5,"0.7"]}]"#;
    let false_sample = r#"[{"metric":{},"value":[1,"0"]}]"#;
    let histogram = r#"[{"metric":{},"histogram":[1,{}]}]"#;
    let ill = |what: &str| Answer::Ill(format!("Prometheus at http://HERE {what}"));
    let not_now = "the query to Prometheus at http://HERE must ask for the values of one moment";
    for (body, expected) in [
        (success("vector", "[]"), Answer::Well),
        (success("vector", sample), ill(r#"has a sample: {version="2"} 0.7"#)),
        (success("vector", false_sample), ill("has a sample: {} 0")),
        (success("vector", histogram), ill("has a sample: {} a histogram")),
        (success("scalar", r#"[1,"0"]"#), Answer::Well),
        (success("scalar", r#"[1,"NaN"]"#), Answer::Well),
        (success("scalar", r#"[1,"1"]"#), ill("has a sample: 1")),
        (success("matrix", "[]"), Answer::Ill(not_now.to_owned())),
    ] {
        assert_eq!(prometheus_that_answers("200 OK", &body).await, expected, "{body}");
    }
}

#[tokio::test]
async fn a_query_that_is_refused_is_the_definition_s_fault_and_nothing_else_is() {
    let error = |kind: &str, text: &str| {
        format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#)
    };
    let bad = error("bad_data", "invalid parameter: 1:5: parse error");
    let told = "Prometheus at http://HERE refused the query: invalid parameter: 1:5: parse error";
    let answer = prometheus_that_answers("400 Bad Request", &bad).await;
    assert_eq!(answer, Answer::Ill(told.to_owned()));

    let unavailable = error("unavailable", &"x".repeat(5000));
    for (status, body, words) in [
        ("503 Service Unavailable", unavailable.as_str(), "answered 503: xxx"),
        ("500 Internal Server Error", "oh", "answered 500, and no result"),
        ("200 OK", "<html>", "answered 200, and no result"),
        ("400 Bad Request", "<html>", "answered 400, and no result"),
        ("302 Found", "", "answered 302, and no result"),
        ("200 OK", &"x".repeat(2 << 20), "it is too large"),
    ] {
        let answer = prometheus_that_answers(status, body).await;
        let Answer::Unknown(told) = answer else { panic!("{status}: {answer:?}") };
        assert!(told.contains(words) && told.len() < 300, "{told}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = alert(&format!("http://{free}"), "up", AMPLE, &Secrets::default()).await;
    assert!(matches!(&answer, Answer::Unknown(told) if told.contains("refused")), "{answer:?}");
}
