//! How far a pattern can be when a text was read in part: sets of places in it, and which of two sets is harder to
//! match from. It has no memory of the text.

use std::collections::BTreeMap;

use super::{Token, count};

/// The places of a pattern at which it may be, one bit each; place `i` is before token `i`, the last is the end.
///
/// Places before the last `*` that was reached are left out: every match goes on through that `*`, which can take up
/// whatever the earlier places would.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State(Vec<u64>);

impl State {
    /// Nothing can match any more.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn contains(&self, place: usize) -> bool {
        self.0
            .get(place / 64)
            .is_some_and(|word| word & (1 << (place % 64)) != 0)
    }

    fn is_within(&self, other: &State) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a & !b == 0)
    }
}

/// A pattern, made ready to be followed through texts.
pub(super) struct Machine<'a> {
    tokens: &'a [Token],
    /// Places before `*`.
    runs: State,
    /// Places before `?`.
    ones: State,
    /// Places before each character.
    chars: BTreeMap<char, State>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Self {
        let nowhere = State(vec![0; tokens.len() / 64 + 1]);
        let mut machine = Machine {
            tokens,
            runs: nowhere.clone(),
            ones: nowhere.clone(),
            chars: BTreeMap::new(),
        };
        for (place, token) in tokens.iter().enumerate() {
            let set = match token {
                Token::Run => &mut machine.runs,
                Token::One => &mut machine.ones,
                Token::Char(c) => machine.chars.entry(*c).or_insert_with(|| nowhere.clone()),
                Token::Variable(_) => continue,
            };
            if let Some(word) = set.0.get_mut(place / 64) {
                *word |= 1 << (place % 64);
            }
        }
        machine
    }

    /// Before anything was read.
    pub(super) fn start(&self) -> State {
        let mut state = State(vec![0; self.runs.0.len()]);
        if let Some(word) = state.0.first_mut() {
            *word = 1;
        }
        self.settled(state)
    }

    pub(super) fn accepts(&self, state: &State) -> bool {
        state.contains(self.tokens.len())
    }

    /// After a character, any one character that stands nowhere in the pattern (for `?`), or a policy variable.
    pub(super) fn after(&self, state: &State, token: &Token) -> State {
        count(self.runs.0.len());
        let taken: State = match token {
            Token::Char(c) => match self.chars.get(c) {
                Some(places) => both(places, &self.ones, |a, b| a | b),
                None => self.ones.clone(),
            },
            Token::One | Token::Run => self.ones.clone(),
            // Only the same variable, or a `*`, is sure to match it.
            Token::Variable(_) => State(
                (0..self.runs.0.len())
                    .map(|word| self.same_tokens(word, token))
                    .collect(),
            ),
        };
        self.moved(state, &taken)
    }

    /// After more characters than the pattern has tokens, none of which stands in it.
    pub(super) fn after_long_run(&self, state: &State) -> State {
        let mut state = state.clone();
        for _ in 0..=self.tokens.len() {
            let next = self.after(&state, &Token::One);
            if next == state {
                break;
            }
            state = next;
        }
        state
    }

    /// Leaves the states from which the fewest texts match: what matches from those matches from all.
    ///
    /// A state that has reached fewer `*` is harder than any that has reached more: whatever matches from it goes on
    /// through the next `*`, at which the others are or were, and which could have taken up all that came before.
    /// Of those that have reached as many, one is harder than another of whose places it has only some.
    pub(super) fn keep_hardest(&self, states: &mut Vec<State>) {
        if states.len() < 2 {
            return;
        }
        let fewest = states.iter().map(|state| self.last_run(state)).min();
        states.retain(|state| Some(self.last_run(state)) == fewest);
        states.sort();
        states.dedup();
        let all = states.clone();
        count(all.len() * all.len() * self.runs.0.len());
        states.retain(|state| !all.iter().any(|other| other != state && other.is_within(state)));
    }

    fn same_tokens(&self, word: usize, token: &Token) -> u64 {
        let of_word = self.tokens.iter().skip(word * 64).take(64);
        of_word
            .enumerate()
            .filter(|(_, own)| *own == token)
            .fold(0, |bits, (bit, _)| bits | 1 << bit)
    }

    fn moved(&self, state: &State, taken: &State) -> State {
        let staying = both(state, &self.runs, |a, b| a & b);
        let moving = shifted(&both(state, taken, |a, b| a & b));
        self.settled(both(&moving, &staying, |a, b| a | b))
    }

    /// Goes on over each `*`, which may take up nothing, and forgets what is before the last.
    fn settled(&self, state: State) -> State {
        let on_runs = both(&state, &self.runs, |a, b| a & b);
        let mut state = both(&state, &shifted(&on_runs), |a, b| a | b);
        if let Some(last) = self.last_run(&state) {
            for (index, word) in state.0.iter_mut().enumerate() {
                match index.cmp(&(last / 64)) {
                    std::cmp::Ordering::Less => *word = 0,
                    std::cmp::Ordering::Equal => *word &= u64::MAX << (last % 64),
                    std::cmp::Ordering::Greater => {}
                }
            }
        }
        state
    }

    fn last_run(&self, state: &State) -> Option<usize> {
        let words = state.0.iter().zip(&self.runs.0).enumerate().rev();
        words
            .map(|(index, (a, b))| (index, a & b))
            .find(|(_, bits)| *bits != 0)
            .map(|(index, bits)| index * 64 + 63 - bits.leading_zeros() as usize)
    }
}

fn both(a: &State, b: &State, join: impl Fn(u64, u64) -> u64) -> State {
    State(a.0.iter().zip(&b.0).map(|(a, b)| join(*a, *b)).collect())
}

/// Every place moved on by one.
fn shifted(state: &State) -> State {
    let mut carry = 0;
    let words = state.0.iter().map(|word| {
        let moved = word << 1 | carry;
        carry = word >> 63;
        moved
    });
    State(words.collect())
}
