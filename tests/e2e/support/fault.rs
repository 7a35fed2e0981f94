//! Faults that the AWS proxy injects, chosen by action and by the beginning of the role's name.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use super::wait::eventually;

/// What happens to a call instead of being passed on.
#[derive(Clone, Debug)]
pub enum Fault {
    /// AWS answers with an error in IAM's XML.
    Refuse {
        status: u16,
        code: &'static str,
        message: &'static str,
    },
    /// A load balancer answers with HTML.
    BadGateway,
    /// The call is carried out, but the connection drops before the answer.
    LoseAnswer,
    /// The call waits until the injection is released, then is passed on.
    Hold,
}

/// Words that only AWS's own text has: no tenant may ever see them.
pub const SECRET_OF_AWS: &str = "arn:aws:sts::000000000000:assumed-role/secret-of-aws/i-0123";

impl Fault {
    pub fn throttled() -> Fault {
        Fault::Refuse {
            status: 400,
            code: "Throttling",
            message: "Rate exceeded",
        }
    }

    pub fn denied() -> Fault {
        Fault::Refuse {
            status: 403,
            code: "AccessDenied",
            message: "User: arn:aws:sts::000000000000:assumed-role/secret-of-aws/i-0123 is not authorized",
        }
    }

    pub fn no_such_entity() -> Fault {
        Fault::Refuse {
            status: 404,
            code: "NoSuchEntity",
            message: "The role cannot be found.",
        }
    }
}

#[derive(Debug)]
struct Rule {
    action: String,
    role_prefix: String,
    fault: Fault,
    left: AtomicUsize,
    hits: AtomicUsize,
    held: AtomicUsize,
    most_held: AtomicUsize,
    released: watch::Sender<bool>,
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Arc<Rule>>>);

/// A rule in force until this is dropped.
pub struct Injection {
    faults: Arc<Faults>,
    rule: Arc<Rule>,
}

impl Faults {
    /// Lets `fault` happen to the next `times` calls of `action` on roles whose name begins with `role_prefix`.
    pub fn inject(
        self: &Arc<Self>,
        action: &str,
        role_prefix: &str,
        fault: Fault,
        times: usize,
    ) -> Injection {
        let rule = Arc::new(Rule {
            action: action.into(),
            role_prefix: role_prefix.into(),
            fault,
            left: AtomicUsize::new(times),
            hits: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            most_held: AtomicUsize::new(0),
            released: watch::Sender::new(false),
        });
        self.0.lock().unwrap().push(rule.clone());
        Injection {
            faults: self.clone(),
            rule,
        }
    }

    /// The fault for one call, if any. A held call waits here.
    pub async fn meet(&self, action: &str, role: &str) -> Option<Fault> {
        let rule = self.next(action, role)?;
        rule.hits.fetch_add(1, Ordering::SeqCst);
        if matches!(rule.fault, Fault::Hold) {
            let _held = Held::new(&rule);
            let mut released = rule.released.subscribe();
            // An error means that the rule is gone, which releases as well.
            let _ = released.wait_for(|released| *released).await;
            return None;
        }
        Some(rule.fault.clone())
    }

    fn next(&self, action: &str, role: &str) -> Option<Arc<Rule>> {
        let rules = self.0.lock().unwrap();
        rules
            .iter()
            .filter(|rule| rule.action == action && role.starts_with(&rule.role_prefix))
            .find(|rule| {
                rule.left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok()
            })
            .cloned()
    }
}

/// Counts a call as held until it is dropped, which it is as well when the caller gives up.
struct Held<'a>(&'a Rule);

impl<'a> Held<'a> {
    fn new(rule: &'a Rule) -> Self {
        let held = rule.held.fetch_add(1, Ordering::SeqCst) + 1;
        rule.most_held.fetch_max(held, Ordering::SeqCst);
        Held(rule)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Injection {
    /// How many calls met the fault.
    pub fn hits(&self) -> usize {
        self.rule.hits.load(Ordering::SeqCst)
    }

    /// The most calls that were held at the same time.
    pub fn most_held(&self) -> usize {
        self.rule.most_held.load(Ordering::SeqCst)
    }

    /// Waits until `hits` calls met the fault.
    pub async fn met(&self, hits: usize) {
        let what = format!("{} meets {:?} {hits} times", self.rule.action, self.rule.fault);
        eventually(&what, || async {
            match self.hits() {
                n if n >= hits => Ok(()),
                n => Err(format!("{n} times")),
            }
        })
        .await;
    }

    /// Lets held calls go on.
    pub fn release(&self) {
        self.rule.released.send_replace(true);
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        self.release();
        self.faults
            .0
            .lock()
            .unwrap()
            .retain(|rule| !Arc::ptr_eq(rule, &self.rule));
    }
}
