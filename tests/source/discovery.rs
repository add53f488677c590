//! Which directories are stacks.

use super::upstream::write;
use bowline::source::{Discovery, discover};
use std::os::unix::fs::symlink;
use std::path::Path;

const NAMES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// What was found, relative to `root`, a line a stack.
fn lines(root: &Path, found: &Discovery) -> Vec<String> {
    let line = |files: &Vec<std::path::PathBuf>| {
        let names = files.iter().map(|file| file.strip_prefix(root).unwrap().display().to_string());
        names.collect::<Vec<_>>().join(" + ")
    };
    found.stacks.iter().map(|stack| line(&stack.files)).collect()
}

#[test]
fn every_directory_with_a_compose_file_is_a_stack_in_order() {
    let root = tempfile::tempdir().unwrap();
    for file in [
        "compose.yaml",
        "b/docker-compose.yml",
        "b/docker-compose.override.yml",
        "a/deep/compose.yml",
        "a/deep/compose.override.yml",
        "c/compose.override.yaml",
        ".git/compose.yaml",
        ".hidden/compose.yaml",
    ] {
        write(&root.path().join(file), "");
    }
    let found = discover(root.path(), &NAMES);
    assert_eq!(
        lines(root.path(), &found),
        [
            "compose.yaml",
            "a/deep/compose.yml + a/deep/compose.override.yml",
            "b/docker-compose.yml + b/docker-compose.override.yml",
        ]
    );
    assert!(found.problems.is_empty() && found.warnings.is_empty(), "{found:?}");
}

#[test]
fn of_two_compose_files_the_first_name_is_taken_with_a_warning() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("compose.yaml"), "");
    write(&root.path().join("docker-compose.yml"), "");
    let found = discover(root.path(), &NAMES);
    assert_eq!(lines(root.path(), &found), ["compose.yaml"]);
    assert!(found.problems.is_empty());
    assert!(found.warnings[0].to_string().contains("docker-compose.yml"), "{found:?}");
}

#[test]
fn links_lead_neither_out_of_the_root_nor_into_a_circle() {
    let outside = tempfile::tempdir().unwrap();
    write(&outside.path().join("compose.yaml"), "");
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("a/real.yaml"), "");
    symlink("real.yaml", root.path().join("a/compose.yaml")).unwrap();
    symlink("..", root.path().join("a/circle")).unwrap();
    symlink(outside.path(), root.path().join("directory")).unwrap();
    std::fs::create_dir(root.path().join("b")).unwrap();
    symlink(outside.path().join("compose.yaml"), root.path().join("b/compose.yaml")).unwrap();
    let found = discover(root.path(), &NAMES);
    assert_eq!(lines(root.path(), &found), ["a/compose.yaml"]);
    assert_eq!(found.problems.len(), 1);
    assert!(found.problems[0].to_string().contains("leads out"), "{found:?}");
}

#[test]
fn what_cannot_be_looked_at_is_a_problem() {
    let root = tempfile::tempdir().unwrap();
    let found = discover(&root.path().join("missing"), &NAMES);
    assert!(found.problems[0].to_string().contains("missing"), "{found:?}");
    let deep: std::path::PathBuf = (0..20).map(|level| format!("d{level}")).collect();
    write(&root.path().join(deep).join("compose.yaml"), "");
    let found = discover(root.path(), &NAMES);
    assert!(found.stacks.is_empty());
    assert!(found.problems[0].to_string().contains("16 deep"), "{found:?}");
}

#[test]
fn a_stack_of_a_chart_is_found_and_the_templates_of_charts_are_none() {
    let root = tempfile::tempdir().unwrap();
    for file in [
        "shop/stack.yaml",
        "shop/compose.override.yaml",
        "shop/stack.override.yaml",
        "both/compose.yaml",
        "both/stack.yaml",
        "charts/web/Chart.yaml",
        "charts/web/templates/compose.yaml",
        "charts/web/example/compose.yaml",
        "plain/templates/compose.yaml",
    ] {
        write(&root.path().join(file), "");
    }
    let found = discover(root.path(), &bowline::manifest::FILE_NAMES);
    assert_eq!(
        lines(root.path(), &found),
        [
            "both/compose.yaml",
            "charts/web/example/compose.yaml",
            "plain/templates/compose.yaml",
            "shop/stack.yaml + shop/compose.override.yaml",
        ]
    );
    assert!(found.warnings[0].to_string().contains("remove stack.yaml"), "{found:?}");
}
