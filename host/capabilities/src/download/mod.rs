//! Fetches one file by HTTPS: streamed to disk, resumed after a cut, bounded in time, size and redirects.
//!
//! It does not judge what it fetched: the caller compares the digest and removes the file when it is another. Plain HTTP is
//! taken only from this machine itself.

mod part;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use encaje_core::{Problem, ProblemKind};
use futures::StreamExt;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, ETAG, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use tokio::time::Instant;

use self::part::Part;
use crate::limits;

/// Called with the bytes that are on disk and, where it is known, how many there will be.
pub type Progress<'p> = &'p (dyn Fn(u64, Option<u64>) + Send + Sync);

/// Fetches `url` into the file `into`, whose folder is made where there is none. Until it is complete it lies beside it
/// under its name with `.part` added, from which a later call goes on; two processes that fetch the same file wait for one
/// another. Dropping the future leaves that part.
///
/// # Errors
/// `InvalidRequest` for an address that is not allowed; `NotFound`, `Denied` as the other end says; `TooLarge` over
/// [`limits::DOWNLOAD_BYTES`]; `Timeout`; `Unavailable` when the other end does not deliver, after some tries; `Internal`
/// when the file cannot be written.
pub async fn download(url: &str, into: &Path, progress: Progress<'_>) -> Result<(), Problem> {
    download_with(url, into, progress, &Patience::default()).await
}

/// How long to wait for what; tests wait less.
#[derive(Debug, Clone, Copy)]
struct Patience {
    stall: Duration,
    pause: Duration,
    tries: u32,
    bytes: u64,
    all: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stall: limits::STALL_TIME,
            pause: limits::DOWNLOAD_PAUSE,
            tries: limits::DOWNLOAD_TRIES,
            bytes: limits::DOWNLOAD_BYTES,
            all: limits::DOWNLOAD_TIME,
        }
    }
}

async fn download_with(url: &str, into: &Path, progress: Progress<'_>, patience: &Patience) -> Result<(), Problem> {
    let url = Url::parse(url).map_err(|error| not_allowed(format!("The address cannot be read: {error}.")))?;
    if !allowed(&url) {
        return Err(not_allowed("Downloads need an https address.".to_owned()));
    }
    let end = Instant::now() + patience.all;
    let work = async {
        let Some(part) = Part::open(into).await? else {
            return Ok(());
        };
        Download {
            client: client(&url, patience)?,
            url,
            etag: None,
            part,
            patience,
            progress,
        }
        .run()
        .await
    };
    tokio::time::timeout_at(end, work).await.unwrap_or_else(|_| {
        Err(Problem::new(
            ProblemKind::Timeout,
            "The download took longer than a download may take.",
        ))
    })
}

/// One download, over as many tries as it takes.
struct Download<'d> {
    client: Client,
    url: Url,
    /// What the other end calls this state of the file, once it has been said; a resumed try insists on it.
    etag: Option<String>,
    part: Part,
    patience: &'d Patience,
    progress: Progress<'d>,
}

/// How a try ended.
enum Ended {
    /// All of the file is there.
    Complete,
    /// It may be tried again, after this time if the other end named one.
    Broken(Problem, Option<Duration>),
    /// Another try would end alike.
    Refused(Problem),
}

impl Download<'_> {
    async fn run(mut self) -> Result<(), Problem> {
        let (mut fruitless, mut pause) = (0, self.patience.pause);
        loop {
            let before = self.part.bytes();
            let (problem, wait) = match self.attempt().await {
                Ended::Complete => return self.part.finish().await,
                Ended::Refused(problem) => return Err(problem),
                Ended::Broken(problem, wait) => (problem, wait),
            };
            if self.part.bytes() > before {
                (fruitless, pause) = (0, self.patience.pause);
            } else {
                fruitless += 1;
            }
            if fruitless >= self.patience.tries {
                self.part.keep().await?;
                return Err(problem);
            }
            tracing::info!(%problem, bytes = self.part.bytes(), "a download broke off; trying again");
            tokio::time::sleep(wait.unwrap_or(pause).min(limits::STALL_TIME)).await;
            pause *= 2;
        }
    }

    async fn attempt(&mut self) -> Ended {
        let from = self.part.bytes();
        let mut request = self.client.get(self.url.clone()).header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
            if let Some(etag) = &self.etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return failed_to_send(&error),
        };
        match response.status() {
            StatusCode::OK => match self.part.restart().await {
                Ok(()) => {
                    let total = response.content_length();
                    self.body(response, total).await
                }
                Err(problem) => Ended::Refused(problem),
            },
            StatusCode::PARTIAL_CONTENT => match range(&response) {
                Some((start, total)) if start == from => self.body(response, total).await,
                _ => {
                    self.begin_anew("The other end answered with another part of the file.")
                        .await
                }
            },
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
                if unsatisfied_total(&response) == Some(from) {
                    return Ended::Complete;
                }
                self.begin_anew("The file at the other end has changed.").await
            }
            status => refused(status, &response),
        }
    }

    /// Writes a body to the end of the part; `total` is what the whole file will have.
    async fn body(&mut self, response: Response, total: Option<u64>) -> Ended {
        if total.is_some_and(|total| total > self.patience.bytes) {
            return Ended::Refused(too_large(self.patience.bytes));
        }
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok());
        // A weak one does not promise equal bytes.
        self.etag = etag.filter(|etag| etag.starts_with('"')).map(str::to_owned);
        (self.progress)(self.part.bytes(), total);
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return broken("The other end broke off.", &error),
            };
            let after = self.part.bytes() + piece.len() as u64;
            if after > self.patience.bytes || total.is_some_and(|total| after > total) {
                return Ended::Refused(too_large(total.unwrap_or(self.patience.bytes)));
            }
            if let Err(problem) = self.part.append(&piece).await {
                return Ended::Refused(problem);
            }
            (self.progress)(after, total);
        }
        match total {
            Some(total) if self.part.bytes() < total => {
                broken("The other end sent less than it announced.", &self.part.bytes())
            }
            _ => Ended::Complete,
        }
    }

    async fn begin_anew(&mut self, why: &str) -> Ended {
        self.etag = None;
        match self.part.restart().await {
            Ok(()) => broken(why, &"starting anew"),
            Err(problem) => Ended::Refused(problem),
        }
    }
}

/// A client with its own timeouts; the cryptography is the one that this program carries.
fn client(url: &Url, patience: &Patience) -> Result<Client, Problem> {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // An error says that another part of the program has installed one, which serves as well.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
    });
    let redirects = redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > limits::REDIRECTS {
            attempt.error("too many redirects")
        } else if allowed(attempt.url()) {
            attempt.follow()
        } else {
            attempt.error("redirected to an address that is not https")
        }
    });
    let mut builder = Client::builder()
        .user_agent(concat!("encaje/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits::CONNECT_TIME)
        .read_timeout(patience.stall)
        .redirect(redirects);
    if url.scheme() == "http" {
        // It is this machine, which no proxy can reach.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        let words =
            "No HTTPS client could be made; are the system's root certificates (package `ca-certificates`) installed?";
        Problem::new(ProblemKind::Misconfigured, words).with_detail(format_args!("{error:?}"))
    })
}

/// HTTPS from anywhere, HTTP from this machine.
fn allowed(url: &Url) -> bool {
    let local = match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let address = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<std::net::IpAddr>();
            address.is_ok_and(|address| address.is_loopback())
        }
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && local)
}

fn failed_to_send(error: &reqwest::Error) -> Ended {
    if error.is_redirect() || error.is_builder() {
        let words = "The other end redirects to an address that is not allowed, or too often.";
        return Ended::Refused(Problem::new(ProblemKind::Unavailable, words).with_detail(format_args!("{error:?}")));
    }
    broken(
        if error.is_timeout() {
            "The other end did not answer in time."
        } else {
            "The other end cannot be reached."
        },
        error,
    )
}

fn broken(words: &str, detail: &dyn std::fmt::Debug) -> Ended {
    Ended::Broken(
        Problem::new(ProblemKind::Unavailable, words).with_detail(format_args!("{detail:?}")),
        None,
    )
}

fn refused(status: StatusCode, response: &Response) -> Ended {
    let mut problem = Problem::new(ProblemKind::Unavailable, format!("The other end answered {status}."));
    problem.upstream_status = Some(status.as_u16());
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => problem.kind = ProblemKind::NotFound,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => problem.kind = ProblemKind::Denied,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            return Ended::Broken(problem, retry_after(response));
        }
        _ if status.is_server_error() => return Ended::Broken(problem, retry_after(response)),
        _ => {}
    }
    Ended::Refused(problem)
}

fn retry_after(response: &Response) -> Option<Duration> {
    response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// `bytes 5-9/10`: the start, and the total unless it is `*`.
fn range(response: &Response) -> Option<(u64, Option<u64>)> {
    let text = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (span, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = span.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// `bytes */10`.
fn unsatisfied_total(response: &Response) -> Option<u64> {
    response
        .headers()
        .get(CONTENT_RANGE)?
        .to_str()
        .ok()?
        .strip_prefix("bytes */")?
        .trim()
        .parse()
        .ok()
}

fn too_large(cap: u64) -> Problem {
    Problem::new(
        ProblemKind::TooLarge,
        format!("The file is larger than the {cap} bytes that were expected at most."),
    )
}

fn not_allowed(words: String) -> Problem {
    Problem::invalid("url", words)
}
