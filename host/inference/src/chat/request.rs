//! A chat request checked against what a local model can do.
//!
//! Whatever it cannot do is `Unsupported` and names the parameter; whatever is out of range is `InvalidRequest` and names
//! it too. Nothing is dropped in silence.

use encaje_core::chat::{ChatRequest, ResponseFormat, Sampling, ToolChoice};
use encaje_core::{Problem, ProblemKind};

use crate::limits::{CHOICES, LOGIT_BIASES, STOP_BYTES, STOP_STRINGS, TOP_LOGPROBS};

/// How one request is to be answered; every number is in range.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// As the request has it.
    pub(crate) sampling: Sampling,
    /// The request's, or one drawn for it.
    pub(crate) seed: u64,
}

impl Plan {
    /// Checks a request; the model need not be in memory.
    ///
    /// # Errors
    /// `Unsupported` and `InvalidRequest`, naming the parameter.
    pub(crate) fn new(request: &ChatRequest) -> Result<Self, Problem> {
        abilities(request)?;
        ranges(&request.sampling)?;
        let seed = request.sampling.seed.map_or_else(rand::random, i64::cast_unsigned);
        Ok(Self {
            sampling: request.sampling.clone(),
            seed,
        })
    }

    /// What only the model can tell: its vocabulary, and how many answers it makes at once.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the parameter.
    pub(crate) fn fits(&self, vocabulary: usize, together: usize) -> Result<(), Problem> {
        if let Some((token, _)) = self
            .sampling
            .logit_bias
            .iter()
            .find(|(token, _)| *token as usize >= vocabulary)
        {
            let text = format!("There is no token {token}: the model's vocabulary has {vocabulary}.");
            return Err(Problem::invalid("logit_bias", text));
        }
        if self.sampling.choices as usize > together {
            return Err(Problem::invalid(
                "n",
                format!("At most {together} answers to one request are made here."),
            ));
        }
        Ok(())
    }
}

fn unsupported(param: &str, message: &str) -> Problem {
    Problem::new(ProblemKind::Unsupported, message).with_param(param)
}

fn abilities(request: &ChatRequest) -> Result<(), Problem> {
    if let Some((name, _)) = request.extra.first() {
        return Err(unsupported(
            name,
            &format!("Local models do not know the parameter `{name}`."),
        ));
    }
    let forbidden = matches!(request.tool_choice, Some(ToolChoice::Forbidden));
    if !request.tools.is_empty() && !forbidden {
        return Err(unsupported(
            "tools",
            "Local models cannot call tools. Leave them out, or set `tool_choice` to `none`.",
        ));
    }
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        return Err(unsupported("tool_choice", "Local models cannot call tools."));
    }
    match &request.response_format {
        ResponseFormat::Text => {}
        ResponseFormat::Json | ResponseFormat::JsonSchema(_) => {
            return Err(unsupported("response_format", "Local models cannot promise JSON."));
        }
        ResponseFormat::Other(name, _) => {
            return Err(unsupported(
                "response_format",
                &format!("Local models do not know the format `{name}`."),
            ));
        }
    }
    // A model that does not think apart keeps the word `none` by itself.
    match request.reasoning_effort.as_deref() {
        None | Some("none") => Ok(()),
        Some(_) => Err(unsupported(
            "reasoning_effort",
            "Local models do not think apart from their answer.",
        )),
    }
}

fn ranges(sampling: &Sampling) -> Result<(), Problem> {
    let number = |name: &str, value: Option<f64>, low: f64, high: f64, text: &str| match value {
        Some(value) if !(low..=high).contains(&value) => Err(Problem::invalid(name, format!("`{name}` is {text}."))),
        _ => Ok(()),
    };
    number(
        "temperature",
        sampling.temperature,
        0.0,
        100.0,
        "a number from 0 to 100",
    )?;
    number("top_p", sampling.top_p, f64::MIN_POSITIVE, 1.0, "above 0 and at most 1")?;
    number("min_p", sampling.min_p, 0.0, 1.0, "a number from 0 to 1")?;
    number(
        "frequency_penalty",
        sampling.frequency_penalty,
        -100.0,
        100.0,
        "a number from -100 to 100",
    )?;
    number(
        "presence_penalty",
        sampling.presence_penalty,
        -100.0,
        100.0,
        "a number from -100 to 100",
    )?;
    number(
        "repetition_penalty",
        sampling.repetition_penalty,
        0.01,
        100.0,
        "a number from 0.01 to 100",
    )?;
    counts(sampling)
}

fn counts(sampling: &Sampling) -> Result<(), Problem> {
    if !(1..=CHOICES).contains(&sampling.choices) {
        return Err(Problem::invalid("n", format!("`n` is a number from 1 to {CHOICES}.")));
    }
    if sampling.max_tokens == Some(0) {
        return Err(Problem::invalid("max_tokens", "`max_tokens` is at least 1."));
    }
    if sampling.logprobs.is_some_and(|count| count > TOP_LOGPROBS) {
        return Err(Problem::invalid(
            "top_logprobs",
            format!("At most {TOP_LOGPROBS} alternatives are told."),
        ));
    }
    if sampling.logit_bias.len() > LOGIT_BIASES {
        return Err(Problem::invalid(
            "logit_bias",
            format!("At most {LOGIT_BIASES} tokens can be biased."),
        ));
    }
    if sampling.logit_bias.iter().any(|(_, bias)| !bias.is_finite()) {
        return Err(Problem::invalid("logit_bias", "A bias is a finite number."));
    }
    if sampling.stop.len() > STOP_STRINGS {
        return Err(Problem::invalid(
            "stop",
            format!("At most {STOP_STRINGS} stop strings are allowed."),
        ));
    }
    if sampling
        .stop
        .iter()
        .any(|stop| stop.is_empty() || stop.len() > STOP_BYTES)
    {
        return Err(Problem::invalid(
            "stop",
            format!("A stop string has 1 to {STOP_BYTES} bytes."),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use encaje_core::chat::Tool;

    use super::*;

    fn request() -> ChatRequest {
        ChatRequest::question("m", "hi")
    }

    fn refused(change: impl FnOnce(&mut ChatRequest)) -> (ProblemKind, String) {
        let mut request = request();
        change(&mut request);
        let problem = Plan::new(&request).unwrap_err();
        (problem.kind, problem.param.unwrap())
    }

    #[test]
    fn what_it_cannot_do_is_named() {
        use ProblemKind::Unsupported;
        let tool = Tool {
            name: "t".into(),
            description: None,
            parameters: "{}".into(),
            strict: false,
            extra: Vec::new(),
        };
        assert_eq!(
            refused(|r| r.extra.push(("mirostat".into(), "1".into()))),
            (Unsupported, "mirostat".into())
        );
        assert_eq!(refused(|r| r.tools.push(tool.clone())), (Unsupported, "tools".into()));
        assert_eq!(
            refused(|r| r.tool_choice = Some(ToolChoice::Required)),
            (Unsupported, "tool_choice".into())
        );
        assert_eq!(
            refused(|r| r.response_format = ResponseFormat::Json),
            (Unsupported, "response_format".into())
        );
        assert_eq!(
            refused(|r| r.reasoning_effort = Some("high".into())),
            (Unsupported, "reasoning_effort".into())
        );
        let mut fine = request();
        fine.tools.push(tool);
        fine.tool_choice = Some(ToolChoice::Forbidden);
        fine.reasoning_effort = Some("none".into());
        assert!(Plan::new(&fine).is_ok());
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let named = |name: &str, change: fn(&mut Sampling)| {
            assert_eq!(
                refused(|r| change(&mut r.sampling)),
                (ProblemKind::InvalidRequest, name.to_owned())
            );
        };
        named("temperature", |s| s.temperature = Some(-0.1));
        named("temperature", |s| s.temperature = Some(f64::NAN));
        named("top_p", |s| s.top_p = Some(0.0));
        named("min_p", |s| s.min_p = Some(1.5));
        named("repetition_penalty", |s| s.repetition_penalty = Some(0.0));
        named("n", |s| s.choices = 0);
        named("n", |s| s.choices = 99);
        named("max_tokens", |s| s.max_tokens = Some(0));
        named("top_logprobs", |s| s.logprobs = Some(21));
        named("logit_bias", |s| s.logit_bias = vec![(1, f32::INFINITY)]);
        named("stop", |s| s.stop = vec![String::new()]);
        named("stop", |s| s.stop = vec!["x".into(); 17]);
        let plan = Plan::new(&request()).unwrap();
        assert!(plan.fits(10, 1).is_ok());
        let biased = Plan {
            sampling: Sampling {
                logit_bias: vec![(10, 1.0)],
                ..plan.sampling
            },
            seed: 0,
        };
        assert_eq!(biased.fits(10, 1).unwrap_err().param.as_deref(), Some("logit_bias"));
    }
}
