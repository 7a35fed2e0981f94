//! What a proxy between a client and an emulated AWS is made of: it takes connections, reads calls whole, passes them
//! on, and answers in IAM's words. What becomes of a call is the handler's affair.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of calls.
pub trait Handler: Send + Sync + 'static {
    /// Kept for as long as a connection is open.
    type Connection: Send;

    fn connected(&self) -> Self::Connection;

    /// The answer to one call; `Err` lets the connection drop without one.
    fn handle(&self, call: Request<Bytes>) -> impl Future<Output = Result<Response<Bytes>, String>> + Send;
}

/// A free port of this address.
pub async fn listen(address: IpAddr) -> Result<(TcpListener, SocketAddr), String> {
    let failed = |e: std::io::Error| format!("failed to bind the AWS proxy: {e}");
    let listener = TcpListener::bind((address, 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Takes connections until it is dropped; those that are open stay.
pub async fn accept<H: Handler>(listener: TcpListener, handler: Arc<H>) {
    while let Ok((stream, _)) = listener.accept().await {
        // An error leaves the connection slower, nothing else.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream, handler.clone()));
    }
}

async fn serve<H: Handler>(stream: TcpStream, handler: Arc<H>) {
    let _open = handler.connected();
    let service = service_fn(|request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
            let answer = handler.handle(Request::from_parts(head, body)).await?;
            Ok::<_, String>(answer.map(Full::new))
        }
    });
    // An error is a connection that one side ended, which lost answers do on purpose.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The emulator that calls are passed on to.
pub struct Upstream {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Upstream {
    pub fn new(endpoint: &str) -> Upstream {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Upstream {
            base: endpoint.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// What the emulator answers; 503 if it can't be reached.
    pub async fn forward(&self, call: Request<Bytes>) -> Response<Bytes> {
        match self.try_forward(call).await {
            Ok(answer) => answer,
            Err(reason) => error(503, "ServiceUnavailable", &format!("the emulator: {reason}")),
        }
    }

    async fn try_forward(&self, call: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let mut request = call.map(Full::new);
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
        Ok(Response::from_parts(head, body))
    }
}

/// The parameters of a call in AWS's query protocol.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub fn parse(body: &Bytes) -> Parameters {
        Parameters(form_urlencoded::parse(body).into_owned().collect())
    }

    pub fn of(&self, wanted: &str) -> Option<String> {
        let mut parameters = self.0.iter();
        parameters
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.clone())
    }
}

/// Whether an action can change anything in AWS.
pub fn is_write(action: &str) -> bool {
    !["Get", "List", "AssumeRole", "Simulate"]
        .iter()
        .any(|prefix| action.starts_with(prefix))
}

/// An error as IAM words it.
pub fn error(status: u16, code: &str, message: &str) -> Response<Bytes> {
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    let body = format!(
        r#"<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>11111111-2222-3333-4444-555555555555</RequestId></ErrorResponse>"#
    );
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    xml(status, body.into())
}

pub fn xml(status: StatusCode, body: Bytes) -> Response<Bytes> {
    answer(status, "text/xml", body)
}

pub fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
