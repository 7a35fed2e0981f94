//! The tag that says which presets a role was given.

use super::super::tag::shorten;
use super::*;
use crate::iam::tags;

#[test]
fn it_names_each_preset_once_in_order() {
    let s3 = with(&[("bucket", &["b-1"]), ("prefix", &["p"])]);
    let endpoint = with(&[("endpoint", &["e"])]);
    let checked = [
        check(request("s3-prefix-read", &s3)).unwrap(),
        check(request("sagemaker-invoke-endpoint", &endpoint)).unwrap(),
        check(request("s3-prefix-read", &s3)).unwrap(),
    ];
    assert_eq!(
        versions_tag(&checked),
        "s3-prefix-read@1 sagemaker-invoke-endpoint@1"
    );
    assert_eq!(versions_tag(&[]), "");
}

#[test]
fn it_is_one_that_iam_takes_also_for_all_presets_at_once() {
    let values: Vec<With> = catalogue()
        .iter()
        .map(|preset| examples(&preset.versions[0]))
        .collect();
    let checked: Vec<Checked<'_>> = catalogue()
        .iter()
        .zip(&values)
        .map(|(preset, with)| check(request(&preset.name, with)).unwrap())
        .collect();
    let tag = versions_tag(&checked);
    tags::check(VERSIONS_TAG, &tag).unwrap();
    assert!(tag.starts_with("aoss-vector@1 bedrock-agent-invoke@1 "), "{tag}");
    assert!(tag.contains(" sha256:"), "{tag}");
    assert_ne!(tag, versions_tag(&checked[..checked.len() - 1]));
}

#[test]
fn a_short_form_keeps_within_any_limit_that_holds_its_ending() {
    let names: Vec<String> = (0..50).map(|n| format!("preset-{n}@1")).collect();
    for limit in 30..700 {
        let tag = shorten(&names, limit);
        assert!(tag.len() <= limit, "{limit}: {tag}");
    }
    assert!(shorten(&names, 40).starts_with("preset-0@1 +49 sha256:"));
}
