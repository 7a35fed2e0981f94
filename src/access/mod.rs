//! Presets: least-privilege policies for AWS's ML services that a tenant asks for by name and fills in with values.
//!
//! Pure. It knows the presets (data files in `presets/`), judges the values, and turns both into one policy document.
//! It does not know what a class allows: which presets and values a tenant may use is [`guard`](crate::guard)'s
//! business, for which [`Checked`] says all that there is to decide on.
//!
//! No value can widen a policy. A value is a literal piece of one string of the policy: what could be read as more
//! than that (wildcards, policy variables, separators that the parameter's pattern doesn't take) is refused, see
//! [`check`].

mod catalogue;
mod check;
mod error;
mod expand;
mod merge;
mod preset;
mod tag;
mod template;
mod text;

#[cfg(test)]
mod tests;

pub use catalogue::{catalogue, find, preset};
pub use check::{Checked, MAX_VALUE_LENGTH, OWN_ROLE, Request, check, never_a_value, never_in_a_value};
pub use error::AccessError;
pub use expand::{MAX_EXPANSION, POLICY_NAME, Place, expand};
pub use preset::{Parameter, Preset, PresetVersion, StatementTemplate};
pub use tag::{VERSIONS_TAG, versions_tag};
pub use template::Template;
pub use text::{list_text, markdown, show_text};
