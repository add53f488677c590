//! What stacks that are made of charts give, read from memory.

use crate::chart::Flaw;
use crate::manifest::{DigestKey, Loaded, Request, load, resolve, template};
use crate::model::ServiceName;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

const STACK: &str = "\
chart: ../charts/app
values: more.yaml
set:
  image: app:${TAG}
";
const CHART: &str = "\
apiVersion: bowline/v1
name: app
version: 1.2.0
description: An app.
";
const VALUES: &str = "image: app:1\nreplicas: 1\nenv: {}\nports: []\nnote: null\n";
const TEMPLATE: &str = "\
{% from '_names.yaml' import host %}
services:
  app:
    image: {{ Values.image }}
    hostname: {{ host(Stack.Name) }}
    environment: {{ Values.env }}
    ports: {{ Values.ports }}
    deploy:
      replicas: {{ Values.replicas }}
    labels:
      chart: {{ Chart.Name }}-{{ Chart.Version }}
    configs: [{ source: file, target: /file }]
{% if Values.note %}
    domainname: {{ Values.note }}
{% endif %}
configs:
  file:
    file: {{ Chart.Path }}/file.conf
";
const MACROS: &str = "{% macro host(name) %}host-{{ name }}{% endmacro %}\n";

/// A repository with a chart and the stack `shop` of it, changed as `changes` say.
struct Repository(BTreeMap<String, String>);

impl Repository {
    fn new(changes: &[(&str, &str)]) -> Self {
        let files = [
            ("shop/stack.yaml", STACK),
            ("shop/more.yaml", "replicas: 3\n"),
            ("charts/app/Chart.yaml", CHART),
            ("charts/app/values.yaml", VALUES),
            ("charts/app/templates/compose.yaml", TEMPLATE),
            ("charts/app/templates/_names.yaml", MACROS),
            ("charts/app/file.conf", "x\n"),
        ];
        let all = files.iter().chain(changes);
        Self(all.map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let name = path.strip_prefix("/git").unwrap().to_str().unwrap();
        let found = self.0.get(name).map(|text| text.as_bytes().to_vec());
        found.ok_or(Error::from(ErrorKind::NotFound))
    }

    fn load(&self, request: &Request) -> Result<Loaded, String> {
        load(request, &|path| self.read(path)).map_err(|problems| problems.to_string())
    }
}

fn request() -> Request {
    let files = vec![PathBuf::from("/git/shop/stack.yaml")];
    Request {
        variables: BTreeMap::from([("TAG".to_owned(), "2".to_owned())]),
        display_root: Some(PathBuf::from("/git")),
        roots: vec![PathBuf::from("/git")],
        ..Request::new(files, DigestKey::new([1; 32]))
    }
}

/// What is wrong with the repository after `changes`.
fn refused(changes: &[(&str, &str)]) -> String {
    Repository::new(changes).load(&request()).unwrap_err()
}

#[test]
fn a_stack_is_what_its_chart_makes_of_its_values() {
    let loaded = Repository::new(&[]).load(&request()).unwrap();
    assert_eq!(loaded.stack.name.as_str(), "shop");
    let app = &loaded.stack.services[&ServiceName::new("app").unwrap()];
    assert_eq!((app.replicas, app.container.image.to_string()), (3, "app:2".to_owned()));
    assert_eq!(app.container.hostname.as_deref(), Some("host-shop"));
    assert_eq!(app.container.labels["chart"], "app-1.2.0");
    assert_eq!(loaded.stack.config_files, ["/git/shop/stack.yaml"]);
    assert_eq!(loaded.stack.working_dir, "/git/shop");
    let read = loaded.inputs.iter().map(|path| path.strip_prefix("/git").unwrap());
    let read: Vec<_> = read.map(|path| path.to_str().unwrap()).collect();
    assert_eq!(
        read,
        [
            "charts/app/Chart.yaml",
            "charts/app/file.conf",
            "charts/app/templates/_names.yaml",
            "charts/app/templates/compose.yaml",
            "charts/app/values.yaml",
            "shop/more.yaml",
            "shop/stack.yaml"
        ]
    );
}

#[test]
fn fields_are_known_by_where_the_chart_has_them() {
    let loaded = Repository::new(&[]).load(&request()).unwrap();
    let place = |field: &str| loaded.stack.places.of(field).unwrap().to_string();
    assert_eq!(place("services.app.image"), "charts/app/templates/compose.yaml:4:5");
    assert_eq!(place("services.app.labels.chart"), "charts/app/templates/compose.yaml:11:7");
}

#[test]
fn what_else_the_file_says_and_an_override_are_laid_over_the_chart() {
    let stack = format!("{STACK}name: other\nservices: {{ app: {{ mem_limit: 64m }} }}\n");
    let changes = [
        ("shop/stack.yaml", stack.as_str()),
        ("shop/compose.override.yaml", "services: { app: { hostname: h, command: [run] } }\n"),
    ];
    let mut request = request();
    request.files.push(PathBuf::from("/git/shop/compose.override.yaml"));
    let stack = Repository::new(&changes).load(&request).unwrap().stack;
    assert_eq!(stack.name.as_str(), "other");
    let app = &stack.services[&ServiceName::new("app").unwrap()];
    assert_eq!(app.container.limits.memory, Some(64 << 20));
    assert_eq!(app.container.hostname.as_deref(), Some("h"));
}

#[test]
fn a_chart_is_included_as_a_compose_file_is() {
    let compose = "include: [../shop/stack.yaml]\nservices: { own: { image: x:1 } }\n";
    let repository = Repository::new(&[("all/compose.yaml", compose)]);
    let files = vec![PathBuf::from("/git/all/compose.yaml")];
    let stack = repository.load(&Request { files, ..request() }).unwrap().stack;
    let app = &stack.services[&ServiceName::new("app").unwrap()];
    assert_eq!(app.container.hostname.as_deref(), Some("host-all"));
    assert_eq!(stack.services.len(), 2);
}

#[test]
fn values_by_hand_go_over_all_others_and_dollars_in_values_are_no_variables() {
    let request = Request {
        values: vec![PathBuf::from("/git/hand.yaml")],
        set: vec![("replicas".into(), "5".into()), ("env.A".into(), "p$TAG".into())],
        ..request()
    };
    let repository =
        Repository::new(&[("hand.yaml", "replicas: 4\nenv: { B: '${TAG}', C: $$ }\n")]);
    let stack = repository.load(&request).unwrap().stack;
    let app = &stack.services[&ServiceName::new("app").unwrap()];
    assert_eq!(app.replicas, 5);
    let variable = |name: &str| app.container.environment[name].clone().unwrap();
    assert_eq!([variable("A"), variable("B"), variable("C")], ["p$TAG", "${TAG}", "$$"]);
}

/// What is changed, to what, and what is told of it.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "charts/app/templates/compose.yaml",
        "services:\n  app:\n    image: {{ Values.imgae }}\n",
        "charts/app/templates/compose.yaml:3:15: `Values.imgae` is undefined; each value",
    ),
    (
        "charts/app/templates/compose.yaml",
        "services:\n  app: { imgae: '{{ Values.image }}' }\n",
        "charts/app/templates/compose.yaml:2:10: services.app: unknown key `imgae`",
    ),
    (
        "charts/app/templates/compose.yaml",
        "services:\n  app:\n    image: i\n    mem_limit: {{ Values.image }}\n",
        "charts/app/templates/compose.yaml:4:19: services.app.mem_limit: ",
    ),
    (
        "charts/app/templates/compose.yaml",
        "a: b\nc: {{ Values.image }}: x\n",
        "; what is put out there is `c: app:2: x`",
    ),
    (
        "charts/app/templates/compose.yaml",
        "name: x\n",
        "charts/app/templates/compose.yaml:1:1: name: a chart does not name",
    ),
    (
        "charts/app/templates/compose.yaml",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "the templates take more than 100000 steps",
    ),
    (
        "charts/app/templates/compose.yaml",
        "{% include '../../../shop/more.yaml' %}",
        "tried to include non-existing template '../../../shop/more.yaml'",
    ),
    (
        "charts/app/templates/_names.yaml",
        "{% include 'compose.yaml' %}",
        "templates include each other in a circle",
    ),
    ("shop/more.yaml", "replicas: 3\n  x: 1\n", "shop/more.yaml:2:"),
    (
        "shop/more.yaml",
        "- a\n",
        "shop/more.yaml:1:1: the top of this file must be a mapping, not a list",
    ),
    (
        "shop/more.yaml",
        "replicas: [3]\n",
        "shop/more.yaml:1:1: Values.replicas: is a number in the chart's values.yaml, not a list",
    ),
    (
        "shop/more.yaml",
        "replcas: 3\n",
        "shop/more.yaml:1:1: Values: the chart has no value `replcas`; did you mean `replicas`?",
    ),
    (
        "shop/stack.yaml",
        "chart: ../../charts/app\n",
        "shop/stack.yaml:1:1: chart: cannot read /charts/app/Chart.yaml: it leaves the repository",
    ),
    (
        "shop/stack.yaml",
        "chart: ../charts/no\n",
        "shop/stack.yaml:1:1: chart: cannot read charts/no/Chart.yaml: there is no such file",
    ),
    (
        "shop/stack.yaml",
        "chart: ../charts/app\nvalues: [no.yaml]\n",
        "shop/stack.yaml:2:10: values: cannot read shop/no.yaml: there is no such file",
    ),
    (
        "shop/stack.yaml",
        "chart: ../charts/app\nset: { image: [1] }\n",
        "shop/stack.yaml:2:8: Values.image: is a text in the chart's values.yaml, not a list",
    ),
    (
        "shop/stack.yaml",
        "services: { a: { image: x } }\n",
        "shop/stack.yaml:1:1: a stack.yaml needs `chart`; a compose file without one is named `compose.yaml`",
    ),
    ("shop/stack.yaml", "values: x.yaml\n", "shop/stack.yaml:1:1: needs `chart`"),
    ("shop/stack.yaml", "chart: https://example.org/c\n", "is not a directory here"),
    (
        "shop/stack.yaml",
        "chart: ../charts/app\nvalue: x\n",
        "shop/stack.yaml:2:1: unknown key `value`",
    ),
    (
        "charts/app/Chart.yaml",
        "apiVersion: v2\nname: app\nversion: 1.0.0\n",
        "charts/app/Chart.yaml:1:13: apiVersion: `v2` is none of: bowline/v1",
    ),
    (
        "charts/app/Chart.yaml",
        "apiVersion: bowline/v1\nname: app\nversion: one\n",
        "charts/app/Chart.yaml:3:10: version: `one` is not a version such as 1.0.2",
    ),
];

#[test]
fn each_problem_is_told_at_its_place_in_the_template_the_values_or_the_stack() {
    let template = "charts/app/templates/compose.yaml";
    for (file, text, expected) in WRONG {
        let told = refused(&[(file, text)]);
        assert!(told.contains(expected), "{text}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let mut repository = Repository::new(&[]);
    repository.0.remove(template);
    let told = repository.load(&request()).unwrap_err();
    assert_eq!(
        told,
        "error: shop/stack.yaml:1:1: chart: there is no templates/compose.yaml in charts/app"
    );
}

#[test]
fn charts_that_include_each_other_by_way_of_stacks_are_a_circle() {
    let told = refused(&[("charts/app/templates/compose.yaml", "include: [./stack.yaml]\n")]);
    assert!(told.contains("files include each other in a circle: shop/stack.yaml"), "{told}");
}

#[test]
fn the_text_that_is_put_out_is_shown_even_if_it_is_no_compose_file() {
    let shown = |changes: &[(&str, &str)]| {
        let repository = Repository::new(changes);
        template(&request(), &|path| repository.read(path)).map(|template| template.text)
    };
    assert!(shown(&[]).unwrap().starts_with("services:\n  app:\n    image: app:2\n"));
    let broken = [("charts/app/templates/compose.yaml", "a: {{ Values.image }}: x\n")];
    assert_eq!(shown(&broken).unwrap(), "a: app:2: x\n");
    assert!(shown(&[("charts/app/templates/compose.yaml", "{{ x }}")]).is_err());
}

#[test]
fn names_of_variables_stay_where_they_are_asked_to() {
    let request = Request { interpolate: false, ..request() };
    let repository = Repository::new(&[]);
    let config = resolve(&request, &|path| repository.read(path)).unwrap().config;
    assert_eq!(config["services"]["app"]["image"], "app:${TAG}");
}

#[test]
fn what_keeps_the_host_from_rendering_may_pass_and_what_is_wrong_with_a_template_does_not() {
    let mut request = request();
    request.render = |_, _| {
        let flaw = Flaw::of_all("the process that renders the templates was killed", None);
        Err(Flaw { may_pass: true, ..flaw })
    };
    let repository = Repository::new(&[]);
    let told = load(&request, &|path| repository.read(path)).unwrap_err();
    assert!(told.may_pass() && told.to_string().contains("compose.yaml:1:1"), "{told}");
    request.render = |_, _| Err(Flaw::of_all("the templates take more than 5 s", None));
    assert!(!load(&request, &|path| repository.read(path)).unwrap_err().may_pass());
}
