//! Who this cluster is: the uid of `kube-system`, and the issuer of its ServiceAccounts' tokens.

use data_encoding::BASE64URL_NOPAD;
use http::Request;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;

use super::ClusterError;
use crate::iam::arn::Issuer;

/// Where Kubernetes mounts a pod's own token.
const TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Where Kubernetes mounts the name of a pod's own namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// Names the operator's namespace where that file isn't there, as in a process outside a cluster.
const NAMESPACE_VARIABLE: &str = "POD_NAMESPACE";
/// Where the manifests put the operator.
const DEFAULT_NAMESPACE: &str = "mlservicerole-system";
/// OpenID Connect Discovery 1.0, section 4: the issuer's metadata, which the API server serves.
const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// Uid of `kube-system`, which lives as long as the cluster.
pub async fn cluster_uid(client: &Client) -> Result<String, ClusterError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    Ok(namespaces
        .get_metadata("kube-system")
        .await?
        .uid()
        .unwrap_or_default())
}

/// The operator's own namespace: the variable `POD_NAMESPACE`, else the one of its pod, else the one of the manifests.
pub async fn own_namespace() -> String {
    let mounted = tokio::fs::read_to_string(NAMESPACE_FILE).await.ok();
    own_namespace_of(std::env::var(NAMESPACE_VARIABLE).ok(), mounted)
}

fn own_namespace_of(variable: Option<String>, mounted: Option<String>) -> String {
    [variable, mounted]
        .into_iter()
        .flatten()
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())
}

/// This cluster's issuer: the `iss` claim of the operator's own token, else what the API server publishes.
/// Errors are for people.
pub async fn own_issuer(client: &Client) -> Result<Issuer, String> {
    let text = match tokio::fs::read_to_string(TOKEN_FILE).await {
        Ok(token) => {
            issuer_of_token(token.trim()).ok_or_else(|| format!("the token in {TOKEN_FILE} has no issuer"))?
        }
        Err(_) => issuer_of_discovery(client).await?,
    };
    text.parse()
        .map_err(|e| format!("this cluster's issuer {text:?} can't be used: {e}"))
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
}

/// The token is the operator's own and only read, so its signature is of no interest here.
fn issuer_of_token(token: &str) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let bytes = BASE64URL_NOPAD
        .decode(payload.trim_end_matches('=').as_bytes())
        .ok()?;
    serde_json::from_slice::<Claims>(&bytes)
        .ok()
        .map(|claims| claims.iss)
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

async fn issuer_of_discovery(client: &Client) -> Result<String, String> {
    let request = Request::get(DISCOVERY_PATH)
        .body(Vec::new())
        .map_err(|e| e.to_string())?;
    let discovery: Discovery = client
        .request(request)
        .await
        .map_err(|e| format!("failed to read {DISCOVERY_PATH} of the API server: {e}"))?;
    Ok(discovery.issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_namespace_is_the_variables_then_the_pods_then_the_manifests() {
        let of = |variable: Option<&str>, mounted: Option<&str>| {
            own_namespace_of(variable.map(str::to_owned), mounted.map(str::to_owned))
        };
        assert_eq!(of(Some("a"), Some("b")), "a");
        assert_eq!(of(Some(""), Some("b\n")), "b");
        assert_eq!(of(None, None), "mlservicerole-system");
    }

    #[test]
    fn the_issuer_is_read_from_a_token() {
        let payload = BASE64URL_NOPAD.encode(br#"{"iss":"https://issuer.example/id/1","sub":"x"}"#);
        assert_eq!(
            issuer_of_token(&format!("h.{payload}.s")).as_deref(),
            Some("https://issuer.example/id/1")
        );
    }

    #[test]
    fn a_token_without_an_issuer_or_that_is_no_token_has_none() {
        let payload = BASE64URL_NOPAD.encode(br#"{"sub":"x"}"#);
        for token in [
            format!("h.{payload}.s"),
            "nonsense".to_owned(),
            "a.!!.b".to_owned(),
            String::new(),
        ] {
            assert_eq!(issuer_of_token(&token), None, "{token}");
        }
    }
}
