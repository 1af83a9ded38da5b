//! `chat`: a conversation with a model of a running server, streamed to the terminal.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Result, bail};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::{Value, json};

use crate::args::{Chat, Common};
use crate::client::{Address, Connection, whole};
use crate::limits;

/// Asks for lines until the input ends. A turn that fails is taken back, so that the conversation can go on.
pub(crate) async fn run(_: &Common, options: &Chat) -> Result<()> {
    let address = Address::parse(&options.url, options.key.clone())?;
    let mut messages: Vec<Value> = options
        .system
        .iter()
        .map(|system| json!({ "role": "system", "content": system }))
        .collect();
    let interactive = std::io::stdin().is_terminal();
    if interactive {
        println!("{} at {} (an empty line or Ctrl-D ends)", options.model, options.url);
    }
    loop {
        if interactive {
            print!("> ");
            std::io::stdout().flush()?;
        }
        let mut line = String::new();
        let read = tokio::task::spawn_blocking(move || std::io::stdin().lock().read_line(&mut line).map(|_| line));
        let line = read.await??;
        let said = line.trim();
        if said.is_empty() {
            return Ok(());
        }
        messages.push(json!({ "role": "user", "content": said }));
        match answer(&address, &options.model, &messages).await {
            Ok(text) => messages.push(json!({ "role": "assistant", "content": text })),
            Err(error) if interactive => {
                println!();
                eprintln!("error: {error:#}");
                messages.pop();
            }
            Err(error) => return Err(error),
        }
    }
}

/// One answer, printed as it comes.
async fn answer(address: &Address, model: &str, messages: &[Value]) -> Result<String> {
    let body = serde_json::to_vec(&json!({ "model": model, "stream": true, "messages": messages }))?;
    let mut server = Connection::open(address).await?;
    let response = server
        .send(Method::POST, "/v1/chat/completions", Bytes::from(body))
        .await?;
    if !response.status().is_success() {
        whole(response).await?;
        bail!("the server refused without saying why");
    }
    let (mut body, mut pending, mut text) = (response.into_body(), Vec::new(), String::new());
    let mut done = false;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        pending.extend_from_slice(&data);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            done |= event(&line, &mut text)?;
        }
        if pending.len() > limits::LINE_BYTES {
            bail!("the server sent a line over {} bytes", limits::LINE_BYTES);
        }
    }
    println!();
    if !done {
        bail!("the answer was cut off");
    }
    Ok(text)
}

/// One line of the stream; whether it was the last.
fn event(line: &[u8], text: &mut String) -> Result<bool> {
    let line = std::str::from_utf8(line)?.trim();
    let Some(data) = line.strip_prefix("data:").map(str::trim) else {
        return Ok(false);
    };
    if data == "[DONE]" {
        return Ok(true);
    }
    let data: Value = serde_json::from_str(data)?;
    if let Some(message) = data.pointer("/error/message").and_then(Value::as_str) {
        bail!("{}", super::printable(message));
    }
    if let Some(piece) = data.pointer("/choices/0/delta/content").and_then(Value::as_str) {
        print!("{}", super::printable(piece));
        std::io::stdout().flush()?;
        text.push_str(piece);
    }
    Ok(false)
}
