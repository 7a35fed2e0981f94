//! What passes the gate on the way to a server, and what doesn't arrive there.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::cluster::{ClusterError, ClusterErrorClass};

/// A server that counts requests and answers each with these statuses in turn, the last one for ever.
async fn server(statuses: &'static [u16]) -> (Config, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut buffer = [0u8; 65536];
                while let Ok(read) = stream.read(&mut buffer).await {
                    if read == 0 {
                        return;
                    }
                    let index = seen.fetch_add(1, Ordering::SeqCst);
                    let status = statuses[index.min(statuses.len() - 1)];
                    let body = match status {
                        200 => json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}),
                        _ => {
                            json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status})
                        }
                    }
                    .to_string();
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (Config::new(url.parse().unwrap()), count)
}

fn maps(config: Config, gate: &Arc<Gate>) -> Api<ConfigMap> {
    let clients = clients(config, Arc::clone(gate), Duration::from_secs(2)).unwrap();
    Api::namespaced(clients.gated, "x")
}

/// Every kind of write; whether it succeeded.
async fn write(api: &Api<ConfigMap>, kind: usize) -> Result<(), kube::Error> {
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    let map = ConfigMap {
        metadata: kube::api::ObjectMeta {
            name: Some("x".to_owned()),
            resource_version: Some("1".to_owned()),
            ..Default::default()
        },
        ..Default::default()
    };
    match kind {
        0 => api.create(&PostParams::default(), &map).await.map(|_| ()),
        1 => api
            .patch("x", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map(|_| ()),
        2 => api.replace("x", &PostParams::default(), &map).await.map(|_| ()),
        _ => api.delete("x", &DeleteParams::default()).await.map(|_| ()),
    }
}

#[tokio::test]
async fn a_shut_gate_lets_reads_through_and_no_write() {
    let (config, count) = server(&[200]).await;
    let gate = Arc::new(Gate::shut(Arc::new(|| Duration::ZERO)));
    let api = maps(config, &gate);
    api.get("x").await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 1);
    for kind in 0..4 {
        let error = ClusterError::from(write(&api, kind).await.unwrap_err());
        assert_eq!(error.class, ClusterErrorClass::Transient);
        assert_eq!(error.message, "not sent, since this process doesn't lead yet");
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_process_paused_at_the_gate_sends_nothing_afterwards() {
    for kind in 0..4 {
        let (config, count) = server(&[200]).await;
        let now = Arc::new(AtomicU64::new(0));
        let asleep = Arc::clone(&now);
        let gate = Arc::new(Gate::shut(Arc::new(move || {
            Duration::from_secs(asleep.load(Ordering::SeqCst))
        })));
        gate.open(Duration::ZERO, Duration::from_secs(15));
        let api = maps(config, &gate);
        write(&api, kind).await.unwrap();
        now.store(15, Ordering::SeqCst);
        write(&api, kind).await.unwrap_err();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_repetition_passes_the_gate_anew() {
    let (config, count) = server(&[503, 200]).await;
    let looks = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&looks);
    // The lease is over when the gate is asked for the second time.
    let gate = Arc::new(Gate::shut(Arc::new(move || {
        Duration::from_secs(20 * seen.fetch_add(1, Ordering::SeqCst) as u64)
    })));
    gate.open(Duration::ZERO, Duration::from_secs(15));
    let api = maps(config, &gate);
    let error = ClusterError::from(write(&api, 0).await.unwrap_err());
    assert_eq!(error.message, "not sent, since this process may lead no longer");
    assert_eq!(looks.load(Ordering::SeqCst), 2);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again() {
    let (config, count) = server(&[429, 503, 200]).await;
    let api = maps(config, &Arc::new(Gate::always_open()));
    write(&api, 1).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_write_that_isnt_answered_ends_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = Config::new(url.parse().unwrap());
    let gate = Arc::new(Gate::always_open());
    let started = std::time::Instant::now();
    let error = ClusterError::from(write(&maps(config, &gate), 0).await.unwrap_err());
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(
        error.message.contains("no answer within 2 s"),
        "{}",
        error.message
    );
    drop(listener);
}
