//! Every metric that there is: name, type, labels and meaning. `docs/metrics.md` is made from this, and what is served is
//! registered by it.
//!
//! Labels are few and fixed. None of their values can be chosen by a tenant: no namespace, no name of an object.

/// What comes before every name.
pub const PREFIX: &str = "mlservicerole";

/// What a series is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Only grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations by size, with `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Always 1; its labels say something.
    Info,
}

impl Kind {
    /// As the exposition formats call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Definition {
    /// Without the prefix, and without the ending that its type brings.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Names of its labels, and in words which values they have.
    pub labels: &'static [(&'static str, &'static str)],
    /// What it says; a sentence without its full stop, which the exposition adds.
    pub meaning: &'static str,
}

impl Definition {
    /// The name to ask for.
    pub fn exported(&self) -> String {
        let ending = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{PREFIX}_{}{ending}", self.name)
    }
}

const ACCOUNT: (&str, &str) = ("account", "AWS account id");
const OUTCOME: (&str, &str) = (
    "outcome",
    "`synced`, `observed`, `released`, `refused`, `revoked`, `class_not_ready`, `blocked`, `waiting`, `failed`, `outdated`",
);
const URGENCY: (&str, &str) = (
    "urgency",
    "`urgent`: somebody waits for it; `routine`: a look at what was in order",
);
const SERVICE: (&str, &str) = ("service", "`IAM`, `STS`");
const OPERATION: (&str, &str) = (
    "operation",
    "the API operation, such as `AttachRolePolicy`; `Other` if it is none that the operator knows",
);

/// Reconciles that came to an end.
pub const RECONCILES: Definition = Definition {
    name: "reconciles",
    kind: Kind::Counter,
    labels: &[
        OUTCOME,
        (
            "reason",
            "the reason of the condition `Ready` that it came to, one of [these](conditions.md#reasons); `Other` otherwise",
        ),
    ],
    meaning: "Reconciles of MlServiceRoles that came to an end, also those that had nothing to do",
};

/// How long reconciles took.
pub const RECONCILE_DURATION: Definition = Definition {
    name: "reconcile_duration_seconds",
    kind: Kind::Histogram,
    labels: &[OUTCOME],
    meaning: "Time from the beginning of a reconcile to its end; waiting in the queue isn't in it, waiting for AWS is",
};

/// What waits.
pub const QUEUE_DEPTH: Definition = Definition {
    name: "queue_depth",
    kind: Kind::Gauge,
    labels: &[URGENCY],
    meaning: "MlServiceRoles that wait to be worked on because others are",
};

/// How long it has waited.
pub const QUEUE_OLDEST_AGE: Definition = Definition {
    name: "queue_oldest_age_seconds",
    kind: Kind::Gauge,
    labels: &[URGENCY],
    meaning: "For how long the one that has waited longest has done so; 0 if none waits",
};

/// Requests to AWS.
pub const AWS_REQUESTS: Definition = Definition {
    name: "aws_requests",
    kind: Kind::Counter,
    labels: &[
        SERVICE,
        OPERATION,
        (
            "outcome",
            "`ok`; `throttled`; `transient` (no answer, or one that says nothing about the request); `not_found`; `conflict`; \
             `denied`; `invalid`; `not_yet_consistent`",
        ),
    ],
    meaning: "Requests that were sent to AWS, each repetition counted",
};

/// How long they took.
pub const AWS_REQUEST_DURATION: Definition = Definition {
    name: "aws_request_duration_seconds",
    kind: Kind::Histogram,
    labels: &[SERVICE, OPERATION],
    meaning: "Time from sending a request to AWS to the end of its answer, or to giving it up",
};

/// Limits found.
pub const AWS_RATE_LIMIT: Definition = Definition {
    name: "aws_rate_limit",
    kind: Kind::Gauge,
    labels: &[ACCOUNT, OPERATION],
    meaning: "Calls a second that AWS was found to bear; absent as long as it hasn't throttled",
};

/// Calls held back.
pub const AWS_WAITING: Definition = Definition {
    name: "aws_waiting",
    kind: Kind::Gauge,
    labels: &[ACCOUNT, OPERATION],
    meaning: "Calls that are held back since AWS wouldn't bear them now",
};

/// How long a sweep took.
pub const SWEEP_DURATION: Definition = Definition {
    name: "sweep_duration_seconds",
    kind: Kind::Gauge,
    labels: &[ACCOUNT],
    meaning: "How long the last look for drift in the account took",
};

/// When a sweep last succeeded.
pub const SWEEP_LAST_SUCCESS: Definition = Definition {
    name: "sweep_last_success_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &[ACCOUNT],
    meaning: "When the account was last looked at for drift as it was meant to be, in Unix time",
};

/// Since when an account should be swept.
pub const SWEEP_KNOWN_SINCE: Definition = Definition {
    name: "sweep_known_since_timestamp_seconds",
    kind: Kind::Gauge,
    labels: &[ACCOUNT],
    meaning: "Since when this process has known that the account holds roles of this operator, in Unix time; such an account \
              should be looked at for drift, whether it can be reached or not",
};

/// Roles of an account.
pub const SWEEP_ROLES: Definition = Definition {
    name: "sweep_roles",
    kind: Kind::Gauge,
    labels: &[ACCOUNT],
    meaning: "Roles that the last sweep saw in the account, those of others included; 0 where roles are read one by one",
};

/// Our roles of an account.
pub const SWEEP_OWN_ROLES: Definition = Definition {
    name: "sweep_own_roles",
    kind: Kind::Gauge,
    labels: &[ACCOUNT],
    meaning: "Roles of this operator that the last sweep looked for in the account",
};

/// Differences.
pub const SWEEP_DIFFERING: Definition = Definition {
    name: "sweep_differing_roles",
    kind: Kind::Gauge,
    labels: &[ACCOUNT],
    meaning: "Roles that the last sweep found otherwise than they were known, so that they were looked at again",
};

/// Calls of a sweep.
pub const SWEEP_CALLS: Definition = Definition {
    name: "sweep_calls",
    kind: Kind::Gauge,
    labels: &[ACCOUNT],
    meaning: "Calls to AWS that the last sweep made in the account",
};

/// How an account is looked at.
pub const SWEEP_METHOD: Definition = Definition {
    name: "sweep_method",
    kind: Kind::Gauge,
    labels: &[ACCOUNT, ("method", "`AccountLists`, `EachRole`")],
    meaning: "1 for the way in which the account is looked at for drift, 0 for the other",
};

/// Orphans.
pub const ORPHANED_ROLES: Definition = Definition {
    name: "orphaned_roles",
    kind: Kind::Gauge,
    labels: &[ACCOUNT],
    meaning: "Roles that carry this cluster's marks and whose MlServiceRole is gone; they are never deleted",
};

/// Drift.
pub const DRIFT_FOUND: Definition = Definition {
    name: "drift_found",
    kind: Kind::Counter,
    labels: &[(
        "kind",
        "`role`, `trust`, `boundary`, `inline_policies`, `managed_policies`, `tags`, `settings`, `service_account`, `other`",
    )],
    meaning: "Things that somebody else had changed and that were put back, one for each object and kind",
};

/// Objects.
pub const ROLES: Definition = Definition {
    name: "roles",
    kind: Kind::Gauge,
    labels: &[
        (
            "class",
            "name of an MlServiceRoleClass; empty for objects whose class isn't there",
        ),
        (
            "state",
            "`ready`; `progressing`; `observing` (with `mode: Observe`, and something that is left undone); `failed` (it is tried \
             again); `stalled` (a person must change something); `deleting`",
        ),
    ],
    meaning: "MlServiceRoles",
};

/// Classes.
pub const CLASS_READY: Definition = Definition {
    name: "class_ready",
    kind: Kind::Gauge,
    labels: &[("class", "name of an MlServiceRoleClass")],
    meaning: "Whether the class is ready: 1 or 0",
};

/// Who works.
pub const LEADER: Definition = Definition {
    name: "leader",
    kind: Kind::Gauge,
    labels: &[],
    meaning: "1 for the process that may work, 0 for those that stand by",
};

/// What runs.
pub const BUILD: Definition = Definition {
    name: "build",
    kind: Kind::Info,
    labels: &[
        ("version", "of the operator"),
        (
            "revision",
            "commit that it was built from; `unknown` if the build didn't say",
        ),
    ],
    meaning: "What was built",
};

/// All of them, in the order of the documentation.
pub const ALL: [&Definition; 22] = [
    &RECONCILES,
    &RECONCILE_DURATION,
    &QUEUE_DEPTH,
    &QUEUE_OLDEST_AGE,
    &ROLES,
    &CLASS_READY,
    &DRIFT_FOUND,
    &AWS_REQUESTS,
    &AWS_REQUEST_DURATION,
    &AWS_RATE_LIMIT,
    &AWS_WAITING,
    &SWEEP_KNOWN_SINCE,
    &SWEEP_LAST_SUCCESS,
    &SWEEP_DURATION,
    &SWEEP_METHOD,
    &SWEEP_CALLS,
    &SWEEP_ROLES,
    &SWEEP_OWN_ROLES,
    &SWEEP_DIFFERING,
    &ORPHANED_ROLES,
    &LEADER,
    &BUILD,
];
