//! The SDK's HTTP client behind the [`Gate`]: every attempt of every request passes it, those of the SDK's own
//! retries and of the credentials providers (STS) included. Nothing lies between it and the connection.

use std::sync::Arc;

use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;

use super::requests::ForCredentials;
use crate::gate::Gate;
use crate::metrics::Metrics;

/// The SDK's default client, which it makes for itself where it is given none.
pub(super) fn default_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}

/// See the module.
#[derive(Debug)]
pub(super) struct GatedClient {
    inner: SharedHttpClient,
    gate: Arc<Gate>,
    metrics: Arc<Metrics>,
}

impl GatedClient {
    pub(super) fn new(inner: SharedHttpClient, gate: Arc<Gate>, metrics: Arc<Metrics>) -> Self {
        Self { inner, gate, metrics }
    }
}

impl HttpClient for GatedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(GatedConnector {
            inner: self.inner.http_connector(settings, components),
            gate: Arc::clone(&self.gate),
            metrics: Arc::clone(&self.metrics),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct GatedConnector {
    inner: SharedHttpConnector,
    gate: Arc<Gate>,
    metrics: Arc<Metrics>,
}

impl HttpConnector for GatedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, gate) = (self.inner.clone(), Arc::clone(&self.gate));
        let metrics = Arc::clone(&self.metrics);
        HttpConnectorFuture::new(async move {
            // Neither a timeout nor an IO error, so that the SDK doesn't repeat it.
            gate.pass()
                .map_err(|closed| ConnectorError::other(closed.into(), None))?;
            match ForCredentials::of(&request, metrics) {
                None => inner.call(request).await,
                Some(counted) => counted.through(inner.call(request)).await,
            }
        })
    }
}
