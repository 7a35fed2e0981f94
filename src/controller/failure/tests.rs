//! What is made of each error: who is told what, how soon it is tried again, and how loud the log is.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::aws::error::classify;
use crate::plan::{Adopter, FormerState, Report, conditions};

fn told(operation: &'static str, code: &str) -> String {
    let error = AwsError {
        class: ErrorClass::Denied,
        operation,
        code: code.to_owned(),
        message: "User: arn:aws:sts::1:assumed-role/secret is not authorized".to_owned(),
        ambiguous: false,
    };
    let failure = of_aws(&error, &"trainer".parse().unwrap(), "");
    assert_eq!(failure.refusal.reason, reasons::ACCESS_DENIED);
    assert!(!failure.refusal.message.contains("secret"));
    failure.refusal.message
}

#[test]
fn a_denial_names_the_action_and_the_role() {
    let message = told("TagRole", "AccessDenied");
    assert!(message.contains("iam:TagRole on role trainer"), "{message}");
}

#[test]
fn a_role_that_may_not_leave_its_instance_profile_says_both_ways_out() {
    let message = told("RemoveRoleFromInstanceProfile", "AccessDenied");
    for words in [
        "remove-role-from-instance-profile --role-name trainer",
        "iam-policy --leave-instance-profiles",
    ] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn bad_credentials_are_not_told_as_a_missing_permission() {
    for (operation, code) in [
        ("AssumeRole", "AccessDenied"),
        ("TagRole", "ExpiredToken"),
        ("TagRole", "CredentialsUnavailable"),
        ("TagRole", "InvalidClientTokenId"),
    ] {
        let message = told(operation, code);
        assert!(message.contains("own credentials"), "{message}");
        assert!(message.contains(operation) && message.contains(code), "{message}");
        assert!(!message.contains("iam:"), "{message}");
    }
}

const LONGEST: Duration = Duration::from_secs(600);

/// What people see of a call that failed so: reason, whether it is stalled, seconds until the next attempt where the
/// growing pause would be one, level of the log.
fn handled(code: &str, message: &str, status: u16) -> (ErrorClass, String, bool, u64, Level) {
    let error = classify("AttachRolePolicy", Some(code), message, Some(status));
    let failure = of_aws(&error, &"trainer".parse().unwrap(), "a policy");
    let pause = pause(&failure.refusal, Duration::from_secs(1), LONGEST).as_secs();
    let report = Report {
        outcome: Outcome::Failed(failure.clone()),
        bindings: vec![],
        updates: vec![],
        deleting: false,
    };
    let shown = conditions(&report);
    let of = |kind: &str| shown.iter().find(|condition| condition.r#type == kind);
    for kind in ["RoleSynced", "Ready"] {
        let condition = of(kind).unwrap();
        assert_eq!(
            (condition.verdict.as_str(), condition.reason),
            ("False", failure.refusal.reason)
        );
    }
    assert_eq!(
        of("Accepted").unwrap().verdict.as_str(),
        "True",
        "the object isn't to blame"
    );
    let stalled = of("Stalled").is_some();
    (
        error.class,
        failure.refusal.reason.to_owned(),
        stalled,
        pause,
        level(error.class),
    )
}

#[test]
fn every_class_has_its_backoff_condition_reason_and_log_level() {
    use ErrorClass::*;
    let unknown_principal = "Invalid principal in policy: \"AWS\":\"arn:aws:iam::1:role/new\"";
    let quota = "Cannot exceed quota for PoliciesPerRole: 10";
    for (code, message, status, class, reason, stalled, pause, level) in [
        (
            "Throttling",
            "Rate exceeded",
            400,
            Throttled,
            "Throttled",
            false,
            1,
            Level::INFO,
        ),
        (
            "ServiceFailure",
            "",
            500,
            Transient,
            "AwsUnavailable",
            false,
            1,
            Level::WARN,
        ),
        (
            "MalformedPolicyDocument",
            unknown_principal,
            400,
            NotYetConsistent,
            "NotYetConsistent",
            false,
            1,
            Level::INFO,
        ),
        (
            "ConcurrentModification",
            "busy",
            409,
            Conflict,
            "Conflict",
            false,
            1,
            Level::INFO,
        ),
        (
            "AccessDenied",
            "no",
            403,
            Denied,
            "AccessDenied",
            true,
            300,
            Level::WARN,
        ),
        (
            "ExpiredToken",
            "expired",
            403,
            Denied,
            "AccessDenied",
            true,
            300,
            Level::WARN,
        ),
        (
            "LimitExceeded",
            quota,
            409,
            Invalid,
            "QuotaExceeded",
            true,
            300,
            Level::WARN,
        ),
        (
            "MalformedPolicyDocument",
            "Syntax errors in policy.",
            400,
            Invalid,
            "RefusedByAws",
            true,
            300,
            Level::WARN,
        ),
    ] {
        let expected = (class, reason.to_owned(), stalled, pause, level);
        assert_eq!(handled(code, message, status), expected, "{code}: {message}");
    }
}

#[test]
fn a_pause_never_exceeds_the_longest_nor_falls_below_the_growing_one() {
    let (once, last) = (Duration::from_secs(2), Duration::from_secs(600));
    let stalled = Refusal::new(reasons::REFUSED_BY_AWS, "");
    assert_eq!(pause(&stalled, Duration::from_secs(1), once), once);
    assert_eq!(pause(&stalled, last, last), last);
}

#[test]
fn stalled_is_what_only_a_person_can_mend() {
    let session = |code: &str, status| classify("GetCallerIdentity", Some(code), "", Some(status));
    let kubernetes = |class| {
        let error = ClusterError {
            class,
            message: String::new(),
        };
        of_cluster(&error, &Step::RemoveFinalizer).refusal
    };
    let wrong = SessionError::WrongAccount {
        expected: "111122223333".parse().unwrap(),
        found: "444455556666".parse().unwrap(),
    };
    for (refusal, stalled) in [
        (of_session(&wrong, "ml"), true),
        (
            of_session(
                &SessionError::CredentialsInvalid(session("AccessDenied", 403)),
                "ml",
            ),
            true,
        ),
        (
            of_session(&SessionError::Unavailable(session("ServiceFailure", 500)), "ml"),
            false,
        ),
        (kubernetes(ClusterErrorClass::Invalid), true),
        // Passes with the namespace, or with a rollout of RBAC that is under way.
        (kubernetes(ClusterErrorClass::Denied), false),
        (kubernetes(ClusterErrorClass::Conflict), false),
        (kubernetes(ClusterErrorClass::NotFound), false),
        (kubernetes(ClusterErrorClass::Transient), false),
    ] {
        assert_eq!(refusal.final_, stalled, "{}", refusal.message);
    }
}

#[test]
fn a_missing_boundary_is_laid_to_the_class_and_other_failures_are_left_as_they_are() {
    let refused = |message| classify("CreateRole", Some("NoSuchEntity"), message, Some(404));
    let role: RoleName = "trainer".parse().unwrap();
    let boundary = "arn:aws:iam::111122223333:policy/no-such".parse().unwrap();
    let missing = of_boundary(&refused("Scope ARN: …"), &role, &boundary);
    let mut outcome = Outcome::Failed(missing.clone());
    lay_to_class(&mut outcome, "ml");
    let message = outcome.failure().unwrap().refusal.message.clone();
    for part in [
        "policy/no-such",
        "trainer",
        "platform admin",
        r#"class "ml""#,
        "nothing in this object needs changing",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let mut departing = missing;
    offer_to_retain(&mut departing);
    assert!(departing.refusal.message.contains("deletionPolicy: Retain"));

    let other = Outcome::Failed(of_aws(&refused("Policy …"), &role, "a policy"));
    let mut same = other.clone();
    lay_to_class(&mut same, "ml");
    assert_eq!(same, other);
}

#[test]
fn a_used_up_quota_names_the_number_and_who_can_raise_it() {
    let error = classify(
        "CreateRole",
        Some("LimitExceeded"),
        "Cannot exceed quota for RolesPerAccount: 1000",
        Some(409),
    );
    let message = of_aws(&error, &"trainer".parse().unwrap(), "").refusal.message;
    for part in [
        "RolesPerAccount: 1000",
        "CreateRole",
        "trainer",
        "platform admin",
        "ask for less",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_record_of_a_former_state_that_cannot_be_kept_names_the_remedy() {
    let state = FormerState {
        role_arn: "arn:aws:iam::111122223333:role/theirs".parse().unwrap(),
        role_id: "AROA1".to_owned(),
        adopted_by: Adopter {
            cluster: "prod".to_owned(),
            namespace: "team-a".to_owned(),
            name: "trainer".to_owned(),
            uid: "uid-1".to_owned(),
        },
        trust_policy: String::new(),
        description: String::new(),
        max_session_duration_seconds: 3600,
        permissions_boundary: None,
        tags: BTreeMap::new(),
        inline_policies: BTreeMap::new(),
        attached_policies: BTreeSet::new(),
    };
    let step = Step::KeepFormerState(Box::new(state));
    // A missing permission, and a namespace that isn't there.
    for class in [ClusterErrorClass::Denied, ClusterErrorClass::NotFound] {
        let error = ClusterError {
            class,
            message: "no".to_owned(),
        };
        let failure = of_cluster(&error, &step);
        assert_eq!(failure.refusal.reason, "KubernetesApiError");
        assert_eq!(failure.service_account, None);
        for word in [
            "role/theirs",
            "ConfigMaps",
            "POD_NAMESPACE",
            "nothing was changed",
        ] {
            assert!(
                failure.refusal.message.contains(word),
                "{}",
                failure.refusal.message
            );
        }
    }
}
