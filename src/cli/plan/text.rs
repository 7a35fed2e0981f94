//! The text output of `plan`.

use std::fmt::Write as _;

use serde_json::Value;

use super::report::{ClassReport, PlanReport, RefusalView, RoleReport, RoleView};
use crate::api::role::PlannedStep;

/// For people.
pub fn render(report: &PlanReport) -> String {
    let mut out = String::new();
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    for class in &report.classes {
        of_class(&mut out, class);
    }
    for role in &report.roles {
        of_role(&mut out, role, report.live);
    }
    out
}

fn of_class(out: &mut String, class: &ClassReport) {
    let _ = writeln!(out, "\nMlServiceRoleClass {} ({})", class.name, class.source);
    if class.refusals.is_empty() {
        let _ = writeln!(out, "  accepted");
    }
    refusals(out, &class.refusals);
}

fn of_role(out: &mut String, report: &RoleReport, live: bool) {
    let _ = writeln!(
        out,
        "\nMlServiceRole {}/{} ({})",
        report.namespace, report.name, report.source
    );
    if let Some(class) = &report.class {
        let _ = writeln!(out, "  class: {class}");
    }
    if let Some(role) = &report.role {
        role_itself(out, role);
    }
    if !report.service_accounts.is_empty() {
        let _ = writeln!(out, "  ServiceAccounts:");
        for account in &report.service_accounts {
            let how = match &account.problem {
                Some(problem) => format!(" ({}: {})", problem.reason, problem.message),
                None if account.bound => " (bound)".to_owned(),
                None => String::new(),
            };
            let _ = writeln!(out, "    {}{how}", account.name);
        }
    }
    if let Some(why) = &report.steps_unknown {
        let _ = writeln!(out, "  steps not known: {why}");
    } else if report.role.is_some()
        && report.unknown.is_none()
        && report
            .refusals
            .iter()
            .all(|r| r.reason.starts_with("ServiceAccount"))
    {
        match report.steps.as_slice() {
            [] => {
                let _ = writeln!(out, "  nothing to do");
            }
            listed => {
                let _ = writeln!(out, "  steps:");
                listed
                    .iter()
                    .enumerate()
                    .for_each(|(i, step)| of_step(out, i, step, live));
            }
        }
    }
    refusals(out, &report.refusals);
    if let Some(why) = &report.unknown {
        let _ = writeln!(out, "  NOT JUDGED: {why}");
    }
}

fn role_itself(out: &mut String, role: &RoleView) {
    let none = "(none)".to_owned();
    let _ = writeln!(out, "  role: {}", role.arn);
    if !role.description.is_empty() {
        let _ = writeln!(out, "  description: {}", role.description.escape_debug());
    }
    let _ = writeln!(out, "  longest session: {} s", role.max_session_duration_seconds);
    let boundary = role.permissions_boundary.as_ref().unwrap_or(&none);
    let _ = writeln!(out, "  permissions boundary: {boundary}");
    let _ = writeln!(out, "  tags:");
    for (key, value) in &role.tags {
        let _ = writeln!(out, "    {key} = {value}");
    }
    document(out, "trust policy", &role.trust_policy);
    if !role.managed_policy_arns.is_empty() {
        let _ = writeln!(out, "  managed policies:");
        for arn in &role.managed_policy_arns {
            let _ = writeln!(out, "    {arn}");
        }
    }
    for (name, policy) in &role.inline_policies {
        document(out, &format!("inline policy {name}"), policy);
    }
}

fn document(out: &mut String, title: &str, document: &Value) {
    let _ = writeln!(out, "  {title}:");
    indented(out, &format!("{document:#}"), 4);
}

fn of_step(out: &mut String, i: usize, step: &PlannedStep, live: bool) {
    let line = format!("    {}. {} {}", i + 1, step.action, step.target);
    let _ = writeln!(out, "{}", line.trim_end());
    // Without anything to compare with, it would be what stands above.
    if let Some(difference) = step.difference.as_ref().filter(|_| live) {
        indented(out, difference, 7);
    }
}

fn refusals(out: &mut String, refusals: &[RefusalView]) {
    for refusal in refusals {
        let _ = writeln!(out, "  REFUSED: {}: {}", refusal.reason, refusal.message);
    }
}

fn indented(out: &mut String, text: &str, by: usize) {
    for line in text.lines() {
        let _ = writeln!(out, "{:by$}{line}", "");
    }
}
