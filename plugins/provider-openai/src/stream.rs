//! An answer as it comes: pulls events, hands their data to `answer.rs`, and says when it is over. Dropping it drops the
//! response, which ends the request.

use encaje_sdk::chat::{ChatRequest, Chunk};
use encaje_sdk::errors::Problem;
use encaje_sdk::http::{Answer, Transport};
use encaje_sdk::provider::Completion;
use encaje_sdk::sse::Events;

use crate::answer::Answering;
use crate::client::Client;
use crate::error;
use crate::limits::MAX_TRAILING_LINES;
use crate::request::{self, Purpose};

/// Asks the upstream; returns once the head of its answer is known to be good.
pub(crate) fn start<T: Transport>(client: &Client<'_, T>, request: &ChatRequest) -> Result<Stream<T::Answer>, Problem> {
    let written = request::write(request, client.config, Purpose::Answer)?;
    let events = client.stream(written.path, written.body)?;
    Ok(Stream {
        events: Some(events),
        answering: Answering::new(request.sampling.choices, written.is_completion),
        ended: false,
    })
}

/// An answer under way.
pub(crate) struct Stream<A> {
    /// Absent when nothing is to be read any more.
    events: Option<Events<A>>,
    answering: Answering,
    /// `[DONE]` came.
    ended: bool,
}

impl<A: Answer> Stream<A> {
    /// Waits for the next event and returns what it says, which may be nothing.
    fn step(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        let Some(events) = &mut self.events else {
            return Ok(None);
        };
        if self.ended {
            // A connection whose answer was read to its end can be used again.
            events.drain(MAX_TRAILING_LINES);
            self.events = None;
            return Ok(None);
        }
        match events.next() {
            Ok(Some(event)) if event.data.trim() == "[DONE]" => {
                self.ended = true;
                self.answering.end().map(Some)
            }
            Ok(Some(event)) if event.name == "error" => Err(error::in_stream(&event.data)),
            Ok(Some(event)) => self.answering.event(&event.data).map(Some),
            // Some upstreams say nothing behind the last chunk.
            Ok(None) => {
                self.events = None;
                self.answering.end().map(Some)
            }
            // All was said; how the connection ends takes nothing away from it.
            Err(_) if self.answering.is_whole() => {
                self.events = None;
                self.answering.end().map(Some)
            }
            Err(problem) => Err(problem),
        }
    }
}

impl<A: Answer + 'static> Completion for Stream<A> {
    fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        loop {
            match self.step() {
                // Waiting here costs nothing; an empty answer would cost the host a crossing.
                Ok(Some(said)) if said.is_empty() => {}
                Ok(said) => return Ok(said),
                Err(problem) => {
                    self.events = None;
                    return Err(problem);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
