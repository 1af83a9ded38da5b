//! A model's chat template: Jinja from the GGUF file, run by minijinja with Python's string methods.
//!
//! The environment is what Hugging Face's renderer offers: trimmed blocks, `raise_exception`, `strftime_now`, a `tojson`
//! that escapes nothing. The template comes with the model and the messages from the caller; what either does wrong is a
//! problem of the request.

use encaje_core::chat::{Message, PartBody, Role};
use encaje_core::{Problem, ProblemKind};
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::Serialize;

use crate::error::ModelError;
use crate::limits::{TEMPLATE_BASE, TEMPLATE_GROWTH};

const NAME: &str = "chat";

/// A compiled template.
pub(crate) struct Template {
    environment: Environment<'static>,
    begin: String,
    end: String,
}

/// A message as templates know it.
#[derive(Debug, Serialize)]
pub(crate) struct Turn {
    role: String,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
}

impl Template {
    /// Compiles it.
    ///
    /// # Errors
    /// `Malformed` where it is no Jinja.
    pub(crate) fn new(source: &str, (begin, end): (&str, &str)) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| {
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default();
            strftime(&format, now.as_secs())
        });
        environment.add_filter("tojson", |value: Value| -> Result<Value, Error> {
            let text = serde_json::to_string(&value);
            text.map(Value::from_safe_string)
                .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
        });
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| ModelError::Malformed(format!("the chat template: {error}")))?;
        Ok(Self {
            environment,
            begin: begin.to_owned(),
            end: end.to_owned(),
        })
    }

    /// The prompt of a conversation, ready for the model's answer.
    ///
    /// # Errors
    /// `InvalidRequest` where the template refuses the messages or fails on them.
    pub(crate) fn render(&self, turns: &[Turn]) -> Result<String, Problem> {
        let refused = |error: &Error| {
            let own = error.kind() == ErrorKind::InvalidOperation;
            let reason = error.detail().filter(|_| own).unwrap_or("it cannot be applied to them");
            Problem::invalid(
                "messages",
                format!("The model's chat template refuses these messages: {reason}."),
            )
            .with_code("chat_template_error")
            .with_detail(format!("{error:#}"))
        };
        let template = self.environment.get_template(NAME).map_err(|error| refused(&error))?;
        let text = template
            .render(context! {
                messages => turns,
                tools => Value::from(()),
                add_generation_prompt => true,
                bos_token => self.begin,
                eos_token => self.end,
            })
            .map_err(|error| refused(&error))?;
        let given: usize = turns.iter().map(|turn| turn.content.len() + turn.role.len()).sum();
        if text.len() > given * TEMPLATE_GROWTH + TEMPLATE_BASE {
            let kind = ProblemKind::TooLarge;
            return Err(Problem::new(
                kind,
                "The model's chat template makes too much of these messages.",
            ));
        }
        Ok(text)
    }
}

/// Messages as templates know them.
///
/// # Errors
/// `Unsupported`, naming the place, for what a text model cannot read: media, links, tool calls and their results.
pub(crate) fn turns(messages: &[Message]) -> Result<Vec<Turn>, Problem> {
    messages
        .iter()
        .enumerate()
        .map(|(index, message)| turn(index, message))
        .collect()
}

fn unsupported(param: String, what: &str) -> Problem {
    Problem::new(ProblemKind::Unsupported, format!("This model cannot read {what}.")).with_param(param)
}

fn turn(index: usize, message: &Message) -> Result<Turn, Problem> {
    if let Some((key, _)) = message.extra.first() {
        return Err(unsupported(
            format!("messages[{index}].{key}"),
            "this part of a message",
        ));
    }
    let role = match &message.role {
        // The newer name of the same; templates know the older one.
        Role::Developer => "system",
        Role::Tool => return Err(unsupported(format!("messages[{index}].role"), "results of tools")),
        role => role.as_str(),
    };
    let (mut content, mut reasoning) = (String::new(), String::new());
    for (at, part) in message.content.iter().enumerate() {
        let param = || format!("messages[{index}].content[{at}]");
        match &part.body {
            PartBody::Text(text) | PartBody::Refusal(text) => content.push_str(text),
            PartBody::Reasoning(text) => reasoning.push_str(text),
            PartBody::Link(_) | PartBody::Media(_) => return Err(unsupported(param(), "pictures, sounds or files")),
            PartBody::ToolCall(_) => {
                return Err(unsupported(format!("messages[{index}].tool_calls"), "calls of tools"));
            }
            PartBody::Other(name, _) => return Err(unsupported(param(), &format!("a part of type `{name}`"))),
        }
        // A hint about caching changes no answer; anything else might.
        if let Some((key, _)) = part.extra.iter().find(|(key, _)| key != "cache_control") {
            return Err(unsupported(format!("{}.{key}", param()), "this part of a message"));
        }
    }
    Ok(Turn {
        role: role.to_owned(),
        content,
        name: message.name.clone(),
        reasoning_content: Some(reasoning).filter(|reasoning| !reasoning.is_empty()),
    })
}

/// The directives of `strftime` that templates use, for a UTC time; an unknown one stays as it is.
fn strftime(format: &str, seconds: u64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = [
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "Monday",
        "Tuesday",
        "Wednesday",
    ];
    let (year, month, day) = date(seconds / 86_400);
    let name = |names: &[&'static str], index: u64| names.get(index as usize).copied().unwrap_or_default();
    let (month_name, day_name) = (name(&MONTHS, month - 1), name(&DAYS, seconds / 86_400 % 7));
    let short = |name: &str| name.get(..3).unwrap_or_default().to_owned();
    let mut out = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('Y') => out.push_str(&year.to_string()),
            Some('m') => out.push_str(&format!("{month:02}")),
            Some('d') => out.push_str(&format!("{day:02}")),
            Some('H') => out.push_str(&format!("{:02}", seconds / 3_600 % 24)),
            Some('M') => out.push_str(&format!("{:02}", seconds / 60 % 60)),
            Some('S') => out.push_str(&format!("{:02}", seconds % 60)),
            Some('B') => out.push_str(month_name),
            Some('b') => out.push_str(&short(month_name)),
            Some('A') => out.push_str(day_name),
            Some('a') => out.push_str(&short(day_name)),
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    out
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar.
fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin on 1 March put the leap day last; 400 of them have 146,097 days, and 1970-01-01 is day 719,468.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (
        era * 400 + year + u64::from(month <= 2),
        month,
        of_year - (153 * shifted + 2) / 5 + 1,
    )
}

#[cfg(test)]
mod tests {
    use encaje_core::chat::Part;

    use super::*;

    fn render(source: &str, messages: &[Message]) -> Result<String, Problem> {
        Template::new(source, ("<s>", "</s>"))
            .unwrap()
            .render(&turns(messages)?)
    }

    #[test]
    fn templates_find_what_they_expect() {
        let source = "{{ bos_token }}{% for m in messages %}[{{ m.role.upper() }}] {{ m['content'].strip() | tojson }}\n\
                      {% endfor %}{% if tools %}tools{% endif %}{% if add_generation_prompt %}>{% endif %}";
        let messages = [
            Message::text(Role::Developer, " be <brief> "),
            Message {
                content: vec![Part::text("a"), Part::text("ñ")],
                ..Message::text(Role::User, "")
            },
        ];
        insta::assert_snapshot!(render(source, &messages).unwrap(), @r#"
        <s>[SYSTEM] "be <brief>"
        [USER] "añ"
        >
        "#);
    }

    #[test]
    fn a_template_that_refuses_says_why() {
        let source =
            "{% if messages[0].role != 'system' %}{{ raise_exception('a system message comes first') }}{% endif %}";
        let problem = render(source, &[Message::text(Role::User, "hi")]).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::InvalidRequest);
        assert_eq!(problem.code.as_deref(), Some("chat_template_error"));
        insta::assert_snapshot!(
            problem.message,
            @"The model's chat template refuses these messages: a system message comes first."
        );
        let broken = render("{{ messages[0].role + 1 }}", &[Message::text(Role::User, "hi")]).unwrap_err();
        assert_eq!(broken.kind, ProblemKind::InvalidRequest);
        assert!(Template::new("{% if %}", ("", "")).is_err());
    }

    #[test]
    fn what_it_cannot_read_is_named() {
        let link = Part {
            body: PartBody::Link("https://example.test/a.png".to_owned()),
            extra: Vec::new(),
        };
        let message = Message {
            content: vec![Part::text("see"), link],
            ..Message::text(Role::User, "")
        };
        let problem = turns(&[Message::text(Role::User, "hi"), message]).unwrap_err();
        assert_eq!(
            (problem.kind, problem.param.as_deref()),
            (ProblemKind::Unsupported, Some("messages[1].content[1]"))
        );
        let problem = turns(&[Message::text(Role::Tool, "42")]).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("messages[0].role"));
    }

    #[test]
    fn a_template_cannot_blow_a_message_up() {
        let source =
            "{% for i in range(5000) %}{% for j in range(100) %}{{ messages[0].content }}{% endfor %}{% endfor %}";
        assert_eq!(
            render(source, &[Message::text(Role::User, "hello")]).unwrap_err().kind,
            ProblemKind::TooLarge
        );
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(strftime("%d %b %Y", 0), "01 Jan 1970");
        assert_eq!(
            strftime("%A %d %B %Y %H:%M:%S %%%q", 1_709_210_096),
            "Thursday 29 February 2024 12:34:56 %%q"
        );
        assert_eq!(strftime("%a %Y-%m-%d", 4_102_444_800), "Fri 2100-01-01");
    }
}
