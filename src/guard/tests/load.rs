//! How much work the largest object makes against a large class.

use serde_json::{Value, json};

use super::fixtures::*;
use super::pattern::steps;

/// A class of many rules with many resources each, as one for fifty teams may have them.
fn large_class() -> Value {
    let rules: Vec<Value> = (0..20)
        .map(|rule| {
            let resources: Vec<String> = (0..20)
                .map(|i| format!("arn:aws:s3:::bucket-of-the-platform-{rule}-{i}/{{namespace}}/*"))
                .collect();
            json!({"actions": ["s3:Get*", "s3:PutObject"], "resources": resources})
        })
        .collect();
    json!({"allow": {"inline": rules}})
}

/// As much as the API server takes: policies of about 60 kB, each short enough to be judged alone.
fn largest_object(policies: usize) -> Value {
    let resources: Vec<String> = (0..1_100)
        .map(|i| format!("arn:aws:s3:::bucket-of-the-platform-19-19/team-a/{i}"))
        .collect();
    let policies: Vec<Value> = (0..policies)
        .map(|policy| {
            let document = json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources},
            ]});
            json!({"name": format!("p{policy}"), "document": document})
        })
        .collect();
    json!({"inlinePolicies": policies})
}

#[test]
fn policies_that_are_too_long_together_are_not_judged_one_by_one() {
    let class = least_class(&large_class());
    let refusal = ask(&class, &object(largest_object(20))).unwrap_err();
    assert_eq!(refusal.reason, "QuotaExceeded", "{}", refusal.message);
    assert!(refusal.message.contains("10,240"), "{}", refusal.message);
    ask(&class, &object(largest_object(1))).unwrap();
}

#[test]
fn the_longest_policy_takes_little_against_a_large_class() {
    let class = least_class(&large_class());
    let object = object(largest_object(1));
    let steps = steps(|| ask(&class, &object).unwrap());
    // 1,100 resources of about 50 characters; each is followed through the one pattern that begins like it.
    assert!(steps < 1_000_000, "{steps}");
}
