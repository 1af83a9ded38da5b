//! The stub's tokens: a token is a word with the white space before it. No vocabulary, no ids.

use encaje_sdk::chat::{ChatRequest, Input, PartBody};

/// Splits a text into its tokens; joined again they are the text. White space at the end belongs to the last one.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut word_end = None;
    let mut in_word = false;
    for (at, character) in text.char_indices() {
        if character.is_whitespace() {
            if in_word {
                word_end = Some(at);
            }
            in_word = false;
        } else {
            // Only another word closes the one before, so that white space at the end stays with it.
            if let Some(end) = word_end.take() {
                pieces.push(text.get(start..end).unwrap_or_default());
                start = end;
            }
            in_word = true;
        }
    }
    if start < text.len() {
        pieces.push(text.get(start..).unwrap_or_default());
    }
    pieces
}

/// How many tokens a text is.
pub(crate) fn count(text: &str) -> u64 {
    let words = text.split_whitespace().count();
    // White space alone is still something that was said.
    if words == 0 && !text.is_empty() {
        1
    } else {
        words as u64
    }
}

/// How many tokens the request's input is: words of text and of tools, token ids as they are, one for each other part.
pub(crate) fn count_input(request: &ChatRequest) -> u64 {
    let input: u64 = match &request.input {
        Input::Prompt(prompt) => count(prompt),
        Input::Tokens(tokens) => tokens.len() as u64,
        Input::Messages(messages) => messages
            .iter()
            .flat_map(|message| &message.content)
            .map(|part| match &part.body {
                PartBody::Text(text) | PartBody::Reasoning(text) | PartBody::Refusal(text) => count(text),
                PartBody::ToolCall(call) => 1 + count(&call.arguments),
                PartBody::Link(_) | PartBody::Media(_) | PartBody::Other(_) => 1,
            })
            .sum(),
    };
    let tools = request
        .tools
        .iter()
        .map(|tool| 1 + tool.description.as_deref().map_or(0, count) + count(&tool.parameters));
    input + tools.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::{count, pieces};

    #[test]
    fn pieces_join_to_the_text_and_are_as_many_as_counted() {
        for text in [
            "",
            "a",
            "a b",
            " a  b ",
            "\n",
            "uno dos\ttres\n",
            "日本 語 🌊",
            "  x",
            "x  ",
        ] {
            let pieces = pieces(text);
            assert_eq!(pieces.concat(), text);
            assert_eq!(pieces.len() as u64, count(text), "{text:?}");
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
        }
        assert_eq!(pieces(" a  b "), [" a", "  b "]);
    }
}
