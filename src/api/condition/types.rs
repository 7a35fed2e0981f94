//! Types of conditions: one table with what each means. The constants and a table of docs/conditions.md are made of it.

/// One type, for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Type {
    /// As a condition has it.
    pub name: &'static str,
    /// Which objects have it.
    pub on: &'static str,
    /// What it means when `True`, as Markdown without links.
    pub meaning: &'static str,
}

/// Constants, and the table with one row for each: `NAME = type, on, meaning`.
macro_rules! types {
    ($($constant:ident = $name:literal, $on:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: &str = $name;
        )*

        /// All of them.
        pub const ALL: &[Type] = &[$(
            Type {
                name: $constant,
                on: $on,
                meaning: $meaning,
            },
        )*];
    };
}

types! {
    ACCEPTED = "Accepted", "role, class",
        "The spec is valid and, for a role, its class allows it. It says nothing about AWS.";
    ROLE_SYNCED = "RoleSynced", "role",
        "The role in AWS is as the spec says.";
    SERVICE_ACCOUNTS_BOUND = "ServiceAccountsBound", "role",
        "Every ServiceAccount of the object carries the role's ARN.";
    READY = "Ready", "role, class",
        "A role: all of the above. A class: its account, its issuers and its boundary are as it says.";
    STALLED = "Stalled", "role, class",
        "Trying again won't help until somebody changes something. The condition is there only while it is \
        true. The operator still tries again, slowly, since AWS doesn't tell it when the cause is gone.";
}
