//! Patterns: what is decided about them is what trying every text says.

use crate::guard::pattern::{Pattern, STEPS, Token, VariableError};

/// How many steps the decisions about patterns take.
pub(in crate::guard::tests) fn steps<T>(decide: impl FnOnce() -> T) -> usize {
    STEPS.set(0);
    decide();
    STEPS.get()
}

/// A random source that is the same in every run (xorshift).
pub(in crate::guard::tests) struct Dice(u64);

impl Dice {
    pub(in crate::guard::tests) fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(in crate::guard::tests) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    pub(in crate::guard::tests) fn of<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }
}

/// How many random cases to try: the environment's number, or this.
pub(in crate::guard::tests) fn cases(variable: &str, otherwise: usize) -> usize {
    match std::env::var(variable) {
        Ok(number) => number.parse().unwrap(),
        Err(_) => otherwise,
    }
}

/// `c` stands in no pattern, so it is what a wildcard can match and no letter can.
const ALPHABET: [char; 3] = ['a', 'b', 'c'];

/// All texts of the alphabet up to length 6.
fn texts() -> Vec<Vec<char>> {
    let mut all = vec![vec![]];
    let mut longest = vec![vec![]];
    for _ in 0..6 {
        longest = longest
            .iter()
            .flat_map(|text: &Vec<char>| ALPHABET.map(|c| [text.as_slice(), &[c]].concat()))
            .collect();
        all.extend(longest.iter().cloned());
    }
    all
}

/// Written down apart from the code under test, by the words of AWS: `*` any run, `?` any one.
pub(in crate::guard::tests) fn matches(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => matches(rest, text) || (!text.is_empty() && matches(pattern, &text[1..])),
        (['?', rest @ ..], [_, tail @ ..]) => matches(rest, tail),
        ([c, rest @ ..], [d, tail @ ..]) => c == d && matches(rest, tail),
        _ => false,
    }
}

fn random(dice: &mut Dice, longest: usize) -> String {
    (0..dice.below(longest + 1))
        .map(|_| *dice.of(&['a', 'b', '*', '*', '?']))
        .collect()
}

/// A pattern with something put in the place of some of its parts, so that inclusion is not rare.
fn narrower(dice: &mut Dice, wide: &str) -> String {
    let parts = ["", "a", "b", "?", "*", "a*", "*b", "?*", "ab"];
    wide.chars()
        .map(|c| match (c, dice.below(4)) {
            ('*', 0..3) => (*dice.of(&parts)).to_owned(),
            ('?', 0..2) => (*dice.of(&["a", "b"])).to_owned(),
            (c, _) => c.to_string(),
        })
        .collect()
}

/// Which of the texts a pattern matches, one bit each.
fn language(pattern: &str, texts: &[Vec<char>]) -> Vec<u64> {
    let pattern: Vec<char> = pattern.chars().collect();
    let bits: Vec<bool> = texts.iter().map(|text| matches(&pattern, text)).collect();
    let word = |chunk: &[bool]| {
        chunk
            .iter()
            .rev()
            .fold(0, |word, bit| word << 1 | u64::from(*bit))
    };
    bits.chunks(64).map(word).collect()
}

#[test]
fn inclusion_and_intersection_are_what_all_texts_up_to_length_6_say() {
    let pairs = cases("GUARD_PATTERN_PAIRS", 20_000);
    let texts = texts();
    let mut dice = Dice::new(6);
    // Languages are dear, so each pattern is held against several others, and none against itself.
    const HELD: usize = 8;
    let mut languages: Vec<(String, Pattern, Vec<u64>)> = Vec::new();
    let (mut included, mut beyond) = (0, 0);
    for pair in 0..pairs {
        let of_batch = pair % (HELD * (HELD - 1));
        if of_batch == 0 {
            languages.clear();
            while languages.len() < HELD {
                let first = random(&mut dice, 5);
                let second = narrower(&mut dice, &first);
                let is_new = |text: &String| languages.iter().all(|(other, ..)| other != text);
                if first == second || !is_new(&first) || !is_new(&second) {
                    continue;
                }
                for text in [first, second] {
                    let language = language(&text, &texts);
                    languages.push((text.clone(), Pattern::glob(&text), language));
                }
            }
        }
        let (first, second) = (of_batch / (HELD - 1), of_batch % (HELD - 1));
        let (a_text, a, of_a) = &languages[first];
        let (b_text, b, of_b) = &languages[second + usize::from(second >= first)];
        assert_ne!(a_text, b_text);
        let tried = of_b.iter().zip(of_a).all(|(b, a)| b & !a == 0);
        let decided = a.includes(b);
        if decided != tried {
            // A text that tells them apart may be longer than six characters: then one of `b` must be shown.
            assert!(tried, "{a_text} includes {b_text}, but not all of its texts");
            assert!(
                longer_witness(a_text, b_text),
                "{a_text} doesn't include {b_text}, and no text says so"
            );
            beyond += 1;
        }
        included += usize::from(decided);
        let shortest = |text: &str| text.chars().filter(|c| *c != '*').count();
        let share = of_a.iter().zip(of_b).any(|(a, b)| a & b != 0);
        let meet = a.intersects(b);
        assert_eq!(meet, b.intersects(a), "{a_text} {b_text}");
        if shortest(a_text) + shortest(b_text) <= 6 || share {
            // Two patterns that meet do so in a text no longer than their letters together.
            assert_eq!(meet, share, "{a_text} {b_text}");
        }
    }
    println!("{pairs} pairs: {included} include one another, {beyond} needed longer texts");
    assert!(
        included > pairs / 10,
        "only {included} of {pairs} pairs include one another"
    );
    assert!(
        beyond < pairs / 20,
        "{beyond} of {pairs} pairs needed longer texts"
    );
}

/// Whether some text of `b` isn't one of `a`, with runs of up to as many characters as `a` has.
fn longer_witness(a: &str, b: &str) -> bool {
    let a: Vec<char> = a.chars().collect();
    let mut found = vec![vec![]];
    for c in b.chars() {
        let continuations: Vec<Vec<char>> = match c {
            '*' => (0..=a.len() + 1).map(|length| vec!['c'; length]).collect(),
            '?' => vec![vec!['c']],
            c => vec![vec![c]],
        };
        found = found
            .iter()
            .flat_map(|text: &Vec<char>| continuations.iter().map(|more| [text.as_slice(), more].concat()))
            .collect();
        if found.len() > 100_000 {
            break;
        }
    }
    found.iter().any(|text| !matches(&a, text))
}

#[test]
fn inclusion_where_the_choice_of_lengths_matters() {
    for (a, b, expected) in [
        ("*", "", true),
        ("?*", "*?", true),
        ("*?", "?*", true),
        ("?*", "*x", true),
        ("*?", "x*", true),
        ("**", "*", true),
        ("*", "**", true),
        ("", "*", false),
        ("?", "*", false),
        ("*ab*", "*a*b*", false),
        ("*a*b*", "*ab*", true),
        // Both with no run and with long runs everywhere it would match; not with the first short and the second long.
        ("*?xy*", "*xyzx*y", false),
        ("*a?b*", "*a?b?*", true),
        ("s3:get*", "s3:*", false),
        ("s3:*", "s3:get?bject", true),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b*", false),
        ("arn:aws:s3:::b*", "arn:aws:s3:::b/*", true),
        ("a*a", "a", false),
        ("a*a", "aa", true),
    ] {
        assert_eq!(Pattern::glob(a).includes(&Pattern::glob(b)), expected, "{a} {b}");
    }
}

#[test]
fn patterns_longer_than_a_machine_word_are_followed() {
    let long = format!("{}*{}?{}", "x".repeat(70), "y".repeat(130), "z".repeat(64));
    let narrower = format!(
        "{}{}{}z{}",
        "x".repeat(70),
        "?*b".repeat(9),
        "y".repeat(130),
        "z".repeat(64)
    );
    assert!(Pattern::glob(&long).includes(&Pattern::glob(&narrower)));
    assert!(!Pattern::glob(&narrower).includes(&Pattern::glob(&long)));
    assert!(Pattern::glob(&long).includes(&Pattern::glob(&long)));
    assert!(Pattern::glob(&long).intersects(&Pattern::glob(&narrower)));
}

#[test]
fn the_work_grows_no_faster_than_the_patterns() {
    for shape in ["*x", "?*x", "*x?x", "x*?", "*xy?x", "?x*", "*ab*ba"] {
        let other = Pattern::glob(&shape.repeat(2048 / shape.len()));
        for wide in [
            "*xx*",
            "*?x?y*",
            "*x?x?x?x?xy*",
            "*?????????????x",
            "x*x*x*x",
            "*a?b?a*",
        ] {
            let wide = Pattern::glob(wide);
            let work = steps(|| wide.includes(&other));
            let most = other.tokens().len() * wide.tokens().len();
            assert!(work <= most, "{wide} {shape}: {work} of {most}");
        }
    }
}

#[test]
fn a_policy_variable_is_matched_by_a_run_or_by_itself() {
    let read = |text| Pattern::policy_text(text).unwrap();
    for (a, b, expected) in [
        ("b/*", "b/${aws:username}", true),
        ("b/*", "b/${aws:username}/x", true),
        ("b/?", "b/${aws:username}", false),
        ("b/?*", "b/${aws:username}", false),
        ("b/x*", "b/${aws:username}", false),
        ("b/${aws:username}/*", "b/${aws:username}/x", true),
        ("b/${aws:username}/*", "b/${aws:userid}/x", false),
        ("b/${aws:username}/*", "b/${AWS:username}/x", false),
        ("b/${aws:username}/*", "b/x/x", false),
        ("b/${aws:username}/*", "b/*/x", false),
        ("b/${*}", "b/*", false),
        ("b/*", "b/${*}", true),
        ("b/${*}", "b/${*}", true),
        ("b/${?}${$}", "b/${?}$", true),
    ] {
        assert_eq!(read(a).includes(&read(b)), expected, "{a} {b}");
    }
    assert!(read("b/x").intersects(&read("b/${aws:username}")));
    assert_eq!(
        read("a${*}b${?}c${aws:x, 'd'}*").to_string(),
        "a${*}b${?}c${aws:x, 'd'}*"
    );
    assert!(read("a${aws:x}").has_variable() && !read("a${*}").has_variable());
}

#[test]
fn a_broken_policy_variable_is_no_pattern() {
    for text in ["${", "a${aws:username", "a${*"] {
        assert_eq!(
            Pattern::policy_text(text),
            Err(VariableError::Unfinished),
            "{text}"
        );
    }
    for text in ["${}", "${ }", "${${aws:username}}", "${a{b}"] {
        assert_eq!(Pattern::policy_text(text), Err(VariableError::Name), "{text}");
    }
    assert_eq!(Pattern::policy_text("$a{b}").unwrap(), Pattern::literal("$a{b}"));
}

#[test]
fn wildcards_stop_at_barriers_where_they_are_told_to() {
    let between = |pattern, text| Pattern::glob(pattern).matches_between(text, &['/', ':']);
    for (pattern, text, expected) in [
        ("policy/ml/*", "policy/ml/a", true),
        ("policy/ml/*", "policy/ml/a/b", false),
        ("policy/*/a", "policy/ml/a", true),
        ("policy/*/a", "policy/ml/b/a", false),
        ("policy?ml", "policy/ml", false),
        ("*b*/c", "a/b/c", false),
        ("a/*b*/c", "a/bb/c", true),
        ("*", "a:b", false),
        ("", "", true),
        ("*", "", true),
    ] {
        assert_eq!(between(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn only_ascii_letters_have_a_lower_case() {
    let lower = Pattern::glob("S3:GetÀ*").in_lower_case();
    assert_eq!(lower.to_string(), "s3:getÀ*");
    assert_eq!(Pattern::of([Token::Run, Token::Run]).tokens().len(), 1);
}
