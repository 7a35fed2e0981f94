//! A proxy between the operator and AWS: it records every call and injects faults.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use super::fault::{Fault, Faults, Injection};
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
        !["Get", "List", "AssumeRole", "Simulate"]
            .iter()
            .any(|prefix| self.action.starts_with(prefix))
    }
}

/// The running proxy.
pub struct Proxy {
    pub endpoint: String,
    calls: Arc<Mutex<Vec<Call>>>,
    faults: Arc<Faults>,
}

struct Upstream {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
    calls: Arc<Mutex<Vec<Call>>>,
    faults: Arc<Faults>,
}

impl Proxy {
    /// Starts to listen at an address and passes calls on to `endpoint`.
    pub async fn start(endpoint: &str, address: IpAddr) -> Result<Proxy, String> {
        let base = endpoint.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            return Err(format!(
                "AWS_ENDPOINT_URL must be an emulator's http:// endpoint, not {endpoint}"
            ));
        }
        let listener = TcpListener::bind((address, 0))
            .await
            .map_err(|e| format!("failed to bind the AWS proxy: {e}"))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let upstream = Arc::new(Upstream {
            base,
            client: Client::builder(TokioExecutor::new()).build_http(),
            calls: Arc::default(),
            faults: Arc::default(),
        });
        let proxy = Proxy {
            endpoint: format!("http://{address}"),
            calls: upstream.calls.clone(),
            faults: upstream.faults.clone(),
        };
        tokio::spawn(accept(listener, upstream));
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

async fn accept(listener: TcpListener, upstream: Arc<Upstream>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, upstream.clone()));
    }
}

async fn serve(stream: TcpStream, upstream: Arc<Upstream>) {
    let service = service_fn(|request| {
        let upstream = upstream.clone();
        async move { upstream.handle(request).await }
    });
    // An error is a connection that ended, which lost answers do on purpose.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Upstream {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, String> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        let call = parse(&body);
        self.calls.lock().unwrap().push(call.clone());
        match self.faults.meet(&call.action, &call.role).await {
            Some(Fault::Refuse {
                status,
                code,
                message,
            }) => Ok(refusal(status, code, message)),
            Some(Fault::BadGateway) => Ok(answer(502, "text/html", "<html><h1>502</h1></html>".into())),
            Some(Fault::LoseAnswer) => {
                let carried_out = self.forward(Request::from_parts(head, Full::new(body))).await;
                Err(format!("answer lost on purpose: {}", carried_out.status()))
            }
            Some(Fault::Hold) | None => Ok(self.forward(Request::from_parts(head, Full::new(body))).await),
        }
    }

    async fn forward(&self, request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        match self.try_forward(request).await {
            Ok(response) => response,
            Err(error) => answer(503, "text/plain", format!("the proxy can't reach AWS: {error}")),
        }
    }

    async fn try_forward(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, String> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri: Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|e| format!("{e}"))?;
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(host).map_err(|e| e.to_string())?;
        request.headers_mut().insert(HOST, host);
        *request.uri_mut() = uri;
        let response = self.client.request(request).await.map_err(|e| e.to_string())?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

fn parse(body: &Bytes) -> Call {
    let of = |wanted: &str| {
        let mut parameters = form_urlencoded::parse(body);
        parameters
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    Call {
        action: of("Action"),
        role: of("RoleName"),
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    let body = format!(
        r#"<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>11111111-2222-3333-4444-555555555555</RequestId></ErrorResponse>"#
    );
    answer(status, "text/xml", body)
}

fn answer(status: u16, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
