//! What a request may ask for beside its text: each is kept, or refused by name; nothing is ignored in silence.

use encaje_core::chat::{ChatEvent, FinishReason, ResponseFormat, Tool, ToolChoice};
use encaje_core::problem::ProblemKind;

use super::Subject;
use super::stream::{Asked, named};
use crate::run::{Verdict, ensure, fail, same, shown, skip, typed};

/// Tokens of the short answer, and bytes that it may have where the provider counts no tokens: no token of a common
/// vocabulary is longer than some dozens of bytes.
const FEW_TOKENS: u32 = 3;
const FEW_BYTES: usize = 300;

pub(super) async fn choices(s: &Subject<'_>) -> Verdict {
    let mut request = s.question("Name a colour.")?;
    request.sampling.choices = 2;
    let answer = s.ask(request).await?.or_named(&["n"])?;
    same("how many choices there are", &answer.said.choices.len(), &2)
}

pub(super) async fn unknown(s: &Subject<'_>) -> Verdict {
    let mut request = s.question("Name a colour.")?;
    request.extra = vec![("x_encaje_testkit".to_owned(), r#"{"a":[1,null,"ñ"]}"#.to_owned())];
    match (s.ask(request).await?, s.settings.forwards) {
        (Asked::Refused(problem), false) => named(&problem, &["x_encaje_testkit"]),
        // An upstream that it was passed on to says it in its own way.
        (Asked::Refused(problem), true) => typed(&problem, &[ProblemKind::Unsupported, ProblemKind::InvalidRequest]),
        (Asked::Answered(_), true) => skip("it is said to pass such a one on; whether it did is not judged"),
        (Asked::Answered(_), false) => fail(
            "a refusal was expected, an answer came: nobody knows `x_encaje_testkit`, so it was left out in silence; \
             where it is passed on to an upstream, say so to the kit",
        ),
    }
}

pub(super) async fn max_tokens(s: &Subject<'_>) -> Verdict {
    let mut request = s.question("Write a long poem about the sea, the wind and the harbour.")?;
    request.sampling.max_tokens = Some(FEW_TOKENS);
    let answer = s
        .ask(request)
        .await?
        .or_named(&["max_tokens", "max_completion_tokens"])?;
    let said = answer.first();
    match answer.usage() {
        Some(usage) => ensure(usage.output_tokens <= u64::from(FEW_TOKENS), || {
            format!(
                "at most {FEW_TOKENS} tokens were expected, {} came",
                usage.output_tokens
            )
        })?,
        None => ensure(said.text.len() + said.reasoning.len() <= FEW_BYTES, || {
            format!("at most {FEW_TOKENS} tokens were expected, {} came", shown(&said.text))
        })?,
    }
    let reason = said.finish;
    let ended = matches!(reason, Some(FinishReason::Length | FinishReason::Stop));
    ensure(ended, || {
        format!("an end by `length` or `stop` was expected, {reason:?} came")
    })
}

pub(super) async fn stop(s: &Subject<'_>) -> Verdict {
    let request = s.question("Count from one to ten in words.")?;
    let first = s.answer(request.clone()).await?.first().text;
    let characters: Vec<char> = first.chars().collect();
    if characters.len() < 4 {
        return skip("its answer is too short to stop in the middle of");
    }
    // A piece from the middle, so that it may lie across two chunks.
    let middle = characters.len() / 2;
    let stop: String = characters.iter().skip(middle.saturating_sub(1)).take(3).collect();
    let mut request = request;
    request.sampling.stop = vec![stop.clone()];
    let second = s.ask(request).await?.or_named(&["stop"])?.first();
    ensure(!second.text.contains(&stop), || {
        format!("an end before {stop:?} was expected, {} came", shown(&second.text))
    })
}

pub(super) async fn tools(s: &Subject<'_>) -> Verdict {
    let mut request = s.question("What is the weather in Bergen? Use the tool.")?;
    request.tools = vec![Tool {
        name: "weather".to_owned(),
        description: Some("The weather of a town.".to_owned()),
        parameters: r#"{"type":"object","properties":{"town":{"type":"string"}},"required":["town"]}"#.to_owned(),
        strict: false,
        extra: Vec::new(),
    }];
    request.tool_choice = Some(ToolChoice::Required);
    let answer = s.ask(request).await?.or_named(&["tools", "tool_choice"])?;
    let said = answer.first();
    if said.finish == Some(FinishReason::Length) {
        return skip("its answer was cut before the call was whole");
    }
    ensure(!said.tool_calls.is_empty(), || {
        format!("a call of a tool was required, {} came", shown(&said))
    })?;
    let foreign = said.tool_calls.iter().find(|call| call.name != "weather");
    ensure(foreign.is_none(), || {
        format!("calls of `weather` were expected, {} came", shown(&foreign))
    })
}

pub(super) async fn json(s: &Subject<'_>) -> Verdict {
    let mut request = s.question("Give a JSON object with the key `town`.")?;
    request.response_format = ResponseFormat::Json;
    let said = s.ask(request).await?.or_named(&["response_format"])?.first();
    if said.finish != Some(FinishReason::Stop) {
        return skip("its answer was cut before it was whole");
    }
    let parsed = serde_json::from_str::<serde_json::Value>(&said.text);
    ensure(parsed.is_ok_and(|json| json.is_object()), || {
        format!("a JSON object was expected, {} came", shown(&said.text))
    })
}

pub(super) async fn logprobs(s: &Subject<'_>) -> Verdict {
    let mut request = s.question("Name a colour.")?;
    request.sampling.logprobs = Some(1);
    let answer = s.ask(request).await?.or_named(&["logprobs", "top_logprobs"])?;
    let (mut text, mut told) = (false, 0);
    for chunk in &answer.chunks {
        let ChatEvent::Logprobs(tokens) = &chunk.event else {
            text |= matches!(chunk.event, ChatEvent::Text(_));
            continue;
        };
        told += tokens.len();
        ensure(text, || {
            "a text before its probabilities was expected, none came".to_owned()
        })?;
        let wrong = tokens
            .iter()
            .find(|token| token.logprob.is_nan() || token.logprob > 0.0 || token.top.len() > 1);
        ensure(wrong.is_none(), || {
            format!(
                "logarithms of at most 0 and at most one rival were expected, {} came",
                shown(&wrong)
            )
        })?;
    }
    ensure(told > 0 || !text, || {
        "probabilities were asked for, none came".to_owned()
    })
}
