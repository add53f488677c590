//! Who is waited for when stacks go.

use super::*;

fn depending(text: &str, others: &[&str]) -> Item {
    let mut stack = stack(text, text);
    stack.policy.depends_on = names(others);
    Item { stack: Ok(Arc::new(stack)), ..fine(text) }
}

#[test]
fn those_who_depend_on_a_stack_are_known_also_by_what_they_asked_for_before_they_broke() {
    let web = || depending("web", &["db"]);
    let mut desired = holding(vec![fine("db"), web(), depending("shop", &["web"])]);
    assert_eq!(desired.dependents_of(&name("db")), names(&["web"]));
    assert_eq!(desired.dependents(), names(&["shop", "web"]));
    let items = vec![depending("db", &["shop"]), broken("web"), depending("shop", &["web"])];
    desired.set(&source("infra"), content(items), at(1));
    assert_eq!(desired.dependents_of(&name("db")), names(&["web"]));
    let circle = desired.circle(&name("db")).unwrap();
    assert_eq!(circle, ["db", "shop", "web", "db"].map(name));
    let other = content(vec![depending("shop", &["web"])]);
    desired.set(&source("other"), other, at(2));
    assert_eq!(desired.circle(&name("db")), None, "of two with one name none counts");
}

#[test]
fn of_stacks_that_go_at_once_dependents_go_first_but_nobody_waits_for_ever() {
    let items =
        vec![fine("db"), depending("web", &["db"]), depending("shop", &["web"]), fine("stays")];
    let more = ["w", "x", "y", "z"].map(fine);
    let mut desired = holding(items.into_iter().chain(more).collect());
    let left = ["stays", "w", "x", "y", "z"].map(fine).into();
    desired.set(&source("infra"), content(left), at(1));
    let on_engine = ["db", "web", "shop", "stays", "w", "x", "y", "z"];
    let removed = judge(&mut desired, &on_engine, 1).removed;
    assert_eq!(removed, names(&["db", "shop", "web"]));
    let first = |desired: &Desired, text: &str, second: i64| {
        desired.goes_before(&name(text), at(second)).map(|first| first.to_string())
    };
    let waits = |desired: &Desired| ["db", "web", "shop"].map(|text| first(desired, text, 2));
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(waits(&desired), [told("web"), told("shop"), None]);
    // Another process knows it too.
    let mut later = restarted(&desired);
    later.set(&source("infra"), content(["stays", "w", "x", "y", "z"].map(fine).into()), at(2));
    judge(&mut later, &on_engine, 2);
    assert_eq!(waits(&later), [told("web"), told("shop"), None]);
    desired.forget(&name("shop"));
    assert_eq!(waits(&desired), [told("web"), None, None]);
    let patience = REMOVAL_PATIENCE.as_secs();
    assert_eq!(first(&desired, "db", patience), told("web"));
    assert_eq!(first(&desired, "db", 1 + patience), None);
}

#[test]
fn nobody_waits_for_a_stack_that_stays_or_is_in_a_circle_with_it() {
    let stay = || ["u", "v", "w", "x", "y", "z"].map(fine);
    let circle = vec![depending("a", &["b"]), depending("b", &["a"]), depending("u", &["a"])];
    let mut desired = holding(circle.into_iter().chain(stay().into_iter().skip(1)).collect());
    let u = depending("u", &["a"]);
    let left = stay().into_iter().skip(1).chain([u]).collect();
    desired.set(&source("infra"), content(left), at(1));
    let on_engine = ["a", "b", "u", "v", "w", "x", "y", "z"];
    assert_eq!(judge(&mut desired, &on_engine, 1).removed, names(&["a", "b"]));
    assert_eq!(desired.goes_before(&name("a"), at(2)), None);
    assert_eq!(desired.goes_before(&name("b"), at(2)), None);
}
