//! Input that is mistyped, or that means harm: an exit code and a sentence, never a panic, and never a pass.

use std::fmt::Write as _;

use crate::command::{class, of, plan, refusals, role};

#[test]
fn what_is_no_manifest_is_unusable() {
    for (input, said) in [
        ("", "there is no MlServiceRole"),
        ("---\n---\n", "there is no MlServiceRole"),
        ("just text", "it has no kind"),
        ("- a\n- b\n", "it has no kind"),
        ("kind: [MlServiceRole]\n", "it has no kind"),
        ("a: b: c", "it isn't valid YAML"),
        ("\tkind: x", "it isn't valid YAML"),
        ("{\"kind\": \"MlServiceRole\",", "it isn't valid YAML"),
        ("kind: MlServiceRole\nkind: MlServiceRole\n", "duplicate"),
        (
            "kind: MlServiceRole\nspec: {a: .nan}\n",
            "isn't a number that JSON knows",
        ),
        ("kind: MlServiceRole\nspec: !x {}\n", "YAML tag"),
        ("kind: List\nitems: x\n", "the items of its List can't be read"),
        ("{apiVersion: v1, kind: ConfigMap}", "there is no MlServiceRole"),
        ("a: &a [*a]\nkind: x", "it isn't valid YAML"),
    ] {
        let outcome = of(input);
        assert_eq!(outcome.code, 2, "{input:?}: {outcome:#?}");
        assert!(outcome.stderr.contains(said), "{input:?}: {outcome:#?}");
        assert_eq!(outcome.stdout, "", "{input:?}");
    }
}

#[test]
fn every_input_that_cant_be_read_is_named() {
    let outcome = plan(
        &["-f", "no/such/file.yaml", "-f", "src/api", "-f", "src/nothing"],
        "",
    );
    assert_eq!(outcome.code, 2);
    for input in ["no/such/file.yaml", "src/api", "src/nothing"] {
        assert!(outcome.stderr.contains(input), "{outcome:#?}");
    }
    assert_eq!(plan(&[], "").code, 2);
}

#[test]
fn aliases_that_multiply_are_refused_in_no_time() {
    let mut bomb = String::from("kind: MlServiceRole\nl0: &l0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let last = format!("*l{}", i - 1);
        writeln!(bomb, "l{i}: &l{i} [{}]", vec![last; 10].join(", ")).unwrap();
    }
    let outcome = of(&bomb);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("it isn't valid YAML"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_is_nested_without_end_or_huge_is_refused() {
    let deep = format!(
        "kind: MlServiceRole\nspec: {}{}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let dashes = format!("kind: MlServiceRole\nspec:\n  {}x", "- ".repeat(100_000));
    for input in [deep, dashes] {
        let outcome = of(&input);
        assert_eq!(outcome.code, 2);
        assert!(outcome.stderr.contains("nested too deeply"), "{}", outcome.stderr);
    }
    let huge = format!("kind: MlServiceRole\nspec: \"{}\"", "x".repeat(17 * 1024 * 1024));
    let outcome = of(&huge);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("larger than 16 MiB"),
        "{}",
        outcome.stderr
    );
    let wide = role(&format!(
        "{{managedPolicyArns: [{}]}}",
        vec!["x"; 20_000].join(", ")
    ));
    let outcome = of(&wide);
    assert_eq!((outcome.code, refusals(&outcome).len()), (1, 1));
}

#[test]
fn a_mistyped_kind_or_version_of_ours_is_not_passed_over() {
    let good = role("{}");
    for (bad, said) in [
        (
            good.replace("v1alpha1", "v1"),
            "\"mlservicerole.io/v1\" isn't served",
        ),
        (
            good.replace("mlservicerole.io/v1alpha1", "v1"),
            "\"v1\" isn't served",
        ),
        (good.replace("apiVersion", "apiversion"), "isn't served"),
        (
            good.replace("kind: MlServiceRole", "kind: MLServiceRole"),
            "no kind \"MLServiceRole\"",
        ),
        (
            good.replace("kind: MlServiceRole", "kind: mlserviceroles"),
            "no kind \"mlserviceroles\"",
        ),
        (good.replace("spec: {}", "specs: {}"), "unknown field \"specs\""),
        (
            good.replace("spec: {}", "spec: x"),
            "must be of type object: \"string\"",
        ),
        (
            good.replace("spec: {}", "spec:"),
            "must be of type object: \"null\"",
        ),
        (
            good.replace("metadata: {name: trainer, ", "metadata: {"),
            "metadata.name: Required value",
        ),
        (
            good.replace("name: trainer,", "generateName: trainer-,"),
            "metadata.name: write a name",
        ),
        (
            good.replace("name: trainer,", "name: Trainer,"),
            "metadata.name: Invalid value",
        ),
        (
            good.replace("namespace: team-a", "namespace: team.a"),
            "metadata.namespace: Invalid value",
        ),
        (
            good.replace("namespace: team-a", "nmaespace: team-a"),
            "unknown field \"metadata.nmaespace\"",
        ),
        (
            good.replace("namespace: team-a", "namespace: team-a, labels: {a: 1}"),
            "metadata.labels",
        ),
    ] {
        let outcome = of(&(class("") + &bad));
        assert_eq!(outcome.code, 1, "{bad}: {outcome:#?}");
        let refused = refusals(&outcome);
        assert!(
            refused.iter().any(|(_, message)| message.contains(said)),
            "{bad}: {refused:#?}"
        );
    }
}

#[test]
fn an_object_that_is_there_twice_is_refused() {
    let outcome = of(&(class("") + &role("{}") + &role("{}")));
    assert_eq!(outcome.code, 1);
    assert!(
        refusals(&outcome)[0].1.contains("it is there twice"),
        "{outcome:#?}"
    );
}

#[test]
fn live_without_the_clusters_name_is_unusable() {
    let outcome = plan(&["-f", "-", "--live"], &role("{}"));
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("--live needs --cluster-name"),
        "{outcome:#?}"
    );
}
