//! The command as its users run it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::made::{ISSUER, LEGACY, bounded};

#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// That it ended with this code, and said all of this beside what it printed.
    #[track_caller]
    fn ended(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:#?}");
        for words in words {
            assert!(self.stderr.contains(words), "{words}: {}", self.stderr);
        }
    }

    /// The same where it is refused, so that nothing is printed.
    #[track_caller]
    fn refused(&self, code: i32, words: &[&str]) {
        self.ended(code, words);
        assert_eq!(self.stdout, "");
    }

    /// What was printed, as JSON.
    #[track_caller]
    fn printed(&self) -> Value {
        assert_eq!(self.code, 0, "{self:#?}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Runs `iam-policy` in the repository's root.
pub fn iam_policy(arguments: &[&str], stdin: &str) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlservicerole-operator"))
        .arg("iam-policy")
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .env_remove("MLSERVICEROLE_CLUSTER_NAME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Where the arguments are refused, nobody reads.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn class(name: &str, spec: &Value) -> String {
    let class = json!({
        "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRoleClass",
        "metadata": {"name": name}, "spec": spec,
    });
    format!("{class}\n---\n")
}

const KNOWN: [&str; 8] = [
    "--class",
    "-",
    "--cluster-name",
    "prod",
    "--account-id",
    "111122223333",
    "--issuer",
    ISSUER,
];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [&KNOWN[..], more].concat()
}

#[test]
fn one_policy_is_printed_as_it_is_and_its_size_told_aside() {
    let outcome = iam_policy(&KNOWN, &class("ml", &bounded()));
    assert_eq!(outcome.printed()["Version"], "2012-10-17");
    outcome.ended(0, &["of 6144 characters"]);
}

#[test]
fn text_gives_each_statement_its_reason() {
    let outcome = iam_policy(&with(&["-o", "text"]), &class("ml", &bounded()));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    for words in [
        "Create: roles are made under the path only",
        "NeverElsewhere: no role but these is ever changed",
        "    allow iam:CreateRole",
        "    on everything but",
        "    if ArnEquals iam:PermissionsBoundary: arn:aws:iam::111122223333:policy/ml-workload-boundary",
    ] {
        assert!(outcome.stdout.contains(words), "{words}: {}", outcome.stdout);
    }
}

#[test]
fn each_kind_of_policy_is_printed_and_only_one_at_a_time() {
    for kind in ["--boundary", "--scp", "--rcp"] {
        let role = [
            "--operator-role-arn",
            "arn:aws:iam::111122223333:role/operator",
            kind,
        ];
        let outcome = iam_policy(&with(&role), &class("ml", &bounded()));
        let policy = outcome.printed();
        assert!(policy["Statement"].is_array(), "{policy}");
    }
    iam_policy(&with(&["--scp", "--rcp"]), "").refused(2, &["cannot be used with"]);
}

#[test]
fn what_cannot_be_known_offline_is_asked_for_by_the_name_of_the_flag() {
    let spec = bounded();
    let mut other = bounded();
    other["aws"] = json!({"assumeRole": {"arn": "arn:aws:iam::222233334444:role/operator"}});
    other["roles"]["permissionsBoundary"] = json!({"none": {}});
    other["allow"].as_object_mut().unwrap().remove("adopt");
    let cluster = ["--class", "-", "--cluster-name", "prod"];
    let cases: [(Vec<&str>, &Value, &str); 5] = [
        (
            [&cluster[..], &["--issuer", ISSUER]].concat(),
            &spec,
            "--account-id",
        ),
        (
            [&cluster[..], &["--account-id", "111122223333"]].concat(),
            &spec,
            "--issuer",
        ),
        (
            [&cluster[..], &["--issuer", ISSUER]].concat(),
            &other,
            "--operator-role-arn",
        ),
        (with(&["--scp"]), &spec, "--operator-role-arn"),
        (vec!["--class", "-"], &spec, "--cluster-name"),
    ];
    for (arguments, spec, flag) in cases {
        iam_policy(&arguments, &class("ml", spec)).refused(2, &[flag]);
    }
}

#[test]
fn a_class_that_the_guard_refuses_is_refused_in_its_words() {
    let mut spec = bounded();
    spec["allow"]["adopt"][0]["arn"] = json!("arn:aws:iam::111122223333:role/aws-service-role/x/y");
    iam_policy(&KNOWN, &class("ml", &spec)).refused(1, &["class \"ml\": allow.adopt"]);
}

/// The boundaries with which roles may be made, taken out of a policy.
fn create(policy: &mut Value) -> Value {
    let statements = policy["Statement"].as_array_mut().unwrap();
    let create = statements
        .iter_mut()
        .find(|statement| statement["Sid"] == "Create")
        .unwrap();
    create["Condition"]["ArnEquals"]["iam:PermissionsBoundary"].take()
}

#[test]
fn a_former_boundary_is_of_the_class_that_is_named() {
    let both = class("ml", &bounded()) + &class("other", &bounded());
    let arn = "arn:aws:iam::111122223333:policy/former-boundary";
    iam_policy(&with(&["--former-boundary", arn]), &both).refused(2, &["CLASS="]);
    let named = [
        "--former-boundary",
        "ml=arn:aws:iam::111122223333:policy/former-boundary",
    ];
    assert!(
        iam_policy(&with(&named), &both)
            .printed()
            .to_string()
            .contains(arn)
    );
    iam_policy(&with(&["--former-boundary", "ml=former-boundary"]), &both).refused(2, &["CLASS=ARN"]);
    let equals = ["--former-boundary", "arn:aws:iam::111122223333:policy/a=b"];
    let printed = iam_policy(&with(&equals), &class("ml", &bounded())).printed();
    assert!(printed.to_string().contains("policy/a=b"));
}

#[test]
fn a_live_class_that_changes_its_boundary_gives_both_and_a_note() {
    let former = "arn:aws:iam::111122223333:policy/former-boundary";
    let live = json!({
        "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRoleClass",
        "metadata": {"name": "ml", "uid": "1", "resourceVersion": "7", "generation": 2, "finalizers": ["mlservicerole.io/class"],
            "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": bounded(),
        "status": {"boundaryChange": {"from": [former, "nonsense"], "to": "arn:aws:iam::111122223333:policy/ml-workload-boundary",
            "pendingRoles": 2}},
    });
    let outcome = iam_policy(&KNOWN, &live.to_string());
    let by_flag = iam_policy(
        &with(&[
            "--former-boundary",
            "arn:aws:iam::111122223333:policy/former-boundary",
        ]),
        &class("ml", &bounded()),
    );
    // But for new roles, which the applied class bounds anew.
    let (mut live, mut flag) = (outcome.printed(), by_flag.printed());
    let own = "arn:aws:iam::111122223333:policy/ml-workload-boundary";
    assert_eq!(create(&mut live), json!(own));
    assert_eq!(create(&mut flag), json!([former, own]));
    assert_eq!(live, flag);
    assert!(outcome.stdout.contains(former));
    let words = [
        "status.boundaryChange.from",
        former,
        "check that it is one of yours",
        "\"nonsense\"",
    ];
    outcome.ended(0, &words);
}

#[test]
fn what_is_no_class_is_named() {
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stray}\n---\n";
    iam_policy(&KNOWN, &format!("{other}{}", class("ml", &bounded()))).refused(2, &["ConfigMap \"stray\""]);

    let mistyped = class("ml", &bounded()).replace("MlServiceRoleClass", "MlServiceRoleKlass");
    iam_policy(&KNOWN, &mistyped).refused(2, &["MlServiceRoleKlass \"ml\""]);
}

#[test]
fn roles_beside_their_class_are_passed_over_with_a_note() {
    let role = "apiVersion: mlservicerole.io/v1alpha1\nkind: MlServiceRole\nmetadata: {name: trainer}\n---\n";
    let both = format!("{role}{}", class("ml", &bounded()));
    iam_policy(&KNOWN, &both).ended(0, &["MlServiceRole \"trainer\""]);
    // No class at all.
    iam_policy(&KNOWN, role).refused(2, &[]);
}

#[test]
fn a_class_that_is_there_twice_or_malformed_is_an_error() {
    let twice = class("ml", &bounded()).repeat(2);
    iam_policy(&KNOWN, &twice).refused(2, &["twice"]);
    let malformed = class("ml", &json!({"roles": {}, "allow": {}}));
    iam_policy(&KNOWN, &malformed).refused(2, &["permissionsBoundary"]);
}

#[test]
fn several_policies_are_an_object_by_name_and_a_note_says_that_they_belong_together() {
    let mut spec = bounded();
    let arns: Vec<String> = (0..200)
        .map(|n| format!("arn:aws:iam::111122223333:policy/some-quite-long-name-of-a-policy-{n:03}"))
        .collect();
    spec["allow"]["managedPolicyArns"] = json!(arns);
    let outcome = iam_policy(&KNOWN, &class("ml", &spec));
    let printed = outcome.printed();
    let printed = printed.as_object().unwrap();
    assert!(printed.len() > 1 && printed.len() <= 10, "{:?}", printed.keys());
    assert!(printed.keys().all(|name| name.starts_with("operator-")));
    for arn in &arns {
        assert!(outcome.stdout.contains(arn.as_str()), "{arn}");
    }
    outcome.ended(0, &["attach all of them"]);
    assert!(outcome.stdout.contains(LEGACY));
}
