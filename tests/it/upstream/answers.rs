//! What the upstream says where it does as it should: chats, completions, embeddings and models, deterministic, in the
//! shapes that OpenAI documents, and the refusals that a request earns by itself.

use serde_json::{Map, Value, json};

use super::Asked;
use super::behaviour::Refusal;
use super::encode::base64;

const CREATED: u64 = 1_700_000_000;
/// Length of a vector where the request does not say.
const DIMENSIONS: u64 = 8;

/// Every parameter of `POST /v1/chat/completions` that this upstream knows; another one is refused, as OpenAI does.
const CHAT: [&str; 33] = [
    "audio",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
const COMPLETIONS: [&str; 18] = [
    "best_of",
    "echo",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "model",
    "n",
    "presence_penalty",
    "prompt",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "suffix",
    "temperature",
    "top_p",
    "user",
];
const EMBEDDINGS: [&str; 5] = ["dimensions", "encoding_format", "input", "model", "user"];

/// What is said.
#[derive(Debug, Clone)]
pub enum Answer {
    /// As one object.
    Whole(Value),
    /// As events, before `[DONE]`.
    Events(Vec<Value>),
}

impl Answer {
    /// The same without a count of tokens.
    pub fn without_usage(self) -> Self {
        match self {
            Self::Whole(mut body) => {
                body.as_object_mut().map(|body| body.remove("usage"));
                Self::Whole(body)
            }
            Self::Events(mut events) => {
                events.retain(|event| event["usage"].is_null());
                Self::Events(events)
            }
        }
    }

    /// The count in the last event that has a choice.
    pub fn with_usage_at_finish(self) -> Self {
        let Self::Events(mut events) = self else { return self };
        if let Some(usage) = events.pop_if(|event| !event["usage"].is_null())
            && let Some(last) = events.last_mut()
        {
            last["usage"] = usage["usage"].clone();
        }
        Self::Events(events)
    }
}

/// What a faithful upstream refuses a request with.
pub fn refusal(asked: &Asked, key: Option<&str>) -> Option<Refusal> {
    if key.is_some_and(|key| asked.header("authorization") != Some(&format!("Bearer {key}"))) {
        return Some(Refusal::of(401));
    }
    let path = asked.path.split('?').next().unwrap_or_default();
    let known: &[&str] = match (asked.method.as_str(), path) {
        ("GET", "/v1/models") => return None,
        ("POST", "/v1/chat/completions") => &CHAT,
        ("POST", "/v1/completions") => &COMPLETIONS,
        ("POST", "/v1/embeddings") => &EMBEDDINGS,
        _ => {
            let message = format!("Invalid URL ({} {path})", asked.method);
            return Some(
                Refusal::of(404)
                    .with("message", json!(message))
                    .with("code", Value::Null),
            );
        }
    };
    let body = asked.json();
    let Some(members) = body.as_object() else {
        return Some(Refusal::of(400).with("message", json!("We could not parse the JSON body of your request.")));
    };
    if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
        let message = format!("Unrecognized request argument supplied: {name}");
        return Some(
            Refusal::of(400)
                .with("message", json!(message))
                .with("code", json!("unknown_parameter")),
        );
    }
    if body["model"] == "missing" {
        return Some(Refusal::of(404));
    }
    if path == "/v1/chat/completions" && body["messages"].as_array().is_none_or(Vec::is_empty) {
        let refusal = Refusal::of(400).with("param", json!("messages"));
        return Some(refusal.with("message", json!("Missing required parameter: 'messages'.")));
    }
    None
}

/// What a request asks for.
pub fn answer(asked: &Asked) -> Answer {
    let body = asked.json();
    match asked.path.split('?').next().unwrap_or_default() {
        "/v1/models" => Answer::Whole(models()),
        "/v1/embeddings" => Answer::Whole(embeddings(&body)),
        "/v1/completions" => {
            let text = format!("echo: {}", text_of(&body["prompt"]));
            spoken(&body, &text, true)
        }
        _ => {
            let last = body["messages"].as_array().and_then(|messages| messages.last());
            let said = text_of(last.map_or(&Value::Null, |message| &message["content"]));
            let text = match body["response_format"]["type"].as_str() {
                Some("json_object" | "json_schema") => json!({"echo": said}).to_string(),
                _ => format!("echo: {said}"),
            };
            spoken(&body, &text, false)
        }
    }
}

/// A chat that says this, whatever it was asked.
pub fn saying(asked: &Asked, text: &str) -> Answer {
    spoken(&asked.json(), text, false)
}

fn models() -> Value {
    let model = |id: &str| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "upstream"});
    json!({"object": "list", "data": [model("tiny"), model("tiny-embed")]})
}

/// The texts of a content, a prompt or a list of ids.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let words = parts.iter().map(|part| match part["text"].as_str() {
                Some(text) => text.to_owned(),
                None => part["type"]
                    .as_str()
                    .map_or_else(|| part.to_string(), |kind| format!("[{kind}]")),
            });
            words.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

/// A token is a word with the space before it.
fn tokens(text: &str) -> Vec<&str> {
    let starts = text
        .char_indices()
        .filter(|(at, letter)| *at > 0 && *letter == ' ')
        .map(|(at, _)| at);
    let ends: Vec<usize> = starts.chain([text.len()]).collect();
    let mut from = 0;
    ends.into_iter()
        .map(|end| &text[std::mem::replace(&mut from, end)..end])
        .filter(|token| !token.is_empty())
        .collect()
}

/// The tool that must be called, if one must.
fn forced(body: &Value) -> Option<String> {
    let name = match &body["tool_choice"] {
        Value::String(word) if word == "required" => &body["tools"][0]["function"]["name"],
        Value::Object(choice) => choice.get("function")?.get("name")?,
        _ => return None,
    };
    name.as_str().map(str::to_owned)
}

struct Speech<'a> {
    body: &'a Value,
    text: &'a str,
    is_completion: bool,
    call: Option<String>,
}

/// Where an answer ends: before the first of the texts that are to stop it.
fn stopped<'t>(body: &Value, text: &'t str) -> &'t str {
    let stops = match &body["stop"] {
        Value::Array(stops) => stops.as_slice(),
        one => std::slice::from_ref(one),
    };
    let ends = stops
        .iter()
        .filter_map(Value::as_str)
        .filter_map(|stop| text.find(stop));
    ends.min().map_or(text, |end| &text[..end])
}

fn spoken(body: &Value, text: &str, is_completion: bool) -> Answer {
    let text = stopped(body, text);
    let call = forced(body).filter(|_| !is_completion);
    let speech = Speech {
        body,
        text,
        is_completion,
        call,
    };
    if body["stream"] == true {
        Answer::Events(speech.events())
    } else {
        Answer::Whole(speech.whole())
    }
}

impl Speech<'_> {
    fn choices(&self) -> u64 {
        self.body["n"].as_u64().unwrap_or(1)
    }

    /// The tokens that the limit leaves, and why it ended.
    fn said(&self) -> (Vec<&str>, &'static str) {
        if self.call.is_some() {
            return (Vec::new(), "tool_calls");
        }
        let mut said = tokens(self.text);
        let limit = self.body["max_completion_tokens"]
            .as_u64()
            .or(self.body["max_tokens"].as_u64());
        let limit = limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let reason = if said.len() > limit { "length" } else { "stop" };
        said.truncate(limit);
        (said, reason)
    }

    fn usage(&self) -> Value {
        let prompt = self.body["messages"].as_array().map_or_else(
            || tokens(&text_of(&self.body["prompt"])).len(),
            |messages| {
                messages
                    .iter()
                    .map(|message| tokens(&text_of(&message["content"])).len() + 3)
                    .sum()
            },
        );
        let each = if self.call.is_some() { 5 } else { self.said().0.len() };
        let completion = each as u64 * self.choices();
        json!({
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt as u64 + completion,
            "prompt_tokens_details": {"cached_tokens": prompt / 2, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
                                          "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        })
    }

    /// In the shape of the wire that was asked; null where none were.
    fn logprobs(&self, tokens: &[&str]) -> Value {
        if self.is_completion {
            let Some(top) = self.body["logprobs"].as_u64() else {
                return Value::Null;
            };
            let rivals = |token: &str| if top > 0 { json!({token: -0.5}) } else { Value::Null };
            return json!({
                "tokens": tokens, "token_logprobs": vec![-0.5; tokens.len()],
                "top_logprobs": tokens.iter().map(|token| rivals(token)).collect::<Vec<_>>(),
                "text_offset": vec![0; tokens.len()],
            });
        }
        if self.body["logprobs"] != true {
            return Value::Null;
        }
        let top = self.body["top_logprobs"].as_u64().unwrap_or(0);
        let one = |token: &str| json!({"token": token, "logprob": -0.5, "bytes": token.as_bytes()});
        let content = tokens.iter().map(|token| {
            let mut each = one(token);
            each["top_logprobs"] = (0..top).map(|_| one(token)).collect();
            each
        });
        json!({"content": content.collect::<Vec<_>>(), "refusal": null})
    }

    fn envelope(&self, object: &str, choices: Value) -> Value {
        let id = if self.is_completion {
            "cmpl-test"
        } else {
            "chatcmpl-test"
        };
        json!({"id": id, "object": object, "created": CREATED, "model": self.body["model"],
               "system_fingerprint": "fp_test", "choices": choices})
    }

    fn tool_call(&self, name: &str) -> Value {
        json!({"id": "call_test", "type": "function", "function": {"name": name, "arguments": "{\"city\":\"Oslo\"}"}})
    }

    fn whole(&self) -> Value {
        let (said, reason) = self.said();
        let choice = |index: u64| {
            let mut choice = json!({"index": index, "finish_reason": reason, "logprobs": self.logprobs(&said)});
            if self.is_completion {
                choice["text"] = json!(said.concat());
                return choice;
            }
            let mut message =
                json!({"role": "assistant", "content": said.concat(), "refusal": null, "annotations": []});
            if let Some(name) = &self.call {
                message["content"] = Value::Null;
                message["tool_calls"] = json!([self.tool_call(name)]);
            }
            choice["message"] = message;
            choice
        };
        let object = if self.is_completion {
            "text_completion"
        } else {
            "chat.completion"
        };
        let mut body = self.envelope(object, (0..self.choices()).map(choice).collect());
        body["usage"] = self.usage();
        body
    }

    fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        let object = if self.is_completion {
            "text_completion"
        } else {
            "chat.completion.chunk"
        };
        let wants_usage = self.body["stream_options"]["include_usage"] == true;
        let mut tell = |choices: Value| {
            let mut event = self.envelope(object, choices);
            if wants_usage {
                event["usage"] = Value::Null;
            }
            events.push(event);
        };
        let (said, reason) = self.said();
        // The choices take turns, as they do where they are computed together.
        let each = |make: &dyn Fn(u64) -> Value| (0..self.choices()).map(make).collect::<Vec<_>>();
        let mut turns = Vec::new();
        if !self.is_completion {
            turns.extend(each(&|index| {
                self.delta(
                    index,
                    json!({"role": "assistant", "content": "", "refusal": null}),
                    &[],
                    None,
                )
            }));
        }
        if let Some(name) = &self.call {
            turns.extend(self.call_turns(name));
        }
        for token in &said {
            turns.extend(each(&|index| {
                self.delta(index, json!({"content": token}), &[token], None)
            }));
        }
        turns.extend(each(&|index| self.delta(index, json!({}), &[], Some(reason))));
        turns.into_iter().for_each(|turn| tell(json!([turn])));
        if wants_usage {
            let mut last = self.envelope(object, json!([]));
            last["usage"] = self.usage();
            events.push(last);
        }
        events
    }

    fn call_turns(&self, name: &str) -> Vec<Value> {
        let mut first = self.tool_call(name);
        first["index"] = json!(0);
        let arguments = std::mem::replace(&mut first["function"]["arguments"], json!(""));
        let (start, end) = arguments.as_str().unwrap_or_default().split_at(7);
        let pieces = [start, end].map(|piece| json!({"index": 0, "function": {"arguments": piece}}));
        let calls = [first].into_iter().chain(pieces);
        let deltas = calls.map(|call| json!({"tool_calls": [call]}));
        deltas
            .flat_map(|delta| (0..self.choices()).map(move |index| (index, delta.clone())))
            .map(|(index, delta)| self.delta(index, delta, &[], None))
            .collect()
    }

    fn delta(&self, index: u64, delta: Value, tokens: &[&str], reason: Option<&str>) -> Value {
        let logprobs = if tokens.is_empty() {
            Value::Null
        } else {
            self.logprobs(tokens)
        };
        if self.is_completion {
            let text = delta["content"].as_str().unwrap_or_default();
            return json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason});
        }
        json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason})
    }
}

fn embeddings(body: &Value) -> Value {
    let inputs = match &body["input"] {
        Value::Array(items) if !items.first().is_some_and(Value::is_number) => items.clone(),
        one => vec![one.clone()],
    };
    let dimensions = body["dimensions"].as_u64().unwrap_or(DIMENSIONS);
    let counted = |input: &Value| input.as_array().map_or_else(|| tokens(&text_of(input)).len(), Vec::len);
    let rows = inputs.iter().enumerate().map(|(index, input)| {
        let vector = vector(input, dimensions);
        let embedding = if body["encoding_format"] == "base64" {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            json!(base64(&bytes))
        } else {
            json!(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    // Backwards, which the wire allows: the index says which is which.
    let rows: Vec<Value> = rows.rev().collect();
    let read: usize = inputs.iter().map(counted).sum();
    json!({"object": "list", "data": rows, "model": body["model"],
           "usage": {"prompt_tokens": read, "total_tokens": read}})
}

/// The vector of an input: its first number is the length of its JSON, so that a test can tell inputs apart.
fn vector(input: &Value, dimensions: u64) -> Vec<f32> {
    let length = input.to_string().len() as f32;
    (0..dimensions)
        .map(|at| if at == 0 { length } else { 1.0 / (at + 1) as f32 })
        .collect()
}

/// A chunk of a chat with one delta of the first choice, for [`super::Behaviour::Say`].
pub fn chunk(delta: Value, finish_reason: Option<&str>) -> Value {
    let mut chunk = Map::new();
    chunk.insert("id".to_owned(), json!("chatcmpl-test"));
    chunk.insert("object".to_owned(), json!("chat.completion.chunk"));
    chunk.insert("created".to_owned(), json!(CREATED));
    chunk.insert("model".to_owned(), json!("tiny"));
    chunk.insert(
        "choices".to_owned(),
        json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]),
    );
    Value::Object(chunk)
}
