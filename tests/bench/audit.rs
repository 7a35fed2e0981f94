//! What the operator asked of the API server, counted.

use std::collections::BTreeMap;

use crate::shared::audit::Request;

/// The operator's requests, counted as `verb resource/subresource`.
#[derive(Default)]
pub struct Requests {
    /// All that aren't reads; Events and Leases aside.
    pub writes: BTreeMap<String, usize>,
    /// Of those, the ones that the API server refused, with their codes.
    pub refused: BTreeMap<String, usize>,
    pub events: usize,
    pub leases: usize,
    pub reads: BTreeMap<String, usize>,
}

impl Requests {
    pub fn of(requests: &[Request]) -> Requests {
        let mut counted = Requests::default();
        for request in requests {
            counted.count(request);
        }
        counted
    }

    pub fn write_count(&self) -> usize {
        self.writes.values().sum()
    }

    fn count(&mut self, request: &Request) {
        let what = format!("{} {}", request.verb, request.resource);
        if !request.writes() {
            *self.reads.entry(what).or_default() += 1;
            return;
        }
        match request.resource.as_str() {
            "events" => self.events += 1,
            "leases" => self.leases += 1,
            _ => {
                if request.code >= 400 {
                    *self
                        .refused
                        .entry(format!("{what}: {}", request.code))
                        .or_default() += 1;
                }
                *self.writes.entry(what).or_default() += 1;
            }
        }
    }
}
