//! The labels that tie containers, networks and volumes to their stack.
//!
//! Compose's own come first, so that `docker compose ls`, `ps`, `logs` and `exec` see our stacks;
//! ours stand beside them and say who owns the object.

use super::{ServiceName, Slot};
use std::collections::BTreeMap;

/// Compose: the project, which is the stack's name.
pub const PROJECT: &str = "com.docker.compose.project";
/// Compose: the service.
pub const SERVICE: &str = "com.docker.compose.service";
/// Compose: the replica's number, from 1.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// Compose: `False` for what is no `docker compose run`. Ours is `True` for what was made for a hook.
pub const ONEOFF: &str = "com.docker.compose.oneoff";
/// Compose: on a container that was made for a hook, which kind of hook.
pub const HOOK: &str = "com.docker.compose.hook";
/// Compose: what the service depends on, `SERVICE:CONDITION:RESTART` with commas between.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// Compose: presence makes its commands accept a container; ours holds our fingerprint.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// Compose: the directory of the project.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// Compose: the files of the project.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// Compose: the key of a network.
pub const NETWORK: &str = "com.docker.compose.network";
/// Compose: the key of a volume.
pub const VOLUME: &str = "com.docker.compose.volume";
/// What every label of Compose begins with.
pub const COMPOSE_PREFIX: &str = "com.docker.compose.";

/// The stack that owns the object.
pub const STACK: &str = "bowline.stack";
/// The git source that the stack came from; absent for stacks applied by hand.
pub const SOURCE: &str = "bowline.source";
/// `service/number`.
pub const SLOT: &str = "bowline.slot";
/// What follows the name of a container that is about to take another's place.
pub const TEMPORARY: &str = ".next";
/// The name that the container ends up with.
pub const NAME: &str = "bowline.name";
/// A value made anew for each container. An image built from one of our containers passes all its
/// labels on, this one too: a container whose mark equals its image's is not ours.
pub const MARK: &str = "bowline.mark";
/// The digests of the configs and secrets delivered, as a JSON object by target path.
pub const CONTENTS: &str = "bowline.contents";
/// The names of the log options that were asked for, with commas between: the engine adds its own
/// defaults to them and does not tell which.
pub const LOG_OPTIONS: &str = "bowline.log-options";
/// The networks that a container was made on, with commas between; absent of one on a single network. One
/// that is being led to again may have been cut off from some of them.
pub const NETWORKS: &str = "bowline.networks";
/// What was asked for and the engine does not tell back, as a JSON object; absent if there is
/// nothing of that kind.
pub const ASKED: &str = "bowline.asked";
/// On a network: present if the file gave its address pools. The engine tells the pools that it
/// chose itself in the same way.
pub const POOLS: &str = "bowline.pools";
/// What every label of ours begins with.
pub const BOWLINE_PREFIX: &str = "bowline.";

/// Whether `key` is for bookkeeping, by Compose or us, and no label of the user.
pub fn is_bookkeeping(key: &str) -> bool {
    key.starts_with(COMPOSE_PREFIX) || key.starts_with(BOWLINE_PREFIX)
}

/// Whether a container of ours with these labels was made for a hook.
pub fn is_hook(container: &BTreeMap<String, String>) -> bool {
    container.get(ONEOFF).is_some_and(|text| text == "True")
}

/// The stack that owns the container `name` with these labels, if we made it: the labels must not
/// have come with its image. Of an image that is gone the labels are unknown; then the container
/// must still have the name that we gave it, which no other can have.
pub fn owning_stack<'a>(
    name: &str,
    container: &'a BTreeMap<String, String>,
    image: Option<&BTreeMap<String, String>>,
) -> Option<&'a str> {
    let mark = container.get(MARK)?;
    let made_by_us = match image {
        Some(image) => image.get(MARK) != Some(mark),
        None => container.get(NAME).is_some_and(|ours| {
            name.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest == TEMPORARY)
        }),
    };
    container.get(STACK).filter(|_| made_by_us).map(String::as_str)
}

/// The project and the place in it of a container that Compose made, and not we. An image that was
/// made of such a container has its labels too: a container of that image is not Compose's.
pub fn of_compose<'a>(
    container: &'a BTreeMap<String, String>,
    image: Option<&BTreeMap<String, String>>,
) -> Option<(&'a str, Slot)> {
    let label = |key: &str| container.get(key).map(String::as_str);
    let hash = label(CONFIG_HASH)?;
    let inherited = image.and_then(|image| image.get(CONFIG_HASH)).map(String::as_str);
    let is_one_off = !label(ONEOFF).is_some_and(|text| text.eq_ignore_ascii_case("false"));
    if label(MARK).is_some() || inherited == Some(hash) || is_one_off {
        return None;
    }
    let service = ServiceName::new(label(SERVICE)?.to_owned()).ok()?;
    let number = label(NUMBER)?.parse().ok()?;
    Some((label(PROJECT)?, Slot { service, number }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_came_with_the_image_own_nothing() {
        let ours = BTreeMap::from([
            (STACK.to_owned(), "shop".to_owned()),
            (MARK.to_owned(), "1f".to_owned()),
            (NAME.to_owned(), "shop-web-1".to_owned()),
        ]);
        let name = "shop-web-1";
        assert_eq!(owning_stack(name, &ours, Some(&BTreeMap::new())), Some("shop"));
        assert_eq!(owning_stack(name, &ours, Some(&ours)), None);
        let other = BTreeMap::from([(MARK.to_owned(), "2e".to_owned())]);
        assert_eq!(owning_stack("renamed", &ours, Some(&other)), Some("shop"));
        assert_eq!(owning_stack(name, &ours, None), Some("shop"));
        assert_eq!(owning_stack("shop-web-1.next", &ours, None), Some("shop"));
        assert_eq!(owning_stack("shop-web-1.backup", &ours, None), None);
        assert_eq!(owning_stack("shop-web-10", &ours, None), None);
        assert_eq!(owning_stack("else", &ours, None), None);
    }

    #[test]
    fn what_compose_made_is_known_by_labels_that_only_containers_have() {
        let all = [
            (PROJECT, "shop"),
            (SERVICE, "web"),
            (NUMBER, "2"),
            (ONEOFF, "False"),
            (CONFIG_HASH, "c0ffee"),
        ];
        let labels: BTreeMap<String, String> =
            all.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let slot = Slot { service: ServiceName::new("web").unwrap(), number: 2 };
        assert_eq!(of_compose(&labels, None), Some(("shop", slot)));
        assert_eq!(of_compose(&labels, Some(&labels)), None);
        for (key, value) in [(ONEOFF, "True"), (NUMBER, "x"), (MARK, "1f")] {
            let mut other = labels.clone();
            other.insert(key.to_owned(), value.to_owned());
            assert_eq!(of_compose(&other, None), None, "{key}={value}");
        }
        for (key, _) in all {
            let mut other = labels.clone();
            other.remove(key);
            assert_eq!(of_compose(&other, None), None, "without {key}");
        }
    }
}
