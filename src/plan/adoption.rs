//! Taking over a role that was there before its object. Both the object and the class must say so, and the role must
//! be nobody's. What it was is kept before anything is changed; then it is marked as ours, then its permissions
//! become what the object says, and only when a read shows that does anybody new get in.

use std::collections::BTreeMap;

use super::difference::{content, properties};
use super::knowledge::{Clock, RoleKnowledge};
use super::ownership::Ownership;
use super::planner::{Depth, Next, Plan, boundary, not_yet_certain, once_read, taken_over};
use super::{FormerState, RoleIntent, Step};
use crate::api::condition::reasons;
use crate::guard::Refusal;
use crate::iam::quota;
use crate::iam::role::{RoleContent, RoleHeader};
use crate::iam::tags;
use crate::iam::trust::TrustTransition;

/// From whom a role comes to this object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Takeover {
    /// An earlier object of this name.
    OfHeir,
    /// Somebody else, who made it without this operator or left it behind.
    OfStranger,
}

/// A role as it was found.
pub(super) struct Found<'a> {
    pub header: &'a RoleHeader,
    pub content: &'a RoleContent,
    pub knowledge: &'a RoleKnowledge,
}

/// The steps on ServiceAccounts.
pub(super) struct Wanted {
    pub binding: Vec<Step>,
    /// Those that come last.
    pub last: Vec<Step>,
    /// Whether among the last ones a working ARN is replaced.
    pub replaces: bool,
}

/// Why there is no role to take over.
pub(super) struct Missing {
    pub refusal: Refusal,
    /// What is said until that is certain.
    pub meanwhile: Refusal,
}

/// Whether a role that isn't this object's may be taken over: the object asks for it, the class lets it, and the
/// role is nobody's.
pub(super) fn is_claimable(intent: &RoleIntent, header: &RoleHeader, judged: &Ownership) -> bool {
    // A role that was ours a moment ago has lost its tags by somebody's hand: that is for people to look at.
    let lost = matches!(judged, Ownership::Foreign(why) if why.reason == reasons::OWNERSHIP_LOST);
    let retained = tags::is_retained(&header.tags);
    let marked = header.tags.keys().any(|key| tags::is_mark(key));
    intent.adoption.is_some() && header.arn == *intent.arn() && !lost && (retained || !marked)
}

/// Why a role that was to be taken over is left alone: it is what the object's people want to have, so that they aren't
/// told to have it removed.
pub(super) fn left_alone(intent: &RoleIntent, header: &RoleHeader, refusal: Refusal) -> Refusal {
    if intent.adoption.is_none() || refusal.reason != reasons::ROLE_CONFLICT {
        return refusal;
    }
    let (arn, name) = (intent.arn(), intent.arn().name());
    let message = if header.arn == *arn {
        format!(
            "role {arn} is to be taken over, but is another MlServiceRole's, of this cluster or another one, by its \
             mlservicerole.io/ tags; it is left alone until that object has left it behind (deletionPolicy: Retain) or \
             those tags are removed"
        )
    } else {
        format!(
            "class {:?} lets this object take over {arn}, but the role named {name} has another ARN, and is left alone; \
             ask the platform admin to correct allow.adopt of the class (path, upper and lower case)",
            intent.placement.class
        )
    };
    Refusal::new(reasons::ROLE_CONFLICT, message)
}

/// Whether a role was there before it came to this operator.
pub(super) fn is_adopted(header: &RoleHeader) -> bool {
    tags::get(&header.tags, tags::ADOPTED).is_some()
}

/// What to say where the role to be taken over doesn't exist; none where it is created instead.
pub(super) fn missing(intent: &RoleIntent) -> Option<Missing> {
    intent.adoption.filter(|adoption| !adoption.may_create)?;
    let arn = intent.arn();
    Some(Missing {
        refusal: Refusal::new(
            reasons::ROLE_TO_ADOPT_MISSING,
            format!(
                "role {arn} is to be taken over, but doesn't exist; create it, ask the platform admin to correct \
                 allow.adopt of class {:?}, or create another MlServiceRole with adoptionPolicy: Never",
                intent.placement.class
            ),
        ),
        meanwhile: Refusal::passing(
            reasons::NOT_YET_CONSISTENT,
            format!("IAM shows no role {arn}; it is read once more"),
        ),
    })
}

/// Plans for a role that is to be taken over, or that was: nobody new gets in and no ServiceAccount is bound before
/// a read shows that the role holds what it should, and nothing else.
pub(super) fn bring_into_line(
    intent: &RoleIntent,
    found: Found<'_>,
    takeover: Option<Takeover>,
    steps: Wanted,
    mut plan: Plan,
    clock: &Clock,
) -> Next {
    let Found {
        header,
        content: held,
        knowledge,
    } = found;
    let mut tagged = BTreeMap::new();
    match takeover {
        None => {}
        Some(Takeover::OfHeir) => {
            tagged = intent.owner.tags();
            plan.stage(vec![Step::Tag(tagged.clone())]);
            plan.notices.push(taken_over(intent));
        }
        Some(Takeover::OfStranger) => {
            if !knowledge.is_fresh(clock) {
                return Next::Read(Depth::Full);
            }
            // It may be ours already and not show it, while it holds what we put there: that would be kept as what it
            // was, in place of the record that there is.
            if let Some(wait) = not_yet_certain(knowledge, intent.arn().name(), clock) {
                return wait;
            }
            let former = FormerState::of(&intent.owner, header, held);
            tagged = intent.owner.tags();
            tagged.insert(tags::ADOPTED.to_owned(), former.name());
            if let Some(refusal) = obstacle(intent, header, &tagged) {
                return Next::Blocked(refusal);
            }
            plan.stage(vec![Step::KeepFormerState(Box::new(former))]);
            plan.stage(vec![Step::Tag(tagged.clone())]);
            // At once: until then the role counts as nobody's, and would be taken over a second time.
            let retained = header
                .tags
                .keys()
                .filter(|key| tags::same_key(key, tags::RETAINED));
            let retained: std::collections::BTreeSet<String> = retained.cloned().collect();
            if !retained.is_empty() {
                plan.stage(vec![Step::Untag(retained)]);
            }
        }
    }
    let boundary = boundary(intent.permissions_boundary.as_ref(), header);
    let content = content(intent, held);
    let is_in_line = boundary.is_empty() && content.is_empty() && takeover != Some(Takeover::OfStranger);
    // A read soon after a write of ours that seems to have come to nothing is older than the write.
    if !is_in_line && takeover.is_none() && knowledge.is_seen() && knowledge.may_be_stale(clock) {
        return Next::Wait {
            why: Refusal::passing(
                reasons::NOT_YET_CONSISTENT,
                format!(
                    "IAM doesn't show yet what was written to role {}; it is read again",
                    intent.arn().name()
                ),
            ),
            until: clock.now + clock.consistency_window / 4,
            disputed: false,
        };
    }
    plan.stage(boundary);
    let mut stage = without_marks(properties(intent, header, &tagged), takeover);
    stage.extend(content);
    plan.stage(stage);
    if !is_in_line {
        return once_read(plan, false, knowledge, clock);
    }
    let trust = match intent.trust.transition_from(&header.trust) {
        TrustTransition::Same => vec![],
        _ => vec![Step::UpdateTrust {
            document: intent.trust.document().to_json(),
        }],
    };
    let lets_in = !trust.is_empty() || !steps.binding.is_empty() || steps.replaces;
    if lets_in && !knowledge.is_seen() {
        return Next::Read(Depth::Full);
    }
    plan.stage(trust);
    plan.stage(steps.binding);
    plan.stage(steps.last);
    once_read(plan, steps.replaces, knowledge, clock)
}

/// What must be settled before the role is touched.
fn obstacle(intent: &RoleIntent, header: &RoleHeader, tagged: &BTreeMap<String, String>) -> Option<Refusal> {
    let name = intent.arn().name();
    let new = tagged.keys().filter(|key| tags::get(&header.tags, key).is_none());
    let (present, new) = (header.tags.len(), new.count());
    if present + new > quota::TAGS_PER_ROLE {
        return Some(Refusal::new(
            reasons::QUOTA_EXCEEDED,
            format!(
                "role {name} has {present} tags and needs {new} more to be marked as this object's, but IAM allows {}; \
                 remove {} of its tags",
                quota::TAGS_PER_ROLE,
                present + new - quota::TAGS_PER_ROLE
            ),
        ));
    }
    let somebody_loses = matches!(
        intent.trust.transition_from(&header.trust),
        TrustTransition::Narrows | TrustTransition::Replaces { .. }
    );
    let may_replace = intent.adoption.is_some_and(|adoption| adoption.replaces_trust);
    (somebody_loses && !may_replace).then(|| {
        let losers: Vec<String> = intent.trust.shuts_out(&header.trust).into_iter().collect();
        Refusal::new(
            reasons::TRUST_WOULD_NARROW,
            format!(
                "role {name} lets in {}; this object would shut them out: list those of them that are ServiceAccounts of \
                 this namespace in serviceAccounts and services in role.trustedServices, or write adoptionPolicy: \
                 AdoptAndReplaceTrust to shut the others out",
                losers.join(", ")
            ),
        )
    })
}

/// The mark of a retained role is taken off by a step of its own.
fn without_marks(steps: Vec<Step>, takeover: Option<Takeover>) -> Vec<Step> {
    if takeover != Some(Takeover::OfStranger) {
        return steps;
    }
    let unmarked = steps.into_iter().filter_map(|step| match step {
        Step::Untag(mut keys) => {
            keys.retain(|key| !tags::same_key(key, tags::RETAINED));
            (!keys.is_empty()).then_some(Step::Untag(keys))
        }
        step => Some(step),
    });
    unmarked.collect()
}
