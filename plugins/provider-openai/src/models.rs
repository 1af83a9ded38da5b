//! The models that it lists: those of the configuration, or what the upstream says it has.

use encaje_sdk::errors::Problem;
use encaje_sdk::http::Transport;
use encaje_sdk::provider::ModelInfo;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Client;
use crate::error::malformed;
use crate::limits::MAX_MODELS;

#[derive(Deserialize)]
struct Body {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    owned_by: Option<String>,
    created: Option<Value>,
    /// Servers of this wire have several names for it.
    #[serde(alias = "context_window", alias = "max_model_len", alias = "max_context_length")]
    context_length: Option<Value>,
    max_output_tokens: Option<Value>,
    capabilities: Option<Value>,
}

/// What is known of each model.
pub(crate) fn list<T: Transport>(client: &Client<'_, T>) -> Result<Vec<ModelInfo>, Problem> {
    if let Some(models) = &client.config.models {
        return Ok(models.iter().map(|id| named(id.clone())).collect());
    }
    let body: Body = client.get("/models")?;
    if body.data.len() > MAX_MODELS {
        let message = format!("The upstream lists more than {MAX_MODELS} models; name those that matter in `models`.");
        return Err(malformed(message));
    }
    Ok(body.data.into_iter().map(info).collect())
}

fn named(id: String) -> ModelInfo {
    ModelInfo {
        id,
        owned_by: "upstream".to_owned(),
        created: None,
        context_tokens: None,
        max_output_tokens: None,
        capabilities: Vec::new(),
        extra: Vec::new(),
    }
}

/// What a server says in a way of its own is not known.
fn info(listed: Listed) -> ModelInfo {
    let count = |value: Option<Value>| value?.as_u64().and_then(|count| u32::try_from(count).ok());
    let words = listed
        .capabilities
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    ModelInfo {
        owned_by: listed.owned_by.unwrap_or_else(|| "upstream".to_owned()),
        created: listed.created.and_then(|created| created.as_u64()),
        context_tokens: count(listed.context_length),
        max_output_tokens: count(listed.max_output_tokens),
        capabilities: words.filter_map(Value::as_str).map(str::to_owned).collect(),
        ..named(listed.id)
    }
}

#[cfg(test)]
mod tests {
    use super::list;
    use crate::testing::{Canned, Fake, config};

    #[test]
    fn configured_models_are_listed_without_asking() {
        let (fake, config) = (Fake::default(), config(r#"{"models":["a","b"]}"#));
        let models = list(&fake.client(&config)).unwrap();
        let ids: Vec<_> = models.iter().map(|model| model.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(fake.asked.borrow().is_empty());
    }

    #[test]
    fn the_upstreams_models_keep_what_is_known_of_them() {
        let body = r#"{"object":"list","data":[
            {"id":"a","object":"model","created":5,"owned_by":"them","context_length":9,"capabilities":["chat"]},
            {"id":"b","created":1.5,"max_model_len":7,"max_output_tokens":3,"capabilities":{"vision":true}}]}"#;
        let (fake, config) = (Fake::of(Canned::json(200, body)), config("{}"));
        let models = list(&fake.client(&config)).unwrap();
        assert_eq!(fake.asked.borrow()[0].url, "https://u.example/v1/models");
        assert_eq!((models[0].created, models[0].context_tokens), (Some(5), Some(9)));
        assert_eq!(
            (models[0].owned_by.as_str(), models[0].capabilities.as_slice()),
            ("them", ["chat".to_owned()].as_slice())
        );
        assert_eq!(
            (models[1].created, models[1].context_tokens, models[1].max_output_tokens),
            (None, Some(7), Some(3))
        );
    }

    #[test]
    fn a_list_without_end_is_refused() {
        let item = r#"{"id":"a"}"#;
        let body = format!(r#"{{"data":[{item}{}]}}"#, format!(",{item}").repeat(10_000));
        let (fake, config) = (Fake::of(Canned::json(200, &body)), config("{}"));
        assert!(
            list(&fake.client(&config))
                .unwrap_err()
                .message
                .contains("more than 10000")
        );
    }
}
