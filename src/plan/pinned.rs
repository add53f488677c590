//! Services that shall run an image of the past, whatever its name stands for by now. While the name
//! stands for another one, their containers are made from the image's id.

use super::containers::short;
use super::{Circumstances, Draft};
use crate::model::{Image, ImageRef, Observed, ServiceName, Stack};

impl Draft<'_> {
    /// Notes the images of the past that cannot be had.
    pub(super) fn missing_pins(&mut self) {
        for (name, id) in &self.around.pinned {
            let Some(service) = self.desired.services.get(name) else { continue };
            if pinned(self.desired, self.observed, name, id).is_none() {
                let message = format!(
                    "the image that it ran then ({}) is not on this engine any more; it runs what {} stands for now",
                    short(id),
                    service.container.image
                );
                let note = self.problem(format!("services.{name}.image"), message);
                self.plan.notes.push(note);
            }
        }
    }
}

/// `desired` with ids in place of names that stand for another image by now; none if there are none.
pub(super) fn with_pinned(
    desired: &Stack,
    observed: &Observed,
    around: &Circumstances,
) -> Option<Stack> {
    let stands = |image: &ImageRef, pinned: &Image| {
        let now = observed.images.get(image);
        now.is_some_and(|now| now.id == pinned.id && !now.nameless)
            && !around.refresh.contains(image)
    };
    let moved = around.pinned.iter().filter_map(|(name, id)| {
        let (reference, image) = pinned(desired, observed, name, id)?;
        let service = desired.services.get(name)?;
        (!stands(&service.container.image, image)).then_some((name, reference))
    });
    let moved: Vec<_> = moved.collect();
    if moved.is_empty() {
        return None;
    }
    let mut desired = desired.clone();
    for (name, reference) in moved {
        if let Some(service) = desired.services.get_mut(name) {
            service.container.image = reference;
        }
    }
    Some(desired)
}

/// The image of the past that a service shall run, if it is there and can be run so.
fn pinned<'a>(
    desired: &Stack,
    observed: &'a Observed,
    name: &ServiceName,
    id: &str,
) -> Option<(ImageRef, &'a Image)> {
    let platform = desired.services.get(name)?.container.platform.as_ref();
    let reference = ImageRef::new(id).ok()?;
    let image = observed.images.get(&reference)?;
    platform.is_none_or(|platform| platform.accepts(&image.platform)).then_some((reference, image))
}
