//! Requests, and an upstream made up in memory, for the unit tests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use encaje_sdk::chat::{ChatRequest, Input, Message, Part, PartBody, ResponseFormat, Role, Sampling, Tool};
use encaje_sdk::errors::Problem;
use encaje_sdk::http::{Answer, Request, Transport};

use crate::client::{Client, Origin};
use crate::config::Config;

/// A piece without extras.
pub(crate) fn part(body: PartBody) -> Part {
    Part {
        body,
        extra: Vec::new(),
    }
}

/// A message without extras.
pub(crate) fn message(role: Role, content: Vec<Part>) -> Message {
    Message {
        role,
        content,
        name: None,
        tool_call_id: None,
        is_error: false,
        extra: Vec::new(),
    }
}

/// A request of one user message, everything else at its default.
pub(crate) fn request(text: &str) -> ChatRequest {
    ChatRequest {
        model: "m".to_owned(),
        input: Input::Messages(vec![message(Role::User, vec![part(PartBody::Text(text.to_owned()))])]),
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
            choices: 1,
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

/// A tool without arguments.
pub(crate) fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: r#"{"type":"object"}"#.to_owned(),
        strict: false,
        extra: Vec::new(),
    }
}

/// The configuration with its defaults, and what `json` says beside them.
pub(crate) fn config(json: &str) -> Config {
    let mut merged: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap();
    merged
        .entry("base_url")
        .or_insert_with(|| "https://u.example/v1".into());
    let merged = serde_json::Value::from(merged).to_string();
    encaje_sdk::parse_config::<Config>(&merged)
        .and_then(Config::checked)
        .unwrap()
}

/// What the upstream answers.
#[derive(Debug, Clone)]
pub(crate) struct Canned {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What happens at the end of the body, instead of its end.
    pub(crate) broken: Option<Problem>,
}

impl Canned {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self {
            status,
            headers,
            body: body.into(),
            broken: None,
        }
    }

    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::new(status, "application/json", body)
    }

    /// A stream of these events, `[DONE]` behind them.
    pub(crate) fn stream(events: &[&str]) -> Self {
        let events: String = events
            .iter()
            .chain(&["[DONE]"])
            .map(|event| format!("data: {event}\n\n"))
            .collect();
        Self::new(200, "text/event-stream; charset=utf-8", events)
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn broken_by(mut self, problem: Problem) -> Self {
        self.broken = Some(problem);
        self
    }
}

/// An upstream made up in memory: it notes what it was asked and how much of its answers was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fake {
    pub(crate) answers: Rc<RefCell<VecDeque<Result<Canned, Problem>>>>,
    pub(crate) asked: Rc<RefCell<Vec<Request>>>,
    /// Answers that were read to their end, and answers that were dropped.
    pub(crate) ended: Rc<RefCell<(usize, usize)>>,
}

impl Fake {
    pub(crate) fn of(answer: Canned) -> Self {
        Self::default().then(Ok(answer))
    }

    pub(crate) fn then(self, answer: Result<Canned, Problem>) -> Self {
        self.answers.borrow_mut().push_back(answer);
        self
    }

    pub(crate) fn client<'a>(&'a self, config: &'a Config) -> Client<'a, Self> {
        let origin = Origin {
            traceparent: Some("00-trace-span-01".to_owned()),
            idempotency_key: Some("once".to_owned()),
        };
        Client {
            transport: self,
            config,
            origin,
        }
    }

    /// The body of the last request.
    pub(crate) fn body(&self) -> serde_json::Value {
        serde_json::from_slice(&self.asked.borrow().last().unwrap().body).unwrap()
    }
}

pub(crate) struct FakeAnswer {
    canned: Canned,
    at: usize,
    ended: Rc<RefCell<(usize, usize)>>,
}

impl Transport for Fake {
    type Answer = FakeAnswer;

    fn send(&self, request: &Request) -> Result<FakeAnswer, Problem> {
        self.asked.borrow_mut().push(request.clone());
        let canned = self
            .answers
            .borrow_mut()
            .pop_front()
            .expect("an answer for each request")?;
        Ok(FakeAnswer {
            canned,
            at: 0,
            ended: Rc::clone(&self.ended),
        })
    }
}

impl FakeAnswer {
    fn end<T>(&mut self) -> Result<Option<T>, Problem> {
        if let Some(problem) = &self.canned.broken {
            return Err(problem.clone());
        }
        self.ended.borrow_mut().0 += 1;
        Ok(None)
    }
}

impl Answer for FakeAnswer {
    fn status(&self) -> u16 {
        self.canned.status
    }

    fn headers(&self) -> Vec<(String, String)> {
        self.canned.headers.clone()
    }

    fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Problem> {
        let rest = &self.canned.body[self.at..];
        if rest.is_empty() {
            return self.end();
        }
        // Small pieces, so that nothing depends on how the network cuts.
        let piece = rest[..rest.len().min(7).min(max as usize)].to_vec();
        self.at += piece.len();
        Ok(Some(piece))
    }

    fn read_line(&mut self) -> Result<Option<String>, Problem> {
        let rest = &self.canned.body[self.at..];
        if rest.is_empty() {
            return self.end();
        }
        let line = rest.split(|byte| *byte == b'\n').next().unwrap().to_vec();
        self.at = (self.at + line.len() + 1).min(self.canned.body.len());
        Ok(Some(String::from_utf8(line).unwrap()))
    }
}

impl Drop for FakeAnswer {
    fn drop(&mut self) {
        self.ended.borrow_mut().1 += 1;
    }
}
