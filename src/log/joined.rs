//! Messages of several lines on one: a line of the log is an event, and can be found by its stack.

use std::fmt::Debug;
use tracing::field::{self, Field, Value, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// The field of what is said.
const MESSAGE: &str = "message";
/// What a [`field::ValueSet`] may hold at most.
const MOST_FIELDS: usize = 32;

/// Has a layer write each message on one line.
pub(super) struct Joined<L>(pub(super) L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for Joined<L> {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.0.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        if !said.is_long {
            return self.0.on_event(event, context);
        }
        let Some((first, _)) = said.fields.first() else { return };
        let texts: Vec<_> = said.fields.iter().map(|(_, text)| field::display(text)).collect();
        // Those beyond the last are empty.
        let values: [(&Field, Option<&dyn Value>); MOST_FIELDS] =
            std::array::from_fn(|index| match (said.fields.get(index), texts.get(index)) {
                (Some((field, _)), Some(text)) => (field, Some(text as &dyn Value)),
                _ => (first, None),
            });
        let values = event.metadata().fields().value_set(&values);
        self.0.on_event(&Event::new(event.metadata(), &values), context);
    }
}

/// The fields of an event as they are written.
#[derive(Default)]
struct Said {
    fields: Vec<(Field, String)>,
    /// Whether the message has more lines than one.
    is_long: bool,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE && value.contains('\n') {
            self.is_long = true;
            self.fields.push((field.clone(), one_line(value)));
        } else {
            self.fields.push((field.clone(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// The lines of `text` one behind the other, parted by `; `, or by what parts them already.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push_str(if line.ends_with([':', ';', ',']) { " " } else { "; " });
        }
        line.push_str(part);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut said = Said::default();
            event.record(&mut said);
            let told = said.fields.iter().map(|(field, text)| format!("{field}={text}"));
            self.0.lock().unwrap().push(told.collect::<Vec<_>>().join("|"));
        }
    }

    #[test]
    fn a_message_of_several_lines_becomes_one_and_its_fields_stay() {
        let heard = Heard::default();
        let subscriber = tracing_subscriber::registry().with(Joined(heard.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let (stack, why) = ("shop", "failed:\n  - one\n\n  - two,\n  three\n");
            tracing::error!(%stack, failures = 3, "pass {why}");
            tracing::info!(note = "a\nb", "plain");
        });
        assert_eq!(
            *heard.0.lock().unwrap(),
            [
                "message=pass failed: - one; - two, three|stack=shop|failures=3",
                "message=plain|note=a\nb"
            ]
        );
    }
}
