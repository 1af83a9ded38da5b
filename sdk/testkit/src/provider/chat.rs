//! Answers: how they stream and end, what is read, what happens when nobody listens.

use encaje_core::chat::{ChatRequest, Input, Message, Role, Sampling};
use encaje_core::problem::ProblemKind;

use super::Subject;
use super::stream::Asked;
use crate::generate::{self, MARK};
use crate::limits::AT_ONCE;
use crate::run::{Verdict, ensure, fail, property, skip, together, typed, unmarked, well_told};

/// What a question may be refused with, when nothing is wrong with the provider.
const REFUSALS: [ProblemKind; 5] = [
    ProblemKind::InvalidRequest,
    ProblemKind::Unsupported,
    ProblemKind::NotFound,
    ProblemKind::ContextExceeded,
    ProblemKind::ContentBlocked,
];

/// What one of many at once may be refused with.
const BUSY: [ProblemKind; 2] = [ProblemKind::Overloaded, ProblemKind::RateLimited];

pub(super) async fn finishes(s: &Subject<'_>) -> Verdict {
    let answer = s.answer(s.question("Say three words.")?).await?;
    let said = answer.first();
    let silent = said.text.is_empty() && said.reasoning.is_empty() && said.refusal.is_empty();
    ensure(!silent, || "an answer with a text was expected, none came".to_owned())?;
    ensure(said.tool_calls.is_empty(), || {
        "no tool was given, a call of one came".to_owned()
    })
}

pub(super) async fn usage(s: &Subject<'_>) -> Verdict {
    let answer = s.answer(s.question("Count to five.")?).await?;
    let Some(usage) = answer.usage() else {
        return fail("the tokens of the answer were expected before its end, none were told");
    };
    ensure(usage.input_tokens > 0 && usage.output_tokens > 0, || {
        format!(
            "tokens read and said were expected, {} and {} came",
            usage.input_tokens, usage.output_tokens
        )
    })
}

pub(super) async fn conversation(s: &Subject<'_>) -> Verdict {
    let mut request = s.question("")?;
    request.input = Input::Messages(vec![
        Message::text(Role::System, "Be brief."),
        Message::text(Role::User, "What is a fjord?"),
        Message::text(Role::Assistant, "A narrow inlet of the sea."),
        Message::text(Role::User, "And a bay?"),
    ]);
    s.answer(request).await.map(drop)
}

pub(super) async fn odd_text(s: &Subject<'_>) -> Verdict {
    property(s.settings, generate::text(), async |text| {
        let request = s.question(&text)?;
        match s.ask(request).await? {
            Asked::Answered(_) => Ok(()),
            Asked::Refused(problem) => typed(&problem, &REFUSALS),
        }
    })
    .await
}

pub(super) async fn nothing_said(s: &Subject<'_>) -> Verdict {
    let mut request = s.question("")?;
    let empty = request.clone();
    request.input = Input::Messages(Vec::new());
    for request in [request, empty] {
        if let Asked::Refused(problem) = s.ask(request).await? {
            typed(&problem, &REFUSALS)?;
        }
    }
    Ok(())
}

pub(super) async fn raw_input(s: &Subject<'_>) -> Verdict {
    for input in [Input::Prompt("Once upon a".to_owned()), Input::Tokens(vec![1, 2, 3])] {
        let mut request = s.question("")?;
        request.input = input;
        if let Asked::Refused(problem) = s.ask(request).await? {
            typed(&problem, &REFUSALS)?;
        }
    }
    Ok(())
}

pub(super) async fn unknown_model(s: &Subject<'_>) -> Verdict {
    s.question("")?;
    let request = ChatRequest {
        sampling: Sampling {
            choices: 1,
            max_tokens: Some(s.settings.answer_tokens),
            ..Sampling::default()
        },
        ..ChatRequest::question("encaje-testkit/no-such-model", "Hello.")
    };
    match s.ask(request).await? {
        // `denied` is the host's word for a model of its own that the plugin was not granted.
        Asked::Refused(problem) => typed(
            &problem,
            &[ProblemKind::NotFound, ProblemKind::InvalidRequest, ProblemKind::Denied],
        ),
        Asked::Answered(_) => skip("it answers any model's name"),
    }
}

pub(super) async fn dropped(s: &Subject<'_>) -> Verdict {
    let call = s.settings.call();
    for _ in 0..3 {
        let mut completion = s.port.complete(&call, s.question("Tell a long story.")?).await?;
        completion.next().await?;
        drop(completion);
    }
    drop(s.port.complete(&call, s.question("Tell a long story.")?).await?);
    s.answer(s.question("Say three words.")?).await.map(drop)
}

pub(super) async fn forgotten(s: &Subject<'_>) -> Verdict {
    let theirs = s.question(&format!("Remember {MARK}, and say it."))?;
    if let Asked::Refused(problem) = s.ask_for(&s.settings.other_call(), theirs).await? {
        typed(&problem, &REFUSALS)?;
    }
    let answer = s.answer(s.question("Say three words.")?).await?;
    unmarked("an answer", &answer.chunks)?;
    unmarked("an answer", &answer.said)
}

pub(super) async fn at_once(s: &Subject<'_>) -> Verdict {
    let request = s.question("Say three words.")?;
    let ask = |_| s.ask(request.clone());
    let mut answered = 0;
    for outcome in together((0..AT_ONCE).map(ask)).await {
        match outcome? {
            Asked::Answered(_) => answered += 1,
            Asked::Refused(problem) if BUSY.contains(&problem.kind) => well_told(&problem)?,
            Asked::Refused(problem) => return Err(problem.into()),
        }
    }
    if answered == 0 {
        return fail(format!("some of {AT_ONCE} answers were expected, none came"));
    }
    Ok(())
}
