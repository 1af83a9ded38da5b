//! Requests to the hosts that the operator allowed, and the secrets that go along: the `http` and `secrets` capabilities.
//!
//! A request is judged by its parsed address (`policy`), connected only to addresses that were checked (`connect`), and
//! judged anew at each redirect (`redirect`). Secrets are added on the way out and removed on the way back (`scrub`).
//! Nothing is decompressed, cached or logged here, and no cookie is kept. What changes nothing at the other end is sent once
//! more where the connection ends at once; nothing else is retried.

mod address;
mod connect;
mod failure;
mod headers;
mod policy;
mod redirect;
mod response;
mod scrub;
#[cfg(test)]
mod tests;
mod trust;
mod unread;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use encaje_core::{Problem, ProblemKind};
use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::{Client, Method};
use rustls::RootCertStore;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use self::address::Reach;
use self::connect::CONNECT;
pub use self::connect::Resolver;
pub use self::policy::{Hidden, Policy, Rule, Secret};
use self::redirect::Hop;
pub use self::response::Response;
use crate::limits;

/// One request of a guest.
#[derive(Clone, Default)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The whole body; empty is none.
    pub body: Vec<u8>,
    /// The name of a granted secret.
    pub secret: Option<String>,
    /// Until a connection stands; the host's own limit where that is shorter.
    pub connect_timeout: Option<Duration>,
    /// Until the head of the answer is there, redirects included; the host's own limit where that is shorter.
    pub first_byte_timeout: Option<Duration>,
    /// Until the last byte of the answer; the host's own limit where that is shorter.
    pub total_timeout: Option<Duration>,
}

/// Shows nothing that may be private: addresses, headers and bodies belong to the guest.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("headers", &self.headers.len())
            .field("body", &self.body.len())
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

/// What went over the network: messages as they are in HTTP/1.1, without TLS and the framing of bodies.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Requests, each redirect counted.
    pub requests: AtomicU64,
    /// Bytes of requests.
    pub sent: AtomicU64,
    /// Bytes of answers.
    pub received: AtomicU64,
}

/// The way out of one plugin, with connections of its own. Cloning shares it.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

/// How much of what; tests take less.
#[derive(Debug, Clone, Copy)]
struct Caps {
    concurrent: usize,
    response_bytes: u64,
    line_bytes: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            concurrent: limits::CONCURRENT_REQUESTS,
            response_bytes: limits::RESPONSE_BYTES,
            line_bytes: limits::LINE_BYTES,
        }
    }
}

struct Inner {
    policy: policy::Checked,
    caps: Caps,
    resolver: Arc<dyn Resolver>,
    roots: Option<Arc<RootCertStore>>,
    /// By reach and whether they speak TLS. Made when first needed: most plugins have one, many have none.
    clients: Mutex<BTreeMap<(Reach, bool), Client>>,
    permits: Arc<Semaphore>,
    traffic: Traffic,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}

impl Egress {
    /// The way out that a policy leaves, with the system's resolver.
    ///
    /// # Errors
    /// `Misconfigured` for a rule or a secret that makes no sense, e.g. a value with a line break.
    pub fn new(policy: Policy) -> Result<Self, Problem> {
        Self::with_resolver(policy, Arc::new(connect::System::new()))
    }

    /// As [`Self::new`], with another resolver; what it answers is checked all the same.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_resolver(policy: Policy, resolver: Arc<dyn Resolver>) -> Result<Self, Problem> {
        Self::build(policy, resolver, Caps::default(), None)
    }

    fn build(
        policy: Policy,
        resolver: Arc<dyn Resolver>,
        caps: Caps,
        roots: Option<Arc<RootCertStore>>,
    ) -> Result<Self, Problem> {
        Ok(Self(Arc::new(Inner {
            policy: policy::Checked::new(policy)?,
            caps,
            resolver,
            roots,
            clients: Mutex::default(),
            permits: Arc::new(Semaphore::new(caps.concurrent)),
            traffic: Traffic::default(),
        })))
    }

    /// Sends a request and waits for the head of its answer, redirects followed; all of it ends within `within`. What goes
    /// over the network is added to `traffic`. Dropping the future closes the connection.
    ///
    /// # Errors
    /// `InvalidRequest` for what is no request; `Denied` for what the policy does not allow, with code `not_granted`,
    /// `address_refused`, `secret_host`, `secret_header`, `secret_in_clear` or `redirect_refused`; `Misconfigured` for a
    /// secret without value; `TooLarge` over a cap; `Overloaded` with too many requests at a time; `Unavailable` where the
    /// host cannot be reached; `Timeout`.
    pub async fn send(&self, request: Request, within: Duration, traffic: &Arc<Traffic>) -> Result<Response, Problem> {
        let permit = self.0.permits.clone().try_acquire_owned().map_err(|_| {
            let words = format!("The plugin has {} requests under way already.", self.0.caps.concurrent);
            Problem::new(ProblemKind::Overloaded, words)
        })?;
        let clock = Clock::new(&request, within);
        let hop = self.first(request)?;
        let following = Box::pin(CONNECT.scope(clock.connect, self.follow(hop, traffic)));
        let response = timeout_at(clock.head_end, following)
            .await
            .map_err(|_| clock.late())??;
        Response::new(response, permit, clock, self.0.clone(), traffic.clone())
    }

    /// Names of the granted secrets that have a value.
    pub fn secrets(&self) -> Vec<String> {
        self.0.policy.available()
    }

    /// The value of a secret.
    ///
    /// # Errors
    /// `Denied` unless it was granted with `reveal`; `Misconfigured` where it has no value.
    pub fn reveal(&self, name: &str) -> Result<String, Problem> {
        self.0.policy.reveal(name)
    }

    /// Requests, bytes sent and bytes received of the plugin, in all its life.
    pub fn traffic(&self) -> (u64, u64, u64) {
        let Traffic {
            requests,
            sent,
            received,
        } = &self.0.traffic;
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (now(requests), now(sent), now(received))
    }

    /// A guest's request, checked as far as it can be without looking at where it goes.
    fn first(&self, request: Request) -> Result<Hop, Problem> {
        if request.body.len() > limits::REQUEST_BYTES {
            let words = format!("The body of a request has {} bytes at most.", limits::REQUEST_BYTES);
            return Err(Problem::new(ProblemKind::TooLarge, words).with_param("body"));
        }
        Ok(Hop {
            method: method(&request.method)?,
            url: redirect::parse(&request.url)?,
            headers: headers::of_guest(request.headers, &self.0.policy)?,
            body: request.body.into(),
            secret: request.secret,
        })
    }

    async fn follow(&self, mut hop: Hop, traffic: &Traffic) -> Result<reqwest::Response, Problem> {
        for _ in 0..=limits::REDIRECTS {
            let response = self.one(&hop, traffic).await?;
            let (status, headers) = (response.status(), response.headers());
            match redirect::next(&hop, status, headers, &self.0.policy.patterns)? {
                Some(next) => hop = next,
                None => return Ok(response),
            }
        }
        Err(redirect::too_many())
    }

    /// One request of a chain, judged before it is sent.
    async fn one(&self, hop: &Hop, traffic: &Traffic) -> Result<reqwest::Response, Problem> {
        let policy = &self.0.policy;
        let reach = policy.judge(&hop.method, &hop.url, hop.secret.is_some())?;
        let mut headers = hop.headers.clone();
        if let Some(name) = &hop.secret {
            let bound = policy.secret(name, &hop.url)?;
            headers.extend(bound.written().map(|written| (bound.header.clone(), written)));
            // In a compressed answer nobody would find the secret, whatever the guest wants.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let bytes = (hop.method.as_str().len() + hop.url.path().len() + 12) as u64
            + headers::bytes(&headers)
            + hop.body.len() as u64;
        let mut request = reqwest::Request::new(hop.method.clone(), hop.url.clone());
        *request.headers_mut() = headers;
        if !hop.body.is_empty() {
            *request.body_mut() = Some(hop.body.clone().into());
        }
        let client = self.0.client(reach, hop.url.scheme() == "https").await?;
        let again = hop.method.is_safe().then(|| request.try_clone()).flatten();
        let began = Instant::now();
        let mut answer = self.exchange(&client, request, bytes, traffic).await;
        // The other end may close a kept connection in the very moment in which it is used again. What changes nothing there
        // may be asked once more; for anything else only the caller knows.
        if let (Err(error), Some(again)) = (&answer, again)
            && failure::hung_up(error)
            && began.elapsed() < limits::HANGUP
        {
            answer = self.exchange(&client, again, bytes, traffic).await;
        }
        let response = answer.map_err(|error| failure::unanswered(error, &hop.url, policy))?;
        count(
            &self.0.traffic.received,
            &traffic.received,
            headers::bytes(response.headers()) + 15,
        );
        // Nobody finds a secret in a compressed answer, and a guest could unpack it.
        if hop.secret.is_some() && headers::is_encoded(response.headers()) {
            return Err(failure::encoded(&hop.url));
        }
        Ok(response)
    }

    async fn exchange(
        &self,
        client: &Client,
        request: reqwest::Request,
        bytes: u64,
        traffic: &Traffic,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let all = &self.0.traffic;
        count(&all.requests, &traffic.requests, 1);
        let answer = client.execute(request).await;
        // What found no connection was not sent.
        if !answer.as_ref().is_err_and(reqwest::Error::is_connect) {
            count(&all.sent, &traffic.sent, bytes);
        }
        answer
    }
}

impl Inner {
    /// The client of a reach, with TLS where `secure`.
    async fn client(&self, reach: Reach, secure: bool) -> Result<Client, Problem> {
        let clients = || self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients().get(&(reach, secure)) {
            return Ok(client.clone());
        }
        let tls = trust::config(secure, self.roots.as_ref()).await?;
        let client = connect::client(reach, self.resolver.clone(), tls)?;
        // Another request may have been as quick; all take the first one.
        Ok(clients().entry((reach, secure)).or_insert(client).clone())
    }
}

/// Adds to a plugin's counter and to a visit's.
fn count(plugin: &AtomicU64, visit: &AtomicU64, amount: u64) {
    plugin.fetch_add(amount, Ordering::Relaxed);
    visit.fetch_add(amount, Ordering::Relaxed);
}

/// `CONNECT` would turn the connection into something else, and `TRACE` would return the headers with their secrets.
fn method(text: &str) -> Result<Method, Problem> {
    let plain =
        !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    if !plain || matches!(text, "CONNECT" | "TRACE") {
        let words = "A method is written in upper case, and `CONNECT` and `TRACE` are not for plugins.";
        return Err(Problem::invalid("method", words));
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| Problem::invalid("method", "There is no such method."))
}

/// When a request must have come how far.
#[derive(Debug, Clone, Copy)]
struct Clock {
    connect: Duration,
    /// How long the head may take, and until when.
    first_byte: Duration,
    head_end: Instant,
    /// How long all of it may take, and until when.
    total: Duration,
    end: Instant,
    /// Until when it may take by its own limits, whoever waits for it.
    own_end: Instant,
}

impl Clock {
    fn new(request: &Request, within: Duration) -> Self {
        let now = Instant::now();
        let least = |asked: Option<Duration>, most: Duration| asked.map_or(most, |asked| asked.min(most));
        let own = least(request.total_timeout, limits::EXCHANGE_TIME);
        let total = own.min(within);
        let first_byte = least(request.first_byte_timeout, limits::FIRST_BYTE_TIME);
        Self {
            connect: least(request.connect_timeout, limits::CONNECT_TIME),
            first_byte,
            head_end: now + first_byte.min(total),
            total,
            end: now + total,
            own_end: now + own,
        }
    }

    /// Gives it until then, within its own limits.
    fn until(&mut self, end: Instant) {
        let begin = self.end - self.total;
        self.end = self.own_end.min(end).max(begin);
        self.total = self.end - begin;
    }

    /// No head came in time.
    fn late(&self) -> Problem {
        if self.total <= self.first_byte {
            return self.over();
        }
        let words = format!("No answer came within {} ms.", self.first_byte.as_millis());
        Problem::new(ProblemKind::Timeout, words).with_code("first_byte_timeout")
    }

    /// The answer did not come to its end in time.
    fn over(&self) -> Problem {
        let words = format!("The answer was not complete within {} ms.", self.total.as_millis());
        Problem::new(ProblemKind::Timeout, words).with_code("total_timeout")
    }
}
