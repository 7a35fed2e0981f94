//! The cluster's OIDC provider in AWS, as an administrator makes it.

use aws_sdk_iam::Client;
use aws_sdk_iam::error::SdkError;
use aws_sdk_iam::operation::create_open_id_connect_provider::{
    CreateOpenIDConnectProviderError, CreateOpenIdConnectProviderOutput,
};

/// Some SHA-1 fingerprint: AWS asks for one and, of issuers with well-known certificates, doesn't look at it.
const THUMBPRINT: &str = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280";

/// Lets the account trust tokens of this issuer for STS.
pub async fn create_provider(
    iam: &Client,
    issuer: &str,
) -> Result<CreateOpenIdConnectProviderOutput, SdkError<CreateOpenIDConnectProviderError>> {
    iam.create_open_id_connect_provider()
        .url(issuer)
        .client_id_list("sts.amazonaws.com")
        .thumbprint_list(THUMBPRINT)
        .send()
        .await
}
