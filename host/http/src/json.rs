//! Reading JSON from outside with errors that name the place: the body first as a whole (syntax, depth), then field by
//! field with each one's path.
//!
//! Fields that nobody interprets are kept as the text that came, so that a tool's schema reaches its provider with its
//! own order of keys. It knows no wire.

use std::borrow::Cow;
use std::fmt;

use encaje_core::Problem;
use serde_json::value::RawValue;

use crate::limits;
use crate::unread::{Items, Members, Text, Tokens};

/// A value and where it stands, e.g. `messages[0].content`; empty for the whole body.
#[derive(Debug, Clone)]
pub(crate) struct Json<'a> {
    text: &'a str,
    path: Cow<'a, str>,
}

/// The members of an object that have not been taken yet, in their order.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    path: Cow<'a, str>,
}

/// Reads a body: UTF-8, one JSON value, not too deep.
///
/// # Errors
/// `InvalidRequest` (`invalid_json`) with line and column.
pub(crate) fn parse(body: &[u8]) -> Result<Json<'_>, Problem> {
    let bad =
        |message: String| Problem::new(encaje_core::ProblemKind::InvalidRequest, message).with_code("invalid_json");
    if body.is_empty() {
        return Err(bad("The request has no body; a JSON object is expected.".to_owned()));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        let (line, column) = position(body, error.valid_up_to());
        bad(format!(
            "The request's body is not UTF-8 at line {line} column {column}."
        ))
    })?;
    if let Some(at) = too_deep(body) {
        let (line, column) = position(body, at);
        let most = limits::JSON_DEPTH;
        return Err(bad(format!(
            "The JSON is nested more than {most} levels deep at line {line} column {column}."
        )));
    }
    let value: &RawValue =
        serde_json::from_str(text).map_err(|error| bad(format!("The request's body is not valid JSON: {error}.")))?;
    Ok(Json {
        text: value.get(),
        path: Cow::Borrowed(""),
    })
}

/// Line and column, from 1, of an offset.
fn position(body: &[u8], at: usize) -> (usize, usize) {
    let before = body.get(..at).unwrap_or(body);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

/// Where brackets nest deeper than is allowed, if they do. Text that is no JSON may be misread here; the parser says so.
fn too_deep(body: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in body.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits::JSON_DEPTH {
            return Some(at);
        }
    }
    None
}

impl<'a> Json<'a> {
    /// Where it stands.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The text as it came, without space around it.
    pub(crate) fn raw(&self) -> String {
        self.text.to_owned()
    }

    /// Its type in words.
    fn kind(&self) -> &'static str {
        match self.text.as_bytes().first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ if self.text.contains(['.', 'e', 'E']) => "a number",
            _ => "an integer",
        }
    }

    /// Whether it is a string.
    pub(crate) fn is_string(&self) -> bool {
        self.text.starts_with('"')
    }

    /// Whether it is an array.
    pub(crate) fn is_list(&self) -> bool {
        self.text.starts_with('[')
    }

    /// Whether it is a number.
    pub(crate) fn is_number(&self) -> bool {
        self.text
            .starts_with(|first: char| first == '-' || first.is_ascii_digit())
    }

    fn is_null(&self) -> bool {
        self.text == "null"
    }

    /// The problem of another type than `expected`, e.g. `a string or an array`.
    pub(crate) fn wrong_type(&self, expected: &str) -> Problem {
        let what = if self.path.is_empty() {
            "The request's body".to_owned()
        } else {
            format!("`{}`", self.path)
        };
        let problem = Problem::new(
            encaje_core::ProblemKind::InvalidRequest,
            format!("{what} must be {expected}, not {}.", self.kind()),
        )
        .with_code("invalid_type");
        if self.path.is_empty() {
            problem
        } else {
            problem.with_param(self.path.as_ref())
        }
    }

    /// The problem of a value of the right type that is not allowed.
    pub(crate) fn invalid(&self, why: impl fmt::Display) -> Problem {
        Problem::invalid(self.path.as_ref(), format!("`{}` {why}.", self.path)).with_code("invalid_value")
    }

    /// A string.
    pub(crate) fn string(&self) -> Result<Cow<'a, str>, Problem> {
        if !self.is_string() {
            return Err(self.wrong_type("a string"));
        }
        serde_json::from_str::<Text<'a>>(self.text)
            .map(|text| text.0)
            .map_err(|_| self.invalid("holds an escape that is no Unicode character"))
    }

    /// True or false.
    pub(crate) fn boolean(&self) -> Result<bool, Problem> {
        match self.text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong_type("a boolean")),
        }
    }

    /// A finite number within a range, ends included.
    pub(crate) fn number(&self, least: f64, most: f64) -> Result<f64, Problem> {
        if !self.is_number() {
            return Err(self.wrong_type("a number"));
        }
        let number: f64 = self.text.parse().map_err(|_| self.wrong_type("a number"))?;
        if number < least {
            return Err(self
                .invalid(format_args!("is {number}, below its minimum {least}"))
                .with_code("decimal_below_min_value"));
        }
        if number > most {
            let told = if number.is_finite() {
                number.to_string()
            } else {
                "too large".to_owned()
            };
            return Err(self
                .invalid(format_args!("is {told}, above its maximum {most}"))
                .with_code("decimal_above_max_value"));
        }
        Ok(number)
    }

    /// A whole number within a range, ends included; `2.0` is one.
    pub(crate) fn integer<T: TryFrom<i64>>(&self, least: i64, most: i64) -> Result<T, Problem> {
        if !self.is_number() {
            return Err(self.wrong_type("an integer"));
        }
        let number = match self.text.parse::<i64>() {
            Ok(number) => number,
            Err(_) => self.whole().ok_or_else(|| self.wrong_type("an integer"))?,
        };
        if number < least {
            return Err(self
                .invalid(format_args!("is {number}, below its minimum {least}"))
                .with_code("integer_below_min_value"));
        }
        let above = || {
            self.invalid(format_args!("is {number}, above its maximum {most}"))
                .with_code("integer_above_max_value")
        };
        if number > most {
            return Err(above());
        }
        T::try_from(number).map_err(|_| above())
    }

    /// A number with a point, an exponent or too many digits, as the nearest whole one; `None` where it has a fraction.
    fn whole(&self) -> Option<i64> {
        let number: f64 = self.text.parse().ok()?;
        // A cast from a float saturates, and beyond 2^53 only a number out of every range above can come.
        #[allow(clippy::cast_possible_truncation, reason = "it saturates, which is what is wanted")]
        let whole = number as i64;
        (number.fract() == 0.0 || !number.is_finite()).then_some(whole)
    }

    /// An array's items, at most so many.
    pub(crate) fn list(&self, most: usize) -> Result<Vec<Json<'a>>, Problem> {
        if !self.is_list() {
            return Err(self.wrong_type("an array"));
        }
        let items = self.items(most)?;
        let at = |(index, item): (usize, &'a RawValue)| Json {
            text: item.get(),
            path: Cow::Owned(format!("{}[{index}]", self.path)),
        };
        Ok(items.into_iter().enumerate().map(at).collect())
    }

    /// Whether it is an array whose first item is a number. The others are not looked at: there may be many.
    pub(crate) fn begins_with_number(&self) -> bool {
        let first = self.text.strip_prefix('[').map(str::trim_start);
        first.is_some_and(|item| item.starts_with(|first: char| first == '-' || first.is_ascii_digit()))
    }

    fn items(&self, most: usize) -> Result<Vec<&'a RawValue>, Problem> {
        let items: Items<'a> = serde_json::from_str(self.text).map_err(|_| self.wrong_type("an array"))?;
        if items.0.len() > most {
            let why = format_args!("has more than {most} items");
            return Err(self.invalid(why).with_code("array_above_max_length"));
        }
        Ok(items.0)
    }

    /// An array of token ids. Many at a time come this way, so that no path is made for each.
    pub(crate) fn tokens(&self) -> Result<Vec<u32>, Problem> {
        if !self.is_list() {
            return Err(self.wrong_type("an array of token ids"));
        }
        if let Ok(tokens) = serde_json::from_str::<Tokens>(self.text) {
            return if tokens.0.len() <= limits::ITEMS {
                Ok(tokens.0)
            } else {
                self.items(limits::ITEMS).map(|_| Vec::new())
            };
        }
        self.list(limits::ITEMS)?
            .iter()
            .map(|item| item.integer(0, i64::from(u32::MAX)))
            .collect()
    }

    /// An object's members.
    pub(crate) fn object(&self) -> Result<Object<'a>, Problem> {
        if !self.text.starts_with('{') {
            return Err(self.wrong_type("an object"));
        }
        let members: Members<'a> = serde_json::from_str(self.text)
            .map_err(|_| self.invalid("has a key with an escape that is no Unicode character"))?;
        if members.0.len() > limits::MEMBERS {
            return Err(self.invalid(format_args!("has more than {} members", limits::MEMBERS)));
        }
        if let Some(twice) = duplicate(&members.0) {
            // Proxies and servers disagree on which of the two counts, so neither is chosen.
            let twice = clip(twice);
            let what = if self.path.is_empty() {
                "The request".to_owned()
            } else {
                format!("`{}`", self.path)
            };
            return Err(
                Problem::invalid(twice.as_str(), format!("{what} has the key `{twice}` twice."))
                    .with_code("duplicate_key"),
            );
        }
        Ok(Object {
            members: members.0,
            path: self.path.clone(),
        })
    }

    /// One of some words.
    pub(crate) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Problem> {
        let word = self.string()?;
        words
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let known: Vec<String> = words.iter().map(|(known, _)| format!("`{known}`")).collect();
                self.invalid(format_args!("must be one of {}", known.join(", ")))
            })
    }
}

/// A name that a client chose, short enough for a message.
pub(crate) fn clip(name: &str) -> String {
    let mut clipped: String = name.chars().take(limits::NAME_CHARS).collect();
    if clipped.len() < name.len() {
        clipped.push('…');
    }
    clipped
}

fn duplicate<'m>(members: &'m [(Cow<'_, str>, &RawValue)]) -> Option<&'m str> {
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
    keys.sort_unstable();
    keys.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(*one),
        _ => None,
    })
}

impl<'a> Object<'a> {
    fn place(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn json(&self, name: &'static str, value: &'a RawValue) -> Json<'a> {
        let path = if self.path.is_empty() {
            Cow::Borrowed(name)
        } else {
            Cow::Owned(self.place(name))
        };
        Json {
            text: value.get(),
            path,
        }
    }

    /// Takes a member; absent and null are the same, as on OpenAI's wire.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Json<'a>> {
        let at = self.members.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.members.remove(at);
        let json = self.json(name, value);
        (!json.is_null()).then_some(json)
    }

    /// Takes a member that must be there.
    ///
    /// # Errors
    /// `InvalidRequest` (`missing_required_parameter`).
    pub(crate) fn require(&mut self, name: &'static str) -> Result<Json<'a>, Problem> {
        self.take(name).ok_or_else(|| {
            let path = self.place(name);
            let message = format!("`{path}` is required and missing.");
            Problem::invalid(path, message).with_code("missing_required_parameter")
        })
    }

    /// Takes a member and reads it.
    pub(crate) fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Json<'a>) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.take(name).map(|json| read(&json)).transpose()
    }

    /// Takes a string.
    pub(crate) fn string(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.read(name, |json| json.string().map(Cow::into_owned))
    }

    /// Every member that is left, by its name; nulls are left out.
    pub(crate) fn rest(self) -> Result<Vec<(String, String)>, Problem> {
        let left: Vec<_> = self
            .members
            .iter()
            .filter(|(_, value)| value.get() != "null")
            .map(|(name, value)| (name.clone().into_owned(), value.get().to_owned()))
            .collect();
        if left.len() > limits::UNKNOWN {
            let message = format!("More than {} parameters are not known here.", limits::UNKNOWN);
            return Err(Problem::new(encaje_core::ProblemKind::InvalidRequest, message).with_code("unknown_parameter"));
        }
        Ok(left)
    }

    /// Every member that is left, to be read one by one.
    pub(crate) fn entries(self) -> Vec<(String, Json<'a>)> {
        self.members
            .iter()
            .map(|(name, value)| {
                let json = Json {
                    text: value.get(),
                    path: Cow::Owned(self.place(&clip(name))),
                };
                (name.clone().into_owned(), json)
            })
            .collect()
    }
}
