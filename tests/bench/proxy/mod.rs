//! The proxy between a client and the emulated AWS: it counts every call and every connection, and makes AWS as slow,
//! as limited and as busy as a scenario wants it. It decides nothing about what was measured.

mod conditions;
mod lists;
mod record;

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

pub use conditions::{Conditions, Limit, Share};
pub use record::{Call, Outcome, Record, State, by_action};

use conditions::Throttle;
use lists::Lists;

/// A running proxy, until it is dropped. Each scenario has its own, so that nothing is counted twice.
pub struct Proxy {
    pub endpoint: String,
    pub record: Arc<Record>,
    throttle: Arc<Throttle>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Upstream {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
    record: Arc<Record>,
    throttle: Arc<Throttle>,
    lists: Lists,
}

/// What of a request the proxy looks at.
struct Question {
    action: String,
    role: String,
    parameters: Vec<(String, String)>,
}

impl Proxy {
    /// Listens on a free port of loopback and passes calls on to `endpoint`, under `conditions`.
    pub async fn start(endpoint: &str, conditions: Conditions) -> Result<Proxy, String> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .map_err(|e| format!("failed to bind the AWS proxy: {e}"))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let upstream = Arc::new(Upstream {
            base: endpoint.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
            record: Arc::default(),
            throttle: Arc::new(Throttle::new(conditions)),
            lists: Lists::default(),
        });
        Ok(Proxy {
            endpoint: format!("http://{address}"),
            record: upstream.record.clone(),
            throttle: upstream.throttle.clone(),
            accepting: tokio::spawn(accept(listener, upstream)),
        })
    }

    /// Replaces the conditions; buckets start full.
    pub fn set(&self, conditions: Conditions) {
        self.throttle.set(conditions);
    }

    /// Lets every call wait, from now until [`Proxy::release`].
    pub fn hold(&self) {
        self.throttle.hold(true);
    }

    /// Lets held calls go on.
    pub fn release(&self) {
        self.throttle.hold(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, upstream: Arc<Upstream>) {
    while let Ok((stream, _)) = listener.accept().await {
        // An error leaves the connection slower, nothing else.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream, upstream.clone()));
    }
}

async fn serve(stream: TcpStream, upstream: Arc<Upstream>) {
    let _open = upstream.record.connected();
    let service = service_fn(|request| {
        let upstream = upstream.clone();
        async move { upstream.handle(request).await }
    });
    // An error is a connection that the client ended.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Upstream {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, String> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        let question = Question::parse(&body);
        let began = Instant::now();
        let sent = body.len();
        let answer = match self.throttle.meet(&question.action).await {
            Ok(()) => {
                self.answer(&question, Request::from_parts(head, Full::new(body)))
                    .await
            }
            Err(throttled) => throttled,
        };
        let (status, text) = (answer.status(), answer.into_body());
        let text = text.collect().await.map_err(|e| e.to_string())?.to_bytes();
        self.record.add(Call {
            at: Instant::now(),
            took: began.elapsed(),
            outcome: Outcome::of(status.as_u16(), &text),
            subject: question
                .of("PolicyArn")
                .or(question.of("PolicyName"))
                .unwrap_or_default(),
            boundary: question.of("PermissionsBoundary"),
            first_page: question.of("Marker").is_none(),
            action: question.action,
            role: question.role,
            bytes: (sent, text.len()),
        });
        Ok(xml(status, text))
    }

    async fn answer(&self, question: &Question, request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
        let most = question.of("MaxItems").and_then(|text| text.parse().ok());
        if let Some(marker) = question.of("Marker")
            && lists::is_paged(&question.action)
        {
            return match self.lists.next(&marker, most) {
                Some(page) => xml(StatusCode::OK, page.into()),
                None => error(400, "InvalidInput", "Invalid Marker."),
            };
        }
        let (status, text) = match self.forward(request).await {
            Ok(answer) => answer,
            Err(reason) => return error(503, "ServiceUnavailable", &format!("the emulator: {reason}")),
        };
        if status.is_success() && lists::is_paged(&question.action) {
            let text = String::from_utf8_lossy(&text);
            let boundary = |role: &str| self.record.boundary(role);
            let page = self.lists.first(&question.action, &text, most, boundary);
            return xml(status, page.into());
        }
        xml(status, text)
    }

    async fn forward(&self, mut request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
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
        Ok((head.status, body))
    }
}

impl Question {
    fn parse(body: &Bytes) -> Question {
        let parameters: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
        let mut question = Question {
            action: String::new(),
            role: String::new(),
            parameters,
        };
        question.action = question.of("Action").unwrap_or_default();
        question.role = question.of("RoleName").unwrap_or_default();
        question
    }

    fn of(&self, wanted: &str) -> Option<String> {
        let mut parameters = self.parameters.iter();
        parameters
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.clone())
    }
}

/// An error as IAM words it.
fn error(status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    let body = format!(
        r#"<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>11111111-2222-3333-4444-555555555555</RequestId></ErrorResponse>"#
    );
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    xml(status, body.into())
}

fn xml(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    response
}
