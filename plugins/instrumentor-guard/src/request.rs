//! What is asked, before anybody is: every text of a request against the rules. It reads messages, prompts, links and the
//! arguments and pieces that are JSON; it cannot read pictures, sounds and files, and refuses token ids.

use encaje_sdk::chat::{ChatRequest, Input, Message, PartBody};
use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::instrumentor::Decision;
use serde_json::Value;

use crate::config::{Action, Guard};
use crate::limits::{MAX_INPUT_BYTES, MAX_JSON_DEPTH};
use crate::rules::redact;
use crate::tally::Tally;

/// Judges a request; what was found is in the second part, also where it was refused.
///
/// # Errors
/// `too-large` for more text than it reads, `unsupported` for token ids where it is to do more than flag.
pub(crate) fn judge(guard: &Guard, mut request: ChatRequest) -> Result<(Decision, Tally), Problem> {
    let mut reader = Reader {
        guard,
        tally: Tally::default(),
        bytes: 0,
        refused: None,
        changed: false,
    };
    match &mut request.input {
        Input::Messages(messages) => reader.messages(messages)?,
        Input::Prompt(prompt) => reader.text("prompt", prompt)?,
        Input::Tokens(_) if guard.action == Action::Flag => {}
        Input::Tokens(_) => {
            let message = "token ids cannot be guarded; send the prompt as text";
            return Err(Problem::unsupported(message).with_param("prompt"));
        }
    }
    let decision = match (reader.refused, reader.changed) {
        (Some(param), _) => Decision::Reject(refusal(&param)),
        (None, true) => Decision::Replace(request),
        (None, false) => Decision::Pass,
    };
    Ok((decision, reader.tally))
}

fn refusal(param: &str) -> Problem {
    let message = "the request holds something that this server's operator does not let through";
    Problem::new(ProblemKind::ContentBlocked, message)
        .with_code("guard_blocked")
        .with_param(param)
}

struct Reader<'a> {
    guard: &'a Guard,
    tally: Tally,
    bytes: usize,
    /// The first place that is refused.
    refused: Option<String>,
    changed: bool,
}

impl Reader<'_> {
    fn messages(&mut self, messages: &mut [Message]) -> Result<(), Problem> {
        for (place, message) in messages.iter_mut().enumerate() {
            for (piece, part) in message.content.iter_mut().enumerate() {
                let param = format!("messages[{place}].content[{piece}]");
                match &mut part.body {
                    PartBody::Text(text)
                    | PartBody::Reasoning(text)
                    | PartBody::Refusal(text)
                    | PartBody::Link(text) => self.text(&param, text)?,
                    PartBody::ToolCall(call) => self.json(&param, &mut call.arguments)?,
                    PartBody::Other((_, json)) => self.json(&param, json)?,
                    PartBody::Media(_) => {}
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, param: &str, text: &mut String) -> Result<(), Problem> {
        self.bytes += text.len();
        if self.bytes > MAX_INPUT_BYTES {
            let message = format!("the guard reads at most {MAX_INPUT_BYTES} bytes of one request");
            return Err(Problem::too_large(message).with_param(param));
        }
        let found = self.guard.rules.find_all(text);
        self.tally.input += found.len() as u64;
        self.tally.rules.extend(found.iter().map(|found| found.rule));
        if found.is_empty() {
            return Ok(());
        }
        match self.guard.action {
            Action::Flag => {}
            Action::Block => {
                self.refused.get_or_insert_with(|| param.to_owned());
            }
            Action::Redact => {
                *text = redact(text, &found, &self.guard.replacement);
                self.changed = true;
            }
        }
        Ok(())
    }

    /// The strings of a JSON text, so that escapes hide nothing; what is no JSON is read as it is.
    fn json(&mut self, param: &str, json: &mut String) -> Result<(), Problem> {
        let Ok(mut value) = serde_json::from_str::<Value>(json) else {
            return self.text(param, json);
        };
        let before = std::mem::take(&mut self.changed);
        self.strings(param, &mut value, MAX_JSON_DEPTH)?;
        if self.changed {
            *json = value.to_string();
        }
        self.changed |= before;
        Ok(())
    }

    fn strings(&mut self, param: &str, value: &mut Value, depth: usize) -> Result<(), Problem> {
        if depth == 0 {
            return Err(Problem::too_large("JSON that is nested too deep for the guard").with_param(param));
        }
        match value {
            Value::String(text) => self.text(param, text),
            Value::Array(items) => items
                .iter_mut()
                .try_for_each(|item| self.strings(param, item, depth - 1)),
            Value::Object(entries) => entries
                .iter_mut()
                .try_for_each(|(_, entry)| self.strings(param, entry, depth - 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, judge};
    use crate::config::tests::guard;
    use crate::testing::{message, request};
    use encaje_sdk::chat::{ChatRequest, Input, Part, PartBody, ToolCall};
    use encaje_sdk::errors::ProblemKind;
    use serde_json::json;

    fn tool_call(arguments: &str) -> Part {
        let call = ToolCall {
            id: "1".to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
        };
        Part {
            body: PartBody::ToolCall(call),
            extra: Vec::new(),
        }
    }

    fn first_text(request: &ChatRequest) -> &str {
        match &request.input {
            Input::Prompt(prompt) => prompt,
            Input::Messages(messages) => match &messages[0].content[0].body {
                PartBody::Text(text) => text,
                PartBody::ToolCall(call) => &call.arguments,
                other => panic!("{other:?}"),
            },
            Input::Tokens(_) => panic!("tokens"),
        }
    }

    #[test]
    fn block_refuses_and_names_the_place_but_not_the_match() {
        let guard = guard(json!({"keywords": ["secret"], "action": "block"})).unwrap();
        let mut asked = request("hello");
        if let Input::Messages(messages) = &mut asked.input {
            messages.push(message("a SECRET and a secret"));
        }
        let (decision, tally) = judge(&guard, asked).unwrap();
        let Decision::Reject(problem) = decision else {
            panic!("{decision:?}")
        };
        assert!(matches!(problem.kind, ProblemKind::ContentBlocked));
        assert_eq!(problem.param.as_deref(), Some("messages[1].content[0]"));
        assert_eq!(problem.code.as_deref(), Some("guard_blocked"));
        assert!(!problem.message.contains("secret"));
        assert_eq!((tally.input, tally.output, tally.rules.len()), (2, 0, 1));
    }

    #[test]
    fn redact_changes_messages_prompts_and_arguments() {
        let guard = guard(json!({"keywords": ["secret"], "patterns": ["[0-9]{3}-[0-9]{4}"]})).unwrap();
        let replaced = |request| match judge(&guard, request).unwrap().0 {
            Decision::Replace(request) => first_text(&request).to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(replaced(request("secret 555-1234 é")), "# # é");
        let mut prompt = request("");
        prompt.input = Input::Prompt("the secret".to_owned());
        assert_eq!(replaced(prompt), "the #");
        let mut call = request("");
        if let Input::Messages(messages) = &mut call.input {
            messages[0].content = vec![tool_call(r#"{"a":["s\u0065cret",1],"b":"x"}"#)];
        }
        assert_eq!(replaced(call), r##"{"a":["#",1],"b":"x"}"##);
        let mut broken = request("");
        if let Input::Messages(messages) = &mut broken.input {
            messages[0].content = vec![tool_call(r#"{"a":"secret"#)];
        }
        assert_eq!(replaced(broken), r##"{"a":"#"##);
        assert!(matches!(judge(&guard, request("nothing")).unwrap().0, Decision::Pass));
    }

    #[test]
    fn flag_lets_everything_pass_and_counts() {
        let guard = guard(json!({"keywords": ["secret"], "action": "flag"})).unwrap();
        let (decision, tally) = judge(&guard, request("secret")).unwrap();
        assert!(matches!(decision, Decision::Pass));
        assert_eq!(tally.input, 1);
    }

    #[test]
    fn what_it_cannot_read_is_refused() {
        let redacting = guard(json!({"keywords": ["secret"]})).unwrap();
        let mut tokens = request("");
        tokens.input = Input::Tokens(vec![1, 2]);
        let problem = judge(&redacting, tokens.clone()).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unsupported));
        let flagging = guard(json!({"keywords": ["secret"], "action": "flag"})).unwrap();
        assert!(judge(&flagging, tokens).is_ok());
        let problem = judge(&redacting, request(&"x".repeat((4 << 20) + 1))).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::TooLarge));
    }
}
