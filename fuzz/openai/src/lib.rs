//! The modules of `plugins/provider-openai` that read an upstream's stream, compiled for the fuzzer as they stand there.
//!
//! The plugin is a guest and shows nothing but its exports; a crate with the same modules at its root sees what is
//! behind them, and the plugin needs no door for the fuzzer. Nothing is added here but [`start`].
#![allow(dead_code, reason = "the plugin uses the rest")]

#[path = "../../../plugins/provider-openai/src/answer.rs"]
mod answer;
#[path = "../../../plugins/provider-openai/src/calls.rs"]
mod calls;
#[path = "../../../plugins/provider-openai/src/client.rs"]
mod client;
#[path = "../../../plugins/provider-openai/src/config.rs"]
mod config;
#[path = "../../../plugins/provider-openai/src/error.rs"]
mod error;
#[path = "../../../plugins/provider-openai/src/json.rs"]
mod json;
#[path = "../../../plugins/provider-openai/src/limits.rs"]
mod limits;
#[path = "../../../plugins/provider-openai/src/logprobs.rs"]
mod logprobs;
#[path = "../../../plugins/provider-openai/src/message.rs"]
mod message;
#[path = "../../../plugins/provider-openai/src/request.rs"]
mod request;
#[path = "../../../plugins/provider-openai/src/stream.rs"]
mod stream;
#[path = "../../../plugins/provider-openai/src/usage.rs"]
mod usage;

use encaje_sdk::chat::ChatRequest;
use encaje_sdk::errors::Problem;
use encaje_sdk::http::Transport;
use encaje_sdk::provider::Completion;

/// Bytes that the text of a problem may have: the upstream's sentence, and the plugin's own words around it.
pub const PROBLEM_BYTES: usize = 2 * limits::MAX_MESSAGE_BYTES;

/// Asks an upstream as the plugin does, with a configuration that says no more than where it is.
///
/// # Errors
/// As the plugin's.
pub fn start<T: Transport>(transport: &T, request: &ChatRequest) -> Result<Box<dyn Completion>, Problem>
where
    T::Answer: 'static,
{
    let config = encaje_sdk::parse_config::<config::Config>(r#"{"base_url": "https://upstream.example/v1"}"#)?;
    let config = config.checked()?;
    let origin = client::Origin::default();
    let client = client::Client {
        transport,
        config: &config,
        origin,
    };
    Ok(Box::new(stream::start(&client, request)?))
}
