//! Which images are pulled: those that are missing, due, or made for another platform.

use super::{Action, Change, Draft, Object, Step};
use crate::model::{ImageRef, Platform, PullPolicy, Service, ServiceName, Slot, State};
use std::collections::{BTreeMap, BTreeSet};

type Users<'a> = Vec<(&'a ServiceName, &'a Service)>;

impl<'a> Draft<'a> {
    /// Pulls what is missing or due, and what was asked for ahead.
    pub(super) fn images(&mut self) {
        let mut wanted: BTreeMap<&'a ImageRef, Users<'a>> = BTreeMap::new();
        for (name, service) in self.desired.services.iter().filter(|(_, s)| s.replicas > 0) {
            for image in service.images() {
                wanted.entry(image).or_default().push((name, service));
            }
        }
        for (image, users) in wanted {
            self.image(image, &users);
        }
        for pull in &self.around.ahead {
            if !self.made.contains_key(&pull.object) {
                self.push(pull.clone());
            }
        }
    }

    fn image(&mut self, image: &ImageRef, users: &Users<'a>) {
        let picky: Users<'a> = users
            .iter()
            .filter(|(_, user)| user.container.image == *image && user.container.platform.is_some())
            .copied()
            .collect();
        let platforms = platforms(&picky);
        if platforms.len() > 1 {
            let all: Vec<_> = platforms.iter().map(ToString::to_string).collect();
            let message = format!(
                "image {image} is asked for on several platforms ({}), and an engine keeps one of them under a name; use names of their own",
                all.join(", ")
            );
            let (name, _) = picky[0];
            self.refuse(format!("services.{name}.platform"), message, &names(&picky));
            return;
        }
        let platform = platforms.into_iter().next();
        let found = self.observed.images.get(image);
        let other = found
            .map(|found| &found.platform)
            .filter(|is| platform.is_some_and(|platform| !platform.accepts(is)));
        let concerned = if other.is_some() { &picky } else { users };
        let (name, _) = concerned[0];
        let is_there = found.is_some_and(|found| !found.nameless);
        let (field, actual) = match (found, other, self.around.refresh.contains(image)) {
            (Some(_), Some(other), _) => ("platform", format!("{image} for {other}")),
            (Some(_), None, true) => ("image", "due for another pull".to_owned()),
            (Some(_), None, false) if is_there || self.all_stay(users) => return,
            (None, _, _) if self.all_run_without(image, users) => return,
            (None, _, _) if self.are_past(users) => return,
            (None, _, _) | (Some(_), None, false) => ("image", "not on this engine".to_owned()),
        };
        let desired = match platform {
            Some(platform) => format!("{image} for {platform}"),
            None => image.to_string(),
        };
        let field = format!("services.{name}.{field}");
        let never = concerned.iter().any(|(_, s)| s.pull_policy == PullPolicy::Never);
        if never && (!is_there || other.is_some()) {
            let message = format!(
                "image {desired} is not on this engine and `pull_policy: never` forbids to pull it; load it, or change the policy"
            );
            self.refuse(field, message, &names(concerned));
            return;
        }
        let object = Object::Image(image.to_string());
        let change = Change {
            object: object.clone(),
            action: Action::Pull,
            reasons: vec![self.reason(field, desired, actual)],
            after: Vec::new(),
            steps: vec![Step::PullImage { image: image.clone(), platform: platform.cloned() }],
            undo: Vec::new(),
        };
        let index = self.push(change);
        self.made.insert(object, index);
    }

    /// Whether only hooks need an image, of services that run and so need none of them.
    fn all_run_without(&self, image: &ImageRef, users: &Users<'_>) -> bool {
        users.iter().all(|(name, service)| {
            let runs = |slot: Slot| self.containers_in(&slot).any(|it| it.state == State::Running);
            service.container.images().all(|own| own != image)
                && self.all_stay(&[(*name, *service)])
                && self.desired.slots(name).all(runs)
        })
    }

    /// Whether `users` are jobs that ran to their end, and nothing of them is there any more.
    fn are_past(&self, users: &Users<'_>) -> bool {
        users.iter().all(|(name, service)| self.is_past_and_gone(name, service))
    }

    /// Whether no container of `users` has to be made: then nobody needs the name of their image.
    fn all_stay(&self, users: &[(&ServiceName, &Service)]) -> bool {
        users.iter().all(|(name, service)| {
            let effective = self.effective(service);
            self.desired.slots(name).all(|slot| {
                let final_name = self.desired.container_name(&slot).unwrap_or_default();
                self.found(&slot, service, &effective, &final_name).kept.is_some()
            })
        })
    }
}

fn names(users: &Users<'_>) -> Vec<ServiceName> {
    users.iter().map(|(name, _)| (*name).clone()).collect()
}

/// What those that run an image ask for. A mounted one is of any platform.
fn platforms<'a>(users: &Users<'a>) -> BTreeSet<&'a Platform> {
    users.iter().filter_map(|(_, service)| service.container.platform.as_ref()).collect()
}
