//! Manifests on disk: reading files, and the checks that the API server would make before it takes an object.
//! What a class allows and what comes of an object is not decided here.

mod read;
mod schema;

pub use read::{Document, read};
pub use schema::Definition;
