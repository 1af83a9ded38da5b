//! Tools, the choice among them and the answer's shape: from the OpenAI wire to the core.
//!
//! The deprecated `functions` and `function_call` are the same under older names; the answer then has the older shape too.

use encaje_core::Problem;
use encaje_core::chat::{ResponseFormat, Tool, ToolChoice};
use encaje_core::problem::Extra;

use crate::json::{Json, Object};
use crate::limits;

/// What a request says about tools.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Option<ToolChoice>,
    pub(crate) parallel: Option<bool>,
    /// Asked for by `functions`.
    pub(crate) legacy: bool,
}

/// Takes everything about tools out of a request. What has no form in the core is added to `extra`.
pub(crate) fn take(request: &mut Object<'_>, extra: &mut Extra) -> Result<Tools, Problem> {
    let functions = request.take("functions");
    let function_call = request.take("function_call");
    let tools = request.take("tools");
    let choice = request.take("tool_choice");
    let parallel = request.read("parallel_tool_calls", Json::boolean)?;
    if let (Some(functions), Some(_)) = (&functions, &tools) {
        return Err(functions
            .invalid("is the older name of `tools`; give one of them")
            .with_code("invalid_parameter_combination"));
    }
    if let (Some(_), Some(choice)) = (&functions, &choice) {
        return Err(choice
            .invalid("goes with `tools`; with `functions` it is called `function_call`")
            .with_code("invalid_parameter_combination"));
    }
    let mut found = Tools::default();
    if let Some(functions) = functions {
        found.legacy = true;
        found.tools = functions
            .list(limits::TOOLS)?
            .iter()
            .map(function)
            .collect::<Result<_, _>>()?;
        // The older shape has room for one call.
        found.parallel = Some(false);
        found.choice = function_call
            .as_ref()
            .map(|call| legacy_choice(call, &found.tools))
            .transpose()?;
        return Ok(found);
    }
    if let Some(call) = function_call {
        return Err(call
            .invalid("is only allowed together with `functions`")
            .with_code("invalid_parameter_combination"));
    }
    let mut others = Vec::new();
    if let Some(tools) = &tools {
        for json in tools.list(limits::TOOLS)? {
            match tool(&json)? {
                Some(tool) => found.tools.push(tool),
                None => others.push(json.raw()),
            }
        }
    }
    let none = found.tools.is_empty() && others.is_empty();
    if !others.is_empty() {
        extra.push(("tools".to_owned(), format!("[{}]", others.join(","))));
    }
    // Without tools nothing can be called at once.
    found.parallel = parallel.filter(|_| !none);
    if let Some(choice) = choice {
        match tool_choice(&choice, &found.tools)? {
            Some(ToolChoice::Automatic | ToolChoice::Forbidden) if none => {}
            _ if none => {
                return Err(choice
                    .invalid("is only allowed together with `tools`")
                    .with_code("invalid_parameter_combination"));
            }
            Some(known) => found.choice = Some(known),
            None => extra.push(("tool_choice".to_owned(), choice.raw())),
        }
    }
    Ok(found)
}

/// `None` for a kind of tool that the core has no form for.
fn tool(json: &Json<'_>) -> Result<Option<Tool>, Problem> {
    let mut object = json.object()?;
    if object.require("type")?.string()? != "function" {
        return Ok(None);
    }
    let mut tool = function(&object.require("function")?)?;
    tool.extra.extend(object.rest()?);
    Ok(Some(tool))
}

fn function(json: &Json<'_>) -> Result<Tool, Problem> {
    let mut object = json.object()?;
    let name = object.require("name")?;
    let text = name.string()?.into_owned();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.is_empty() || text.len() > limits::TOOL_NAME_CHARS || !text.bytes().all(plain) {
        let most = limits::TOOL_NAME_CHARS;
        return Err(name.invalid(format_args!("must be 1 to {most} letters, digits, `_` or `-`")));
    }
    let parameters = match object.take("parameters") {
        None => r#"{"type":"object","properties":{}}"#.to_owned(),
        Some(schema) => {
            schema.object()?;
            schema.raw()
        }
    };
    Ok(Tool {
        name: text,
        description: object.string("description")?,
        parameters,
        strict: object.read("strict", Json::boolean)?.unwrap_or(false),
        extra: object.rest()?,
    })
}

/// `None` for a choice that the core has no form for.
fn tool_choice(json: &Json<'_>, tools: &[Tool]) -> Result<Option<ToolChoice>, Problem> {
    if json.is_string() {
        let words = [("none", 0), ("auto", 1), ("required", 2)];
        return Ok(Some(match json.one_of(&words)? {
            0 => ToolChoice::Forbidden,
            1 => ToolChoice::Automatic,
            _ => ToolChoice::Required,
        }));
    }
    let mut object = json.object().map_err(|_| json.wrong_type("a string or an object"))?;
    if object.require("type")?.string()? != "function" {
        return Ok(None);
    }
    let name = object.require("function")?.object()?.require("name")?;
    named(&name, tools).map(Some)
}

fn legacy_choice(json: &Json<'_>, tools: &[Tool]) -> Result<ToolChoice, Problem> {
    if json.is_string() {
        let automatic = json.one_of(&[("none", false), ("auto", true)])?;
        return Ok(if automatic {
            ToolChoice::Automatic
        } else {
            ToolChoice::Forbidden
        });
    }
    let mut object = json.object().map_err(|_| json.wrong_type("a string or an object"))?;
    named(&object.require("name")?, tools)
}

fn named(name: &Json<'_>, tools: &[Tool]) -> Result<ToolChoice, Problem> {
    let text = name.string()?;
    if !tools.iter().any(|tool| tool.name == text) {
        return Err(name.invalid("names no function of this request"));
    }
    Ok(ToolChoice::Named(text.into_owned()))
}

/// The answer's shape.
pub(crate) fn response_format(json: &Json<'_>) -> Result<ResponseFormat, Problem> {
    let mut object = json.object()?;
    let kind = object.require("type")?.string()?.into_owned();
    match kind.as_str() {
        "text" => Ok(ResponseFormat::Text),
        "json_object" => Ok(ResponseFormat::Json),
        "json_schema" => {
            let schema = object.require("json_schema")?;
            let mut parts = schema.object()?;
            parts.require("name")?.string()?;
            parts.string("description")?;
            parts.read("strict", Json::boolean)?;
            parts.read("schema", |schema| schema.object().map(drop))?;
            Ok(ResponseFormat::JsonSchema(schema.raw()))
        }
        _ => Ok(ResponseFormat::Other(kind, json.raw())),
    }
}
