//! Server-sent events, as the HTML standard defines them, line by line: how most upstreams stream.
//!
//! What the data means is the caller's business, `[DONE]` too. An event that the end of the stream cuts off, before its empty
//! line, is not told: nobody knows whether it is whole.

use std::collections::VecDeque;

use crate::errors::Problem;
use crate::http::{self, Answer};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its name; empty where it has none, which means `message`.
    pub name: String,
    /// Its data; the lines of it joined by line feeds.
    pub data: String,
    /// The id that came last, with this event or one before; empty where none did.
    pub id: String,
}

/// Lines in, events out. Takes lines without their ends, as [`Answer::read_line`] gives them; a carriage return that is left
/// at or before the end is understood.
#[derive(Debug)]
pub struct Parser {
    max: usize,
    begun: bool,
    name: String,
    data: String,
    has_data: bool,
    id: String,
}

impl Parser {
    /// A parser at the beginning of a stream. Name, data and id of one event have at most `max` bytes together.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            begun: false,
            name: String::new(),
            data: String::new(),
            has_data: false,
            id: String::new(),
        }
    }

    /// Takes one line and returns what it completes: nothing or one event, or several where the line has carriage returns
    /// inside, which end lines too.
    ///
    /// # Errors
    /// `unavailable` for an event over the cap; the parser is of no use then.
    pub fn line(&mut self, line: &str) -> Result<Vec<Event>, Problem> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line = match self.begun {
            true => line,
            false => line.strip_prefix('\u{feff}').unwrap_or(line),
        };
        self.begun = true;
        let mut events = Vec::new();
        for line in line.split('\r') {
            if line.is_empty() {
                events.extend(self.dispatch());
            } else {
                self.field(line)?;
            }
        }
        Ok(events)
    }

    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        std::mem::take(&mut self.has_data).then(|| Event {
            name,
            data,
            id: self.id.clone(),
        })
    }

    fn field(&mut self, line: &str) -> Result<(), Problem> {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            // A comment, whose field is empty, the wait before a reconnection, and what nobody knows.
            _ => return Ok(()),
        }
        if self.name.len() + self.data.len() + self.id.len() <= self.max {
            return Ok(());
        }
        let message = format!("The upstream sent an event of more than {} bytes.", self.max);
        Err(Problem::unavailable(message).with_code("event_too_large"))
    }
}

/// The events of an answer, as they come.
#[derive(Debug)]
pub struct Events<A> {
    answer: A,
    parser: Parser,
    ready: VecDeque<Event>,
}

impl<A: Answer> Events<A> {
    /// Reads an answer's body as events of at most `max_event` bytes.
    pub fn new(answer: A, max_event: usize) -> Self {
        Self {
            answer,
            parser: Parser::new(max_event),
            ready: VecDeque::new(),
        }
    }

    /// Waits for the next event; `None` at the end of the body.
    ///
    /// # Errors
    /// `unavailable` for an event or a line that is too long; whatever keeps the rest from coming.
    #[allow(clippy::should_implement_trait, reason = "an iterator would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Event>, Problem> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.answer.read_line().map_err(http::sent_too_much)? {
                Some(line) => self.ready.extend(self.parser.line(&line)?),
                None => return Ok(None),
            }
        }
    }

    /// Reads on to the end, at most so many lines, and throws away what comes: a connection whose answer was read to its end
    /// can be used again.
    pub fn drain(&mut self, max_lines: usize) {
        for _ in 0..max_lines {
            if !matches!(self.answer.read_line(), Ok(Some(_))) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Event, Events, Parser, Problem};
    use crate::errors::ProblemKind;
    use proptest::prelude::*;

    /// Lines as the host reads them: up to each line feed, which is taken off, a carriage return before it too or not.
    fn lines(text: &str, keep_returns: bool) -> Vec<String> {
        let pieces = text.split_inclusive('\n');
        let bare = |piece: &str| match piece.strip_suffix('\n') {
            Some(line) if !keep_returns => line.strip_suffix('\r').unwrap_or(line).to_owned(),
            Some(line) => line.to_owned(),
            None => piece.to_owned(),
        };
        pieces.map(bare).collect()
    }

    fn parse(text: &str) -> Vec<Event> {
        let mut parser = Parser::new(1 << 20);
        lines(text, true)
            .iter()
            .flat_map(|line| parser.line(line).unwrap())
            .collect()
    }

    fn data(text: &str) -> Vec<String> {
        parse(text).into_iter().map(|event| event.data).collect()
    }

    #[test]
    fn data_over_several_lines_is_one_event() {
        assert_eq!(data("data: a\ndata:b\ndata\ndata:  c\n\n"), ["a\nb\n\n c"]);
    }

    #[test]
    fn comments_and_unknown_fields_are_passed_over() {
        assert_eq!(data(": keep-alive\n\nretry: 10\nfoo: x\n:data: no\ndata: a\n\n"), ["a"]);
    }

    #[test]
    fn an_event_without_data_is_none_and_its_name_is_forgotten() {
        let events = parse("event: ping\n\ndata: a\n\n");
        assert_eq!(events.len(), 1);
        assert_eq!(events.first().map(|event| event.name.as_str()), Some(""));
    }

    #[test]
    fn names_and_ids_are_told_and_ids_stay() {
        let events = parse("id: 7\nevent: delta\ndata: a\n\ndata: b\n\nid: x\0y\ndata: c\n\n");
        let told: Vec<_> = events
            .iter()
            .map(|event| (event.name.as_str(), event.id.as_str()))
            .collect();
        assert_eq!(told, [("delta", "7"), ("", "7"), ("", "7")]);
    }

    #[test]
    fn every_end_of_line_counts_once() {
        assert_eq!(data("data: a\r\ndata: b\r\n\r\n"), ["a\nb"]);
        assert_eq!(data("data: a\rdata: b\r\rdata: c\r\r\n"), ["a\nb", "c"]);
    }

    #[test]
    fn a_byte_order_mark_is_part_of_no_field_at_the_beginning_alone() {
        assert_eq!(data("\u{feff}data: a\n\n"), ["a"]);
        assert!(
            data("data: a\n\u{feff}data: b\n\n")
                .first()
                .is_some_and(|data| data == "a")
        );
    }

    #[test]
    fn what_the_end_cuts_off_is_not_told_and_done_is_the_callers() {
        assert_eq!(data("data: [DONE]\n\ndata: half\n"), ["[DONE]"]);
    }

    #[test]
    fn an_event_over_the_cap_is_the_upstreams_fault() {
        let mut parser = Parser::new(8);
        assert!(parser.line("data: 12345678").unwrap().is_empty());
        let problem = parser.line("data: 9").unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unavailable));
        assert_eq!(problem.code.as_deref(), Some("event_too_large"));
    }

    struct Lines(Vec<Result<String, Problem>>);

    impl Answer for Lines {
        fn status(&self) -> u16 {
            200
        }

        fn headers(&self) -> Vec<(String, String)> {
            Vec::new()
        }

        fn read(&mut self, _: u32) -> Result<Option<Vec<u8>>, Problem> {
            Ok(None)
        }

        fn read_line(&mut self) -> Result<Option<String>, Problem> {
            if self.0.is_empty() {
                Ok(None)
            } else {
                self.0.remove(0).map(Some)
            }
        }
    }

    #[test]
    fn a_line_over_the_hosts_cap_is_the_upstreams_fault_too() {
        let mut events = Events::new(Lines(vec![Err(Problem::too_large("a line has at most 9 bytes"))]), 100);
        let problem = events.next().unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unavailable), "{problem:?}");
        assert!(problem.message.ends_with("a line has at most 9 bytes"));
    }

    #[test]
    fn draining_stops_after_so_many_lines() {
        let line = |text: &str| Ok(text.to_owned());
        let mut events = Events::new(
            Lines(vec![line("data: a"), line(""), line("b"), line("c"), line("d")]),
            100,
        );
        assert_eq!(events.next().unwrap().map(|event| event.data).as_deref(), Some("a"));
        events.drain(2);
        assert_eq!(events.answer.0.len(), 1);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_whatever_the_ends_of_lines(
            events in proptest::collection::vec(("[a-z]{0,4}", proptest::collection::vec("[^\r\n]{0,12}", 1..4)), 0..8),
            ends in proptest::collection::vec(0_usize..3, 64),
            comment in "[^\r\n]{0,8}",
            mark in any::<bool>(),
            keep_returns in any::<bool>(),
        ) {
            // Where the host takes carriage returns off, one before them that ends a line of its own cannot be told apart.
            let kinds = if keep_returns { 3 } else { 2 };
            let mut ends = ends.iter().map(|end| ["\n", "\r\n", "\r"].get(*end % kinds).copied().unwrap_or("\n")).cycle();
            let mut text = if mark { "\u{feff}".to_owned() } else { String::new() };
            let mut line = |text: &mut String, field: &str, value: &str| {
                text.push_str(field);
                text.push_str(value);
                text.push_str(ends.next().unwrap_or("\n"));
            };
            let mut expected = Vec::new();
            for (name, data) in &events {
                line(&mut text, ":", &comment);
                if !name.is_empty() {
                    line(&mut text, "event: ", name);
                }
                for data in data {
                    line(&mut text, "data: ", data);
                }
                // Behind a carriage return, a line feed alone would be the second half of one end, not an end of its own.
                text.push_str(if text.ends_with('\r') { "\r\n" } else { "\n" });
                expected.push(Event { name: name.clone(), data: data.join("\n"), id: String::new() });
            }
            let mut parser = Parser::new(1 << 20);
            let mut read = Vec::new();
            for line in lines(&text, keep_returns) {
                read.extend(parser.line(&line).unwrap());
            }
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_text_is_read_within_the_cap(text in "(data|event|id|:|\r|\n|[ -~]|é|\u{feff}){0,64}", max in 0_usize..32) {
            let mut parser = Parser::new(max);
            for line in lines(&text, true) {
                let Ok(events) = parser.line(&line) else { break };
                for event in events {
                    prop_assert!(event.name.len() + event.data.len() + event.id.len() <= max);
                }
            }
        }
    }
}
