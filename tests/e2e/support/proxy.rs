//! A proxy between the operator and AWS: it records every call and injects faults.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};

use super::fault::{Fault, Faults, Injection};
use super::forward::{self, Handler, Parameters, Upstream};
use super::wait::eventually;

/// One call that the operator made.
#[derive(Clone, Debug)]
pub struct Call {
    pub action: String,
    pub role: String,
}

impl Call {
    /// Whether it can change anything in AWS.
    pub fn writes(&self) -> bool {
        forward::is_write(&self.action)
    }
}

/// The running proxy.
pub struct Proxy {
    pub endpoint: String,
    calls: Arc<Mutex<Vec<Call>>>,
    faults: Arc<Faults>,
}

struct Passage {
    upstream: Upstream,
    calls: Arc<Mutex<Vec<Call>>>,
    faults: Arc<Faults>,
}

impl Proxy {
    /// Starts to listen at an address and passes calls on to `endpoint`.
    pub async fn start(endpoint: &str, address: IpAddr) -> Result<Proxy, String> {
        if !endpoint.starts_with("http://") {
            return Err(format!(
                "AWS_ENDPOINT_URL must be an emulator's http:// endpoint, not {endpoint}"
            ));
        }
        let (listener, address) = forward::listen(address).await?;
        let passage = Arc::new(Passage {
            upstream: Upstream::new(endpoint),
            calls: Arc::default(),
            faults: Arc::default(),
        });
        let proxy = Proxy {
            endpoint: format!("http://{address}"),
            calls: passage.calls.clone(),
            faults: passage.faults.clone(),
        };
        tokio::spawn(forward::accept(listener, passage));
        Ok(proxy)
    }

    /// A place in the record; see [`Proxy::since`].
    pub fn mark(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// The calls after `mark` on roles whose name begins with `role_prefix`.
    pub fn since(&self, mark: usize, role_prefix: &str) -> Vec<Call> {
        self.calls.lock().unwrap()[mark..]
            .iter()
            .filter(|call| call.role.starts_with(role_prefix))
            .cloned()
            .collect()
    }

    /// How often the whole account was gone through after `mark`, from the beginning to the end.
    pub fn sweeps_since(&self, mark: usize) -> usize {
        let calls = self.calls.lock().unwrap();
        let begun = calls[mark..]
            .iter()
            .filter(|call| call.action == "GetAccountAuthorizationDetails");
        // Emulators answer it in one page, and each ends with it: the next one shows that it has ended.
        begun.count().saturating_sub(1)
    }

    /// Waits until the account was gone through so often.
    pub async fn swept(&self, mark: usize, times: usize) {
        eventually("sweeps", || async {
            match self.sweeps_since(mark) {
                n if n >= times => Ok(()),
                n => Err(format!("{n} sweeps")),
            }
        })
        .await;
    }

    /// The actions after `mark` that write to such roles, in order.
    pub fn writes_since(&self, mark: usize, role_prefix: &str) -> Vec<String> {
        let calls = self.since(mark, role_prefix).into_iter();
        calls.filter(Call::writes).map(|call| call.action).collect()
    }

    /// See [`Faults::inject`].
    pub fn inject(&self, action: &str, role_prefix: &str, fault: Fault, times: usize) -> Injection {
        self.faults.inject(action, role_prefix, fault, times)
    }
}

impl Handler for Passage {
    type Connection = ();

    fn connected(&self) {}

    async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let parameters = Parameters::parse(request.body());
        let call = Call {
            action: parameters.of("Action").unwrap_or_default(),
            role: parameters.of("RoleName").unwrap_or_default(),
        };
        self.calls.lock().unwrap().push(call.clone());
        match self.faults.meet(&call.action, &call.role).await {
            Some(Fault::Refuse {
                status,
                code,
                message,
            }) => Ok(forward::error(status, code, message)),
            Some(Fault::BadGateway) => Ok(forward::answer(
                StatusCode::BAD_GATEWAY,
                "text/html",
                "<html><h1>502</h1></html>".into(),
            )),
            Some(Fault::LoseAnswer) => {
                let carried_out = self.upstream.forward(request).await;
                Err(format!("answer lost on purpose: {}", carried_out.status()))
            }
            Some(Fault::Hold) | None => Ok(self.upstream.forward(request).await),
        }
    }
}
