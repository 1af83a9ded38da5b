//! What the core gets of a chat request: every published parameter, and what becomes of those it has no field for.

use encaje_core::chat::{Input, Media, Part, PartBody, ResponseFormat, Role, ToolCall, ToolChoice};
use insta::assert_snapshot;

use crate::fake::{Setting, World};

fn asking(members: &str) -> String {
    format!(r#"{{"model":"hello","messages":[{{"role":"user","content":"Hi"}}],{members}}}"#)
}

async fn messages(world: &World, messages: &str) -> Vec<encaje_core::chat::Message> {
    let heard = world
        .chat(&format!(r#"{{"model":"hello","messages":{messages}}}"#))
        .await;
    assert_eq!(heard.status, 200, "{}", heard.body);
    match world.asked().input {
        Input::Messages(messages) => messages,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_has_a_field_goes_there() {
    let world = Setting::default().start();
    let heard = world
        .chat(&asking(
            r#""temperature":0.5,"top_p":0,"top_k":-1,"min_p":0.1,"frequency_penalty":-2,"presence_penalty":2.0,
            "repetition_penalty":1.1,"logit_bias":{"50256":-100,"7":1.5},"seed":-3,"stop":["a","b"],
            "max_completion_tokens":20,"max_tokens":20,"n":1,"logprobs":true,"top_logprobs":20,
            "reasoning_effort":"low","parallel_tool_calls":false,
            "tools":[{"type":"function","function":{"name":"f","description":"d","strict":true,
                "parameters":{"type":"object","properties":{"z":{},"a":{}}},"x":1}}],
            "tool_choice":{"type":"function","function":{"name":"f"}},
            "response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"},"strict":null}}"#,
        ))
        .await;
    assert_eq!(heard.status, 200, "{}", heard.body);
    assert_snapshot!(format!("{:#?}", world.asked()));
    for (word, choice) in [
        ("auto", ToolChoice::Automatic),
        ("none", ToolChoice::Forbidden),
        ("required", ToolChoice::Required),
    ] {
        let tools = r#""tools":[{"type":"function","function":{"name":"f"}}]"#;
        assert_eq!(
            world
                .chat(&asking(&format!(r#"{tools},"tool_choice":"{word}""#)))
                .await
                .status,
            200
        );
        assert_eq!(world.asked().tool_choice, Some(choice));
    }
    world
        .chat(&asking(
            r#""response_format":{"type":"json_object"},"stop":"one","max_tokens":5"#,
        ))
        .await;
    let asked = world.asked();
    assert_eq!(asked.response_format, ResponseFormat::Json);
    assert_eq!(
        (asked.sampling.stop, asked.sampling.max_tokens),
        (vec!["one".to_owned()], Some(5))
    );
}

#[tokio::test]
async fn what_leaves_the_answer_as_it_is_is_accepted() {
    let world = Setting::default().start();
    let heard = world
        .chat(&asking(
            r#""user":"u","safety_identifier":"s","prompt_cache_key":"k","prompt_cache_retention":"24h",
            "prompt_cache_options":{"mode":"implicit"},"store":true,"metadata":{"a":"b"},"service_tier":"auto",
            "verbosity":"medium","modalities":["text"],"audio":null,"tools":[],"tool_choice":"auto",
            "parallel_tool_calls":true,"response_format":{"type":"text"},"logprobs":false,"top_logprobs":0,"stream":false,
            "temperature":null,"functions":null,"unknown":null"#,
        ))
        .await;
    assert_eq!(heard.status, 200, "{}", heard.body);
    let asked = world.asked();
    assert!(asked.extra.is_empty(), "{:?}", asked.extra);
    assert_eq!(
        (asked.tool_choice, asked.parallel_tool_calls, asked.sampling.logprobs),
        (None, None, None)
    );
}

#[tokio::test]
async fn what_changes_the_answer_is_never_passed_over() {
    let world = Setting::default().start();
    for (members, param) in [
        (r#""verbosity":"low""#, "verbosity"),
        (r#""modalities":["text","audio"]"#, "modalities"),
        (r#""audio":{"voice":"alloy","format":"mp3"}"#, "audio"),
        (r#""prediction":{"type":"content","content":"x"}"#, "prediction"),
        (r#""web_search_options":{}"#, "web_search_options"),
        (r#""moderation":{"model":"m"}"#, "moderation"),
        (r#""service_tier":"flex""#, "service_tier"),
        (r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#, "tools"),
        (
            r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{}}"#,
            "tool_choice",
        ),
        (r#""mirostat":2"#, "mirostat"),
    ] {
        let heard = world.chat(&asking(members)).await;
        assert_eq!(heard.status, 400, "{members}");
        let error = &heard.json()["error"];
        assert_eq!(
            (&error["param"], &error["code"]),
            (&param.into(), &"unsupported_parameter".into()),
            "{members}"
        );
        assert_eq!(world.asked().extra[0].0, param);
    }
    let script = r#"{ "text" : "x" }"#;
    assert_eq!(world.chat(&asking(&format!(r#""stub":{script}"#))).await.status, 200);
    assert_eq!(
        world.asked().extra,
        [("stub".to_owned(), script.to_owned())],
        "an unknown parameter is kept as it came"
    );
}

#[tokio::test]
async fn messages_of_every_role_and_part_are_read() {
    let world = Setting::default().start();
    let read = messages(
        &world,
        r#"[{"role":"system","content":"s"},
            {"role":"developer","content":[{"type":"text","text":"d"}]},
            {"role":"user","name":"ann","content":[
                {"type":"text","text":"look","prompt_cache_breakpoint":{"mode":"explicit"}},
                {"type":"image_url","image_url":{"url":"https://example.org/a.png","detail":"high"}},
                {"type":"image_url","image_url":{"url":"data:image/PNG;base64,AAEC"}},
                {"type":"image_url","image_url":"data:image/gif;base64,AAE="},
                {"type":"input_audio","input_audio":{"data":"AAE","format":"mp3"}},
                {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AA=="}},
                {"type":"file","file":{"filename":"b","file_data":"AA=="}},
                {"type":"file","file":{"file_id":"file-1"}},
                {"type":"video_url","video_url":{"url":"x"}}]},
            {"role":"assistant","content":[{"type":"text","text":"a"},{"type":"refusal","refusal":"r"}],
                "reasoning_content":"thought",
                "tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},
                              {"id":"c2","type":"custom","custom":{"name":"g","input":"i"}}]},
            {"role":"tool","tool_call_id":"c1","content":"42"},
            {"role":"assistant","content":null,"refusal":"no"},
            {"role":"assistant","audio":{"id":"audio_1"}}]"#,
    )
    .await;
    assert_snapshot!(format!("{read:#?}"));
}

#[tokio::test]
async fn the_deprecated_function_messages_become_tool_calls() {
    let world = Setting::default().start();
    let read = messages(
        &world,
        r#"[{"role":"user","content":"weather?"},
            {"role":"assistant","content":null,"function_call":{"name":"weather","arguments":"{}"}},
            {"role":"function","name":"weather","content":"sunny"}]"#,
    )
    .await;
    let call = ToolCall {
        id: "function_call_0".to_owned(),
        name: "weather".to_owned(),
        arguments: "{}".to_owned(),
    };
    assert_eq!(
        read[1].content,
        [Part {
            body: PartBody::ToolCall(call),
            extra: Vec::new()
        }]
    );
    assert_eq!(read[2].role, Role::Tool);
    assert_eq!(read[2].tool_call_id.as_deref(), Some("function_call_0"));

    let functions = r#""functions":[{"name":"weather","parameters":{"type":"object"}}],"function_call":"auto""#;
    assert_eq!(world.chat(&asking(functions)).await.status, 200);
    let asked = world.asked();
    assert_eq!(asked.tools[0].name, "weather");
    assert_eq!(
        (asked.tool_choice, asked.parallel_tool_calls),
        (Some(ToolChoice::Automatic), Some(false))
    );
}

#[tokio::test]
async fn base64_is_read_with_and_without_padding() {
    let world = Setting::default().start();
    for data in ["AAE=", "AAE"] {
        let url = format!("data:image/png;base64,{data}");
        let part = format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
        let read = messages(&world, &format!(r#"[{{"role":"user","content":[{part}]}}]"#)).await;
        let media = Media {
            mime: "image/png".to_owned(),
            bytes: vec![0, 1],
            name: None,
        };
        assert_eq!(read[0].content[0].body, PartBody::Media(media));
    }
}

#[tokio::test]
async fn bad_values_are_named_by_their_path() {
    let world = Setting::default().start();
    let mut shown = String::new();
    for members in [
        r#""temperature":2.1"#,
        r#""temperature":"hot""#,
        r#""temperature":1e999"#,
        r#""top_p":-0.1"#,
        r#""n":0"#,
        r#""n":129"#,
        r#""n":1.5"#,
        r#""frequency_penalty":3"#,
        r#""repetition_penalty":0"#,
        r#""logit_bias":{"a":1}"#,
        r#""logit_bias":{"1":101}"#,
        r#""logit_bias":[1]"#,
        r#""seed":1.5"#,
        r#""stop":["a","b","c","d","e"]"#,
        r#""stop":[1]"#,
        r#""stop":"""#,
        r#""stop":7"#,
        r#""max_tokens":0"#,
        r#""max_tokens":4294967296"#,
        r#""max_tokens":1,"max_completion_tokens":2"#,
        r#""top_logprobs":3"#,
        r#""logprobs":true,"top_logprobs":21"#,
        r#""logprobs":5"#,
        r#""stream":"yes""#,
        r#""stream_options":{"include_usage":true}"#,
        r#""stream":true,"stream_options":{"include_everything":true}"#,
        r#""metadata":{"a":1}"#,
        r#""tools":[{"type":"function"}]"#,
        r#""tools":[{"type":"function","function":{"name":"two words"}}]"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":"{}"}}]"#,
        r#""tool_choice":"required""#,
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"always""#,
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"g"}}"#,
        r#""functions":[{"name":"f"}],"tools":[]"#,
        r#""function_call":"auto""#,
        r#""response_format":{"type":"json_schema"}"#,
        r#""response_format":"json""#,
        r#""user":7"#,
        r#""user":"\ud800""#,
        r#""verbosity":1"#,
        r#""modalities":"text""#,
        r#""seed":1,"seed":2"#,
    ] {
        let heard = world.chat(&asking(members)).await;
        assert_eq!(heard.status, 400, "{members}: {}", heard.body);
        shown.push_str(&format!("{members}\n  {}\n", heard.body));
    }
    assert_snapshot!(shown);
    assert!(
        world.fake.asked.lock().unwrap().is_empty(),
        "none of these reached the provider"
    );
}

#[tokio::test]
async fn bad_messages_are_named_by_their_path() {
    let world = Setting::default().start();
    let mut shown = String::new();
    for messages in [
        r#"[]"#,
        r#""Hi""#,
        r#"["Hi"]"#,
        r#"[{"content":"Hi"}]"#,
        r#"[{"role":"user"}]"#,
        r#"[{"role":"king","content":"Hi"}]"#,
        r#"[{"role":"user","content":7}]"#,
        r#"[{"role":"user","content":[{"text":"Hi"}]}]"#,
        r#"[{"role":"user","content":[{"type":"text"}]}]"#,
        r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]"#,
        r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,raw"}}]}]"#,
        r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,?"}}]}]"#,
        r#"[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"ogg"}}]}]"#,
        r#"[{"role":"user","content":[{"type":"file","file":{}}]}]"#,
        r#"[{"role":"assistant"}]"#,
        r#"[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f"}}]}]"#,
        r#"[{"role":"tool","content":"42"}]"#,
        r#"[{"role":"function","content":"42"}]"#,
    ] {
        let heard = world
            .chat(&format!(r#"{{"model":"hello","messages":{messages}}}"#))
            .await;
        assert_eq!(heard.status, 400, "{messages}: {}", heard.body);
        shown.push_str(&format!("{messages}\n  {}\n", heard.body));
    }
    assert_snapshot!(shown);
}
