//! The proxy between a client and the emulated AWS: it counts every call and every connection, and makes AWS as slow,
//! as limited and as busy as a scenario wants it. It decides nothing about what was measured.

mod conditions;
mod lists;
mod record;

use std::net::Ipv4Addr;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use tokio::time::Instant;

use crate::shared::forward::{self, Handler, Parameters, Upstream, error, xml};

pub use conditions::{Conditions, Limit, Share};
pub use record::{Call, Outcome, Record, State, by_action};

use conditions::{Throttle, Verdict};
use lists::Lists;
use record::Open;

/// A running proxy, until it is dropped. Each scenario has its own, so that nothing is counted twice.
pub struct Proxy {
    pub endpoint: String,
    pub record: Arc<Record>,
    throttle: Arc<Throttle>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Passage {
    upstream: Upstream,
    record: Arc<Record>,
    throttle: Arc<Throttle>,
    lists: Lists,
}

/// What of a request the proxy looks at.
struct Question {
    action: String,
    role: String,
    parameters: Parameters,
}

impl Proxy {
    /// Listens on a free port of loopback and passes calls on to `endpoint`, under `conditions`.
    pub async fn start(endpoint: &str, conditions: Conditions) -> Result<Proxy, String> {
        let (listener, address) = forward::listen(Ipv4Addr::LOCALHOST.into()).await?;
        let passage = Arc::new(Passage {
            upstream: Upstream::new(endpoint),
            record: Arc::default(),
            throttle: Arc::new(Throttle::new(conditions)),
            lists: Lists::default(),
        });
        Ok(Proxy {
            endpoint: format!("http://{address}"),
            record: passage.record.clone(),
            throttle: passage.throttle.clone(),
            accepting: tokio::spawn(forward::accept(listener, passage)),
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

impl Handler for Passage {
    type Connection = Open;

    fn connected(&self) -> Open {
        self.record.connected()
    }

    async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let question = Question::parse(request.body());
        let began = Instant::now();
        let sent = request.body().len();
        let answer = match self.throttle.meet(&question.action).await {
            Verdict::Passes => self.answer(&question, request).await,
            // Status, code and message as IAM sends them.
            Verdict::Throttled => error(400, "Throttling", "Rate exceeded"),
        };
        self.record.add(Call {
            at: Instant::now(),
            took: began.elapsed(),
            outcome: Outcome::of(answer.status().as_u16(), answer.body()),
            subject: question
                .of("PolicyArn")
                .or(question.of("PolicyName"))
                .unwrap_or_default(),
            boundary: question.of("PermissionsBoundary"),
            first_page: question.of("Marker").is_none(),
            action: question.action,
            role: question.role,
            bytes: (sent, answer.body().len()),
        });
        Ok(answer)
    }
}

impl Passage {
    async fn answer(&self, question: &Question, request: Request<Bytes>) -> Response<Bytes> {
        let most = question.of("MaxItems").and_then(|text| text.parse().ok());
        if let Some(marker) = question.of("Marker")
            && lists::is_paged(&question.action)
        {
            return match self.lists.next(&marker, most) {
                Some(page) => xml(StatusCode::OK, page.into()),
                None => error(400, "InvalidInput", "Invalid Marker."),
            };
        }
        let (head, text) = self.upstream.forward(request).await.into_parts();
        let status = head.status;
        if status.is_success() && lists::is_paged(&question.action) {
            let text = String::from_utf8_lossy(&text);
            let boundary = |role: &str| self.record.boundary(role);
            let page = self.lists.first(&question.action, &text, most, boundary);
            return xml(status, page.into());
        }
        xml(status, text)
    }
}

impl Question {
    fn parse(body: &Bytes) -> Question {
        let parameters = Parameters::parse(body);
        Question {
            action: parameters.of("Action").unwrap_or_default(),
            role: parameters.of("RoleName").unwrap_or_default(),
            parameters,
        }
    }

    fn of(&self, wanted: &str) -> Option<String> {
        self.parameters.of(wanted)
    }
}
