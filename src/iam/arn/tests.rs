use super::*;

#[test]
fn a_role_arn_is_cut_into_its_parts_and_put_together_again() {
    let text = "arn:aws-cn:iam::012345678901:role/ml/prod/team-a/trainer";
    let arn: RoleArn = text.parse().unwrap();
    assert_eq!(arn.partition().as_str(), "aws-cn");
    assert_eq!(arn.account().as_str(), "012345678901");
    assert_eq!(arn.path().as_str(), "/ml/prod/team-a/");
    assert_eq!(arn.name().as_str(), "trainer");
    assert_eq!(arn.to_string(), text);
    assert_eq!(
        RoleArn::new(arn.partition(), arn.account(), arn.path(), arn.name()),
        arn
    );
}
