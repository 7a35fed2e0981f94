//! The policies for people: each statement with its reason, and what it says.

use std::fmt::Write as _;

use crate::permissions::{Output, Policy, Resources, Statement, Who};

/// Everything, notes last.
pub(super) fn render(output: &Output) -> String {
    let mut text = String::new();
    for policy in &output.policies {
        render_policy(policy, &mut text);
    }
    for note in &output.notes {
        line(&mut text, &format!("note: {note}"));
    }
    text
}

fn render_policy(policy: &Policy, text: &mut String) {
    let (size, limit) = (policy.size(), policy.limit.characters());
    line(text, &format!("{}: {}", policy.name, policy.purpose));
    line(text, &format!("{size} of {limit} characters\n"));
    for statement in &policy.statements {
        render_statement(statement, text);
    }
}

fn render_statement(statement: &Statement, text: &mut String) {
    let Statement {
        sid,
        why,
        effect,
        who,
        actions,
        resources,
        conditions,
    } = statement;
    line(text, &format!("  {sid}: {why}"));
    let listed = |values: &std::collections::BTreeSet<String>| {
        values.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    line(
        text,
        &format!("    {} {}", effect.as_str().to_lowercase(), listed(actions)),
    );
    match who {
        Who::Holder => {}
        Who::Everybody => line(text, "    to everybody"),
        Who::Principals(arns) => line(text, &format!("    to {}", listed(arns))),
    }
    match resources {
        Resources::Holder => {}
        Resources::Only(arns) => line(text, &format!("    on {}", listed(arns))),
        Resources::AllExcept(arns) => line(text, &format!("    on everything but {}", listed(arns))),
    }
    for (operator, keys) in conditions {
        for (key, values) in keys {
            line(text, &format!("    if {operator} {key}: {}", listed(values)));
        }
    }
    line(text, "");
}

/// Writing to memory doesn't fail.
fn line(text: &mut String, words: &str) {
    let _ = writeln!(text, "{words}");
}
