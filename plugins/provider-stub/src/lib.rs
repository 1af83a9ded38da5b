//! A provider without a model: deterministic answers to any model's name, scripted by the operator and by each request. For
//! tests, demonstrations and benchmarks; the README lists what can be asked of it. It reaches nothing outside itself.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

mod answer;
mod embedding;
mod hash;
mod limits;
mod playback;
mod sample;
mod script;
#[cfg(test)]
mod testing;
mod words;

use std::time::Duration;

use encaje_sdk::chat::{ChatRequest, Chunk};
use encaje_sdk::embeddings::{EmbedRequest, EmbedResponse};
use encaje_sdk::errors::Problem;
use encaje_sdk::provider::{Completion, ModelInfo, Provider};

use limits::{MAX_ALTERNATIVES, MAX_CHOICES};
use playback::Playback;
use script::{Config, Script};

/// Parameters outside the contract's own that change nothing about what is said; any other one is refused.
const INERT_EXTRA: [&str; 8] = [
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
    "verbosity",
];

struct Stub;

impl Provider for Stub {
    fn check() -> Result<Vec<String>, Problem> {
        config()?;
        Ok(["chat", "embed", "count-tokens"].map(str::to_owned).to_vec())
    }

    fn models() -> Result<Vec<ModelInfo>, Problem> {
        Ok(models(&config()?))
    }

    fn complete(request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        let (playback, delay) = start(&request, &config()?)?;
        Ok(Box::new(Speech { playback, delay }))
    }

    fn embed(request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        let config = config()?;
        let script = script_of(&config, &request.extra)?;
        wait(script.delay());
        if let Some(problem) = script.failure() {
            return Err(problem);
        }
        embedding::embed(&request, config.dimensions, config.context_tokens)
    }

    fn count_tokens(request: ChatRequest) -> Result<u32, Problem> {
        Ok(u32::try_from(words::count_input(&request)).unwrap_or(u32::MAX))
    }
}

/// An answer under way.
struct Speech {
    playback: Playback,
    delay: Option<Duration>,
}

impl Completion for Speech {
    fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        if !self.playback.is_over() {
            wait(self.delay);
        }
        self.playback.step()
    }
}

fn wait(delay: Option<Duration>) {
    if let Some(delay) = delay {
        std::thread::sleep(delay);
    }
}

fn config() -> Result<Config, Problem> {
    encaje_sdk::config::<Config>().and_then(Config::checked)
}

fn models(config: &Config) -> Vec<ModelInfo> {
    let info = |id: &String| ModelInfo {
        id: id.clone(),
        owned_by: "encaje".to_owned(),
        created: None,
        context_tokens: Some(config.context_tokens),
        max_output_tokens: None,
        capabilities: ["chat", "embed", "tools", "json-schema", "logprobs"]
            .map(str::to_owned)
            .to_vec(),
        extra: Vec::new(),
    };
    config.models.iter().map(info).collect()
}

/// The script of a request, once every parameter in `extra` is known.
fn script_of(config: &Config, extra: &[(String, String)]) -> Result<Script, Problem> {
    let known = |name: &str| name == "stub" || INERT_EXTRA.contains(&name);
    if let Some((name, _)) = extra.iter().find(|(name, _)| !known(name)) {
        return Err(Problem::unsupported(format!("the stub does not know the parameter `{name}`")).with_param(name));
    }
    config.script.for_request(extra)
}

fn start(request: &ChatRequest, config: &Config) -> Result<(Playback, Option<Duration>), Problem> {
    let choices = request.sampling.choices;
    if choices == 0 || choices > MAX_CHOICES {
        return Err(Problem::invalid_request(format!("`n` must lie between 1 and {MAX_CHOICES}")).with_param("n"));
    }
    if request
        .sampling
        .logprobs
        .is_some_and(|alternatives| alternatives > MAX_ALTERNATIVES)
    {
        let message = format!("at most {MAX_ALTERNATIVES} alternatives a token");
        return Err(Problem::invalid_request(message).with_param("top_logprobs"));
    }
    let script = script_of(config, &request.extra)?;
    let tokens = words::count_input(request);
    if tokens > u64::from(config.context_tokens) {
        let message = format!("the prompt has {tokens} tokens, the context {}", config.context_tokens);
        let problem = Problem::new(encaje_sdk::errors::ProblemKind::ContextExceeded, message);
        return Err(problem.with_code("context_length_exceeded").with_param("messages"));
    }
    Ok((Playback::start(request, &script)?, script.delay()))
}

encaje_sdk::export_provider!(Stub);

#[cfg(test)]
mod tests {
    use super::{Config, models, start};
    use crate::testing::request;
    use encaje_sdk::errors::ProblemKind;

    fn config() -> Config {
        encaje_sdk::parse_config(r#"{"models":["stub","other"],"context_tokens":4,"dimensions":8}"#).unwrap()
    }

    #[test]
    fn it_lists_what_it_was_told_and_answers_any_name() {
        let names: Vec<String> = models(&config()).into_iter().map(|model| model.id).collect();
        assert_eq!(names, ["stub", "other"]);
        let mut request = request("hi");
        request.model = "nobody-knows-me".to_owned();
        assert!(start(&request, &config()).is_ok());
    }

    #[test]
    fn what_it_cannot_do_is_a_typed_refusal() {
        let refused = |change: &dyn Fn(&mut encaje_sdk::chat::ChatRequest)| {
            let mut request = request("hi");
            change(&mut request);
            start(&request, &config()).unwrap_err()
        };
        assert_eq!(
            refused(&|request| request.sampling.choices = 0).param.as_deref(),
            Some("n")
        );
        assert_eq!(
            refused(&|request| request.sampling.choices = 129).param.as_deref(),
            Some("n")
        );
        assert_eq!(
            refused(&|request| request.sampling.logprobs = Some(21))
                .param
                .as_deref(),
            Some("top_logprobs")
        );
        let extra = refused(&|request| request.extra.push(("best_of".to_owned(), "2".to_owned())));
        assert!(matches!(extra.kind, ProblemKind::Unsupported));
        assert_eq!(extra.param.as_deref(), Some("best_of"));
        let long = start(&request("one two three four five"), &config()).unwrap_err();
        assert!(matches!(long.kind, ProblemKind::ContextExceeded));
        assert_eq!(long.code.as_deref(), Some("context_length_exceeded"));
    }

    #[test]
    fn parameters_that_change_nothing_are_accepted() {
        let mut request = request("hi");
        request.extra = vec![
            ("user".to_owned(), "\"x\"".to_owned()),
            ("stub".to_owned(), r#"{"text":"y"}"#.to_owned()),
        ];
        assert!(start(&request, &config()).is_ok());
    }
}
