//! The presets for readers: a list, one in full, and all as a page of documentation. Made from the data files alone, so
//! that what is printed is what is granted.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::preset::{Parameter, Preset, PresetVersion, StatementTemplate};

/// One line for each preset.
pub fn list_text(presets: &[Preset]) -> String {
    let width = presets
        .iter()
        .map(|preset| preset.name.len())
        .max()
        .unwrap_or_default();
    presets
        .iter()
        .map(|preset| format!("{:width$}  {}\n", preset.name, preset.title))
        .collect()
}

/// One version of a preset in full, for a terminal.
pub fn show_text(preset: &Preset, version: &PresetVersion) -> String {
    let mut text = format!("{}\n\n", preset.title);
    let newest = match version.number == preset.newest_version() {
        true => "the newest".to_owned(),
        false => format!("the newest is {}", preset.newest_version()),
    };
    line(&mut text, format_args!("preset:         {}", preset.name));
    line(
        &mut text,
        format_args!("version:        {} ({newest})", version.number),
    );
    line(
        &mut text,
        format_args!("documentation:  {}\n", preset.documentation),
    );
    line(&mut text, format_args!("{}", preset.description));
    for note in &preset.notes {
        line(&mut text, format_args!("- {note}"));
    }
    line(&mut text, format_args!("\nParameters:"));
    if version.parameters.is_empty() {
        line(&mut text, format_args!("  none"));
    }
    for parameter in &version.parameters {
        line(
            &mut text,
            format_args!("  {} ({})", parameter.name, traits(parameter)),
        );
        line(&mut text, format_args!("      {}", parameter.description));
        line(&mut text, format_args!("      matches {}", parameter.pattern));
        line(
            &mut text,
            format_args!("      such as {}", parameter.example.join(", ")),
        );
    }
    line(&mut text, format_args!("\nUse:\n{}", manifest(preset, version)));
    line(&mut text, format_args!("Policy:\n{}", policy(version)));
    text
}

/// All presets as a chapter in Markdown, for `docs/presets.md`.
pub fn markdown(presets: &[Preset]) -> String {
    let mut text = String::from("| preset | allows | parameters |\n|---|---|---|\n");
    for preset in presets {
        let parameters: Vec<String> = preset.versions.last().map_or_else(Vec::new, |version| {
            version
                .parameters
                .iter()
                .map(|parameter| format!("`{}`", parameter.name))
                .collect()
        });
        line(
            &mut text,
            format_args!(
                "| [{0}](#{0}) | {1} | {2} |",
                preset.name,
                preset.title,
                parameters.join(", ")
            ),
        );
    }
    for preset in presets {
        for version in preset.versions.iter().rev() {
            chapter(&mut text, preset, version);
        }
    }
    text
}

fn chapter(text: &mut String, preset: &Preset, version: &PresetVersion) {
    if version.number == preset.newest_version() {
        line(
            text,
            format_args!("\n## {}\n\n{}\n", preset.name, preset.description),
        );
        for note in &preset.notes {
            line(text, format_args!("- {note}"));
        }
        if !preset.notes.is_empty() {
            text.push('\n');
        }
        line(
            text,
            format_args!(
                "Version {}. Source: [AWS documentation]({}).\n",
                version.number, preset.documentation
            ),
        );
    } else {
        line(
            text,
            format_args!("\n### {} version {}\n", preset.name, version.number),
        );
    }
    if !version.parameters.is_empty() {
        line(text, format_args!("| parameter | | value |\n|---|---|---|"));
        for parameter in &version.parameters {
            let pattern = parameter.pattern.replace('|', "\\|");
            line(
                text,
                format_args!(
                    "| `{}` | {} | {}; matches `{pattern}` |",
                    parameter.name,
                    traits(parameter),
                    parameter.description
                ),
            );
        }
        text.push('\n');
    }
    line(text, format_args!("```yaml\n{}```\n", manifest(preset, version)));
    line(text, format_args!("```json\n{}\n```", policy(version)));
}

/// What is to be known of a parameter besides its value.
fn traits(parameter: &Parameter) -> String {
    let mut traits = vec![
        if parameter.required {
            "required"
        } else {
            "optional"
        }
        .to_owned(),
    ];
    traits.push(format!("up to {} values", parameter.max_values));
    if parameter.names_resource {
        traits.push("the class lists what is allowed".to_owned());
    }
    if parameter.passes_role {
        traits.push("the class lists the role in allow.passRoleArns".to_owned());
    }
    if parameter.glob {
        traits.push("may be a pattern".to_owned());
    }
    traits.join(", ")
}

/// The entry of a manifest, with the examples as values.
fn manifest(preset: &Preset, version: &PresetVersion) -> String {
    let mut text = format!("access:\n  - preset: {}\n", preset.name);
    if version.number > 1 {
        line(&mut text, format_args!("    version: {}", version.number));
    }
    if !version.parameters.is_empty() {
        text.push_str("    with:\n");
    }
    for parameter in &version.parameters {
        let values: Vec<String> = parameter
            .example
            .iter()
            .map(|value| format!("{value:?}"))
            .collect();
        let comment = if parameter.required { "" } else { "  # optional" };
        line(
            &mut text,
            format_args!("      {}: [{}]{comment}", parameter.name, values.join(", ")),
        );
    }
    text
}

/// The policy with its parameters not filled in.
fn policy(version: &PresetVersion) -> String {
    let statements: Vec<Value> = version.statements.iter().map(statement).collect();
    serde_json::to_string_pretty(&statements).unwrap_or_default()
}

fn statement(statement: &StatementTemplate) -> Value {
    let StatementTemplate {
        actions,
        resources,
        conditions,
    } = statement;
    let mut map = Map::new();
    map.insert("Effect".to_owned(), json!("Allow"));
    map.insert("Action".to_owned(), json!(actions));
    map.insert("Resource".to_owned(), json!(resources));
    if !conditions.is_empty() {
        map.insert("Condition".to_owned(), json!(conditions));
    }
    Value::Object(map)
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{line}");
}
