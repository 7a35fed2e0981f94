//! Whether the patterns of one list keep namespaces apart: `ml-{namespace}` and `ml-{namespace}-data` don't, since the
//! namespaces `team-data` and `team` would both have `ml-team-data`. What may stand right beside `{namespace}` is
//! [`template`](super::template)'s business.

use std::collections::{HashSet, VecDeque};

use super::pattern::{Pattern, Token};
use super::template::{Names, Part, Template};

/// So many states are looked at for two patterns. Those that people write need some hundreds.
const MOST_STATES: usize = 50_000;

/// What the wildcards of a list's patterns stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wildcards {
    /// Any character.
    Free,
    /// No `/` and no `:`, as in ARNs of managed policies.
    WithinSegment,
    /// No `:` in the first five parts of an ARN, since ARNs are compared part by part.
    WithinArn,
}

/// Two namespaces that both have one text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Collision {
    /// Of the first pattern.
    one: String,
    /// Of the second pattern.
    other: String,
    /// With [`CLUSTER`] for the cluster's name.
    text: String,
}

/// What is wrong with the patterns of one list, for each pair that doesn't keep namespaces apart, and each that doesn't
/// by itself: `*/{namespace}/*` takes in `x/team-a/team-b/y`, which is of both. Patterns without
/// `{namespace}` mean the same for all, and say so.
///
/// For patterns that hold `{namespace}` once, which are all but a few, this is exact, but for the cluster's name: it isn't
/// known to whoever reads a class, and counts as one character that stands nowhere else.
pub(super) fn check<'a>(
    templates: impl IntoIterator<Item = &'a Template>,
    wildcards: Wildcards,
) -> Vec<String> {
    let mut known = HashSet::new();
    let all: Vec<(&Template, Machine)> = templates
        .into_iter()
        .filter(|template| known.insert(template.as_str()))
        .map(|template| (template, Machine::of(template, wildcards)))
        .filter(|(_, machine)| machine.0.contains(&Unit::Namespace))
        .collect();
    let mut wrong = Vec::new();
    for (index, one) in all.iter().enumerate() {
        let others = all.iter().skip(index);
        wrong.extend(others.filter_map(|other| check_pair(one, other)));
    }
    wrong
}

fn check_pair(one: &(&Template, Machine), other: &(&Template, Machine)) -> Option<String> {
    if are_alike(&one.1, &other.1) {
        return None;
    }
    let (first, second) = (one.0.as_str(), other.0.as_str());
    match collide(&one.1, &other.1) {
        Ok(found) => found
            .filter(|found| has(one.0, &found.one, &found.text) && has(other.0, &found.other, &found.text))
            .map(|found| {
                let text = found.text.replace(CLUSTER, "{cluster}");
                if first == second {
                    return format!(
                        "{first:?} doesn't keep namespaces apart: {text:?} is of the namespace {:?} and of the namespace \
                         {:?}; write out what stands before {{namespace}} in place of the wildcard, or what stands after it",
                        found.one, found.other
                    );
                }
                format!(
                    "{first:?} and {second:?} don't keep namespaces apart: {text:?} is of the namespace {:?} by the first and of \
                     the namespace {:?} by the second; put a character that no namespace's name can hold, such as . or /, \
                     beside {{namespace}} in both, or begin them differently",
                    found.one, found.other
                )
            }),
        Err(TooMany) => Some(format!(
            "whether {first:?} and {second:?} keep namespaces apart can't be said, since they have too many wildcards; use \
             fewer"
        )),
    }
}

/// Whether a pattern, filled in for this namespace, has a text. A policy variable may be any.
fn has(template: &Template, namespace: &str, text: &str) -> bool {
    let cluster = &CLUSTER.to_string();
    let filled = template.fill(Names { cluster, namespace });
    let tokens = filled.tokens().iter().map(|token| match token {
        Token::Variable(_) => Token::Run,
        token => token.clone(),
    });
    Pattern::of(tokens).matches(text)
}

/// One part of a pattern, by what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Char(char),
    One(&'static [char]),
    Run(&'static [char]),
    Namespace,
    /// The name of the cluster isn't known here: it counts as a character of its own.
    Cluster,
}

struct Machine(Vec<Unit>);

impl Machine {
    fn of(template: &Template, wildcards: Wildcards) -> Self {
        let mut colons = 0;
        let units = template.parts().iter().map(|part| {
            let barred: &'static [char] = match wildcards {
                Wildcards::Free => &[],
                Wildcards::WithinSegment => &['/', ':'],
                Wildcards::WithinArn if colons < 5 => &[':'],
                Wildcards::WithinArn => &[],
            };
            match part {
                Part::Token(Token::Char(c)) => {
                    colons += usize::from(*c == ':');
                    Unit::Char(*c)
                }
                Part::Token(Token::One) => Unit::One(barred),
                Part::Token(Token::Run) => Unit::Run(barred),
                Part::Token(Token::Variable(_)) => Unit::Run(&[]),
                Part::Namespace => Unit::Namespace,
                Part::Cluster => Unit::Cluster,
            }
        });
        Machine(units.collect())
    }
}

/// Whether both have the same before their only `{namespace}`, which takes up as much of a text in either, and behind it a
/// character that ends it: then it is the same namespace in both. Most patterns of a list are alike, and this is quickly seen.
fn are_alike(one: &Machine, other: &Machine) -> bool {
    let split = |machine: &Machine| {
        let at = machine.0.iter().position(|unit| *unit == Unit::Namespace)?;
        let before = machine.0.get(..at)?.to_vec();
        let after = machine.0.get(at + 1..)?;
        let ends = match after.first() {
            None => true,
            Some(Unit::Char(c)) => !is_of_namespace(*c),
            Some(_) => false,
        };
        let once = !after.contains(&Unit::Namespace);
        // A run that stops at the character behind it ends in one place only.
        let stops = |index: usize, barred: &[char]| matches!(before.get(index + 1), Some(Unit::Char(c)) if barred.contains(c));
        let settled = before.iter().enumerate().all(|(index, unit)| match unit {
            Unit::Run(barred) => stops(index, barred),
            _ => true,
        });
        (ends && once && settled).then_some(before)
    };
    match (split(one), split(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// Lower-case letters, digits and `-` (Kubernetes, "Object Names and IDs", RFC 1123 labels).
fn is_of_namespace(c: char) -> bool {
    is_alphanumeric(c) || c == '-'
}

fn is_alphanumeric(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// How far a pattern was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    unit: usize,
    within: Within,
}

/// Where in a namespace's name a pattern is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Within {
    Nothing,
    /// After a letter or digit, with which a name can end.
    Name,
    /// After a `-`, with which none can.
    Dash,
}

/// What one character may be.
#[derive(Clone, Copy)]
enum Class {
    Just(char),
    Any(&'static [char]),
    Alphanumeric,
    Cluster,
}

/// Stands for the cluster's name among characters: no text of a pattern holds it.
const CLUSTER: char = '\u{0}';

impl Class {
    fn holds(self, c: char) -> bool {
        match self {
            Class::Just(own) => own == c,
            Class::Any(barred) => !barred.contains(&c),
            Class::Alphanumeric => is_alphanumeric(c),
            Class::Cluster => c == CLUSTER,
        }
    }

    /// The characters of which one is in both, if any is: two letters, so that names can differ.
    fn common(self, other: Class) -> impl Iterator<Item = char> {
        let named = |class: Class| match class {
            Class::Just(c) => c,
            Class::Cluster => CLUSTER,
            Class::Any(_) | Class::Alphanumeric => 'a',
        };
        let candidates = match (self, other) {
            (Class::Just(_) | Class::Cluster, _) => [named(self), named(self)],
            (_, Class::Just(_) | Class::Cluster) => [named(other), named(other)],
            _ => ['a', 'b'],
        };
        let both = move |c: &char| self.holds(*c) && other.holds(*c);
        let twice = candidates[0] == candidates[1];
        candidates
            .into_iter()
            .take(if twice { 1 } else { 2 })
            .filter(both)
    }
}

/// A character that may be read, where it leads, and whether it is one of a namespace's name.
type Move = (Class, Place, bool);

impl Machine {
    fn moves(&self, from: Place) -> Vec<Move> {
        let mut found = Vec::new();
        let mut place = from;
        loop {
            let next = Place {
                unit: place.unit + 1,
                within: Within::Nothing,
            };
            let inside = |within| Place { within, ..place };
            match self.0.get(place.unit) {
                None => return found,
                Some(Unit::Char(c)) => found.push((Class::Just(*c), next, false)),
                Some(Unit::One(barred)) => found.push((Class::Any(barred), next, false)),
                Some(Unit::Cluster) => found.push((Class::Cluster, next, false)),
                Some(Unit::Run(barred)) => {
                    found.push((Class::Any(barred), place, false));
                    place = next;
                    continue;
                }
                Some(Unit::Namespace) => {
                    found.push((Class::Alphanumeric, inside(Within::Name), true));
                    if place.within != Within::Nothing {
                        found.push((Class::Just('-'), inside(Within::Dash), true));
                    }
                    if place.within == Within::Name {
                        place = next;
                        continue;
                    }
                }
            }
            return found;
        }
    }

    fn accepts(&self, place: Place) -> bool {
        let rest = match place.within {
            Within::Nothing => place.unit,
            Within::Name => place.unit + 1,
            Within::Dash => return false,
        };
        self.0.iter().skip(rest).all(|unit| matches!(unit, Unit::Run(_)))
    }
}

/// More states than are looked at.
#[derive(Debug)]
struct TooMany;

/// Two namespaces, and a text that the first pattern has for the one and the second for the other.
///
/// The two patterns are read side by side. As long as every character is one of a name in both or in neither, the names
/// stand in the same places of the text, and are the same; a text in which they don't is looked for. Names in different
/// places can still be the same (`a/{namespace}` and `{namespace}/a` have only `a/a` in common): then one in which they
/// differ is looked for, name by name.
fn collide(one: &Machine, other: &Machine) -> Result<Option<Collision>, TooMany> {
    match search(one, other, false)? {
        Some(found) if found.one == found.other => search(one, other, true),
        found => Ok(found),
    }
}

/// A state of both patterns, with what was read on the way.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    one: Place,
    other: Place,
    /// Whether the names stand in different places.
    apart: bool,
    /// What was read of the names, where that matters.
    names: (String, String),
}

/// Where a state was reached from: the number of that one, the character, and in which of the two patterns it is one of a
/// name.
type Step = Option<(usize, char, bool, bool)>;

/// The shortest text in which the names stand in different places, and, where that is asked for, differ.
fn search(one: &Machine, other: &Machine, differ: bool) -> Result<Option<Collision>, TooMany> {
    let start = Place {
        unit: 0,
        within: Within::Nothing,
    };
    let first = State {
        one: start,
        other: start,
        apart: false,
        names: Default::default(),
    };
    let mut seen = HashSet::from([first.clone()]);
    let mut reached: Vec<(State, Step)> = vec![(first, None)];
    let mut queue = VecDeque::from([0]);
    while let Some(number) = queue.pop_front() {
        let Some((state, _)) = reached.get(number).cloned() else {
            continue;
        };
        let fits = state.apart && (!differ || state.names.0 != state.names.1);
        if fits && one.accepts(state.one) && other.accepts(state.other) {
            return Ok(Some(told(&reached, number)));
        }
        let theirs = other.moves(state.other);
        for (class, to, named) in one.moves(state.one) {
            for &(their_class, their_to, their_named) in &theirs {
                for c in class.common(their_class) {
                    let mut next = State {
                        one: to,
                        other: their_to,
                        apart: state.apart || named != their_named,
                        names: state.names.clone(),
                    };
                    next.names.0.extend((differ && named).then_some(c));
                    next.names.1.extend((differ && their_named).then_some(c));
                    if seen.insert(next.clone()) {
                        queue.push_back(reached.len());
                        reached.push((next, Some((number, c, named, their_named))));
                    }
                }
            }
        }
        if reached.len() > MOST_STATES {
            return Err(TooMany);
        }
    }
    Ok(None)
}

/// The text that leads to a state, and the names in it.
fn told(reached: &[(State, Step)], last: usize) -> Collision {
    let mut path = Vec::new();
    let mut number = last;
    while let Some((_, Some((from, c, one, other)))) = reached.get(number) {
        path.push((*c, *one, *other));
        number = *from;
    }
    path.reverse();
    let name = |of_name: fn(&(char, bool, bool)) -> bool| {
        let read = path
            .iter()
            .skip_while(|step| !of_name(step))
            .take_while(|step| of_name(step));
        read.map(|(c, ..)| *c).collect()
    };
    Collision {
        one: name(|(_, one, _)| *one),
        other: name(|(_, _, other)| *other),
        text: path.iter().map(|(c, ..)| *c).collect(),
    }
}
