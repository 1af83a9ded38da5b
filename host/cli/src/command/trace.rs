//! `trace list` and `trace show`: recorded calls, from the store or from a running server.

use std::sync::Arc;

use anyhow::Result;
use encaje_core::traces::{self, StoredMessage, StoredSpan, Trace, TracePage, TraceQuery, TraceSummary};
use encaje_core::{Call, time};
use encaje_http::native::{TraceBody, TraceListBody};
use encaje_supply::TerminalProgress;

use super::{duration, printable, table};
use crate::args::{Common, Remote, Trace as What};
use crate::client::{Address, Connection};
use crate::compose;
use crate::config::Config;
use crate::limits;

pub(crate) async fn run(common: &Common, what: What) -> Result<()> {
    match what {
        What::List {
            remote,
            limit,
            cursor,
            model,
            status,
            tenant,
            json,
        } => {
            let query = TraceQuery {
                limit: limit.clamp(1, limits::TRACES),
                cursor,
                model,
                status,
            };
            let page = list(common, &remote, &query, &tenant).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&TraceListBody::from(page))?);
            } else {
                print_list(&page);
            }
        }
        What::Show {
            id,
            remote,
            tenant,
            json,
        } => {
            let trace = show(common, &remote, &id, &tenant).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&TraceBody::from(trace))?);
            } else {
                print_trace(&trace);
            }
        }
    }
    Ok(())
}

async fn list(common: &Common, remote: &Remote, query: &TraceQuery, tenant: &str) -> Result<TracePage> {
    if let Some(url) = &remote.url {
        let mut path = format!("/api/v1/traces?limit={}", query.limit);
        for (name, value) in [
            ("cursor", &query.cursor),
            ("model", &query.model),
            ("status", &query.status),
        ] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", percent_encoded(value)));
            }
        }
        let mut server = Connection::open(&Address::parse(url, remote.key.clone())?).await?;
        let body: TraceListBody = serde_json::from_slice(&server.get(&path).await?)?;
        return Ok(body.into());
    }
    let storage = compose::storage_alone(&Config::load(common, None)?, Arc::new(TerminalProgress::new())).await?;
    Ok(traces::list(storage.as_ref(), &Call::of_server(limits::TRACE_READ), tenant, query).await?)
}

async fn show(common: &Common, remote: &Remote, id: &str, tenant: &str) -> Result<Trace> {
    if let Some(url) = &remote.url {
        let mut server = Connection::open(&Address::parse(url, remote.key.clone())?).await?;
        let body = server.get(&format!("/api/v1/traces/{}", percent_encoded(id))).await?;
        let body: TraceBody = serde_json::from_slice(&body)?;
        return Ok(body.into());
    }
    let storage = compose::storage_alone(&Config::load(common, None)?, Arc::new(TerminalProgress::new())).await?;
    Ok(traces::show(storage.as_ref(), &Call::of_server(limits::TRACE_READ), tenant, id).await?)
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn print_list(page: &TracePage) {
    if page.traces.is_empty() {
        println!("no calls are recorded yet");
        return;
    }
    let mut rows = table(&[
        "TRACE",
        "WHEN",
        "OPERATION",
        "MODEL",
        "PLUGIN",
        "STATUS",
        "IN",
        "OUT",
        "FIRST",
        "TOTAL",
    ]);
    for call in &page.traces {
        rows.add_row(vec![
            // Ids begin with their time: their end tells neighbours apart, but only a beginning can be asked for.
            call.trace_id.clone(),
            ago(call.start_us),
            call.operation.clone(),
            printable(&call.model),
            call.plugin.clone().unwrap_or_else(|| "-".to_owned()),
            call.status.clone(),
            number(call.input_tokens),
            number(call.output_tokens),
            call.first_chunk_us.map_or_else(|| "-".to_owned(), duration),
            duration(call.total_us),
        ]);
    }
    println!("{rows}");
    if let Some(next) = &page.next {
        println!("more: --cursor {next}");
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn ago(start_us: u64) -> String {
    let seconds = time::now_us().saturating_sub(start_us) / 1_000_000;
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

fn print_trace(trace: &Trace) {
    for call in &trace.calls {
        print_call(call);
    }
    println!("\nspans");
    let origin = trace.spans.iter().map(|span| span.start_us).min().unwrap_or_default();
    let mut rows = table(&["START", "TOTAL", "SPAN", "STATUS", "USED"]);
    for span in &trace.spans {
        let indent = if span.parent_span_id.is_some() { "  " } else { "" };
        let status = match &span.status_message {
            Some(message) => format!("{}: {}", span.status, printable(message)),
            None => span.status.clone(),
        };
        rows.add_row(vec![
            format!("+{}", duration(span.start_us.saturating_sub(origin))),
            duration(span.end_us.saturating_sub(span.start_us)),
            format!("{indent}{}", span.name),
            status,
            used(span),
        ]);
    }
    println!("{rows}\n\nmessages");
    let mut call = None;
    for message in &trace.messages {
        if trace.calls.len() > 1 && call.replace(&message.span_id) != Some(&message.span_id) {
            println!("call {}", message.span_id);
        }
        println!("[{}] {}", heading(message), printable(&shortened(&text_of(message))));
    }
    if trace.cut {
        println!("… and more: a trace is shown as far as one answer of the storage goes");
    }
}

fn print_call(call: &TraceSummary) {
    println!("trace    {}", call.trace_id);
    println!("request  {}", call.request_id);
    println!(
        "call     {} {} by {}",
        call.operation,
        printable(&call.model),
        call.plugin.as_deref().unwrap_or("nobody")
    );
    println!("status   {}", call.status);
    if let Some(message) = &call.status_message {
        println!("         {}", printable(message));
    }
    println!(
        "tokens   {} in, {} out",
        number(call.input_tokens),
        number(call.output_tokens)
    );
    let first = call.first_chunk_us.map_or_else(|| "-".to_owned(), duration);
    println!("time     first token after {first}, total {}", duration(call.total_us));
}

/// What a crossing used, from its attributes.
fn used(span: &StoredSpan) -> String {
    let attributes: serde_json::Value = serde_json::from_str(&span.attributes).unwrap_or_default();
    let number = |name: &str| attributes.get(name).and_then(serde_json::Value::as_u64);
    let mut said = Vec::new();
    if let Some(plugin) = attributes.get("encaje.plugin").and_then(|plugin| plugin.as_str()) {
        said.push(plugin.to_owned());
    }
    if let Some(cpu) = number("encaje.cpu_us") {
        said.push(format!("cpu {}", duration(cpu)));
    }
    if let Some(memory) = number("encaje.peak_memory_bytes").filter(|memory| *memory > 0) {
        said.push(format!("memory {} KiB", memory / 1_024));
    }
    if let Some(calls) = number("encaje.calls") {
        said.push(format!("{calls} calls"));
    }
    if let Some(group) = number("encaje.group.calls") {
        said.push(format!("commit of {group}"));
    }
    said.join(", ")
}

fn heading(message: &StoredMessage) -> String {
    match (message.choice, &message.finish) {
        (Some(choice), Some(finish)) => format!("{} #{choice}, {finish}", message.role),
        (Some(choice), None) => format!("{} #{choice}, unfinished", message.role),
        _ => printable(&message.role),
    }
}

/// The text of a message's parts; what is no text is shown as its JSON.
fn text_of(message: &StoredMessage) -> String {
    let parts: Vec<serde_json::Value> = serde_json::from_str(&message.content).unwrap_or_default();
    let text = |part: &serde_json::Value| {
        let kind = part.get("type").and_then(|kind| kind.as_str()).unwrap_or_default();
        match (kind, part.get("content").and_then(|content| content.as_str())) {
            ("text", Some(content)) => content.to_owned(),
            _ => part.to_string(),
        }
    };
    parts.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= limits::MESSAGE_CHARS {
        return text.to_owned();
    }
    let start: String = text.chars().take(limits::MESSAGE_CHARS).collect();
    format!("{start}… (--json shows all of it)")
}
