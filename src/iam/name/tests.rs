use super::*;

#[test]
fn the_default_path_names_cluster_and_namespace() {
    let path = expand_path(DEFAULT_PATH_TEMPLATE, "prod", "team-a").unwrap();
    assert_eq!(path.as_str(), "/mlservicerole/prod/team-a/");
}

#[test]
fn a_derived_name_reads_as_prefix_namespace_name_and_hash() {
    let name = derive_role_name("ml-", "prod", "team-a", "trainer").unwrap();
    assert!(name.as_str().starts_with("ml-team-a-trainer-"), "{name}");
    assert_eq!(name.as_str().len(), "ml-team-a-trainer-".len() + 12);
}
