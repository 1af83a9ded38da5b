//! The tool calls of one choice, put in order: the contract wants indexes without gaps, and id and name once, in the first
//! piece. Upstreams repeat them, leave out the index, or give each call the same one.

use encaje_sdk::chat::ToolCallDelta;
use encaje_sdk::errors::Problem;
use serde::Deserialize;

use crate::error::malformed;
use crate::limits::{MAX_TOOL_CALLS, MAX_UNNAMED_ARGUMENTS};

/// A piece of a call, as the upstream sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct CallPiece {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionPiece>,
}

#[derive(Debug, Default, Deserialize)]
struct FunctionPiece {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Debug)]
struct Call {
    /// What the upstream calls it.
    index: Option<u64>,
    id: Option<String>,
    /// Its first piece was passed on.
    begun: bool,
    /// Arguments that came before the name did.
    held: String,
}

/// The calls of one choice.
#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<Call>);

impl Calls {
    /// Puts one piece where it belongs; `None` while the call has no name. `fallback` begins the id of a call that the
    /// upstream gives none.
    pub(crate) fn piece(&mut self, piece: CallPiece, fallback: &str) -> Result<Option<ToolCallDelta>, Problem> {
        let id = piece.id.filter(|id| !id.is_empty());
        let place = match self.place(piece.index, id.as_deref()) {
            Some(place) => place,
            None if self.0.len() >= MAX_TOOL_CALLS => {
                return Err(malformed(format!(
                    "The upstream called more than {MAX_TOOL_CALLS} tools in one answer."
                )));
            }
            None => {
                self.0.push(Call {
                    index: piece.index,
                    id: None,
                    begun: false,
                    held: String::new(),
                });
                self.0.len() - 1
            }
        };
        let Some(call) = self.0.get_mut(place) else {
            return Ok(None);
        };
        let function = piece.function.unwrap_or_default();
        let arguments = function.arguments.unwrap_or_default();
        if call.id.is_none() {
            call.id = id;
        }
        let index = u32::try_from(place).unwrap_or(u32::MAX);
        if call.begun {
            let delta = ToolCallDelta {
                index,
                id: None,
                name: None,
                arguments,
            };
            return Ok((!delta.arguments.is_empty()).then_some(delta));
        }
        call.held.push_str(&arguments);
        let Some(name) = function.name.filter(|name| !name.is_empty()) else {
            if call.held.len() > MAX_UNNAMED_ARGUMENTS {
                return Err(malformed(
                    "The upstream sent a tool call's arguments and not which tool it calls.",
                ));
            }
            return Ok(None);
        };
        call.begun = true;
        let id = call
            .id
            .get_or_insert_with(|| format!("call_{fallback}_{index}"))
            .clone();
        Ok(Some(ToolCallDelta {
            index,
            id: Some(id),
            name: Some(name),
            arguments: std::mem::take(&mut call.held),
        }))
    }

    /// Which call a piece belongs to; `None` is a new one.
    fn place(&self, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let fits = |call: &Call| match (id, call.id.as_deref()) {
            // Another id is another call, whatever the index says.
            (Some(id), Some(known)) => id == known,
            _ => true,
        };
        match index {
            Some(_) => self.0.iter().rposition(|call| call.index == index && fits(call)),
            None => self
                .0
                .len()
                .checked_sub(1)
                .filter(|last| self.0.get(*last).is_some_and(fits)),
        }
    }

    /// Whether every call has been named.
    pub(crate) fn are_whole(&self) -> bool {
        self.0.iter().all(|call| call.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::{Calls, ToolCallDelta};
    use encaje_sdk::errors::Problem;
    use serde_json::{Value, json};

    fn pieces(list: &[Value]) -> Result<(Calls, Vec<ToolCallDelta>), Problem> {
        let mut calls = Calls::default();
        let mut deltas = Vec::new();
        for piece in list {
            deltas.extend(calls.piece(serde_json::from_value(piece.clone()).unwrap(), "x")?);
        }
        Ok((calls, deltas))
    }

    fn told(list: &[Value]) -> Vec<(u32, Option<String>, Option<String>, String)> {
        let deltas = pieces(list).unwrap().1.into_iter();
        deltas
            .map(|delta| (delta.index, delta.id, delta.name, delta.arguments))
            .collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn pieces_of_several_calls_find_their_places() {
        let told = told(&[
            json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}),
            json!({"index": 0, "function": {"arguments": "{"}}),
            json!({"index": 1, "id": "b", "function": {"name": "g", "arguments": "[]"}}),
            json!({"index": 0, "function": {"arguments": "}"}}),
        ]);
        assert_eq!(told[0], (0, some("a"), some("f"), String::new()));
        assert_eq!(told[1], (0, None, None, "{".to_owned()));
        assert_eq!(told[2], (1, some("b"), some("g"), "[]".to_owned()));
        assert_eq!(told[3], (0, None, None, "}".to_owned()));
    }

    #[test]
    fn repeated_ids_and_names_are_told_once_and_gaps_are_closed() {
        let told = told(&[
            json!({"index": 3, "id": "a", "function": {"name": "f", "arguments": "1"}}),
            json!({"index": 3, "id": "a", "function": {"name": "f", "arguments": "2"}}),
            json!({"index": 3, "id": "a", "function": {"name": "f", "arguments": ""}}),
        ]);
        assert_eq!(
            told,
            [
                (0, some("a"), some("f"), "1".to_owned()),
                (0, None, None, "2".to_owned())
            ]
        );
    }

    #[test]
    fn another_id_is_another_call_whatever_the_index() {
        let told = told(&[
            json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "1"}}),
            json!({"index": 0, "id": "b", "function": {"name": "f", "arguments": "2"}}),
            json!({"id": "c", "function": {"name": "f", "arguments": "3"}}),
            json!({"function": {"arguments": "4"}}),
        ]);
        let places: Vec<_> = told.iter().map(|call| (call.0, call.3.as_str())).collect();
        assert_eq!(places, [(0, "1"), (1, "2"), (2, "3"), (2, "4")]);
    }

    #[test]
    fn a_call_is_held_until_it_has_a_name_and_gets_an_id_if_it_has_none() {
        let told = told(&[
            json!({"index": 0, "function": {"arguments": "{\"a\":"}}),
            json!({"index": 0, "function": {"name": "f", "arguments": "1}"}}),
        ]);
        assert_eq!(told, [(0, some("call_x_0"), some("f"), "{\"a\":1}".to_owned())]);
        let nameless = pieces(&[json!({"index": 0, "id": "a"})]).unwrap();
        assert!(nameless.1.is_empty() && !nameless.0.are_whole());
    }

    #[test]
    fn calls_and_unnamed_arguments_are_bounded() {
        let many: Vec<Value> = (0..129)
            .map(|index| json!({"index": index, "function": {"name": "f"}}))
            .collect();
        assert!(pieces(&many).unwrap_err().message.contains("more than 128"));
        let long = json!({"index": 0, "function": {"arguments": "x".repeat((64 << 10) + 1)}});
        assert!(pieces(&[long]).unwrap_err().message.contains("not which tool"));
    }
}
