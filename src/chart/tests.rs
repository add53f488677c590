use super::*;
use serde_json::json;

/// What `templates` put out with `values`; all that are asked for are given.
fn rendered(templates: &[(&str, &str)], values: &Json) -> Result<Rendered, String> {
    let mut known = Templates::new();
    let given: BTreeMap<_, _> = templates.iter().copied().collect();
    known.insert(ENTRY.to_owned(), given.get(ENTRY).map(|text| (*text).to_owned()));
    let context = json!({ "Values": values });
    loop {
        match render(&known, &context).map_err(|flaw| flaw.to_string())? {
            Outcome::Rendered(rendered) => return Ok(rendered),
            Outcome::Asks(names) => {
                for name in names {
                    let text = given.get(name.as_str()).map(|text| (*text).to_owned());
                    assert!(known.insert(name, text).is_none(), "nothing is asked for twice");
                }
            }
        }
    }
}

fn text(template: &str, values: &Json) -> String {
    rendered(&[(ENTRY, template)], values).unwrap().text
}

fn error(template: &str) -> String {
    rendered(&[(ENTRY, template)], &json!({ "a": 1, "none": null, "list": [1, 2] })).unwrap_err()
}

#[test]
fn values_come_as_they_are_and_lists_and_mappings_as_yaml_on_one_line() {
    let values = json!({ "a": "x: \"y\"", "n": 80, "f": 0.5, "on": true, "l": ["80:80", 1], "m": { "k": "v" } });
    for (template, expected) in [
        ("a: {{ Values.a }}\n", "a: x: \"y\"\n"),
        ("a: {{ Values.a | quote }}\n", "a: \"x: \\\"y\\\"\"\n"),
        ("{{ Values.n }} {{ Values.f }} {{ Values.on }}", "80 0.5 true"),
        ("l: {{ Values.l }}\nm: {{ Values.m }}\n", "l: [\"80:80\",1]\nm: {\"k\":\"v\"}\n"),
        ("{% for k, v in Values.m | items %}\n{{ k }}={{ v }}\n{% endfor %}\nend\n", "k=v\nend\n"),
        ("a: ${PORT:-80} $$x\n", "a: ${PORT:-80} $$x\n"),
    ] {
        assert_eq!(text(template, &values), expected, "{template}");
    }
}

#[test]
fn templates_include_others_and_import_macros_and_a_missing_one_may_be_ignored() {
    let templates = [
        (
            ENTRY,
            "{% from '_m' import image %}\n{% set file %}{% include 'c.conf' %}{% endset %}\ni: {{ image('x') }}\nc: {{ file | quote }}\n{% include 'none' ignore missing %}\n",
        ),
        ("_m", "{% macro image(name) %}{{ name }}:1{% endmacro %}\n"),
        ("c.conf", "port {{ Values.port }}\n"),
    ];
    let rendered = rendered(&templates, &json!({ "port": 8080 })).unwrap();
    assert_eq!(rendered.text, "i: x:1\nc: \"port 8080\\n\"\n");
}

#[test]
fn what_is_wrong_is_told_at_its_line_and_column() {
    for (template, place, expected) in [
        ("a:\n  b: {{ Values.imgae }}\n", "2:9: ", "`Values.imgae` is undefined"),
        ("{% if Values.x %}{% endif %}", "1:7: ", "`Values.x` is undefined"),
        ("{{ Values.x.y }}", "1:10: ", "`Values.x` is undefined"),
        ("é {{ other }}", "1:6: ", "`other` is undefined"),
        ("a: {{ Values.none }}", "1:7: ", "`Values.none` has no value"),
        ("a: {{ Values.none | quote }}", "1:7: ", "`Values.none` has no value"),
        ("a\n{% for %}\n", "2:", "syntax error: unexpected"),
        ("a\n{{ 1 + }}", "2:", "syntax error: unexpected"),
        ("{{ Values.a | nope }}", "1:", "unknown filter `nope`"),
        ("\n{% include 'no.yaml' %}", "2:", "tried to include non-existing template 'no.yaml'"),
    ] {
        let told = error(template);
        assert!(told.starts_with(&format!("compose.yaml:{place}")), "{template}: {told}");
        assert!(told.contains(expected), "{template}: {told}");
    }
}

#[test]
fn an_error_in_an_included_template_is_told_where_it_is() {
    let templates = [(ENTRY, "a\n{% include '_b' %}\n"), ("_b", "b\n  {{ Values.x }}\n")];
    let told = rendered(&templates, &json!({})).unwrap_err();
    assert_eq!(told, "_b:2:6: `Values.x` is undefined");
    let templates = [
        (ENTRY, "{% from '_b' import m %}\n{{ m() }}\n"),
        ("_b", "{% macro m() %}\n{{ Values.x }}{% endmacro %}"),
    ];
    let told = rendered(&templates, &json!({})).unwrap_err();
    assert!(told.starts_with("_b:2:4: "), "{told}");
}

#[test]
fn what_does_not_end_ends_and_is_told() {
    let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    assert!(error(loops).contains("more than 100000 steps"), "{}", error(loops));
    let much = "{% for a in range(9999) %}{{ 'x' * 1000 }}{% endfor %}";
    assert!(error(much).contains("put out more than 4194304 bytes"), "{}", error(much));
    let kept = format!("{{% set kept %}}{much}{{% endset %}}");
    assert!(error(&kept).contains("put out more than 4194304 bytes"), "{}", error(&kept));
    let calls = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    assert!(error(calls).contains("call each other too deeply"), "{}", error(calls));
    let circle = [(ENTRY, "{% include '_b' %}"), ("_b", "\n{% include 'compose.yaml' %}")];
    let told = rendered(&circle, &json!({})).unwrap_err();
    assert!(told.contains("include each other in a circle"), "{told}");
}

/// The origin of the place where `word` stands in what is rendered.
fn origin(rendered: &Rendered, word: &str) -> String {
    let at = rendered.text.find(word).unwrap();
    let before = &rendered.text[..at];
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let Origin { template, line, column } =
        rendered.origins.of(before.matches('\n').count() + 1, before[start..].chars().count() + 1);
    format!("{template}:{line}:{column}")
}

#[test]
fn every_part_of_the_text_is_known_by_where_it_was_written() {
    let entry = "{# a word before #}\nname: {{ Values.name }}-é{{ Values.name }}.x\n\n{% for n in [1, 2] %}\n  \
                 service{{ n }}: { tail: z }\n{% endfor %}\n{% include '_b' %}\n{%- if true %}  last{% endif %}\n";
    let templates = [(ENTRY, entry), ("_b", "one: 1\n  {{- '\\ntwo: 2' }}\n")];
    let rendered = rendered(&templates, &json!({ "name": "shop" })).unwrap();
    for (word, expected) in [
        ("name", "compose.yaml:2:1"),
        ("shop", "compose.yaml:2:10"),
        ("é", "compose.yaml:2:25"),
        (".x", "compose.yaml:2:43"),
        ("service1", "compose.yaml:5:3"),
        ("service2", "compose.yaml:5:3"),
        ("tail", "compose.yaml:5:21"),
        ("one", "_b:1:1"),
        ("two", "_b:1:1"),
        ("last", "compose.yaml:8:17"),
    ] {
        assert_eq!(origin(&rendered, word), expected, "{word} in\n{}", rendered.text);
    }
}

#[test]
fn a_template_that_sees_the_signs_is_rendered_all_the_same_and_has_no_origins() {
    let template = "\n{% set x %}abc{% endset %}\n{{ x | length }}\n";
    let rendered = rendered(&[(ENTRY, template)], &json!({})).unwrap();
    assert_eq!(rendered.text, "\n3\n");
    assert_eq!(origin(&rendered, "3"), "compose.yaml:1:1");
}

proptest::proptest! {
    /// Whatever stands in a template, rendering ends, gives the same again, and puts out no more than it
    /// may; an error is in a template that there is.
    #[test]
    fn rendering_is_bounded_and_the_same_each_time(parts in proptest::collection::vec(part(), 0..12)) {
        let template = parts.concat();
        let values = json!({ "a": 1, "s": "x$y", "l": [1, 2, 3], "m": { "k": { "k": 1 } } });
        let once = rendered(&[(ENTRY, &template)], &values).map(|rendered| rendered.text);
        let again = rendered(&[(ENTRY, &template)], &values).map(|rendered| rendered.text);
        proptest::prop_assert_eq!(&once, &again);
        match once {
            Ok(text) => proptest::prop_assert!(text.len() <= MAX_OUTPUT),
            Err(told) => proptest::prop_assert!(told.starts_with("compose.yaml:"), "{}", told),
        }
    }

    /// The signs take part in nothing, as long as no template looks at what it has put out.
    #[test]
    fn what_is_put_out_with_signs_differs_by_the_signs_alone(parts in proptest::collection::vec(plain(), 0..16)) {
        let templates = Templates::from([(ENTRY.to_owned(), Some(parts.concat()))]);
        let context = json!({ "Values": { "s": "x", "l": [1, 2] } });
        let run = |templates: &Templates| engine::run(templates, &context, MAX_OUTPUT).0.ok();
        let signed = run(&origins::sign(&templates).0);
        let without = |text: String| -> String {
            text.chars().filter(|c| !origins::SIGNS.contains(&u32::from(*c))).collect()
        };
        proptest::prop_assert_eq!(signed.map(without), run(&templates));
    }
}

fn part() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    prop_oneof![
        plain(),
        Just("{% for i in range(100000) %}".to_owned()),
        Just("{% macro m() %}".to_owned()),
        Just("{{ m() }}{% endmacro %}".to_owned()),
        Just("{% set x %}".to_owned()),
        Just("{% endset %}".to_owned()),
        Just("{{ x }}{{ x }}".to_owned()),
        Just("{% include 'compose.yaml' %}".to_owned()),
        Just("{{ 'y' * 100000 }}".to_owned()),
        "[ -~é\n]{0,12}",
    ]
}

fn plain() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    prop_oneof![
        "[ a-z:é\n-]{0,8}",
        Just("{{ Values.s }}".to_owned()),
        Just("{{- Values.s -}}".to_owned()),
        Just("{% for i in Values.l %}".to_owned()),
        Just("{%- for i in Values.l -%}".to_owned()),
        Just("{% endfor %}".to_owned()),
        Just("{%- endfor -%}".to_owned()),
        Just("{# }} {% #}".to_owned()),
        Just("{{ '}} {%' }}".to_owned()),
        Just("{% raw %}{{ x }}{% endraw %}".to_owned()),
    ]
}
