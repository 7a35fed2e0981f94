//! Errors of the Kubernetes API, by what they mean for the next attempt.

use kube::Error;

use crate::gate::Closed;

/// What an error means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClusterErrorClass {
    /// The thing changed meanwhile: look again.
    Conflict,
    /// The thing is gone.
    NotFound,
    /// The operator may not do this.
    Denied,
    /// The API server refuses the request for what it says.
    Invalid,
    /// The API server can't be reached or fails.
    Transient,
}

/// A request to the Kubernetes API that failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ClusterError {
    /// What it means.
    pub class: ClusterErrorClass,
    /// For people.
    pub message: String,
}

impl From<Error> for ClusterError {
    fn from(error: Error) -> Self {
        let class = match &error {
            Error::Api(status) => match status.code {
                404 => ClusterErrorClass::NotFound,
                409 => ClusterErrorClass::Conflict,
                401 | 403 => ClusterErrorClass::Denied,
                429 => ClusterErrorClass::Transient,
                400..500 => ClusterErrorClass::Invalid,
                _ => ClusterErrorClass::Transient,
            },
            _ => ClusterErrorClass::Transient,
        };
        let message = match &error {
            Error::Api(status) => status.message.clone(),
            Error::Service(cause) if cause.is::<Closed>() => cause.to_string(),
            other => format!("the Kubernetes API can't be reached: {other}"),
        };
        Self { class, message }
    }
}

impl ClusterError {
    /// Whether the thing is gone.
    pub fn is_gone(&self) -> bool {
        self.class == ClusterErrorClass::NotFound
    }

    /// Whether the thing changed or went meanwhile, so that looking again is all there is to do.
    pub fn is_surprise(&self) -> bool {
        matches!(
            self.class,
            ClusterErrorClass::Conflict | ClusterErrorClass::NotFound
        )
    }
}
