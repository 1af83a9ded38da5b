//! A source of one text: a file or page of the web, through `encaje:host/http`, or a text of the configuration. It reads
//! `text/*` in UTF-8 as it is, follows no links, and leaves HTML to others.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

mod config;
mod fetch;
mod limits;
mod location;
mod web;

use encaje_sdk::errors::Problem;
use encaje_sdk::host::{clock, http};
use encaje_sdk::source::{Beginning, Item, Source};

use config::Config;
use web::{Answer, Question, Web};

/// The web that the host grants.
struct Granted;

impl Web for Granted {
    fn get(&self, question: Question) -> Result<Box<dyn Answer>, Problem> {
        let response = http::send(&http::Request {
            method: "GET".to_owned(),
            url: question.url,
            headers: question.headers,
            body: Vec::new(),
            secret: None,
            connect_timeout_ms: Some(question.timeout_ms),
            first_byte_timeout_ms: Some(question.timeout_ms),
            total_timeout_ms: Some(question.timeout_ms),
        })?;
        Ok(Box::new(Granting(response)))
    }

    fn now_us(&self) -> u64 {
        clock::now_us()
    }
}

struct Granting(http::Response);

impl Answer for Granting {
    fn status(&self) -> u16 {
        self.0.status()
    }

    fn headers(&self) -> Vec<(String, String)> {
        self.0.headers()
    }

    fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Problem> {
        self.0.read(max)
    }
}

fn config() -> Result<Config, Problem> {
    Config::parse(&encaje_sdk::host::config::get())
}

struct Text;

impl Source for Text {
    fn check() -> Result<Vec<String>, Problem> {
        config()?;
        Ok(["begin", "fetch"].map(str::to_owned).to_vec())
    }

    fn begin(location: String) -> Result<Beginning, Problem> {
        fetch::begin(&config()?, &location)
    }

    fn fetch(location: String, state: Option<String>) -> Result<Item, Problem> {
        fetch::fetch(&Granted, &config()?, &location, state.as_deref())
    }
}

encaje_sdk::export_source!(Text);
