//! An answer whose head has come, and its body piece by piece or line by line, within its time and size.
//!
//! It interprets nothing: no compression, no character set, no events.

use std::fmt;
use std::sync::Arc;

use encaje_core::{Problem, ProblemKind};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::scrub::Scrubber;
use super::unread::{LineTooLong, Unread};
use super::{Clock, Inner, Traffic, count, failure, headers};
use crate::limits;

/// An answer whose head has come. Dropping it closes the connection, unless the body has been read to its end.
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    /// The body under way; `None` once it has ended or failed.
    live: Option<Live>,
    /// What every further read ends with.
    failed: Option<Problem>,
    unread: Unread,
    /// Bytes of the body so far.
    received: u64,
    scrubber: Scrubber,
    clock: Clock,
    egress: Arc<Inner>,
    traffic: Arc<Traffic>,
}

/// What is given back when the body has ended: the connection, and the right to have one.
struct Live {
    response: reqwest::Response,
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Response {
    pub(super) fn new(
        response: reqwest::Response,
        permit: OwnedSemaphorePermit,
        clock: Clock,
        egress: Arc<Inner>,
        traffic: Arc<Traffic>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            status: response.status().as_u16(),
            headers: headers::of_upstream(response.headers(), &egress.policy.patterns)?,
            live: Some(Live {
                response,
                _permit: permit,
            }),
            failed: None,
            unread: Unread::default(),
            received: 0,
            scrubber: Scrubber::default(),
            clock,
            egress,
            traffic,
        })
    }

    /// Moves the end of the answer, within its own limits: whoever asked for it may have been kept waiting meanwhile.
    pub fn until(&mut self, end: Instant) {
        self.clock.until(end);
    }

    /// The status, whatever it is.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Names in lower case and values, in order; what is not UTF-8 is replaced, and secrets are `***`.
    pub fn headers(&self) -> Vec<(String, String)> {
        self.headers.clone()
    }

    /// Waits for some bytes, at most `max` and at most [`limits::READ_BYTES`]; `None` at the end.
    ///
    /// # Errors
    /// `InvalidRequest` for a `max` of 0; `Unavailable` when the other end breaks off; `TooLarge` over
    /// [`limits::RESPONSE_BYTES`]; `Timeout` after the request's total time. Every further call ends alike.
    pub async fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Problem> {
        if max == 0 {
            return Err(Problem::invalid("max", "At least one byte must be asked for."));
        }
        while self.unread.is_empty() {
            if !self.fill().await? {
                return Ok(None);
            }
        }
        let wanted = usize::try_from(max).unwrap_or(usize::MAX).min(limits::READ_BYTES);
        Ok(Some(self.unread.bytes(wanted)))
    }

    /// Waits for one line, which is returned without its `\n` or `\r\n`; what is not UTF-8 is replaced. The last line may
    /// lack its end. `None` at the end.
    ///
    /// # Errors
    /// `TooLarge` for a line over [`limits::LINE_BYTES`], else as in [`Self::read`].
    pub async fn read_line(&mut self) -> Result<Option<String>, Problem> {
        let most = self.egress.caps.line_bytes;
        loop {
            match self.unread.line(most) {
                Ok(Some(line)) => return Ok(Some(line)),
                Ok(None) => {}
                Err(LineTooLong) => {
                    let words = format!("A line of the answer has more than {most} bytes.");
                    return Err(self.fail(Problem::new(ProblemKind::TooLarge, words)));
                }
            }
            if !self.fill().await? {
                return Ok(self.unread.last_line());
            }
        }
    }

    /// Waits for a further piece; false when the body has ended and all of it stands in `unread`.
    async fn fill(&mut self) -> Result<bool, Problem> {
        if let Some(problem) = &self.failed {
            return Err(problem.clone());
        }
        let Some(live) = &mut self.live else {
            return Ok(false);
        };
        // A piece that is there already would win over the deadline, again and again.
        if Instant::now() >= self.clock.end {
            return Err(self.fail(self.clock.over()));
        }
        let piece = match timeout_at(self.clock.end, live.response.chunk()).await {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => {
                let problem = failure::broken(error, &self.egress.policy);
                return Err(self.fail(problem));
            }
            Err(_) => return Err(self.fail(self.clock.over())),
        };
        let patterns = &self.egress.policy.patterns;
        let Some(piece) = piece else {
            self.live = None;
            self.scrubber.finish(patterns, self.unread.room());
            return Ok(true);
        };
        let bytes = piece.len() as u64;
        self.received = self.received.saturating_add(bytes);
        count(&self.egress.traffic.received, &self.traffic.received, bytes);
        if self.received > self.egress.caps.response_bytes {
            let words = format!("The answer has more than {} bytes.", self.egress.caps.response_bytes);
            return Err(self.fail(Problem::new(ProblemKind::TooLarge, words)));
        }
        self.scrubber.push(patterns, &piece, self.unread.room());
        Ok(true)
    }

    /// Ends the answer: the connection is closed, and what was held back is forgotten.
    fn fail(&mut self, problem: Problem) -> Problem {
        self.live = None;
        self.unread = Unread::default();
        self.failed = Some(problem.clone());
        problem
    }
}
