//! Reasons of conditions, also used as reasons of Events: one table with what each means and what helps. The constants,
//! the tables of docs/conditions.md and `mlservicerole-operator explain` are made of it. When a reason is given is decided
//! elsewhere.

/// One reason, for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reason {
    /// As a condition has it.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// What it says, as Markdown without links.
    pub meaning: &'static str,
    /// What to do, and who can, as Markdown without links.
    pub remedy: &'static str,
    /// A page of `docs/` that says more, with its anchor.
    pub page: Option<&'static str>,
}

/// What a reason is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Group {
    /// All is well, or work is under way.
    UnderWay,
    /// The spec, or what the class says to it.
    Spec,
    /// Whose role it is.
    Ownership,
    /// AWS or Kubernetes doesn't do what it is asked.
    Refused,
    /// ServiceAccounts.
    ServiceAccounts,
    /// Classes.
    Classes,
}

impl Group {
    /// All groups, in the order in which people are told.
    pub const ALL: [Group; 6] = [
        Group::UnderWay,
        Group::Spec,
        Group::Ownership,
        Group::Refused,
        Group::ServiceAccounts,
        Group::Classes,
    ];

    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Group::UnderWay => "All is well, or work is under way",
            Group::Spec => "The spec, or what the class says to it",
            Group::Ownership => "Whose role it is",
            Group::Refused => "AWS or Kubernetes doesn't do what it is asked",
            Group::ServiceAccounts => "ServiceAccounts",
            Group::Classes => "Classes",
        }
    }

    /// What goes for each of its reasons.
    pub fn note(self) -> Option<&'static str> {
        match self {
            Group::Ownership => Some("In all of these nothing is changed in AWS."),
            _ => None,
        }
    }
}

/// Constants, and the table with one row for each: `NAME = reason, meaning, remedy[, page]`.
macro_rules! reasons {
    ($($group:ident { $($constant:ident = $name:literal, $meaning:literal, $remedy:literal $(, $page:literal)?;)* })*) => {
        $($(
            #[doc = $meaning]
            pub const $constant: &str = $name;
        )*)*

        /// All of them.
        pub const ALL: &[Reason] = &[$($(
            Reason {
                name: $constant,
                group: Group::$group,
                meaning: $meaning,
                remedy: $remedy,
                page: reasons!(@page $($page)?),
            },
        )*)*];
    };
    (@page) => {
        None
    };
    (@page $page:literal) => {
        Some($page)
    };
}

reasons! {
    UnderWay {
        ALLOWED = "Allowed",
            "The class allows the spec.",
            "Nothing.";
        SYNCED = "Synced",
            "The thing is as it should be.",
            "Nothing.";
        BOUND = "Bound",
            "Every ServiceAccount is bound.",
            "Nothing. Pods that started before need a restart: credentials are given to a pod when it is \
            created.";
        PROGRESSING = "Progressing",
            "Work is under way.",
            "Wait.";
        WAITING = "Waiting",
            "Something else must be mended first.",
            "Look at the condition that is `False`.";
        OBSERVING = "Observing",
            "`mode` is `Observe`, and there is something to do. Nothing is done.",
            "Read `status.plan`. Write `mode: Manage` to have it done.";
        PRESET_UPDATE_AVAILABLE = "PresetUpdateAvailable",
            "Only an Event: a preset of the object has a newer version than it uses. The message of \
            `Accepted` says so too.",
            "Nothing, or write the newer `version`.";
        DELETING = "Deleting",
            "The object is being deleted.",
            "Wait. If it takes long, something holds it.",
            "troubleshooting.md";
    }
    Spec {
        INVALID_SPEC = "InvalidSpec",
            "A field's value can't be used.",
            "Correct the field that the message names.";
        CLASS_NOT_FOUND = "ClassNotFound",
            "There is no class of that name.",
            "`className` can't be changed: create the class, or another MlServiceRole.";
        NO_DEFAULT_CLASS = "NoDefaultClass",
            "There is no `className`, and no class is the default.",
            "An admin annotates one class `mlservicerole.io/is-default-class: \"true\"`, or you create the \
            object with a `className`.";
        AMBIGUOUS_DEFAULT_CLASS = "AmbiguousDefaultClass",
            "There is no `className`, and several classes are the default.",
            "An admin leaves the annotation on one.";
        CLASS_NOT_ACCEPTED = "ClassNotAccepted",
            "The class itself isn't valid.",
            "An admin reads the conditions of the class.";
        CLASS_NOT_READY = "ClassNotReady",
            "The class's account can't be reached as the class says.",
            "An admin reads the conditions of the class.";
        CLASS_TERMINATING = "ClassTerminating",
            "The class is being deleted and serves only deletions. On the class itself: MlServiceRoles \
            still need it to reach their roles.",
            "If that is a mistake, delete nothing: an admin takes the class's finalizer off and applies the \
            class again. If the class is to go, use another class for new roles, and delete the objects \
            that its message names.",
            "operations.md#a-class-was-deleted-by-mistake";
        NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed",
            "The class doesn't serve this namespace.",
            "An admin labels the namespace as `allow.namespaces` asks, or widens the selector.";
        MANAGED_POLICY_NOT_ALLOWED = "ManagedPolicyNotAllowed",
            "The class doesn't allow a managed policy.",
            "Take the policy out, or ask an admin to add its ARN to `allow.managedPolicyArns`.";
        INLINE_POLICY_NOT_ALLOWED = "InlinePolicyNotAllowed",
            "An inline policy allows something that no rule of the class covers. The message names the \
            statement and the element.",
            "Write only what the rules that it names cover, with their conditions, or ask an admin to add \
            a rule to `allow.inline`.";
        PRESET_NOT_ALLOWED = "PresetNotAllowed",
            "The class doesn't allow a preset of `access`, or a value given to it.",
            "Take it out, use a value that the message names, or ask an admin to add it to \
            `allow.presets`.";
        ESCALATION_NOT_ALLOWED = "EscalationNotAllowed",
            "A policy holds actions by which a role can raise its own rights or give rights away. On the \
            class itself: a managed policy of `allow.managedPolicyArns` does.",
            "Write actions without those that the message names, or ask an admin to consent to each in \
            `allow.escalatingActions`.";
        PASS_ROLE_NOT_ALLOWED = "PassRoleNotAllowed",
            "A policy or a preset would hand a role to a service (`iam:PassRole`) that the class doesn't \
            list.",
            "Write one of the listed roles in full, or `self` in a preset, or ask an admin to add the \
            role's ARN to `allow.passRoleArns`.";
        REGION_UNKNOWN = "RegionUnknown",
            "A preset names resources of a region, and the operator isn't told which region it is in.",
            "An admin sets `AWS_REGION` for the operator; on EKS the pod identity webhook does.";
        ROLE_NAME_NOT_ALLOWED = "RoleNameNotAllowed",
            "The class doesn't allow this `role.name`.",
            "Create the object without `role.name`, or ask an admin to add it to `allow.roleNames`.";
        TAG_KEY_NOT_ALLOWED = "TagKeyNotAllowed",
            "The class doesn't allow a tag key, or sets a tag of this key itself.",
            "Take the tag out, or ask an admin to add its key to `allow.tagKeys`.";
        TRUSTED_SERVICE_NOT_ALLOWED = "TrustedServiceNotAllowed",
            "The class doesn't allow a trusted service.",
            "Take it out, or ask an admin to add it to `allow.trustedServices`.";
        SESSION_DURATION_NOT_ALLOWED = "SessionDurationNotAllowed",
            "The class doesn't allow sessions that long.",
            "Ask for less, or ask an admin to raise `roles.maxSessionDurationSeconds`.";
        RETAIN_NOT_ALLOWED = "RetainNotAllowed",
            "The class doesn't allow retaining roles.",
            "Write `deletionPolicy: Delete`, or ask an admin to set `allow.retain`. An object that is \
            being deleted waits for the one or the other.";
        DEFAULT_SERVICE_ACCOUNT_NOT_ALLOWED = "DefaultServiceAccountNotAllowed",
            "The class doesn't allow binding the ServiceAccount `default`, which every pod uses that names \
            none.",
            "Bind a ServiceAccount of your own, or ask an admin to set `allow.defaultServiceAccount`.";
        QUOTA_EXCEEDED = "QuotaExceeded",
            "The role needs more than IAM, or its account, allows: a trust policy, inline policies or tags \
            too long or too many, too many managed policies, or no more roles in the account. \
            `status.usage` has the numbers.",
            "Do what the message says: split, shorten or leave out, or have an admin raise the account's \
            quota. A raised quota is seen within the hour.";
        ADOPTION_NOT_ALLOWED = "AdoptionNotAllowed",
            "The object asks to take over an existing role and the class doesn't let its namespace do that \
            (`allow.adopt`), or the class lets it and the object doesn't ask. Nothing is changed in AWS, \
            also where the role was taken over before.",
            "Write `adoptionPolicy` as it is meant, or ask an admin to add the role's ARN with your \
            namespace to `allow.adopt`.";
        PLACEMENT_CHANGED = "PlacementChanged",
            "The class and the ARN recorded on the object disagree with its spec, its class or the \
            cluster's name. Nothing is changed in AWS.",
            "Put back what was changed: the annotation `mlservicerole.io/placement`, `--cluster-name`, or \
            a class that was deleted and made anew with another path or account. Or create another object. \
            An annotation that can't be read may be removed; the operator writes it again.";
    }
    Ownership {
        ROLE_CONFLICT = "RoleConflict",
            "A role of this name exists and isn't this object's. IAM's names are unique in an account, \
            whatever the path and case. A retained role counts as well: it is nobody's.",
            "Create an object with another name or `role.name`, or have the other role removed.";
        CLUSTER_NAME_CLASH = "ClusterNameClash",
            "The role is tagged by another cluster of the same name.",
            "Give each cluster a `--cluster-name` of its own. If this is that cluster, rebuilt or \
            restored, an admin lists the old uid of `kube-system` in the class's \
            `roles.formerClusterUIDs`.";
        NAMESPACE_RECREATED = "NamespaceRecreated",
            "The role belongs to a former namespace of the same name, perhaps of another team.",
            "An admin makes sure that nobody needs the old role and deletes it in IAM. A new one is made \
            at the next attempt.";
        OWNERSHIP_LOST = "OwnershipLost",
            "The operator's tags are gone from the role.",
            "An admin finds out who removed them, and puts them back or deletes the role in IAM.";
        ROLE_TO_ADOPT_MISSING = "RoleToAdoptMissing",
            "The role that the object asks to take over doesn't exist.",
            "Create the role, correct the ARN in `allow.adopt`, or create an object with `adoptionPolicy: \
            Never`.";
        FORMER_STATE_LOST = "FormerStateLost",
            "The object is being deleted, its role was there before it, and the record of what the role was is \
            gone.",
            "Restore the ConfigMap that the message names from a backup, or write `deletionPolicy: Retain` to \
            leave the role as it is, or `Delete` to delete it.";
        TRUST_WOULD_NARROW = "TrustWouldNarrow",
            "The role that is to be taken over lets somebody in whom the object doesn't name. The message \
            says whom.",
            "List those ServiceAccounts or services in the object, or write `adoptionPolicy: \
            AdoptAndReplaceTrust` to shut them out.";
        VERIFYING_OWNERSHIP = "VerifyingOwnership",
            "IAM's answers are still being compared, since it can contradict itself for some seconds.",
            "Wait.";
        BOUNDARY_REMOVAL_REFUSED = "BoundaryRemovalRefused",
            "The role has a permissions boundary and the class has none. The operator never removes one.",
            "An admin writes the boundary into the class, or removes it from the role in IAM.";
    }
    Refused {
        THROTTLED = "Throttled",
            "AWS throttles.",
            "Wait: the operator slows down and tries again.";
        AWS_UNAVAILABLE = "AwsUnavailable",
            "AWS couldn't be reached, or failed.",
            "Wait. If it lasts, check network, region and endpoint of the operator.";
        NOT_YET_CONSISTENT = "NotYetConsistent",
            "AWS contradicts itself for a moment, as it does shortly after a write.",
            "Wait.";
        CONFLICT = "Conflict",
            "Somebody else changes the same thing at the same time.",
            "Wait. If it lasts, find out who else manages the role.";
        ACCESS_DENIED = "AccessDenied",
            "AWS denies the operator an action.",
            "An admin adds the action to the operator's policy.",
            "security.md#what-the-operator-needs-in-aws";
        REFUSED_BY_AWS = "RefusedByAws",
            "AWS refuses the request.",
            "Correct what the message names, for example a policy that doesn't exist.";
        KUBERNETES_API_ERROR = "KubernetesApiError",
            "The Kubernetes API refused or failed a request.",
            "Check the operator's RBAC, admission webhooks and quotas. Details are in its log.";
    }
    ServiceAccounts {
        SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing",
            "A ServiceAccount with `creationPolicy: Never` doesn't exist.",
            "Create it, or leave `creationPolicy` out.";
        SERVICE_ACCOUNT_CONFLICT = "ServiceAccountConflict",
            "A ServiceAccount carries another role's ARN, or another manager holds an empty one or another \
            audience. The message names the manager.",
            "Remove the annotation from the ServiceAccount or from what the manager applies, bind another \
            ServiceAccount, or write `conflictPolicy: Replace`.";
        SERVICE_ACCOUNT_CLAIMED = "ServiceAccountClaimed",
            "Another MlServiceRole has bound the ServiceAccount.",
            "Name the ServiceAccount in one object only.";
        ANNOTATION_CONTESTED = "AnnotationContested",
            "Another manager keeps writing another ARN, or keeps taking the operator's annotations away. \
            It has its way meanwhile.",
            "Take the annotation out of the chart or the GitOps repository that the message names.";
    }
    Classes {
        WRONG_ACCOUNT = "WrongAccount",
            "STS reports another account than `aws.accountId`. No other call is made.",
            "Correct `aws.assumeRole`, or the operator's own credentials.";
        CREDENTIALS_INVALID = "CredentialsInvalid",
            "The operator's credentials don't work, or the role of `aws.assumeRole` can't be assumed.",
            "Check the operator's own role, the other role's trust policy and the external id.";
        ISSUER_NOT_TRUSTED = "IssuerNotTrusted",
            "The account has no IAM OIDC provider for the issuer with this audience. Roles are made all \
            the same, since IAM accepts them, but no pod can take them.",
            "Create the provider in that account, with the audience among its client ids.";
        ISSUER_CHANGED = "IssuerChanged",
            "This cluster's issuer is another one than the one recorded.",
            "If that is right, write the issuers into the class's `oidc.issuers`.";
        BOUNDARY_MISSING = "BoundaryMissing",
            "The policy of the class's `permissionsBoundary.arn` doesn't exist. Roles that need it can't be \
            made.",
            "Nothing in an MlServiceRole. An admin creates the policy, or corrects the ARN in the class.";
    }
}

/// The reason of a name.
pub fn find(name: &str) -> Option<&'static Reason> {
    ALL.iter().find(|reason| reason.name == name)
}
