//! JSON into a type, with errors that name the key. The path of the key is found by reading the text again up to where the
//! parser stopped: it costs nothing while all is well, and the components stay small.

use serde::de::DeserializeOwned;

/// What is wrong, and in which key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// `root.key[0].key`.
    pub(crate) key: String,
    /// Starts with the key.
    pub(crate) message: String,
}

/// Parses a text whose keys are under `root`.
pub(crate) fn parse<T: DeserializeOwned>(root: &str, json: &str) -> Result<T, Mistake> {
    serde_json::from_str(json).map_err(|error| {
        let text = error.to_string();
        // The reader of the message never saw the text that line and column count in.
        let position = format!(" at line {} column {}", error.line(), error.column());
        let text = text.strip_suffix(&position).unwrap_or(&text);
        let mut path = path_at(json, offset(json, error.line(), error.column()));
        // A missing key is noticed behind the last one that is there.
        if text.starts_with("missing field") && matches!(path.last(), Some(Step::Key(_))) && error.is_data() {
            path.pop();
            path.push(Step::Key(None));
        }
        let key = path.iter().fold(root.to_owned(), |key, step| match step {
            Step::Key(Some(name)) => format!("{key}.{name}"),
            Step::Key(None) => key,
            Step::Item(index) => format!("{key}[{index}]"),
        });
        let message = format!("{key}: {text}");
        Mistake { key, message }
    })
}

/// One level of a path; an object whose key has not come yet has none.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(Option<String>),
    Item(usize),
}

/// The byte that the parser's line and column mean.
fn offset(json: &str, line: usize, column: usize) -> usize {
    let lines_before = json.split_inclusive('\n').take(line.saturating_sub(1));
    lines_before.map(str::len).sum::<usize>() + column
}

/// Where in the text's structure a byte is.
fn path_at(json: &str, offset: usize) -> Vec<Step> {
    let mut path = Vec::new();
    let mut characters = json.char_indices().take_while(|(at, _)| *at < offset);
    while let Some((at, character)) = characters.next() {
        match character {
            '{' => path.push(Step::Key(None)),
            '[' => path.push(Step::Item(0)),
            '}' | ']' => {
                path.pop();
            }
            ',' => match path.last_mut() {
                Some(Step::Key(key)) => *key = None,
                Some(Step::Item(index)) => *index += 1,
                None => {}
            },
            '"' => {
                let mut escaped = false;
                let closing = characters.find(|(_, character)| {
                    let closes = *character == '"' && !escaped;
                    escaped = *character == '\\' && !escaped;
                    closes
                });
                let end = closing.map_or(json.len(), |(end, _)| end);
                if let Some(Step::Key(key @ None)) = path.last_mut() {
                    *key = json.get(at + 1..end).map(str::to_owned);
                }
            }
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        list: Vec<Inner>,
        #[expect(dead_code, reason = "only its type matters")]
        last: Option<u8>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        number: u32,
        #[expect(dead_code, reason = "only its type matters")]
        words: Option<Vec<String>>,
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        for (json, key, text) in [
            (
                r#"{"list":[{"number":1},{"number":"x"}]}"#,
                "c.list[1].number",
                "invalid type: string \"x\", expected u32",
            ),
            (
                r#"{"list":[{"number":-1}]}"#,
                "c.list[0].number",
                "invalid value: integer `-1`, expected u32",
            ),
            (
                r#"{"list":[{"number":1,"words":["a",2]}]}"#,
                "c.list[0].words[1]",
                "invalid type: integer `2`, expected a string",
            ),
            (
                r#"{"list":[{"number":1,"words":{}}]}"#,
                "c.list[0].words",
                "invalid type: map, expected a sequence",
            ),
            (
                r#"{"list":[{"numbr":1}]}"#,
                "c.list[0].numbr",
                "unknown field `numbr`, expected `number` or `words`",
            ),
            (r#"{"list":[{"words":null}]}"#, "c.list[0]", "missing field `number`"),
            (r#"{"last":3}"#, "c", "missing field `list`"),
            ("{}", "c", "missing field `list`"),
            (
                "{\n \"list\": [],\n \"last\": 300}",
                "c.last",
                "invalid value: integer `300`, expected u8",
            ),
            (
                r#"{"list":[{"number":1,"words":["\"]}, é {\\",true]}]}"#,
                "c.list[0].words[1]",
                "invalid type: boolean `true`, expected a string",
            ),
            (r#"{"list":[]} x"#, "c", "trailing characters"),
            (r#"{"list":[}"#, "c.list", "expected value"),
            ("7", "c", "invalid type: integer `7`, expected struct Outer"),
        ] {
            let mistake = parse::<Outer>("c", json).unwrap_err();
            assert_eq!(
                (mistake.key.as_str(), mistake.message),
                (key, format!("{key}: {text}")),
                "{json}"
            );
        }
        let fits: Outer = parse("c", r#"{"list":[{"number":4294967295}]}"#).unwrap();
        assert_eq!(fits.list.first().map(|inner| inner.number), Some(u32::MAX));
    }
}
