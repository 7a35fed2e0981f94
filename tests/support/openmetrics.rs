//! Reads OpenMetrics text, and is strict about it (OpenMetrics 1.0.0, "Text format"): families are whole, typed and end in
//! `# EOF`; series are there once; names have the ending of their type; buckets add up.

use std::collections::{BTreeMap, BTreeSet};

/// Names and values of labels.
pub type Labels = BTreeMap<String, String>;

/// One line of values.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: Labels,
    pub value: f64,
}

/// A metric with all its series.
#[derive(Clone, Debug)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// The families of a text, or what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("it doesn't end in # EOF")?;
    let mut families: Vec<Family> = Vec::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            describe(&mut families, rest).map_err(|e| format!("{line:?}: {e}"))?;
        } else {
            let family = families.last_mut().ok_or("a sample without a family")?;
            let sample = read_sample(line).map_err(|e| format!("{line:?}: {e}"))?;
            family.samples.push(sample);
        }
    }
    let mut names = BTreeSet::new();
    for family in &families {
        if !names.insert(&family.name) {
            return Err(format!("{} is there twice", family.name));
        }
        check(family).map_err(|e| format!("{}: {e}", family.name))?;
    }
    Ok(families)
}

fn describe(families: &mut Vec<Family>, rest: &str) -> Result<(), String> {
    let mut words = rest.splitn(3, ' ');
    let (Some(word), Some(name), Some(value)) = (words.next(), words.next(), words.next()) else {
        return Err("three words are due".to_owned());
    };
    if families.last().is_none_or(|family| family.name != name) {
        families.push(Family {
            name: name.to_owned(),
            kind: String::new(),
            help: String::new(),
            samples: vec![],
        });
    }
    let family = families.last_mut().ok_or("no family")?;
    if !family.samples.is_empty() {
        return Err("it comes after samples".to_owned());
    }
    let field = match word {
        "HELP" => &mut family.help,
        "TYPE" => &mut family.kind,
        _ => return Err(format!("{word} is no keyword")),
    };
    if !field.is_empty() {
        return Err(format!("{word} twice"));
    }
    value.clone_into(field);
    Ok(())
}

fn read_sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(legal) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("no legal name".to_owned());
    }
    let (labels, value) = match rest.strip_prefix('{') {
        Some(rest) => read_labels(rest)?,
        None => (Labels::new(), rest),
    };
    let value = value.strip_prefix(' ').ok_or("no blank before the value")?;
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value: value.parse().map_err(|e| format!("{value:?}: {e}"))?,
    })
}

fn read_labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().ok_or("a value without an end")? {
                (at, '"') => break at,
                (_, '\\') => match chars.next().ok_or("a value without an end")?.1 {
                    'n' => value.push('\n'),
                    c @ ('"' | '\\') => value.push(c),
                    c => return Err(format!("\\{c} is no escape")),
                },
                (_, c) => value.push(c),
            }
        };
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("label {name} twice"));
        }
        match after[end + 1..]
            .split_at_checked(1)
            .ok_or("labels without an end")?
        {
            (",", after) => rest = after,
            ("}", after) => return Ok((labels, after)),
            (c, _) => return Err(format!("{c:?} between labels")),
        }
    }
}

fn check(family: &Family) -> Result<(), String> {
    let endings: &[&str] = match family.kind.as_str() {
        "counter" => &["_total"],
        "gauge" => &[""],
        "info" => &["_info"],
        "histogram" => &["_bucket", "_sum", "_count"],
        kind => return Err(format!("{kind:?} is no type of ours")),
    };
    let mut seen = BTreeSet::new();
    for sample in &family.samples {
        let ending = sample
            .name
            .strip_prefix(&family.name)
            .ok_or("a sample of another family")?;
        if !endings.contains(&ending) {
            return Err(format!("{} has no ending of a {}", sample.name, family.kind));
        }
        if !seen.insert((&sample.name, &sample.labels)) {
            return Err(format!("{} {:?} twice", sample.name, sample.labels));
        }
        if family.kind != "gauge" && sample.value < 0.0 {
            return Err(format!("{} is negative", sample.name));
        }
    }
    if family.kind == "histogram" {
        check_buckets(family)?;
    }
    Ok(())
}

fn check_buckets(family: &Family) -> Result<(), String> {
    let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in family
        .samples
        .iter()
        .filter(|sample| sample.name.ends_with("_bucket"))
    {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le").ok_or("a bucket without le")?;
        let bound: f64 = bound.parse().map_err(|e| format!("le={bound:?}: {e}"))?;
        buckets.entry(labels).or_default().push((bound, sample.value));
    }
    for (labels, buckets) in buckets {
        if !buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1) {
            return Err(format!("the buckets of {labels:?} don't add up"));
        }
        let count = format!("{}_count", family.name);
        let count = family
            .samples
            .iter()
            .find(|s| s.name == count && s.labels == labels);
        let last = buckets.last().copied();
        if last != count.map(|count| (f64::INFINITY, count.value)) {
            return Err(format!("the last bucket of {labels:?} isn't its count"));
        }
    }
    Ok(())
}

/// The sum over all series of this name that have these labels.
#[allow(dead_code)] // Not by every test that reads the format.
pub fn sum(families: &[Family], name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |sample: &Sample| {
        let mut wanted = labels.iter();
        wanted.all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
    };
    let samples = families.iter().flat_map(|family| &family.samples);
    samples
        .filter(|sample| sample.name == name && has(sample))
        .map(|sample| sample.value)
        .sum()
}
