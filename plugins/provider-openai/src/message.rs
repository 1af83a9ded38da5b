//! The conversation on OpenAI's wire: messages with all their parts. A piece that the wire has no form for is refused by its
//! place, never left out.

use encaje_sdk::chat::{Media, Message, Part, PartBody, Role, ToolCall};
use encaje_sdk::errors::Problem;
use serde::Deserialize;

use crate::json::{self, List, Object};

/// Members of a message that its fields decide, so that no extra may write them twice.
const OWN: [&str; 6] = ["role", "content", "name", "tool_call_id", "tool_calls", "refusal"];

/// Writes all messages as the next value.
pub(crate) fn write(out: &mut Vec<u8>, messages: &[Message]) -> Result<(), Problem> {
    let mut list = List::begin(out);
    for (index, message) in messages.iter().enumerate() {
        write_message(list.object(), message, &format!("messages[{index}]"))?;
    }
    list.end();
    Ok(())
}

fn write_message(mut object: Object<'_>, message: &Message, path: &str) -> Result<(), Problem> {
    let role = match &message.role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
        Role::Other(role) => role,
    };
    object.put("role", role);
    if matches!(message.role, Role::Assistant) {
        assistant(&mut object, message, path)?;
    } else {
        content(object.key("content"), &numbered(&message.content), path)?;
    }
    object.put_some("name", message.name.as_deref());
    object.put_some("tool_call_id", message.tool_call_id.as_deref());
    for (name, json) in &message.extra {
        let at = format!("{path}.{name}");
        if OWN.contains(&name.as_str()) {
            return Err(Problem::invalid_request(format!("`{at}` is given twice.")).with_param(at));
        }
        object.put_raw(name, json, &at)?;
    }
    object.end();
    Ok(())
}

/// Parts with their places in the message.
type Numbered<'a> = Vec<(usize, &'a Part)>;

fn numbered(parts: &[Part]) -> Numbered<'_> {
    parts.iter().enumerate().collect()
}

/// An assistant's turn: the wire has a member for each kind of what it said, and one order for them.
fn assistant(object: &mut Object<'_>, message: &Message, path: &str) -> Result<(), Problem> {
    let (mut reasoning, mut refusal) = (None::<String>, None::<String>);
    let (mut calls, mut said) = (Vec::new(), Vec::new());
    for (index, part) in numbered(&message.content) {
        match &part.body {
            PartBody::Reasoning(text) => reasoning.get_or_insert_default().push_str(text),
            PartBody::Refusal(text) => refusal.get_or_insert_default().push_str(text),
            PartBody::ToolCall(_) => calls.push((index, part)),
            PartBody::Other((kind, _)) if kind == "tool_call" => calls.push((index, part)),
            _ => said.push((index, part)),
        }
    }
    object.put_some("reasoning_content", reasoning.as_deref());
    let sound = message.extra.iter().any(|(name, _)| name == "audio");
    if !said.is_empty() {
        content(object.key("content"), &said, path)?;
    } else if refusal.is_some() || !calls.is_empty() || sound {
        object.put("content", &None::<&str>);
    } else {
        object.put("content", "");
    }
    object.put_some("refusal", refusal.as_deref());
    if calls.is_empty() {
        return Ok(());
    }
    let mut list = object.list("tool_calls");
    for (index, part) in calls {
        match &part.body {
            PartBody::ToolCall(call) => tool_call(list.object(), call),
            PartBody::Other((_, json)) => list.raw(json, &format!("{path}.content[{index}]"))?,
            _ => {}
        }
    }
    list.end();
    Ok(())
}

fn tool_call(mut object: Object<'_>, call: &ToolCall) {
    object.put("id", &call.id);
    object.put("type", "function");
    let mut function = object.object("function");
    function.put("name", &call.name);
    // A string on this wire, so it may be invalid JSON, as a model may have written it.
    function.put("arguments", &call.arguments);
    function.end();
    object.end();
}

/// A text alone is written as a string, which every upstream reads; all else as a list of parts.
fn content(out: &mut Vec<u8>, parts: &[(usize, &Part)], path: &str) -> Result<(), Problem> {
    match parts {
        [] => json::value(out, ""),
        [(_, part)] if part.extra.is_empty() && matches!(part.body, PartBody::Text(_)) => {
            if let PartBody::Text(text) = &part.body {
                json::value(out, text);
            }
        }
        parts => {
            let mut list = List::begin(out);
            for (index, part) in parts {
                write_part(&mut list, part, &format!("{path}.content[{index}]"))?;
            }
            list.end();
        }
    }
    Ok(())
}

fn unsupported(path: &str, what: &str) -> Problem {
    Problem::unsupported(format!("`{path}`: OpenAI's wire has no form for {what} here.")).with_param(path)
}

fn write_part(list: &mut List<'_>, part: &Part, path: &str) -> Result<(), Problem> {
    let mut inner: &[&str] = &["type"];
    let mut object = match &part.body {
        PartBody::Other((kind, json)) => return foreign(list, kind, json, path),
        PartBody::Reasoning(_) => return Err(unsupported(path, "reasoning")),
        PartBody::ToolCall(_) => return Err(unsupported(path, "a tool call")),
        PartBody::Text(text) => {
            let mut object = list.object();
            object.put("type", "text");
            object.put("text", text);
            object
        }
        PartBody::Refusal(text) => {
            let mut object = list.object();
            object.put("type", "refusal");
            object.put("refusal", text);
            object
        }
        PartBody::Link(url) => {
            let kind = encaje_sdk::parse_extra::<String>(&part.extra, "type")?;
            if kind.as_deref().is_some_and(|kind| kind != "image_url") {
                return Err(unsupported(path, "a link to anything but a picture"));
            }
            inner = &["type", "detail"];
            let mut object = list.object();
            object.put("type", "image_url");
            image(&mut object, part, path, |out| json::value(out, url))?;
            object
        }
        PartBody::Media(media) if is_image(media) => {
            inner = &["type", "detail"];
            let mut object = list.object();
            object.put("type", "image_url");
            let prefix = format!("data:{};base64,", media.mime);
            image(&mut object, part, path, |out| json::base64(out, &prefix, &media.bytes))?;
            object
        }
        PartBody::Media(media) => {
            let mut object = list.object();
            sound_or_file(&mut object, media);
            object
        }
    };
    for (name, json) in part.extra.iter().filter(|(name, _)| !inner.contains(&name.as_str())) {
        object.put_raw(name, json, &format!("{path}.{name}"))?;
    }
    object.end();
    Ok(())
}

/// A picture that has a file's name came as a file, and goes as one.
fn is_image(media: &Media) -> bool {
    media.mime.starts_with("image/") && media.name.is_none()
}

fn image(object: &mut Object<'_>, part: &Part, path: &str, url: impl FnOnce(&mut Vec<u8>)) -> Result<(), Problem> {
    let mut image = object.object("image_url");
    url(image.key("url"));
    if let Some(detail) = encaje_sdk::extra(&part.extra, "detail") {
        image.put_raw("detail", detail, &format!("{path}.detail"))?;
    }
    image.end();
    Ok(())
}

fn sound_or_file(object: &mut Object<'_>, media: &Media) {
    if let Some(format) = media.mime.strip_prefix("audio/").filter(|_| media.name.is_none()) {
        object.put("type", "input_audio");
        let mut audio = object.object("input_audio");
        json::base64(audio.key("data"), "", &media.bytes);
        audio.put(
            "format",
            match format {
                "mpeg" | "mp3" => "mp3",
                "wav" | "wave" | "x-wav" | "vnd.wave" => "wav",
                other => other,
            },
        );
        audio.end();
        return;
    }
    object.put("type", "file");
    let mut file = object.object("file");
    file.put_some("filename", media.name.as_deref());
    json::base64(
        file.key("file_data"),
        &format!("data:{};base64,", media.mime),
        &media.bytes,
    );
    file.end();
}

/// A part that the contract does not name is this wire's own where its JSON says the same kind; others are not known here.
fn foreign(list: &mut List<'_>, kind: &str, json: &str, path: &str) -> Result<(), Problem> {
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
    }
    json::check(json, path)?;
    match serde_json::from_str::<Kind>(json) {
        Ok(own) if own.r#type == kind => list.raw(json, path),
        _ => Err(unsupported(path, &format!("`{kind}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Media, Message, Part, PartBody, Problem, Role, ToolCall};
    use crate::testing::{message, part};
    use encaje_sdk::errors::ProblemKind;
    use serde_json::{Value, json};

    fn written(message: Message) -> Result<Value, Problem> {
        let mut out = Vec::new();
        super::write(&mut out, &[message])?;
        let mut list: Vec<Value> = serde_json::from_slice(&out).unwrap();
        Ok(list.remove(0))
    }

    fn of(role: Role, content: Vec<Part>) -> Value {
        written(message(role, content)).unwrap()
    }

    fn with_extra(body: PartBody, extra: &[(&str, &str)]) -> Part {
        let extra = extra
            .iter()
            .map(|(name, json)| ((*name).to_owned(), (*json).to_owned()));
        Part {
            body,
            extra: extra.collect(),
        }
    }

    fn media(mime: &str, name: Option<&str>) -> PartBody {
        PartBody::Media(Media {
            mime: mime.to_owned(),
            bytes: b"hi".to_vec(),
            name: name.map(str::to_owned),
        })
    }

    #[test]
    fn a_text_is_a_string_and_several_pieces_are_a_list() {
        let text = |text: &str| part(PartBody::Text(text.to_owned()));
        assert_eq!(
            of(Role::System, vec![text("a")]),
            json!({"role": "system", "content": "a"})
        );
        assert_eq!(
            of(Role::User, vec![text("a"), text("b")]),
            json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})
        );
        assert_eq!(
            of(Role::Other("critic".to_owned()), vec![]),
            json!({"role": "critic", "content": ""})
        );
    }

    #[test]
    fn what_belongs_to_a_piece_stays_with_it() {
        let cached = with_extra(
            PartBody::Text("a".to_owned()),
            &[("cache_control", r#"{"type":"ephemeral"}"#)],
        );
        assert_eq!(
            of(Role::Developer, vec![cached])["content"],
            json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}])
        );
    }

    #[test]
    fn pictures_go_as_links_or_data_with_their_detail() {
        let link = PartBody::Link("https://p.example/a.png".to_owned());
        let link = with_extra(link, &[("type", "\"image_url\""), ("detail", "\"low\"")]);
        let inline = with_extra(media("image/png", None), &[("detail", "\"high\"")]);
        assert_eq!(
            of(Role::User, vec![link, inline])["content"],
            json!([
                {"type": "image_url", "image_url": {"url": "https://p.example/a.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "high"}},
            ])
        );
    }

    #[test]
    fn sounds_and_files_have_forms_of_their_own() {
        let parts = [
            ("audio/wav", None),
            ("audio/mpeg", None),
            ("application/pdf", Some("a.pdf")),
            ("image/png", Some("p")),
        ];
        let parts = parts.map(|(mime, name)| part(media(mime, name))).to_vec();
        assert_eq!(
            of(Role::User, parts)["content"],
            json!([
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
                {"type": "file", "file": {"filename": "p", "file_data": "data:image/png;base64,aGk="}},
            ])
        );
    }

    #[test]
    fn an_assistants_turn_is_taken_apart() {
        let call = ToolCall {
            id: "c1".to_owned(),
            name: "f".to_owned(),
            arguments: "{broken".to_owned(),
        };
        let custom = r#"{"id":"c2","type":"custom","custom":{"name":"g","input":"x"}}"#;
        let parts = vec![
            part(PartBody::Reasoning("hm".to_owned())),
            part(PartBody::Text("so".to_owned())),
            part(PartBody::Refusal("no".to_owned())),
            part(PartBody::ToolCall(call)),
            part(PartBody::Other(("tool_call".to_owned(), custom.to_owned()))),
        ];
        assert_eq!(
            of(Role::Assistant, parts),
            json!({"role": "assistant", "reasoning_content": "hm", "content": "so", "refusal": "no", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{broken"}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ]})
        );
    }

    #[test]
    fn an_assistant_that_only_called_a_tool_said_null() {
        let call = ToolCall {
            id: "c".to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        };
        assert_eq!(
            of(Role::Assistant, vec![part(PartBody::ToolCall(call))])["content"],
            Value::Null
        );
        assert_eq!(of(Role::Assistant, vec![])["content"], json!(""));
        let mut sound = message(Role::Assistant, vec![]);
        sound.extra.push(("audio".to_owned(), r#"{"id":"a"}"#.to_owned()));
        let sound = written(sound).unwrap();
        assert_eq!(
            (&sound["content"], &sound["audio"]),
            (&Value::Null, &json!({"id": "a"}))
        );
    }

    #[test]
    fn a_tools_result_names_its_call_and_a_speaker_its_name() {
        let mut result = message(Role::Tool, vec![part(PartBody::Text("42".to_owned()))]);
        result.tool_call_id = Some("c1".to_owned());
        result.name = Some("f".to_owned());
        assert_eq!(
            written(result).unwrap(),
            json!({"role": "tool", "content": "42", "name": "f", "tool_call_id": "c1"})
        );
    }

    #[test]
    fn a_foreign_piece_goes_only_if_it_is_this_wires_own() {
        let other = |kind: &str, json: &str| {
            let body = PartBody::Other((kind.to_owned(), json.to_owned()));
            written(message(Role::User, vec![part(body)]))
        };
        let file = r#"{"type":"file","file":{"file_id":"f-1"}}"#;
        assert_eq!(other("file", file).unwrap()["content"][0]["file"]["file_id"], "f-1");
        let problem = other("document", r#"{"source":1}"#).unwrap_err();
        assert!(matches!(problem.kind, ProblemKind::Unsupported));
        assert_eq!(problem.param.as_deref(), Some("messages[0].content[0]"));
    }

    #[test]
    fn what_has_no_form_is_refused_by_its_place() {
        let refused = |body: PartBody| {
            let text = part(PartBody::Text("a".to_owned()));
            written(message(Role::User, vec![text, part(body)])).unwrap_err()
        };
        let call = ToolCall {
            id: String::new(),
            name: String::new(),
            arguments: String::new(),
        };
        for body in [PartBody::Reasoning("hm".to_owned()), PartBody::ToolCall(call)] {
            let problem = refused(body);
            assert!(matches!(problem.kind, ProblemKind::Unsupported));
            assert_eq!(problem.param.as_deref(), Some("messages[0].content[1]"));
        }
        let link = with_extra(
            PartBody::Link("https://d.example".to_owned()),
            &[("type", "\"document\"")],
        );
        assert!(written(message(Role::User, vec![link])).is_err());
        let mut twice = message(Role::User, vec![]);
        twice.extra.push(("content".to_owned(), "1".to_owned()));
        assert_eq!(
            written(twice).unwrap_err().param.as_deref(),
            Some("messages[0].content")
        );
    }
}
