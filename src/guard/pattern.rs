//! Patterns of `*`, `?` and plain characters: whether one takes in all that another one does, whether two have
//! anything in common. It knows nothing of actions, ARNs or classes.
//!
//! `*` stands for any run of characters, also none, and `?` for any one (IAM user guide, "IAM JSON policy elements:
//! Resource"). A policy variable `${…}` stands for a text that is known only when a request is made.

use std::fmt;

mod set;

use set::Machine;

/// One part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Token {
    /// This character.
    Char(char),
    /// Any one character: `?`.
    One,
    /// Any run of characters, also none: `*`.
    Run,
    /// A policy variable, as it was written: `${aws:PrincipalTag/team}`.
    Variable(String),
}

/// Why a text can't be read as one with policy variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VariableError {
    /// `${` and no `}`.
    #[error("a policy variable begins with ${{ and doesn't end; write }} after its name")]
    Unfinished,
    /// `${${…}}`, `${}`.
    #[error("a policy variable has no name, or another variable inside; write one name between ${{ and }}")]
    Name,
}

/// A set of texts, written with `*` and `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pattern {
    /// No two runs stand side by side.
    tokens: Vec<Token>,
}

impl Pattern {
    /// The pattern of these parts.
    pub(crate) fn of(tokens: impl IntoIterator<Item = Token>) -> Self {
        let mut kept: Vec<Token> = Vec::new();
        for token in tokens {
            if token != Token::Run || kept.last() != Some(&Token::Run) {
                kept.push(token);
            }
        }
        Pattern { tokens: kept }
    }

    /// The pattern that only this text matches.
    pub(crate) fn literal(text: &str) -> Self {
        Self::of(text.chars().map(Token::Char))
    }

    /// A text in which `*` and `?` are wildcards, and nothing else is.
    pub(crate) fn glob(text: &str) -> Self {
        Self::of(text.chars().map(wildcard))
    }

    /// A text of a policy's Resource or of a condition that takes wildcards: `*`, `?` and policy variables. `${*}`,
    /// `${?}` and `${$}` are these characters themselves (IAM user guide, "IAM policy elements: Variables and
    /// tags").
    ///
    /// # Errors
    ///
    /// A variable is broken off, or has no name of its own.
    pub(crate) fn policy_text(text: &str) -> Result<Self, VariableError> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if rest.starts_with("${") {
                let (variable, after) = split_variable(rest)?;
                tokens.push(variable);
                rest = after;
            } else {
                tokens.push(wildcard(c));
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
        Ok(Self::of(tokens))
    }

    /// The same pattern in lower case, as far as ASCII goes: no action and no service of AWS has another letter.
    pub(crate) fn in_lower_case(mut self) -> Self {
        for token in &mut self.tokens {
            if let Token::Char(c) = token {
                c.make_ascii_lowercase();
            }
        }
        self
    }

    /// Its parts.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Whether a policy variable stands in it.
    pub(crate) fn has_variable(&self) -> bool {
        self.tokens
            .iter()
            .any(|token| matches!(token, Token::Variable(_)))
    }

    /// Whether this text matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.includes(&Pattern::literal(text))
    }

    /// Whether this text matches where `*` and `?` stand for no character of `barrier`.
    pub(crate) fn matches_between(&self, text: &str, barrier: &[char]) -> bool {
        // Whether the tokens from each place on match what is left of the text.
        let mut row = self.matching_nothing();
        for c in text.chars().rev() {
            let passes = !barrier.contains(&c);
            let mut longer = vec![false; row.len()];
            for (place, token) in self.tokens.iter().enumerate().rev() {
                let here = row.get(place).copied().unwrap_or(false);
                let next = row.get(place + 1).copied().unwrap_or(false);
                let skipped = longer.get(place + 1).copied().unwrap_or(false);
                let found = match token {
                    Token::Char(own) => *own == c && next,
                    Token::One => passes && next,
                    Token::Run => (passes && here) || skipped,
                    Token::Variable(_) => false,
                };
                if let Some(cell) = longer.get_mut(place) {
                    *cell = found;
                }
            }
            row = longer;
        }
        row.first().copied().unwrap_or(false)
    }

    /// For each place, whether the tokens from there on match the empty text.
    fn matching_nothing(&self) -> Vec<bool> {
        let runs_at_end = self
            .tokens
            .iter()
            .rev()
            .take_while(|token| **token == Token::Run)
            .count();
        let first = self.tokens.len() - runs_at_end;
        (0..=self.tokens.len()).map(|place| place >= first).collect()
    }

    /// Whether every text that `other` matches is matched by this pattern, whatever the texts of policy variables are
    /// when a request is made (the same variable has the same text on both sides).
    ///
    /// Without variables the answer is exact. With them, "yes" is certain and "no" may be said too often.
    ///
    /// Why it is exact: a character of `other`'s wildcards that occurs in neither pattern can be matched only by a
    /// wildcard, so it is enough to try that one. Of the lengths that a `*` of `other` may have, none and "longer
    /// than this pattern" are enough: if a text with a long run matches, this pattern has a `*` inside the run; the
    /// part before that `*` takes up the same number of characters however long the run is, and what is left for the
    /// part behind it only grows with the run. So a pattern that matches with none and with a long run matches with
    /// every run between. What is left are the choices of none or long for each `*`; of the states that they lead
    /// to, only the hardest for this pattern are followed, see [`set`].
    pub(crate) fn includes(&self, other: &Pattern) -> bool {
        let machine = Machine::new(&self.tokens);
        let mut states = vec![machine.start()];
        for token in &other.tokens {
            if *token == Token::Run {
                let long: Vec<_> = states.iter().map(|state| machine.after_long_run(state)).collect();
                states.extend(long);
            } else {
                for state in &mut states {
                    *state = machine.after(state, token);
                }
            }
            machine.keep_hardest(&mut states);
            if states.iter().any(|state| state.is_empty()) {
                return false;
            }
        }
        states.iter().all(|state| machine.accepts(state))
    }

    /// Whether some text matches both. A policy variable may be any text.
    pub(crate) fn intersects(&self, other: &Pattern) -> bool {
        let stretches = |token: &Token| matches!(token, Token::Run | Token::Variable(_));
        let width = other.tokens.len() + 1;
        // Whether what follows token j of `other` has a text in common with what follows token i of this one; the
        // row of i + 1 gives that of i.
        let mut below = vec![false; width];
        for i in (0..=self.tokens.len()).rev() {
            count(width);
            let mine = self.tokens.get(i);
            let mut row = vec![false; width];
            for j in (0..width).rev() {
                let theirs = other.tokens.get(j);
                let at = |row: &[bool], j: usize| row.get(j).copied().unwrap_or(false);
                let found = match (mine, theirs) {
                    (None, None) => true,
                    (Some(token), _) if stretches(token) => at(&below, j) || at(&row, j + 1),
                    (_, Some(token)) if stretches(token) => at(&row, j + 1) || at(&below, j),
                    (Some(a), Some(b)) => {
                        (a == b || *a == Token::One || *b == Token::One) && at(&below, j + 1)
                    }
                    _ => false,
                };
                if let Some(cell) = row.get_mut(j) {
                    *cell = found;
                }
            }
            below = row;
        }
        below.first().copied().unwrap_or(false)
    }
}

/// As it would be written in a policy.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in &self.tokens {
            match token {
                Token::Char(c @ ('*' | '?')) => write!(f, "${{{c}}}")?,
                Token::Char(c) => write!(f, "{c}")?,
                Token::One => f.write_str("?")?,
                Token::Run => f.write_str("*")?,
                Token::Variable(text) => f.write_str(text)?,
            }
        }
        Ok(())
    }
}

/// Counts steps, for tests that bound the work.
fn count(steps: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + steps);
    #[cfg(not(test))]
    let _ = steps;
}

#[cfg(test)]
thread_local! {
    pub(super) static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

pub(super) fn wildcard(c: char) -> Token {
    match c {
        '*' => Token::Run,
        '?' => Token::One,
        c => Token::Char(c),
    }
}

/// Cuts the policy variable off with which a text begins.
pub(super) fn split_variable(text: &str) -> Result<(Token, &str), VariableError> {
    let end = text.find('}').ok_or(VariableError::Unfinished)?;
    let (variable, after) = text.split_at(end + 1);
    let name = variable
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or_default();
    let token = match name {
        "*" => Token::Char('*'),
        "?" => Token::Char('?'),
        "$" => Token::Char('$'),
        name if name.trim().is_empty() || name.contains(['$', '{']) => return Err(VariableError::Name),
        _ => Token::Variable(variable.to_owned()),
    };
    Ok((token, after))
}
