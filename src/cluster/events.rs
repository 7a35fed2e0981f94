//! Kubernetes Events: best effort, since a lost Event must never keep a role from being mended.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as ApiEvent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use tracing::warn;

use crate::api::FIELD_MANAGER;
use crate::api::text::one_line;

/// The API server bounds an Event's note at 1,024 bytes.
const MAX_NOTE: usize = 1000;

/// Something to tell the people of an object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Whether it is a warning.
    pub warning: bool,
    /// In CamelCase, as in conditions.
    pub reason: String,
    /// For people.
    pub note: String,
    /// What the operator was doing.
    pub action: &'static str,
}

/// Publishes Events.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
}

impl Events {
    /// `instance` names this process, such as its pod.
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance }
    }

    /// Publishes an Event about an object; a failure is logged and no more.
    pub async fn publish<K: Resource<DynamicType = ()>>(&self, object: &K, event: Event) {
        let reference: ObjectReference = object.object_ref(&());
        // Events about cluster-scoped objects live in the namespace `default`.
        let namespace = reference
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned());
        let mut api_event = ApiEvent {
            action: Some(event.action.to_owned()),
            event_time: Some(MicroTime(Timestamp::now())),
            note: Some(bounded(&event.note)),
            reason: Some(event.reason.clone()),
            regarding: Some(reference.clone()),
            reporting_controller: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(if event.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Default::default()
        };
        api_event.metadata.generate_name = Some(format!("{}-", reference.name.unwrap_or_default()));
        api_event.metadata.namespace = Some(namespace.clone());
        let api: Api<ApiEvent> = Api::namespaced(self.client.clone(), &namespace);
        if let Err(error) = api.create(&PostParams::default(), &api_event).await {
            warn!(%error, reason = event.reason, "failed to publish an Event");
        }
    }
}

fn bounded(note: &str) -> String {
    let mut end = note.len().min(MAX_NOTE);
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    let clean = one_line(&note[..end]);
    if end < note.len() {
        format!("{clean}…")
    } else {
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_on_one_line_and_turns_no_text() {
        let hostile = "bad\nWarning all is lost\r\t\u{1b}[2K\u{202e}\u{2028}end";
        assert_eq!(bounded(hostile), "bad Warning all is lost   [2K  end");
        assert_eq!(bounded("größe 漢字"), "größe 漢字");
        assert_eq!(bounded(""), "");
    }

    #[test]
    fn a_note_of_any_length_and_of_any_characters_fits_what_the_api_server_takes() {
        for piece in ["a", "é", "漢", "🙂", "\n", "\u{202e}", "a漢\u{1b}🙂"] {
            for length in [MAX_NOTE - 1, MAX_NOTE, MAX_NOTE + 1, MAX_NOTE * 100] {
                let note: String = piece.chars().cycle().take(length).collect();
                let told = bounded(&note);
                assert!(told.len() <= 1_024, "{piece:?} {length}: {}", told.len());
                assert_eq!(told.ends_with('…'), note.len() > MAX_NOTE, "{piece:?} {length}");
                assert!(!told.chars().any(crate::api::text::is_disruptive));
            }
        }
    }
}
