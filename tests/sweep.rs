//! A pass over the lists of an account, against the fake IAM: what is found of each role, what it costs, and when it is
//! given up.

#![allow(clippy::unwrap_used, clippy::expect_used)] // All of this is test code.

mod support;

use std::collections::{BTreeMap, HashSet};

use mlservicerole_operator::aws::AwsError;
use mlservicerole_operator::controller::sweep::method::{Lists, choose};
use mlservicerole_operator::controller::sweep::pass::{self, Finding, Found, Stopped, Tally, Target};
use mlservicerole_operator::controller::sweep::strays::{MOST_READ, Searched, search};
use mlservicerole_operator::iam::name::RoleName;
use mlservicerole_operator::plan::sweep::{Method, Why};
use support::fake_iam::{FakeIam, iam_error, throttled};

const PATH: &str = "/ml/prod/a/";
const PREFIX: &str = "/ml/prod/";
const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/b";

fn account(roles: usize) -> FakeIam {
    let iam = FakeIam::new();
    for i in 0..roles {
        iam.add_foreign_role(PATH, &format!("r{i:04}"));
    }
    iam
}

fn target(name: &str) -> Target<String> {
    Target {
        name: name.parse().unwrap(),
        outside: false,
        bounded: false,
        of: name.to_owned(),
    }
}

#[derive(Debug, Default)]
struct Outcome {
    found: BTreeMap<String, Finding>,
    others: Vec<RoleName>,
    tells_boundaries: Option<bool>,
    calls: usize,
}

async fn go(iam: &FakeIam, mut targets: Vec<Target<String>>) -> (Outcome, Result<Tally, Stopped>) {
    pass::sort(&mut targets);
    let mut outcome = Outcome::default();
    let (found, others) = (&mut outcome.found, &mut outcome.others);
    let prefixes = [PREFIX.to_owned()];
    let mut tally = Tally::default();
    let ended = pass::run(
        iam,
        &targets,
        &prefixes,
        &mut outcome.tells_boundaries,
        &mut tally,
        |one| match one {
            Found::Target(of, finding) => {
                assert!(found.insert(of.clone(), finding).is_none(), "{of} is told once");
            }
            Found::Other(name, _) => others.push(name.clone()),
        },
    )
    .await;
    outcome.calls = tally.calls;
    (outcome, ended.map(|()| tally))
}

fn failed(ended: Result<Tally, Stopped>) -> AwsError {
    match ended {
        Err(Stopped::ByAws(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_role_is_told_whole_and_only_pages_are_asked_for() {
    let iam = account(250);
    iam.rewrite_documents(true);
    iam.with_role_mut("r0007", |role| {
        role.description = "trains".to_owned();
        role.max_session_duration_seconds = 7_200;
        role.permissions_boundary = Some(BOUNDARY.to_owned());
        role.tags.insert("team".to_owned(), "a".to_owned());
        role.inline.insert(
            "p".to_owned(),
            r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(),
        );
    });
    let targets = (0..250).map(|i| target(&format!("r{i:04}"))).collect();
    let (outcome, ended) = go(&iam, targets).await;
    let tally = ended.unwrap();
    assert_eq!((tally.roles, tally.calls, tally.details_page), (250, 6, 100));
    assert_eq!(iam.count("ListRoles"), 3);
    assert_eq!(iam.count("GetAccountAuthorizationDetails"), 3);
    assert_eq!(iam.calls().len(), 6);
    assert_eq!(outcome.found.len(), 250);
    let Finding::Role(header, content) = &outcome.found["r0007"] else {
        panic!("{:?}", outcome.found["r0007"])
    };
    let iam = iam.session().iam.clone();
    let name = "r0007".parse().unwrap();
    assert_eq!(**header, iam.get_role(&name).await.unwrap());
    assert_eq!(*content, iam.role_content(&name).await.unwrap());
}

#[tokio::test]
async fn roles_of_others_are_told_and_not_looked_for() {
    let iam = account(3);
    iam.add_foreign_role("/", "somebody");
    let (outcome, _) = go(&iam, vec![target("r0001")]).await;
    assert_eq!(outcome.found.len(), 1);
    assert_eq!(outcome.others.len(), 3);
}

#[tokio::test]
async fn a_role_on_no_list_is_missed() {
    let (outcome, ended) = go(&account(150), vec![target("r0149"), target("gone")]).await;
    ended.unwrap();
    assert_eq!(outcome.found["gone"], Finding::Missed);
    assert!(matches!(outcome.found["r0149"], Finding::Role(..)));
}

#[tokio::test]
async fn a_role_that_comes_or_goes_between_the_lists_is_unclear() {
    let iam = account(2);
    iam.before_next("GetAccountAuthorizationDetails", |iam| {
        iam.remove_role("r0000");
        iam.add_foreign_role(PATH, "new");
    });
    let (outcome, ended) = go(&iam, vec![target("r0000"), target("new"), target("r0001")]).await;
    ended.unwrap();
    assert_eq!(outcome.found["r0000"], Finding::Unclear);
    assert_eq!(outcome.found["new"], Finding::Unclear);
    assert!(matches!(outcome.found["r0001"], Finding::Role(..)));
}

#[tokio::test]
async fn a_role_that_was_created_anew_between_the_lists_is_unclear() {
    let iam = account(1);
    iam.before_next("GetAccountAuthorizationDetails", |iam| {
        iam.remove_role("r0000");
        iam.add_foreign_role(PATH, "r0000");
    });
    let (outcome, _) = go(&iam, vec![target("r0000")]).await;
    assert_eq!(outcome.found["r0000"], Finding::Unclear);
}

#[tokio::test]
async fn a_role_of_another_case_is_the_one_that_takes_the_name() {
    let iam = account(1);
    let (outcome, _) = go(&iam, vec![target("R0000")]).await;
    assert!(matches!(outcome.found["R0000"], Finding::Role(..)), "{outcome:?}");
}

#[tokio::test]
async fn an_adopted_role_outside_the_path_costs_one_call() {
    let iam = account(1);
    iam.add_foreign_role("/legacy/", "adopted");
    iam.with_role_mut("adopted", |role| role.description = "old".to_owned());
    let adopted = Target {
        outside: true,
        ..target("adopted")
    };
    let (outcome, ended) = go(&iam, vec![adopted, target("r0000")]).await;
    assert_eq!(ended.unwrap().calls, 3);
    let Finding::Role(header, _) = &outcome.found["adopted"] else {
        panic!("{outcome:?}")
    };
    assert_eq!(header.description, "old");
    assert_eq!(iam.count("GetRole"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_page_is_asked_for_again_and_nothing_before_it() {
    let iam = account(250);
    for _ in 0..3 {
        iam.fail_next(
            "GetAccountAuthorizationDetails",
            throttled("GetAccountAuthorizationDetails"),
        );
    }
    let (outcome, ended) = go(&iam, vec![target("r0249")]).await;
    assert_eq!(ended.unwrap().calls, 9);
    assert!(matches!(outcome.found["r0249"], Finding::Role(..)));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_says_nothing_of_what_is_missing() {
    let iam = account(150);
    iam.before_next("GetAccountAuthorizationDetails", |iam| {
        iam.fail_always(
            "GetAccountAuthorizationDetails",
            throttled("GetAccountAuthorizationDetails"),
        );
    });
    let (outcome, ended) = go(&iam, vec![target("r0149")]).await;
    failed(ended);
    assert_eq!(outcome.found, BTreeMap::new());
    // Also of what came to nothing, AWS was asked.
    assert_eq!(outcome.calls, iam.calls().len());
}

#[tokio::test]
async fn a_denied_list_is_not_asked_for_again() {
    for operation in ["ListRoles", "GetAccountAuthorizationDetails"] {
        let iam = account(1);
        iam.fail_always(operation, iam_error(operation, "AccessDenied", "no"));
        let error = failed(go(&iam, vec![target("r0000")]).await.1);
        assert_eq!(error.operation, operation);
        assert_eq!(iam.count(operation), 1);
    }
}

fn bounded(name: &str) -> Target<String> {
    Target {
        bounded: true,
        ..target(name)
    }
}

#[tokio::test]
async fn a_list_that_leaves_boundaries_out_is_found_out_by_one_read() {
    let iam = account(50);
    for i in 0..50 {
        iam.with_role_mut(&format!("r{i:04}"), |role| {
            role.permissions_boundary = Some(BOUNDARY.to_owned());
        });
    }
    iam.conceal_boundaries();
    let targets = (0..50).map(|i| bounded(&format!("r{i:04}"))).collect();
    let (outcome, ended) = go(&iam, targets).await;
    assert!(matches!(ended, Err(Stopped::BoundariesUntold)), "{ended:?}");
    assert_eq!((outcome.tells_boundaries, outcome.found.len()), (Some(false), 0));
    assert_eq!(iam.count("GetRole"), 1);
}

#[tokio::test]
async fn a_boundary_that_is_gone_is_told_where_lists_tell_boundaries() {
    let iam = account(2);
    iam.with_role_mut("r0000", |role| {
        role.permissions_boundary = Some(BOUNDARY.to_owned())
    });
    let (outcome, ended) = go(&iam, vec![bounded("r0000"), bounded("r0001")]).await;
    ended.unwrap();
    assert_eq!(iam.count("GetRole"), 0);
    let Finding::Role(header, _) = &outcome.found["r0001"] else {
        panic!("{outcome:?}")
    };
    assert_eq!(header.permissions_boundary, None);

    // Also where it is gone from all of them.
    let (outcome, ended) = go(&account(2), vec![bounded("r0000"), bounded("r0001")]).await;
    ended.unwrap();
    assert_eq!(outcome.found.len(), 2);
}

/// Of ten thousand roles of others, a page is gone through before the next one is asked for.
#[tokio::test]
async fn pages_are_gone_through_as_they_come() {
    const ROLES: usize = 10_000;
    let iam = account(ROLES);
    iam.set_page_size(300);
    let mut asked = Vec::new();
    let (targets, prefixes) = ([target("r5000")], [PREFIX.to_owned()]);
    let (mut tells, mut tally) = (None, Tally::default());
    let ended = pass::run(&iam, &targets, &prefixes, &mut tells, &mut tally, |_| {
        asked.push(iam.count("GetAccountAuthorizationDetails"))
    });
    ended.await.unwrap();
    assert_eq!((asked.len(), tally.roles), (ROLES, ROLES));
    for (place, asked) in asked.into_iter().enumerate() {
        assert_eq!(asked, place / 300 + 1, "role {place}");
    }
}

/// What a search tells of, and what came of it.
async fn searched(iam: &FakeIam, known: &[&str]) -> (Vec<String>, Result<Searched, AwsError>) {
    let known: HashSet<String> = known.iter().map(|name| name.to_string()).collect();
    let (mut told, mut calls) = (Vec::new(), 0);
    let prefixes = [PREFIX.to_owned(), "/legacy/".to_owned()];
    let ended = search(iam, &prefixes, &known, &mut calls, |name, header| {
        assert_eq!(header.arn.name(), name);
        told.push(name.to_string());
    })
    .await;
    assert_eq!(calls, iam.calls().len());
    (told, ended)
}

#[tokio::test]
async fn an_account_without_roles_under_the_paths_costs_a_page_for_each() {
    let iam = account(0);
    iam.add_foreign_role("/", "somebody");
    let (told, ended) = searched(&iam, &[]).await;
    assert_eq!((told.len(), ended.unwrap()), (0, Searched::Whole));
    assert_eq!(iam.operations(), ["ListRoles", "ListRoles"]);
}

#[tokio::test]
async fn a_role_under_the_paths_that_nobody_here_knows_is_read_and_told() {
    let iam = account(3);
    iam.add_foreign_role("/legacy/", "Adopted");
    let (told, ended) = searched(&iam, &["r0000", "r0002", "adopted"]).await;
    assert_eq!(
        (told, ended.unwrap()),
        (vec!["r0001".to_owned()], Searched::Whole)
    );
    assert_eq!(iam.count("GetRole"), 1);
}

#[tokio::test]
async fn many_unknown_roles_are_left_to_the_list_of_the_account() {
    let iam = account(MOST_READ + 1);
    let (told, ended) = searched(&iam, &[]).await;
    assert_eq!((told.len(), ended.unwrap()), (0, Searched::TooMany));
    assert_eq!(iam.count("GetRole"), 0);
}

#[tokio::test]
async fn a_search_that_is_denied_says_so_and_one_whose_role_goes_meanwhile_goes_on() {
    let iam = account(2);
    iam.before_next("GetRole", |iam| {
        iam.remove_role("r0000");
    });
    let (told, ended) = searched(&iam, &[]).await;
    assert_eq!(
        (told, ended.unwrap()),
        (vec!["r0001".to_owned()], Searched::Whole)
    );
    iam.fail_always("GetRole", iam_error("GetRole", "AccessDenied", "no"));
    iam.forget_calls();
    assert_eq!(searched(&iam, &[]).await.1.unwrap_err().operation, "GetRole");
}

/// Chooses for so many roles of ours, and says what that cost.
async fn chosen(iam: &FakeIam, lists: &mut Lists, ours: usize) -> (Method, usize) {
    let mut calls = 0;
    let method = choose(lists, ours, 0, [iam.clone(), iam.clone()], &mut calls).await;
    assert_eq!(calls, iam.count("GetAccountSummary"));
    iam.forget_calls();
    (method, calls)
}

#[tokio::test]
async fn the_size_of_an_account_is_asked_for_only_where_it_decides() {
    let iam = account(2_000);
    // A hundred and one pages at most, of ten thousand roles.
    let lists = Method::Lists { wide: false };
    assert_eq!(chosen(&iam, &mut Lists::default(), 26).await, (lists, 0));
    let mut known = Lists::default();
    assert_eq!(chosen(&iam, &mut known, 25).await, (lists, 1));
    assert_eq!(known.roles, Some(2_000));
    assert_eq!(chosen(&iam, &mut known, 5).await, (Method::Each(Why::Cheaper), 1));
    // What the lists told is believed from then on.
    known.listed = true;
    assert_eq!(chosen(&iam, &mut known, 5).await, (Method::Each(Why::Cheaper), 0));
    known.tells_boundaries = Some(false);
    assert_eq!(
        chosen(&iam, &mut known, 1_000).await,
        (Method::Each(Why::BoundariesUntold), 0)
    );
}

#[tokio::test]
async fn an_account_that_tells_its_size_to_nobody_is_listed() {
    let iam = account(2);
    let denied = || iam_error("GetAccountSummary", "AccessDenied", "no");
    iam.fail_next("GetAccountSummary", denied());
    // The other credentials may.
    assert_eq!(
        chosen(&iam, &mut Lists::default(), 1).await,
        (Method::Lists { wide: false }, 2)
    );
    iam.fail_always("GetAccountSummary", denied());
    assert_eq!(
        chosen(&iam, &mut Lists::default(), 1).await,
        (Method::Lists { wide: false }, 2)
    );
}
