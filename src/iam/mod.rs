//! IAM's own concepts: ARNs, names, paths, and what a role is made of.
//!
//! This is the ground that the other modules stand on. It is pure: no Kubernetes or AWS client, no
//! runtime, no clock, no randomness. It knows what IAM accepts and how IAM compares things; it does
//! not know what this operator's users may ask for (`guard`), nor which calls make it so (`plan`).

pub mod arn;
pub mod document;
pub mod equivalence;
pub mod name;
pub mod quota;
pub mod role;
pub mod tags;
pub mod trust;

/// Serializes a type as its `Display` text and reads it back through `FromStr`, so that a value
/// that was deserialized has passed the same checks as one that was parsed.
macro_rules! serde_as_text {
    ($($type:ty),+ $(,)?) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(crate) use serde_as_text;
