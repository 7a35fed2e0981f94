//! The cluster gets another name. Run one by one, since the operator is started with another `--cluster-name`.

use mlservicerole_operator::api::condition::reasons;
use serde_json::json;

use crate::support::operator::Launcher;
use crate::support::space::{placed_arn, placed_name};
use crate::support::{Space, bed};

crate::trials![another_cluster_name_moves_no_role_and_deletions_still_clean_up];

async fn another_cluster_name_moves_no_role_and_deletions_still_clean_up() {
    let space = Space::new("renamed-cluster").await;
    for name in ["stays", "goes"] {
        space.create(name, json!({})).await;
        space.ready(name).await;
    }
    let before = space.role("stays").await.unwrap();
    let gone = placed_name(&space.placed("goes").await).unwrap();
    bed().take_operator().await.terminate().await.unwrap();

    let mark = space.bed.proxy.mark();
    let launcher = &bed().launcher;
    let renamed = Launcher {
        cluster_name: format!("{}-renamed", launcher.cluster_name),
        aws_environment: launcher.aws_environment.clone(),
        directory: launcher.directory.clone(),
        address: launcher.address,
        pods: None,
    };
    let operator = renamed.start(&bed().client).await.unwrap();
    let message = space.refused("stays", reasons::PLACEMENT_CHANGED).await;
    assert!(
        message.contains(&before.arn) && message.contains("cluster name"),
        "{message}"
    );
    space.touch("stays", "1").await;
    space.delete_and_wait("goes").await;
    assert_eq!(
        space.bed.aws.snapshot(&gone).await,
        None,
        "no role is left behind"
    );
    assert_eq!(space.role("stays").await.as_ref(), Some(&before));
    let writes = space.bed.proxy.writes_since(mark, &space.prefix());
    assert_eq!(writes, ["DeleteRole"], "of the one that went");
    operator.terminate().await.unwrap();

    bed().start_operator().await.unwrap();
    let stays = space.ready("stays").await;
    assert_eq!(placed_arn(&stays).as_ref(), Some(&before.arn));
    assert_eq!(space.role("stays").await, Some(before));
}
