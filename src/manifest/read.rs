//! From files to Kubernetes objects: YAML (several documents a file) or JSON, lists taken apart.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

/// So many bytes of one file are read at most; what the API server takes is smaller by far.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Brackets or dashes within each other, at most: the time that a YAML parser takes grows with their square.
const MAX_NESTED: usize = 500;
/// Lists in lists, at most.
const MAX_LISTS: usize = 4;

/// One object, and where it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file, or `stdin`.
    pub source: String,
    /// The object: a JSON object with a string `kind`.
    pub value: Value,
}

impl Document {
    /// `kind`.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// `apiVersion`; empty where it isn't a string.
    pub fn api_version(&self) -> &str {
        self.value["apiVersion"].as_str().unwrap_or_default()
    }
}

/// Reads every object of every path: a file, a directory (its `*.yaml`, `*.yml` and `*.json`, by name, not those of
/// its subdirectories), or `-` for standard input.
///
/// # Errors
///
/// One message for each input that can't be used.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Document>, Vec<String>> {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        match inputs(path) {
            Ok(files) => {
                for (source, text) in files {
                    match text.and_then(|text| parse(&text)) {
                        Ok(values) => documents.extend(values.into_iter().map(|value| Document {
                            source: source.clone(),
                            value,
                        })),
                        Err(error) => errors.push(format!("{source}: {error}")),
                    }
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(documents)
    } else {
        Err(errors)
    }
}

type Input = (String, Result<String, String>);

fn inputs(path: &Path) -> Result<Vec<Input>, String> {
    if path == Path::new("-") {
        return Ok(vec![("stdin".to_owned(), text(std::io::stdin().lock()))]);
    }
    let of_file = |path: &Path| {
        let file = fs::File::open(path).map_err(|e| format!("failed to read it: {e}"));
        (path.display().to_string(), file.and_then(text))
    };
    if !path.is_dir() {
        return Ok(vec![of_file(path)]);
    }
    let failed = |e: std::io::Error| format!("{}: failed to read the directory: {e}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if file.is_file() && matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(format!(
            "{}: the directory has no *.yaml, *.yml or *.json",
            path.display()
        ));
    }
    files.sort();
    Ok(files.iter().map(|file| of_file(file)).collect())
}

fn text(from: impl std::io::Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("failed to read it: {e}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!(
            "it is larger than {} MiB, which no manifest needs",
            MAX_BYTES / 1024 / 1024
        ));
    }
    String::from_utf8(bytes).map_err(|_| "it isn't text (UTF-8)".to_owned())
}

fn parse(text: &str) -> Result<Vec<Value>, String> {
    if is_nested_too_deeply(text) {
        return Err("it is nested too deeply".to_owned());
    }
    let mut objects = Vec::new();
    match yaml(text) {
        Ok(values) => {
            for value in values {
                take_apart(value, 0, &mut objects)?;
            }
        }
        // Tabs may stand where YAML doesn't want them.
        Err(error) => match serde_json::from_str(text) {
            Ok(value) => take_apart(value, 0, &mut objects)?,
            Err(_) => return Err(error),
        },
    }
    Ok(objects)
}

/// Roughly, before anything is parsed: brackets in text count too.
fn is_nested_too_deeply(text: &str) -> bool {
    let mut depth = 0usize;
    for c in text.chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTED {
            return true;
        }
    }
    let indicators = |line: &str| {
        line.split_ascii_whitespace()
            .take_while(|word| matches!(*word, "-" | "?" | ":"))
            .count()
    };
    text.lines().any(|line| indicators(line) > MAX_NESTED)
}

fn yaml(text: &str) -> Result<Vec<Value>, String> {
    let invalid = |e: yaml_serde::Error| format!("it isn't valid YAML: {e}");
    let mut values = Vec::new();
    for document in yaml_serde::Deserializer::from_str(text) {
        let mut value = yaml_serde::Value::deserialize(document).map_err(invalid)?;
        value.apply_merge().map_err(invalid)?;
        values.push(json(value)?);
    }
    Ok(values)
}

/// JSON of what YAML says. Keys become text, as `kubectl` makes them.
fn json(value: yaml_serde::Value) -> Result<Value, String> {
    use yaml_serde::Value as Yaml;
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Number(number) => serde_json::to_value(&number)
            .ok()
            .filter(Value::is_number)
            .ok_or_else(|| format!("{number} isn't a number that JSON knows"))?,
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Mapping(mapping) => {
            let mut object = Map::new();
            for (key, value) in mapping {
                let key = match key {
                    Yaml::String(key) => key,
                    Yaml::Number(key) => key.to_string(),
                    Yaml::Bool(key) => key.to_string(),
                    _ => return Err("a key isn't text".to_owned()),
                };
                if object.contains_key(&key) {
                    return Err(format!("the key {key:?} is there twice"));
                }
                object.insert(key, json(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            return Err(format!(
                "it has a YAML tag ({}), which no manifest needs",
                tagged.tag
            ));
        }
    })
}

/// Lists become their items, and empty documents nothing.
fn take_apart(value: Value, depth: usize, into: &mut Vec<Value>) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    let Some(kind) = value.get("kind").and_then(Value::as_str) else {
        return Err("a document in it isn't a Kubernetes object: it has no kind".to_owned());
    };
    let is_list = kind.ends_with("List") && value.get("items").is_some();
    if !is_list {
        into.push(value);
        return Ok(());
    }
    let Some(items) = value
        .get("items")
        .and_then(Value::as_array)
        .filter(|_| depth < MAX_LISTS)
    else {
        return Err(format!("the items of its {kind} can't be read"));
    };
    for item in items {
        take_apart(item.clone(), depth + 1, into)?;
    }
    Ok(())
}
