//! Images that are not needed any more: which they are is decided here, from what the inventory
//! knows that stacks ran. Others are never touched, and none is removed by force.

use super::World;
use crate::engine::EngineError;
use crate::model::{Image, ImageRef, Query, ServiceName, StackName, familiar, repository};
use crate::plan::Step;
use crate::store::{ImageRecord, StackRecord};
use std::collections::{BTreeMap, BTreeSet};

/// The images that each service ran.
type Records = BTreeMap<(StackName, ServiceName), ImageRecord>;

/// What the engine answers of an image that is in use.
const CONFLICT: u16 = 409;

impl World {
    /// Removes the images that services ran before, but for the newest of each, as configured.
    /// `stack` is the one that a pass has just changed.
    pub(super) async fn clean_images(&self, stack: &StackName) {
        let Some(keep) = self.config().keep_images else { return };
        // What is needed is not known before.
        if !self.knows_all_sources() || !self.inventory.is_read() {
            return;
        }
        let records = self.inventory.images();
        let (services, open, wanted) = {
            let desired = self.desired();
            let wanted = desired.images().iter().map(|image| familiar(image)).collect();
            (desired.services(), desired.undefined(), wanted)
        };
        let is_there = |(stack, service): &(StackName, ServiceName)| {
            open.contains(stack) || services.contains(&(stack.clone(), service.clone()))
        };
        let stacks = self.inventory.stacks();
        let way_back = stacks.values().flat_map(StackRecord::images).collect();
        let superfluous = superfluous(&records, &way_back, is_there, keep);
        let images = superfluous.keys().filter_map(|id| ImageRef::new(id.clone()).ok()).collect();
        if superfluous.is_empty() {
            return;
        }
        let query = Query { images, ..Query::owned_by(stack.clone()) };
        let observed = match self.engine.observe(&query).await {
            Ok(observed) => observed,
            Err(error) => return tracing::warn!("cannot look for images to remove: {error}"),
        };
        let there: BTreeMap<&str, &Image> =
            observed.images.values().map(|image| (image.id.as_str(), image)).collect();
        for (id, references) in superfluous {
            let Some(image) = there.get(id.as_str()) else {
                self.forget_image(&id);
                continue;
            };
            if let Err(why) = may_go(image, &references, &wanted) {
                tracing::debug!(image = id, "not removing an image that no service runs: {why}");
                continue;
            }
            self.remove_image(&id, &references, keep).await;
        }
    }

    async fn remove_image(&self, id: &str, references: &BTreeSet<String>, keep: usize) {
        let names = references.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let step = Step::RemoveImage { name: names.clone(), id: id.to_owned() };
        match self.engine.perform(&step, &|_| {}).await {
            Ok(()) => {
                tracing::info!(
                    image = id,
                    "removed the image {names}: no service runs it, and {keep} newer former ones are kept"
                );
                self.views.metrics.image_removed();
                self.forget_image(id);
            }
            Err(EngineError::Refused { status: CONFLICT, message, .. }) => {
                tracing::debug!(image = id, "left the image {names} alone: {message}");
            }
            Err(error) => tracing::warn!(image = id, "cannot remove the image {names}: {error}"),
        }
    }

    fn forget_image(&self, id: &str) {
        for (stack, service) in self.inventory.images().into_keys() {
            self.inventory.update_images(&stack, &service, |record| {
                record.used.retain(|image| image.id != id);
            });
        }
        self.unsaved.notify_one();
    }
}

/// The ids of images that no service runs that `is_there`, and that are not among the `keep` newest
/// that some service ran before nor among those of the `way_back`, with the references they were asked
/// for by.
fn superfluous(
    records: &Records,
    way_back: &BTreeSet<String>,
    is_there: impl Fn(&(StackName, ServiceName)) -> bool,
    keep: usize,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (service, record) in records {
        let present = usize::from(is_there(service));
        let kept = record.used.iter().take(present.saturating_add(keep));
        needed.extend(kept.map(|image| image.id.as_str()));
        for image in &record.used {
            all.entry(image.id.clone()).or_default().extend(image.references.iter().cloned());
        }
    }
    all.retain(|id, _| !needed.contains(id.as_str()) && !way_back.contains(id));
    all
}

/// Whether `image` may be removed: all its names are those that stacks asked for, and none of them
/// is wanted now.
fn may_go(
    image: &Image,
    references: &BTreeSet<String>,
    wanted: &BTreeSet<String>,
) -> Result<(), String> {
    let asked: BTreeSet<String> = references.iter().map(|name| familiar(name)).collect();
    let repositories: BTreeSet<&str> = asked.iter().map(|name| repository(name)).collect();
    for name in image.tags.iter().chain(&image.digests) {
        let name = familiar(name);
        if wanted.contains(&name) {
            return Err(format!("a stack wants {name}"));
        }
        let by_content = name.contains('@') && repositories.contains(repository(&name));
        if !asked.contains(&name) && !by_content {
            return Err(format!("it is also {name}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn key(service: &str) -> (StackName, ServiceName) {
        (StackName::new("shop").unwrap(), ServiceName::new(service).unwrap())
    }

    fn record(ids: &[&str]) -> ImageRecord {
        let mut record = ImageRecord::default();
        for id in ids.iter().rev() {
            record.note(id, &format!("app:{id}"), Timestamp::UNIX_EPOCH);
        }
        record
    }

    fn texts(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn ids(records: &Records, services: &[&str], keep: usize) -> Vec<String> {
        let services: BTreeSet<_> = services.iter().map(|service| key(service)).collect();
        let is_there = |service: &_| services.contains(service);
        superfluous(records, &BTreeSet::new(), is_there, keep).into_keys().collect()
    }

    #[test]
    fn the_present_image_and_the_newest_former_ones_stay() {
        let records = [(key("web"), record(&["4", "3", "2", "1"]))].into();
        assert_eq!(ids(&records, &["web"], 0), ["1", "2", "3"]);
        assert_eq!(ids(&records, &["web"], 2), ["1"]);
        assert_eq!(ids(&records, &["web"], usize::MAX), [""; 0]);
    }

    #[test]
    fn of_a_service_that_is_gone_all_are_former_ones() {
        let records = [(key("web"), record(&["2", "1"]))].into();
        assert_eq!(ids(&records, &[], 1), ["1"]);
        assert_eq!(ids(&records, &[], 0), ["1", "2"]);
    }

    #[test]
    fn what_another_service_runs_or_keeps_stays() {
        let records =
            [(key("web"), record(&["3", "2", "1"])), (key("job"), record(&["1", "2"]))].into();
        assert_eq!(ids(&records, &["web", "job"], 0), ["2"]);
        assert_eq!(ids(&records, &["web", "job"], 1), [""; 0]);
    }

    #[test]
    fn what_a_stack_would_go_back_to_stays() {
        let records = [(key("web"), record(&["3", "2", "1"]))].into();
        let left = superfluous(&records, &texts(&["1"]), |_| true, 0);
        assert_eq!(left.into_keys().collect::<Vec<_>>(), ["2"]);
    }

    #[test]
    fn an_image_goes_only_if_all_its_names_are_ours_and_none_is_wanted() {
        let image = |tags: &[&str], digests: &[&str]| Image {
            tags: texts(tags),
            digests: texts(digests),
            ..Image::default()
        };
        let (asked, wanted) = (texts(&["docker.io/library/app", "h:5/b:1"]), texts(&["app:2"]));
        let may = |image: &Image| may_go(image, &asked, &wanted).is_ok();
        assert!(may(&image(&[], &[])));
        assert!(may(&image(&["app:latest"], &["app@sha256:00"])));
        assert!(may(&image(&["h:5/b:1"], &[])));
        assert!(!may(&image(&["app:latest", "app:mine"], &[])));
        assert!(!may(&image(&["app:2"], &[])));
        assert!(!may(&image(&["app:latest"], &["other@sha256:00"])));
    }
}
