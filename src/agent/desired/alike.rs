//! Whether one stack looks like another under a new name.

use crate::model::{Observed, ServiceName, Stack, repository};
use std::collections::BTreeMap;

/// Services with the repositories of their images.
pub(crate) type Outline = BTreeMap<ServiceName, String>;

/// The outline of what runs.
pub(crate) fn outline_of(observed: &Observed) -> Outline {
    let of = |container: &crate::model::Container| {
        let image = repository(container.spec.image.as_str());
        (container.slot.service.clone(), image.to_owned())
    };
    observed.containers.iter().map(of).collect()
}

/// The outline of what is asked for.
pub(super) fn outline(stack: &Stack) -> Outline {
    let of = |(name, service): (&ServiceName, &crate::model::Service)| {
        (name.clone(), repository(service.container.image.as_str()).to_owned())
    };
    stack.services.iter().map(of).collect()
}

/// Whether more than half of the services are the same by name and image, or several services have
/// all the same names: an image that is built is named after its stack.
pub(super) fn alike(one: &Outline, other: &Outline) -> bool {
    let same = one.iter().filter(|(name, image)| other.get(*name) == Some(image)).count();
    let names = || one.len() > 1 && one.keys().eq(other.keys());
    same * 2 > one.len().max(other.len()) || names()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(services: &[(&str, &str)]) -> Outline {
        let service = |(name, image): &(&str, &str)| {
            (ServiceName::new(*name).unwrap(), repository(image).to_owned())
        };
        services.iter().map(service).collect()
    }

    #[test]
    fn a_repository_is_a_reference_without_tag_and_digest() {
        for reference in ["h:5000/a/b", "h:5000/a/b:1", "h:5000/a/b:1@sha256:00", "h:5000/a/b@x:0"]
        {
            assert_eq!(repository(reference), "h:5000/a/b");
        }
    }

    #[test]
    fn another_version_of_most_services_is_alike_and_other_services_are_not() {
        let old = outline(&[("web", "nginx:1"), ("db", "postgres:15")]);
        assert!(alike(&old, &outline(&[("web", "nginx:2"), ("db", "postgres:16")])));
        let more = outline(&[("web", "nginx:1"), ("db", "postgres:15"), ("cache", "redis")]);
        assert!(alike(&old, &more));
        assert!(alike(&old, &outline(&[("web", "own-web"), ("db", "own-db")])));
        assert!(!alike(&old, &outline(&[("web", "nginx:1"), ("mail", "postfix")])));
        assert!(!alike(&outline(&[("app", "a")]), &outline(&[("app", "b")])));
        assert!(!alike(&Outline::new(), &Outline::new()));
    }
}
