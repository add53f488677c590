//! Whose things on the engine are, and who holds a name or a port.

use super::specs::{host_port, map, network, port};
use super::support::api;
use super::support::docker::{Corner, docker};
use bowline::engine::{Engine, EngineError};
use bowline::model::{ContainerSpec, ImageRef, PortBinding, Protocol, Query, StackName, labels};
use bowline::plan::Step;
use std::collections::BTreeSet;

#[tokio::test]
async fn our_labels_are_told_back_with_a_mark_of_the_container_s_own() {
    let corner = corner!("t-docker-mark");
    corner.create("a", corner.sleeper()).await;
    corner.create("b", corner.sleeper()).await;
    let observed = corner.observe().await;
    let marks: BTreeSet<_> =
        observed.containers.iter().map(|c| c.spec.labels[labels::MARK].clone()).collect();
    assert_eq!(marks.len(), 2);
}

#[tokio::test]
async fn a_container_whose_labels_came_with_its_image_is_a_stranger() {
    let corner = corner!("t-docker-heir");
    let original = corner.create("web", corner.sleeper()).await;
    let image = corner.name("heir:1");
    docker(&["commit", &original.key, &image]);
    let heir = corner.name("heir");
    docker(&["create", "--name", &heir, &image]);

    let query = Query { container_names: [heir.clone()].into(), ..Query::owned_by(corner.stack()) };
    let observed = corner.engine.observe(&query).await.unwrap();
    let stacks = corner.engine.stacks().await.unwrap();
    docker(&["rm", "-f", &heir]);
    docker(&["rmi", "-f", &image]);
    let names: Vec<_> = observed.containers.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["t-docker-heir-web"]);
    let stranger = observed.strangers.iter().find(|s| s.name == heir).unwrap();
    assert_eq!(stranger.stack, None);
    assert_eq!(stranger.project.as_deref(), Some("t-docker-heir"));
    assert!(stacks.contains_key(&corner.stack()));
}

#[tokio::test]
async fn a_container_of_a_committed_image_is_a_stranger_also_when_the_image_is_gone() {
    let corner = corner!("t-docker-commit");
    corner.create("web", corner.sleeper()).await;
    let (ours, image) = (corner.name("web"), corner.name("image:1"));
    docker(&["commit", &ours, &image]);
    docker(&["create", "--name", &corner.name("other"), &image]);
    assert_eq!(corner.only().await.name, ours);
    docker(&["rmi", "-f", &image]);
    assert_eq!(docker(&["images", "-q", &image]), "", "the image is gone");
    let names = [corner.name("other")].into();
    let query = Query { container_names: names, ..Query::owned_by(corner.stack()) };
    let found = corner.engine.observe(&query).await.unwrap();
    assert_eq!(found.containers.len(), 1, "{:#?}", found.containers);
    assert_eq!(found.containers[0].name, ours);
    assert!(found.strangers.iter().any(|stranger| stranger.name == corner.name("other")));
}

#[tokio::test]
async fn names_and_ports_in_use_are_told_apart() {
    let corner = corner!("t-docker-taken");
    let published = |host| ContainerSpec {
        ports: [PortBinding { container: port(80, Protocol::Tcp), host_ip: None, host }].into(),
        ..corner.sleeper()
    };
    let first = corner.create("a", published(Some(host_port(38181)))).await;
    corner.perform(Step::Start(first.clone())).await;

    let again = Step::CreateContainer(Box::new(corner.container("a", corner.sleeper())));
    let taken = corner.engine.perform(&again, &|_| {}).await.unwrap_err();
    assert!(matches!(taken, EngineError::NameTaken { .. }), "{taken}");

    let other = corner.create("other", corner.sleeper()).await;
    let again = Step::Rename { container: other, to: first.name.clone() };
    let taken = corner.engine.perform(&again, &|_| {}).await.unwrap_err();
    assert!(matches!(taken, EngineError::NameTaken { .. }), "{taken}");

    let second = corner.create("b", published(Some(host_port(38181)))).await;
    let taken = corner.engine.perform(&Step::Start(second), &|_| {}).await.unwrap_err();
    assert!(matches!(&taken, EngineError::PortTaken { port, .. } if port == "38181"), "{taken}");

    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let bound = listener.local_addr().unwrap().port();
    let third = corner.create("c", published(Some(host_port(bound)))).await;
    let taken = corner.engine.perform(&Step::Start(third), &|_| {}).await.unwrap_err();
    let named = matches!(&taken, EngineError::PortTaken { port, .. } if *port == bound.to_string());
    assert!(named, "{taken}");

    let nobody = Query::owned_by(StackName::new("t-docker-nobody").unwrap());
    let other = Query { host_ports: [38181].into(), ..nobody };
    let strangers = corner.engine.observe(&other).await.unwrap().strangers;
    let names: Vec<_> = strangers.iter().map(|stranger| &stranger.name).collect();
    assert_eq!(names, [&first.name]);
    let stranger = &strangers[0];
    assert_eq!(stranger.ports[0].host, Some(host_port(38181)));
    assert_eq!(stranger.stack, Some(corner.stack()));
}

#[tokio::test]
async fn networks_volumes_and_images_are_found_by_name_whoever_owns_them() {
    let corner = corner!("t-docker-found");
    network(&corner, "ours", "10.231.21.0/28").await;
    let (net, vol) = (corner.name("theirs"), corner.name("theirs"));
    docker(&["network", "create", "--label", "team=x", &net]);
    docker(&["volume", "create", "--label", "team=x", &vol]);
    let guest = corner.name("guest");
    docker(&["create", "--name", &guest, "--network", &net, corner.image().as_str(), "sh"]);
    let absent = ImageRef::new("t-docker-absent:1").unwrap();
    let query = Query {
        images: [corner.image(), absent].into(),
        networks: [net.clone(), corner.name("missing")].into(),
        volumes: [vol.clone()].into(),
        ..Query::owned_by(corner.stack())
    };
    let observed = corner.engine.observe(&query).await.unwrap();
    let networks: Vec<_> = observed.networks.iter().map(|n| (&n.spec.name, &n.stack)).collect();
    assert_eq!(networks, [(&corner.name("ours"), &Some(corner.stack())), (&net, &None)]);
    assert_eq!(observed.networks[1].foreign_containers, [guest].into());
    assert_eq!(observed.networks[1].spec.labels, map(&[("team", "x")]));
    assert_eq!(observed.volumes.len(), 1);
    assert_eq!(observed.volumes[0].spec.driver.as_deref(), Some("local"));
    assert_eq!(observed.images.keys().collect::<Vec<_>>(), [&corner.image()]);
    assert!(observed.images[&corner.image()].id.starts_with("sha256:"));
}

#[tokio::test]
async fn of_two_networks_with_one_name_the_stack_s_own_comes_first() {
    let corner = corner!("t-docker-double");
    let spec = network(&corner, "front", "10.231.23.0/28").await;
    let step = Step::CreateNetwork { spec: spec.clone(), labels: corner.labels() };
    let refused = corner.engine.perform(&step, &|_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("already exists"), "{refused}");
    let ours = corner.observe().await.networks[0].id.clone();
    if corner.engine.facts().await.unwrap().keeps_network_names_unique() {
        return;
    }
    // Docker's command line asks the engine to refuse it, so the engine is asked without it.
    let twin = format!(r#"{{"Name":"{}","CheckDuplicate":false}}"#, spec.name);
    api::command("POST", "/v1.41/networks/create", &twin);

    let mut query = Query::owned_by(corner.stack());
    query.networks.insert(spec.name.clone());
    let seen = corner.engine.observe(&query).await.unwrap().networks;
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].id, ours);
}
