//! `explain`: what a reason, a condition or an Event of the operator means and what helps, for whoever is on call. Reads
//! nothing from a cluster or from AWS.

use clap::Args;

use crate::api::condition::{events, reasons, types};

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// A reason as in `RoleConflict`, in upper or lower case, or a condition or an Event; all reasons when absent.
    word: Option<String>,
}

/// Prints what was asked for.
pub fn run(args: &ExplainArgs) -> Result<(), String> {
    super::print(&match &args.word {
        Some(word) => one(word)?,
        None => reasons::ALL
            .iter()
            .map(|reason| format!("{}: {}\n", reason.name, reason.meaning))
            .collect(),
    })
}

fn one(word: &str) -> Result<String, String> {
    let is = |name: &str| name.eq_ignore_ascii_case(word);
    if let Some(reason) = reasons::ALL.iter().find(|one| is(one.name)) {
        let more = reason.page.map(|page| format!("\nMore: docs/{page}\n"));
        return Ok(format!(
            "{}\n\n{}\n\nWhat to do: {}\n{}",
            reason.name,
            reason.meaning,
            reason.remedy,
            more.unwrap_or_default()
        ));
    }
    if let Some(one) = types::ALL.iter().find(|one| is(one.name)) {
        return Ok(format!(
            "{} (a condition)\n\nIf `True`: {}\n",
            one.name, one.meaning
        ));
    }
    if let Some(one) = events::ALL.iter().find(|one| is(one.name)) {
        return Ok(format!("{} (an Event)\n\n{}\n", one.name, one.meaning));
    }
    let names = reasons::ALL.iter().map(|reason| reason.name);
    let near = names.max_by(|a, b| strsim::jaro(a, word).total_cmp(&strsim::jaro(b, word)));
    Err(format!(
        "there is no reason, condition or Event {word:?}; did you mean {}? Without a word, `explain` lists the reasons",
        near.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_explained_with_its_remedy_whatever_its_case() {
        let reason = reasons::find(reasons::ACCESS_DENIED).unwrap();
        let text = one("accessdenied").unwrap();
        for part in [reason.name, reason.meaning, reason.remedy, reason.page.unwrap()] {
            assert!(text.contains(part), "{text}");
        }
        assert!(one(types::READY).unwrap().contains("a condition"));
        assert!(one(events::ROLE_ADOPTED).unwrap().contains("an Event"));
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_nearest() {
        let refusal = one("RoleConflicts").unwrap_err();
        assert!(refusal.contains("did you mean RoleConflict?"), "{refusal}");
        assert!(one("").unwrap_err().contains("there is no reason"));
    }
}
