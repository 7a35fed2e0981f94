//! In which region the operator's ML services are.

use aws_config::meta::region::RegionProviderChain;

/// The region that the SDK's standard chain names (`AWS_REGION`, profile, instance), such as `eu-west-1`; on EKS, the pod
/// identity webhook sets the cluster's own. IAM itself needs none.
pub async fn own_region() -> Option<String> {
    let region = RegionProviderChain::default_provider().region().await?;
    Some(region.to_string())
}
