//! Embeddings and models on the OpenAI wire.

use base64::Engine as _;
use encaje_core::embeddings::{EmbedInput, Purpose};
use insta::assert_snapshot;

use crate::fake::{Heard, Setting, World};

async fn embed(world: &World, members: &str) -> Heard {
    world
        .post("/v1/embeddings", &format!(r#"{{"model":"hello",{members}}}"#))
        .await
}

#[tokio::test]
async fn vectors_come_as_numbers_and_as_base64() {
    let world = Setting::default().start();
    let numbers = embed(&world, r#""input":["hola","hello"]"#).await;
    assert_snapshot!("vectors_as_numbers", numbers.shown());
    assert!(numbers.header("x-encaje-trace").is_some());
    let coded = embed(&world, r#""input":["hola","hello"],"encoding_format":"base64""#).await;
    assert_snapshot!("vectors_as_base64", coded.shown());
    let text = coded.json()["data"][1]["embedding"].as_str().unwrap().to_owned();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let decoded: Vec<f32> = bytes
        .chunks(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    let plain: Vec<f32> = serde_json::from_value(numbers.json()["data"][1]["embedding"].clone()).unwrap();
    assert_eq!(decoded, plain);
    assert_eq!(decoded, [1.4, 1.9, 2.4]);
}

#[tokio::test]
async fn every_form_of_input_is_read() {
    let world = Setting::default().start();
    let text = |text: &str| EmbedInput::Text(text.to_owned());
    for (members, expected) in [
        (r#""input":"hola""#, vec![text("hola")]),
        (r#""input":["hola","😀"]"#, vec![text("hola"), text("😀")]),
        (r#""input":[5,6]"#, vec![EmbedInput::Tokens(vec![5, 6])]),
        (
            r#""input":[[5],[6,7]]"#,
            vec![EmbedInput::Tokens(vec![5]), EmbedInput::Tokens(vec![6, 7])],
        ),
    ] {
        assert_eq!(embed(&world, members).await.status, 200, "{members}");
        assert_eq!(world.fake.embedded.lock().unwrap().last().unwrap().inputs, expected);
    }
    let rest = r#""input":"a","dimensions":2,"user":"me","input_type":"query","truncate":"END","encoding_format":null"#;
    assert_eq!(embed(&world, rest).await.status, 200);
    let asked = world.fake.embedded.lock().unwrap().last().unwrap().clone();
    assert_eq!((asked.dimensions, asked.purpose), (Some(2), Purpose::Query));
    assert_eq!(asked.extra, [("truncate".to_owned(), "\"END\"".to_owned())]);
}

#[tokio::test]
async fn bad_input_is_named() {
    let world = Setting::default().start();
    let mut shown = String::new();
    for members in [
        r#""input":"""#,
        r#""input":[]"#,
        r#""input":["a",""]"#,
        r#""input":[[]]"#,
        r#""input":{"a":1}"#,
        r#""input":["a",1]"#,
        r#""input":[1,"a"]"#,
        r#""input":[4294967296]"#,
        r#""input":"a","encoding_format":"int8""#,
        r#""input":"a","dimensions":0"#,
        r#""user":"nobody""#,
    ] {
        let heard = embed(&world, members).await;
        assert_eq!(heard.status, 400);
        shown.push_str(&format!("{members}\n  {}\n", heard.body));
    }
    assert_snapshot!("bad_embedding_input", shown);
    let many = format!(r#""input":[{}"a"]"#, r#""a","#.repeat(2_048));
    assert_eq!(
        embed(&world, &many).await.json()["error"]["code"],
        "array_above_max_length"
    );
}

#[tokio::test]
async fn truncation_is_told() {
    let world = Setting::default().start();
    assert_eq!(embed(&world, r#""input":"a""#).await.header("x-encaje-truncated"), None);
    let cut = world.post("/v1/embeddings", r#"{"model":"cut","input":"a"}"#).await;
    assert_eq!(cut.header("x-encaje-truncated"), Some("true"));
}

#[tokio::test]
async fn second_best_vectors_are_marked() {
    let world = Setting::default().start();
    let heard = world.post("/v1/embeddings", r#"{"model":"second","input":"a"}"#).await;
    assert_eq!(heard.header("x-encaje-degraded"), Some("true"));
}

#[tokio::test]
async fn many_vectors_are_written_too() {
    let world = Setting::default().start();
    let inputs = r#""input":["#.to_owned() + &r#""a","#.repeat(2_047) + r#""a"]"#;
    assert_eq!(
        embed(&world, &inputs).await.json()["data"].as_array().unwrap().len(),
        2_048
    );
}

#[tokio::test]
async fn models_are_listed_and_found_by_ids_with_slashes() {
    let world = Setting::default().start();
    let list = world.get("/v1/models").await;
    assert_snapshot!("models", list.shown());
    assert_snapshot!("one_model", world.get("/v1/models/org/model-1").await.shown());
    assert_eq!(world.get("/v1/models/org%2Fmodel-1").await.json()["id"], "org/model-1");
    assert_snapshot!(
        "a_model_of_a_pattern",
        world.get("/v1/models/fail-anything").await.shown()
    );
    assert_snapshot!("an_unknown_model", world.get("/v1/models/nobody/knows").await.shown());
    assert_snapshot!("a_path_that_is_no_text", world.get("/v1/models/%FF").await.shown());
}
