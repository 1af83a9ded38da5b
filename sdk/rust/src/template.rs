//! Prompt templates: `{name}` is replaced, `{{` and `}}` are a brace. No conditions and no loops: a prompt that needs them
//! is better written in Rust.

use crate::limits::MAX_TEMPLATE_BYTES;

/// Why a template cannot be read or filled in. Places are bytes into the template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is larger than anything that a person wrote.
    #[error("the template has more than {limit} bytes")]
    TooLong {
        /// Bytes that it may have.
        limit: usize,
    },
    /// A `{` that nothing closes.
    #[error("byte {at}: `{{` is not closed; write `{{{{` for a brace")]
    Unclosed {
        /// Where the brace is.
        at: usize,
    },
    /// A `}` that nothing opened.
    #[error("byte {at}: `}}` closes nothing; write `}}}}` for a brace")]
    Unopened {
        /// Where the brace is.
        at: usize,
    },
    /// What stands between the braces is no name.
    #[error("byte {at}: `{name}` is no name; use letters, digits and `_`")]
    BadName {
        /// Where the brace is.
        at: usize,
        /// What stands there.
        name: String,
    },
    /// A name that has no value.
    #[error("there is no value for `{{{name}}}`")]
    Missing {
        /// The name.
        name: String,
    },
}

/// A template that was read.
///
/// ```
/// use encaje_sdk::template::Template;
///
/// let template = Template::parse("Answer as {{\"answer\": …}}: {question}").unwrap();
/// assert_eq!(template.names().collect::<Vec<_>>(), ["question"]);
/// let prompt = template.render(|name| (name == "question").then_some("Why?")).unwrap();
/// assert_eq!(prompt, "Answer as {\"answer\": …}: Why?");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Every [`TemplateError`] but `Missing`.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        if template.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::TooLong {
                limit: MAX_TEMPLATE_BYTES,
            });
        }
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(brace);
            let at = template.len() - from.len();
            text.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                text.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                text.push('}');
                rest = after;
            } else if let Some(after) = from.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or(TemplateError::Unclosed { at })?;
                if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
                    let name = name.to_owned();
                    return Err(TemplateError::BadName { at, name });
                }
                pieces.extend([Piece::Text(std::mem::take(&mut text)), Piece::Name(name.to_owned())]);
                rest = after;
            } else {
                return Err(TemplateError::Unopened { at });
            }
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        Ok(Self(pieces))
    }

    /// The names in it, in order; one that occurs twice comes twice.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The template with a value for each name. Values are taken as they are: braces in them mean nothing.
    ///
    /// # Errors
    /// [`TemplateError::Missing`] for a name that has no value.
    pub fn render<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Result<String, TemplateError> {
        self.0.iter().try_fold(String::new(), |mut out, piece| {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Name(name) => {
                    let missing = || TemplateError::Missing { name: name.clone() };
                    out.push_str(value(name).ok_or_else(missing)?);
                }
            }
            Ok(out)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Template, TemplateError};
    use proptest::prelude::*;

    #[test]
    fn values_are_put_in_as_they_are() {
        let template = Template::parse("{a}{b} {a}, {{{a}}}").unwrap();
        let value = |name: &str| match name {
            "a" => Some("{b}"),
            "b" => Some("é"),
            _ => None,
        };
        assert_eq!(template.render(value).unwrap(), "{b}é {b}, {{b}}");
    }

    #[test]
    fn each_mistake_has_its_place_and_words() {
        for (template, message) in [
            ("é {name", "byte 3: `{` is not closed; write `{{` for a brace"),
            ("a } b", "byte 2: `}` closes nothing; write `}}` for a brace"),
            ("{}", "byte 0: `` is no name; use letters, digits and `_`"),
            ("x{a b}", "byte 1: `a b` is no name; use letters, digits and `_`"),
        ] {
            assert_eq!(Template::parse(template).unwrap_err().to_string(), message);
        }
        let missing = Template::parse("{who}").unwrap().render(|_| None).unwrap_err();
        assert_eq!(missing.to_string(), "there is no value for `{who}`");
        let long = Template::parse(&"x".repeat((1 << 20) + 1)).unwrap_err();
        assert_eq!(long, TemplateError::TooLong { limit: 1 << 20 });
    }

    proptest! {
        #[test]
        fn an_escaped_text_comes_out_as_it_was(text in "[a{}é ]{0,20}") {
            let escaped = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(Template::parse(&escaped).unwrap().render(|_| None).unwrap(), text);
        }

        #[test]
        fn no_text_breaks_the_parser(text in "[ab{}_ é]{0,20}") {
            if let Ok(template) = Template::parse(&text) {
                template.render(|_| Some("x")).unwrap();
            }
        }
    }
}
