//! An upstream's stream from its bytes to what a plugin reads of them: the host's lines, the SDK's events and lines of
//! JSON, and the provider's chunks. However the same bytes were cut on their way, the same comes out.
//!
//! The first line of an input says where the cuts are, a character for each piece, again from the beginning at its end:
//! a space is a piece of nothing, `!` of one byte, and so on. A first line that begins with `~` makes all caps small.

use std::cell::Cell;

use encaje_sdk::chat::{ChatEvent, ChatRequest, Chunk, Input, Message, Part, PartBody, ResponseFormat, Role, Sampling};
use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::http::{Answer, Request, Transport};
use encaje_sdk::ndjson::{LineError, Lines};
use encaje_sdk::sse::{Event, Events};

/// How the host finds lines, as it stands in its egress, which itself stands on an HTTP client.
#[path = "../../host/capabilities/src/egress/unread.rs"]
mod unread;

use unread::{LineTooLong, Unread};

/// Bytes of a line and of an event.
#[derive(Clone, Copy)]
struct Caps {
    line: usize,
    event: usize,
}

const LARGE: Caps = Caps {
    line: 1 << 20,
    event: 1 << 20,
};
const SMALL: Caps = Caps { line: 48, event: 24 };

/// Choices that the provider asks for.
const CHOICES: u32 = 2;

/// Any bytes.
///
/// # Panics
/// Where a property does not hold.
pub fn holds(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (cuts, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let caps = if cuts.first() == Some(&b'~') { SMALL } else { LARGE };
    let cut = pieces(cuts, body);
    assert_eq!(cut.concat(), body);
    let whole = vec![body.to_vec()];
    let single: Vec<Vec<u8>> = body.iter().map(|byte| vec![*byte]).collect();
    let events = events(&whole, caps);
    let rows = rows(&whole, caps.line);
    let said = said(&whole, caps);
    for pieces in [&cut, &single] {
        assert_eq!(self::events(pieces, caps), events, "events depend on the cuts");
        assert_eq!(self::rows(pieces, caps.line), rows, "lines of JSON depend on the cuts");
        assert_eq!(self::said(pieces, caps), said, "the answer depends on the cuts");
    }
    within(&events, caps);
    standard(body, &events);
    all_rows(body, caps.line, rows);
    contract(&said);
}

fn pieces(cuts: &[u8], body: &[u8]) -> Vec<Vec<u8>> {
    let lengths: Vec<usize> = cuts.iter().map(|cut| usize::from(cut & 0x1f)).collect();
    // Pieces of nothing alone would never end.
    if lengths.iter().all(|length| *length == 0) {
        return vec![body.to_vec()];
    }
    let (mut rest, mut pieces) = (body, Vec::new());
    for length in lengths.into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        pieces.push(piece.to_vec());
        rest = behind;
    }
    pieces
}

/// An answer of a body in pieces, read line by line as the host does it.
#[derive(Debug)]
struct Upstream {
    pieces: std::vec::IntoIter<Vec<u8>>,
    unread: Unread,
    most: usize,
}

impl Upstream {
    fn new(pieces: Vec<Vec<u8>>, caps: Caps) -> Self {
        Self {
            pieces: pieces.into_iter(),
            unread: Unread::default(),
            most: caps.line,
        }
    }
}

impl Answer for Upstream {
    fn status(&self) -> u16 {
        200
    }

    fn headers(&self) -> Vec<(String, String)> {
        vec![("content-type".to_owned(), "text/event-stream".to_owned())]
    }

    fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Problem> {
        loop {
            if !self.unread.is_empty() {
                return Ok(Some(self.unread.bytes(usize::try_from(max).unwrap_or(usize::MAX))));
            }
            let Some(piece) = self.pieces.next() else {
                return Ok(None);
            };
            self.unread.room().extend(piece);
        }
    }

    fn read_line(&mut self) -> Result<Option<String>, Problem> {
        loop {
            match self.unread.line(self.most) {
                Ok(Some(line)) => return Ok(Some(line)),
                Ok(None) => {}
                Err(LineTooLong) => return Err(Problem::too_large("a line is too long")),
            }
            let Some(piece) = self.pieces.next() else {
                return Ok(self.unread.last_line());
            };
            self.unread.room().extend(piece);
        }
    }
}

/// The events before the end or a failure, and the failure.
type Read = (Vec<Event>, Option<String>);

fn events(pieces: &[Vec<u8>], caps: Caps) -> Read {
    let mut events = Events::new(Upstream::new(pieces.to_vec(), caps), caps.event);
    let mut read = Vec::new();
    loop {
        match events.next() {
            Ok(Some(event)) => read.push(event),
            Ok(None) => return (read, None),
            Err(problem) => {
                assert!(matches!(problem.kind, ProblemKind::Unavailable), "{problem:?}");
                return (read, Some(problem.message));
            }
        }
    }
}

fn within((events, _): &Read, caps: Caps) {
    for event in events {
        assert!(
            event.name.len() + event.data.len() + event.id.len() <= caps.event,
            "{event:?}"
        );
        assert!(
            !event.name.contains(['\n', '\r']) && !event.id.contains(['\n', '\r', '\0']),
            "{event:?}"
        );
        assert!(!event.data.contains('\r'), "{event:?}");
    }
}

/// What the HTML standard says of a whole stream.
fn standard(body: &[u8], (events, failed): &Read) {
    let text = String::from_utf8_lossy(body);
    // Behind the host's lines, a return before a return and a feed cannot be told from a part of that end.
    if failed.is_some() || text.contains("\r\r\n") || text.ends_with("\r\r") {
        return;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    // Behind the last end stands no further line.
    lines.pop();
    let (mut name, mut data, mut id) = (String::new(), Vec::new(), String::new());
    let mut expected = Vec::new();
    for line in lines {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            _ if line.is_empty() => {
                let (name, data) = (std::mem::take(&mut name), std::mem::take(&mut data));
                if !data.is_empty() {
                    let (data, id) = (data.join("\n"), id.clone());
                    expected.push(Event { name, data, id });
                }
            }
            "data" => data.push(value),
            "event" => value.clone_into(&mut name),
            "id" if !value.contains('\0') => value.clone_into(&mut id),
            _ => {}
        }
    }
    assert_eq!(*events, expected, "not as the standard reads it");
}

fn rows(pieces: &[Vec<u8>], most: usize) -> Result<Vec<String>, LineError> {
    let mut lines = Lines::new(most);
    let mut rows = Vec::new();
    for piece in pieces {
        rows.extend(lines.push(piece)?);
    }
    rows.extend(lines.finish()?);
    Ok(rows)
}

/// What lines there are, read the plain way.
fn all_rows(body: &[u8], most: usize, rows: Result<Vec<String>, LineError>) {
    let read = |line: &[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > most {
            return Err(LineError::TooLong { limit: most });
        }
        String::from_utf8(line.to_vec()).map_err(|_| LineError::NotUtf8)
    };
    let all: Result<Vec<String>, LineError> = body.split(|byte| *byte == b'\n').map(read).collect();
    let told = all.map(|all| all.into_iter().filter(|line| !line.trim().is_empty()).collect());
    assert_eq!(rows, told);
}

/// Answers once.
struct Once(Cell<Option<Upstream>>);

impl Transport for Once {
    type Answer = Upstream;

    fn send(&self, _: &Request) -> Result<Upstream, Problem> {
        self.0.take().ok_or_else(|| Problem::internal("it was asked twice"))
    }
}

/// The chunks before the end or a failure, and the failure.
fn said(pieces: &[Vec<u8>], caps: Caps) -> (Vec<String>, Vec<Told>, Option<String>) {
    let transport = Once(Cell::new(Some(Upstream::new(pieces.to_vec(), caps))));
    let mut completion = encaje_fuzz_openai::start(&transport, &request()).expect("the head of the answer is good");
    let (mut shown, mut told) = (Vec::new(), Vec::new());
    loop {
        match completion.next() {
            Ok(Some(chunks)) => {
                assert!(!chunks.is_empty(), "an empty answer costs a crossing");
                shown.extend(chunks.iter().map(|chunk| format!("{chunk:?}")));
                told.extend(chunks.iter().map(Told::of));
            }
            Ok(None) => {
                assert!(matches!(completion.next(), Ok(None)), "the end does not stay the end");
                return (shown, told, None);
            }
            Err(problem) => {
                let bytes = problem.message.len();
                assert!(bytes <= encaje_fuzz_openai::PROBLEM_BYTES, "a message of {bytes} bytes");
                crate::told::plain(&problem.message);
                return (shown, told, Some(format!("{problem:?}")));
            }
        }
    }
}

/// What the contract asks of a chunk.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Said(u32),
    Finish(u32),
    Usage,
}

impl Told {
    fn of(chunk: &Chunk) -> Self {
        match &chunk.event {
            ChatEvent::Finish(_) => Self::Finish(chunk.choice),
            ChatEvent::Usage(_) => Self::Usage,
            _ => Self::Said(chunk.choice),
        }
    }
}

/// Choices that were asked for; each ends once, with nothing of it behind; the tokens once, last.
fn contract((_, told, failed): &(Vec<String>, Vec<Told>, Option<String>)) {
    let mut ended = [false; CHOICES as usize];
    for (place, each) in told.iter().enumerate() {
        match each {
            Told::Said(choice) => assert!(!ended[*choice as usize], "choice {choice} goes on behind its end"),
            Told::Finish(choice) => {
                let again = std::mem::replace(&mut ended[*choice as usize], true);
                assert!(!again, "choice {choice} ends twice");
            }
            Told::Usage => assert_eq!(place + 1, told.len(), "something comes behind the tokens"),
        }
    }
    assert!(
        failed.is_some() || ended.iter().all(|ended| *ended),
        "a choice has no end"
    );
}

fn request() -> ChatRequest {
    let body = PartBody::Text("hello".to_owned());
    let part = Part {
        body,
        extra: Vec::new(),
    };
    let message = Message {
        role: Role::User,
        content: vec![part],
        name: None,
        tool_call_id: None,
        is_error: false,
        extra: Vec::new(),
    };
    ChatRequest {
        model: "m".to_owned(),
        input: Input::Messages(vec![message]),
        sampling: Sampling {
            temperature: None,
            top_p: None,
            top_k: None,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            repetition_penalty: None,
            logit_bias: Vec::new(),
            seed: None,
            stop: Vec::new(),
            max_tokens: None,
            choices: CHOICES,
            logprobs: None,
        },
        tools: Vec::new(),
        tool_choice: None,
        parallel_tool_calls: None,
        response_format: ResponseFormat::Text,
        reasoning_effort: None,
        extra: Vec::new(),
    }
}
