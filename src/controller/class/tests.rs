//! What the API server is asked for before a class is let go.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::{Request, Response};
use kube::client::Body;
use serde_json::Value;
use tower::Service;

use super::*;
use crate::api::ROLE_FINALIZER;

/// Lists so many MlServiceRoles of class `a`, never more at once than it is asked for.
#[derive(Clone)]
struct ApiServer {
    roles: usize,
    asked: Arc<Mutex<Vec<usize>>>,
}

impl ApiServer {
    fn list(&self, query: &str) -> Value {
        let number = |key: &str| {
            let fields = query.split('&').filter_map(|field| field.split_once('='));
            let mut values = fields.filter(|(name, _)| *name == key).map(|(_, value)| value);
            values.next().and_then(|value| value.parse::<usize>().ok())
        };
        let begin = number("continue").unwrap_or(0);
        let end = (begin + number("limit").unwrap_or(usize::MAX)).min(self.roles);
        self.asked.lock().unwrap().push(end - begin);
        let role = |i: usize| {
            json!({
                "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRole",
                "metadata": {"name": format!("r{i:04}"), "namespace": "n", "finalizers": [ROLE_FINALIZER]},
                "spec": {"className": "a"},
            })
        };
        let next = if end < self.roles {
            end.to_string()
        } else {
            String::new()
        };
        json!({
            "apiVersion": "mlservicerole.io/v1alpha1", "kind": "MlServiceRoleList",
            "metadata": {"resourceVersion": "1", "continue": next},
            "items": (begin..end).map(role).collect::<Vec<_>>(),
        })
    }
}

impl Service<Request<Body>> for ApiServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let list = self.list(request.uri().query().unwrap_or_default());
        ready(Ok(Response::new(Body::from(list.to_string().into_bytes()))))
    }
}

fn server(roles: usize) -> ApiServer {
    ApiServer {
        roles,
        asked: Arc::default(),
    }
}

#[tokio::test]
async fn whoever_keeps_a_class_is_asked_for_page_by_page_and_counted_to_the_last() {
    let server = server(250);
    let client = Client::new(server.clone(), "default");
    let refusal = keepers(&client, "a").await.unwrap().refusal().unwrap();
    assert!(
        refusal.message.contains("n/r0004 and 245 more"),
        "{}",
        refusal.message
    );
    assert_eq!(*server.asked.lock().unwrap(), [100, 100, 50]);
    assert!(keepers(&client, "b").await.unwrap().refusal().is_none());
}

#[tokio::test]
async fn a_list_without_anybody_is_asked_for_once() {
    let server = server(0);
    let client = Client::new(server.clone(), "default");
    assert!(keepers(&client, "a").await.unwrap().refusal().is_none());
    assert_eq!(*server.asked.lock().unwrap(), [0]);
}
