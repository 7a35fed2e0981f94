//! A server on the loopback interface that answers as told and remembers what it was asked.
//!
//! It speaks just enough HTTP by hand, because half of what it must do is to break the protocol:
//! reset connections, stop in the middle of a body, say nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use mlservicerole_operator::aws::transport::Limits;
use mlservicerole_operator::aws::{AccountRef, Accounts, IamApi, SdkAccounts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What to do with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Http(u16, String),
    /// The head promises the whole body, and the connection closes half-way through it.
    CutShort(u16, String),
    /// The connection is reset (TCP RST) without an answer.
    Reset,
    /// Nothing, for longer than any limit.
    Hang,
}

/// A request: its form fields, and the access key that signed it.
#[derive(Clone, Debug)]
pub struct Call {
    pub fields: BTreeMap<String, String>,
    pub access_key: String,
}

impl Call {
    pub fn action(&self) -> &str {
        self.field("Action")
    }

    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

pub struct Server {
    url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

type Responder = Arc<dyn Fn(&Call) -> Reply + Send + Sync>;

impl Server {
    pub async fn start(responder: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let responder: Responder = Arc::new(responder);
        let seen = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&responder), Arc::clone(&seen)));
            }
        });
        Server { url, calls }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub fn actions(&self) -> Vec<String> {
        let calls = self.calls();
        calls.iter().map(|call| call.action().to_owned()).collect()
    }

    pub fn count(&self, action: &str) -> usize {
        self.actions().iter().filter(|seen| *seen == action).count()
    }

    /// The only request with this action.
    pub fn only(&self, action: &str) -> Call {
        let mut calls = self.calls();
        calls.retain(|call| call.action() == action);
        assert_eq!(calls.len(), 1, "{action} among {:?}", self.actions());
        calls.remove(0)
    }

    /// IAM as the SDK reaches it here, with limits that a test can wait for and a busy machine can keep.
    pub async fn iam(&self) -> Arc<dyn IamApi> {
        let accounts = SdkAccounts::from_config(&config(&self.url).await, &short_limits());
        let own = AccountRef {
            account: None,
            assume_role: None,
        };
        Arc::clone(&accounts.session(&own).await.unwrap().iam)
    }
}

pub fn short_limits() -> Limits {
    Limits {
        connect: Duration::from_secs(2),
        attempt: Duration::from_secs(2),
        operation: Duration::from_secs(20),
        first_pause: Duration::from_millis(10),
    }
}

pub async fn config(url: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::new("AKIAOWN", "secret", None, None, "test"))
        .load()
        .await
}

async fn serve(mut stream: TcpStream, responder: Responder, calls: Arc<Mutex<Vec<Call>>>) {
    while let Some(call) = read_call(&mut stream).await {
        calls.lock().unwrap().push(call.clone());
        match responder(&call) {
            Reply::Http(status, body) => {
                let text = format!("{}{body}", head(status, body.len()));
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Reply::CutShort(status, body) => {
                let text = format!("{}{}", head(status, body.len()), &body[..body.len() / 2]);
                let _ = stream.write_all(text.as_bytes()).await;
                return;
            }
            Reply::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            Reply::Hang => tokio::time::sleep(Duration::from_secs(3600)).await,
        }
    }
}

fn head(status: u16, length: usize) -> String {
    format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\n\
         x-amzn-requestid: 7a62c49f-347e-4fc4-9331-6e8e12345678\r\n\r\n"
    )
}

/// None at the end of the connection.
async fn read_call(stream: &mut TcpStream) -> Option<Call> {
    let mut bytes = Vec::new();
    loop {
        if let Some(call) = parse_call(&bytes) {
            return Some(call);
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&part[..length]),
        }
    }
}

fn parse_call(bytes: &[u8]) -> Option<Call> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    };
    let length: usize = header("content-length").unwrap_or("0").parse().unwrap();
    if body.len() < length {
        return None;
    }
    let access_key = header("authorization")
        .and_then(|text| text.split_once("Credential="))
        .and_then(|(_, text)| text.split_once('/'))
        .map_or("", |(key, _)| key)
        .to_owned();
    let plain = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    let fields = body
        .split('&')
        .filter_map(|field| field.split_once('='))
        .map(|(key, value)| (plain(key), plain(value)))
        .collect();
    Some(Call { fields, access_key })
}

/// A successful answer: the action's result element with this content.
pub fn ok(action: &str, result: &str) -> Reply {
    Reply::Http(200, ok_body(action, result))
}

pub fn ok_body(action: &str, result: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
         <{action}Result>{result}</{action}Result><ResponseMetadata>\
         <RequestId>7a62c49f-347e-4fc4-9331-6e8e12345678</RequestId></ResponseMetadata>\
         </{action}Response>"
    )
}

pub fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::Http(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error>\
             <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>7a62c49f-347e-4fc4-9331-6e8e12345678</RequestId></ErrorResponse>"
        ),
    )
}

/// GetCallerIdentity's answer for a session of a role in the account.
pub fn caller(account: &str) -> Reply {
    caller_with_arn(
        account,
        &format!("arn:aws:sts::{account}:assumed-role/operator/session"),
    )
}

pub fn caller_with_arn(account: &str, arn: &str) -> Reply {
    ok(
        "GetCallerIdentity",
        &format!("<Arn>{arn}</Arn><UserId>AROAX:session</UserId><Account>{account}</Account>"),
    )
}

/// A responder for tests of IAM calls: STS says who calls, and the rest is the test's.
pub fn iam_only(
    iam: impl Fn(&Call) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Call) -> Reply + Send + Sync + 'static {
    move |call| match call.action() {
        "GetCallerIdentity" => caller("111122223333"),
        _ => iam(call),
    }
}
