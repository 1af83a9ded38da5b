//! Messages of the OpenAI wire, of all roles, to the core's. Parts that have no form there keep their JSON, so that a
//! provider which cannot read them says so.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use encaje_core::Problem;
use encaje_core::chat::{Media, Message, Part, PartBody, Role, ToolCall};

use crate::json::{Json, Object};
use crate::limits;

/// The conversation.
pub(crate) fn messages(json: &Json<'_>) -> Result<Vec<Message>, Problem> {
    let items = json.list(limits::MESSAGES)?;
    if items.is_empty() {
        return Err(json.invalid("must have at least one message").with_code("empty_array"));
    }
    let mut legacy = LegacyCalls::default();
    items.iter().map(|item| message(item, &mut legacy)).collect()
}

/// The deprecated `function_call`s have no ids; they get one from their place, and the result's message refers to it.
#[derive(Default)]
struct LegacyCalls {
    made: Vec<(String, String)>,
}

impl LegacyCalls {
    fn made(&mut self, name: &str) -> String {
        let id = format!("function_call_{}", self.made.len());
        self.made.push((name.to_owned(), id.clone()));
        id
    }

    fn last(&self, name: &str) -> Option<String> {
        self.made
            .iter()
            .rev()
            .find(|(made, _)| made == name)
            .map(|(_, id)| id.clone())
    }
}

fn message(json: &Json<'_>, legacy: &mut LegacyCalls) -> Result<Message, Problem> {
    let mut object = json.object()?;
    let role = object.require("role")?;
    let role_name = role.string()?;
    let mut message = Message {
        role: match role_name.as_ref() {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" => Role::Tool,
            _ => {
                let known = "must be one of `system`, `developer`, `user`, `assistant`, `tool`, `function`";
                return Err(role.invalid(known));
            }
        },
        content: Vec::new(),
        name: object.string("name")?,
        tool_call_id: None,
        is_error: false,
        extra: Vec::new(),
    };
    match (&message.role, role_name.as_ref()) {
        (Role::Assistant, _) => assistant(&mut object, &mut message, legacy)?,
        (Role::Tool, "tool") => {
            message.content = content(&object.require("content")?)?;
            message.tool_call_id = Some(object.require("tool_call_id")?.string()?.into_owned());
        }
        (Role::Tool, _) => {
            let name = object_name(&message, json)?;
            message.tool_call_id = legacy.last(&name);
            message.content = object
                .take("content")
                .map(|json| content(&json))
                .transpose()?
                .unwrap_or_default();
        }
        _ => message.content = content(&object.require("content")?)?,
    }
    message.extra.extend(object.rest()?);
    Ok(message)
}

fn object_name(message: &Message, json: &Json<'_>) -> Result<String, Problem> {
    message.name.clone().ok_or_else(|| {
        let path = format!("{}.name", json.path());
        let text = format!("`{path}` is required in a message of the role `function`.");
        Problem::invalid(path, text).with_code("missing_required_parameter")
    })
}

/// An assistant's turn: reasoning, text, refusal and calls, in the order in which it would have said them.
fn assistant(object: &mut Object<'_>, message: &mut Message, legacy: &mut LegacyCalls) -> Result<(), Problem> {
    if let Some(text) = object.string("reasoning_content")? {
        message.content.push(plain(PartBody::Reasoning(text)));
    }
    let said = object.take("content");
    if let Some(said) = &said {
        message.content.extend(content(said)?);
    }
    if let Some(text) = object.string("refusal")? {
        message.content.push(plain(PartBody::Refusal(text)));
    }
    if let Some(calls) = object.take("tool_calls") {
        for call in calls.list(limits::TOOLS)? {
            message.content.push(plain(tool_call(&call)?));
        }
    }
    if let Some(call) = object.take("function_call") {
        let mut call = call.object()?;
        let name = call.require("name")?.string()?.into_owned();
        let arguments = call.require("arguments")?.string()?.into_owned();
        let id = legacy.made(&name);
        message
            .content
            .push(plain(PartBody::ToolCall(ToolCall { id, name, arguments })));
    }
    if said.is_none() && message.content.is_empty() {
        // Says which parameter is missing, as for every other role; an answer in sound alone has `audio`.
        match object.take("audio") {
            Some(audio) => message.extra.push(("audio".to_owned(), audio.raw())),
            None => drop(object.require("content")?),
        }
    }
    Ok(())
}

fn plain(body: PartBody) -> Part {
    Part {
        body,
        extra: Vec::new(),
    }
}

fn tool_call(json: &Json<'_>) -> Result<PartBody, Problem> {
    let mut object = json.object()?;
    let kind = object.string("type")?;
    if kind.as_deref().is_some_and(|kind| kind != "function") {
        return Ok(PartBody::Other("tool_call".to_owned(), json.raw()));
    }
    let id = object.require("id")?.string()?.into_owned();
    let mut function = object.require("function")?.object()?;
    let name = function.require("name")?.string()?.into_owned();
    let arguments = function.require("arguments")?.string()?.into_owned();
    Ok(PartBody::ToolCall(ToolCall { id, name, arguments }))
}

/// A message's content: a text or a list of parts.
fn content(json: &Json<'_>) -> Result<Vec<Part>, Problem> {
    if json.is_string() {
        return Ok(vec![Part::text(json.string()?)]);
    }
    if !json.is_list() {
        return Err(json.wrong_type("a string or an array of parts"));
    }
    json.list(limits::PARTS)?.iter().map(part).collect()
}

fn part(json: &Json<'_>) -> Result<Part, Problem> {
    let mut object = json.object()?;
    let kind = object.require("type")?.string()?.into_owned();
    let (body, mut extra) = match kind.as_str() {
        "text" => (
            PartBody::Text(object.require("text")?.string()?.into_owned()),
            Vec::new(),
        ),
        "refusal" => (
            PartBody::Refusal(object.require("refusal")?.string()?.into_owned()),
            Vec::new(),
        ),
        "image_url" => image(&object.require("image_url")?)?,
        "input_audio" => audio(&object.require("input_audio")?)?,
        "file" => file(&object.require("file")?)?,
        _ => return Ok(plain(PartBody::Other(kind, json.raw()))),
    };
    extra.extend(object.rest()?);
    Ok(Part { body, extra })
}

/// A body with what belongs to it alone.
type Piece = (PartBody, Vec<(String, String)>);

/// Some clients send the URL alone, without the object around it.
fn image(json: &Json<'_>) -> Result<Piece, Problem> {
    let (body, rest) = if json.is_string() {
        (link_or_media(json, &json.string()?)?, Vec::new())
    } else {
        let mut object = json.object()?;
        let url = object.require("url")?;
        (link_or_media(&url, &url.string()?)?, object.rest()?)
    };
    // A link does not tell what it leads to; its part's `type` does.
    let is_link = matches!(body, PartBody::Link(_));
    let kind = is_link.then(|| ("type".to_owned(), "\"image_url\"".to_owned()));
    Ok((body, kind.into_iter().chain(rest).collect()))
}

fn audio(json: &Json<'_>) -> Result<Piece, Problem> {
    let mut object = json.object()?;
    let data = object.require("data")?;
    let mime = object
        .require("format")?
        .one_of(&[("wav", "audio/wav"), ("mp3", "audio/mpeg")])?;
    let media = Media {
        mime: mime.to_owned(),
        bytes: base64_of(&data, &data.string()?)?,
        name: None,
    };
    Ok((PartBody::Media(media), object.rest()?))
}

fn file(json: &Json<'_>) -> Result<Piece, Problem> {
    let mut object = json.object()?;
    let name = object.string("filename")?;
    let Some(data) = object.take("file_data") else {
        // An uploaded file is known to its upstream alone.
        object.require("file_id")?.string()?;
        return Ok((PartBody::Other("file".to_owned(), json.raw()), Vec::new()));
    };
    let text = data.string()?;
    let media = match text.strip_prefix("data:") {
        Some(rest) => Media {
            name,
            ..data_url(&data, rest)?
        },
        None => Media {
            mime: "application/octet-stream".to_owned(),
            bytes: base64_of(&data, &text)?,
            name,
        },
    };
    Ok((PartBody::Media(media), object.rest()?))
}

fn link_or_media(json: &Json<'_>, url: &str) -> Result<PartBody, Problem> {
    let scheme = url
        .get(..url.find(':').unwrap_or(0))
        .unwrap_or_default()
        .to_ascii_lowercase();
    match scheme.as_str() {
        "data" => data_url(json, url.get(5..).unwrap_or_default()).map(PartBody::Media),
        "http" | "https" => Ok(PartBody::Link(url.to_owned())),
        _ => Err(json
            .invalid("must be a `data:`, `http:` or `https:` URL")
            .with_code("invalid_image_url")),
    }
}

/// What follows `data:`.
fn data_url(json: &Json<'_>, rest: &str) -> Result<Media, Problem> {
    let malformed = || json.invalid("is not a data URL in base64: `data:<media type>;base64,<data>` is expected");
    let (head, data) = rest.split_once(',').ok_or_else(malformed)?;
    let mime = head.strip_suffix(";base64").ok_or_else(malformed)?;
    // Parameters such as a charset do not matter to pictures and documents.
    let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mime = if mime.is_empty() { "text/plain".to_owned() } else { mime };
    Ok(Media {
        mime,
        bytes: base64_of(json, data)?,
        name: None,
    })
}

fn base64_of(json: &Json<'_>, text: &str) -> Result<Vec<u8>, Problem> {
    let bytes = text.trim_end_matches('=');
    let decoded = if bytes.len() == text.len() {
        STANDARD_NO_PAD.decode(bytes)
    } else {
        STANDARD.decode(text)
    };
    decoded.map_err(|error| {
        let why = error.to_string();
        json.invalid(format_args!("is not base64: {}", why.trim_end_matches('.')))
            .with_code("invalid_base64")
    })
}
