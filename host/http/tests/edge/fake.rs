//! A provider that follows a script chosen by the model's name, and a server around it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use encaje_core::Call;
use encaje_core::chat::{ChatEvent, ChatRequest, Chunk, FinishReason, Usage};
use encaje_core::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use encaje_core::generation::{Access, Current, Generation, Provided};
use encaje_core::ledger::{Ledger, WhenDown};
use encaje_core::ports::{Completion, ModelInfo, Provider, Spool};
use encaje_core::problem::{Problem, ProblemKind};
use encaje_core::route::{Route, Routes, Target};
use encaje_core::server::Server;
use encaje_core::storage::Mutation;
use encaje_core::supervise::Supervisor;
use encaje_http::{EdgeConfig, router};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::store::Memory;

/// What a script does next.
#[derive(Clone)]
pub(crate) enum Step {
    Say(Vec<Chunk>),
    Wait(Duration),
    Fail(Problem),
    /// Says the same for ever.
    Repeat(Vec<Chunk>),
}

pub(crate) type Script = Arc<dyn Fn(&ChatRequest) -> Vec<Step> + Send + Sync>;

/// The provider, and what it saw.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) scripts: HashMap<String, Script>,
    pub(crate) asked: Mutex<Vec<ChatRequest>>,
    pub(crate) embedded: Mutex<Vec<EmbedRequest>>,
    pub(crate) calls: Mutex<Vec<Call>>,
    /// Answers that were dropped before their end.
    pub(crate) dropped: Arc<AtomicUsize>,
    /// Batches that were taken.
    pub(crate) taken: Arc<AtomicUsize>,
}

pub(crate) fn chunk(choice: u32, event: ChatEvent) -> Chunk {
    Chunk { choice, event }
}

pub(crate) fn text(text: &str) -> Chunk {
    chunk(0, ChatEvent::Text(text.to_owned()))
}

pub(crate) fn usage(input: u64, output: u64) -> Chunk {
    chunk(
        0,
        ChatEvent::Usage(Usage {
            input_tokens: input,
            output_tokens: output,
            ..Usage::default()
        }),
    )
}

pub(crate) fn finish(choice: u32, reason: FinishReason) -> Chunk {
    chunk(choice, ChatEvent::Finish(reason))
}

/// "Hello there." in two pieces, for each choice that was asked for.
fn hello(request: &ChatRequest) -> Vec<Step> {
    let mut steps = Vec::new();
    for choice in 0..request.sampling.choices {
        steps.push(Step::Say(vec![chunk(choice, ChatEvent::Text("Hello".to_owned()))]));
        steps.push(Step::Say(vec![
            chunk(choice, ChatEvent::Text(" there.".to_owned())),
            finish(choice, FinishReason::Stop),
        ]));
    }
    steps.push(Step::Say(vec![usage(7, 3)]));
    steps
}

#[async_trait]
impl Provider for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn offers(&self) -> &[String] {
        static OFFERS: std::sync::LazyLock<Vec<String>> =
            std::sync::LazyLock::new(|| vec!["chat".to_owned(), "embed".to_owned()]);
        &OFFERS
    }

    async fn models(&self, _: &Call) -> Result<Vec<ModelInfo>, Problem> {
        Ok(vec![ModelInfo {
            id: "org/model-1".to_owned(),
            owned_by: "org".to_owned(),
            created: Some(1_700_000_000),
            context_tokens: Some(2_048),
            max_output_tokens: Some(512),
            capabilities: vec!["chat".to_owned()],
        }])
    }

    async fn complete(&self, call: &Call, request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        if let Some((name, _)) = request.extra.iter().find(|(name, _)| name != "stub") {
            let message = format!("`{name}` is not supported by this provider.");
            self.asked.lock().unwrap().push(request.clone());
            return Err(Problem::new(ProblemKind::Unsupported, message).with_param(name.clone()));
        }
        let steps = self
            .scripts
            .get(&request.model)
            .map_or_else(|| hello(&request), |script| script(&request));
        self.asked.lock().unwrap().push(request);
        self.calls.lock().unwrap().push(call.clone());
        Ok(Box::new(Scripted {
            steps: steps.into_iter(),
            repeat: None,
            ended: false,
            dropped: Arc::clone(&self.dropped),
            taken: Arc::clone(&self.taken),
        }))
    }

    async fn embed(&self, _: &Call, request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        let count = request.inputs.len();
        let vectors = (0..count * 3).map(|number| number as f32 * 0.5 - 0.1).collect();
        let cut = request.model == "cut";
        self.embedded.lock().unwrap().push(request);
        Ok(EmbedResponse {
            dimensions: 3,
            vectors,
            covered: vec![2; count],
            usage: Usage {
                input_tokens: 2 * count as u64 + u64::from(cut),
                ..Usage::default()
            },
            extra: Vec::new(),
        })
    }

    async fn rerank(&self, _: &Call, _: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        Err(Problem::new(ProblemKind::Unsupported, "The fake does not rank."))
    }

    async fn count_tokens(&self, _: &Call, _: ChatRequest) -> Result<u32, Problem> {
        Ok(1)
    }
}

struct Scripted {
    steps: std::vec::IntoIter<Step>,
    repeat: Option<Vec<Chunk>>,
    ended: bool,
    dropped: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
}

#[async_trait]
impl Completion for Scripted {
    async fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        self.taken.fetch_add(1, Ordering::Relaxed);
        if let Some(chunks) = &self.repeat {
            tokio::task::yield_now().await;
            return Ok(Some(chunks.clone()));
        }
        loop {
            match self.steps.next() {
                None => {
                    self.ended = true;
                    return Ok(None);
                }
                Some(Step::Say(chunks)) => return Ok(Some(chunks)),
                Some(Step::Wait(time)) => tokio::time::sleep(time).await,
                Some(Step::Fail(problem)) => {
                    self.ended = true;
                    return Err(problem);
                }
                Some(Step::Repeat(chunks)) => {
                    self.repeat = Some(chunks.clone());
                    return Ok(Some(chunks));
                }
            }
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if !self.ended {
            self.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Nothing is ever spooled: the storage of these tests does not fail.
struct NoSpool;

impl Spool for NoSpool {
    fn append(&self, _: &[Mutation]) -> Result<(), Problem> {
        Err(Problem::new(ProblemKind::TooLarge, "There is no spool here."))
    }
    fn oldest(&self, _: usize) -> Result<Vec<(u64, Vec<Mutation>)>, Problem> {
        Ok(Vec::new())
    }
    fn forget(&self, _: u64) -> Result<(), Problem> {
        Ok(())
    }
    fn is_empty(&self) -> bool {
        true
    }
}

/// A server over the fakes.
pub(crate) struct World {
    pub(crate) fake: Arc<Fake>,
    pub(crate) store: Arc<Memory>,
    pub(crate) server: Arc<Server>,
    pub(crate) router: Router,
    pub(crate) config: EdgeConfig,
}

/// What a world is made of.
pub(crate) struct Setting {
    pub(crate) access: Access,
    pub(crate) config: EdgeConfig,
    pub(crate) scripts: Vec<(&'static str, Script)>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            access: Access::Anonymous,
            config: EdgeConfig::default(),
            scripts: Vec::new(),
        }
    }
}

impl Setting {
    pub(crate) fn script(
        mut self,
        model: &'static str,
        script: impl Fn(&ChatRequest) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        self.scripts.push((model, Arc::new(script)));
        self
    }

    /// Every model but those that begin with `no-` is answered; `second` is answered as second best.
    pub(crate) fn start(self) -> World {
        let scripts = self
            .scripts
            .into_iter()
            .map(|(model, script)| (model.to_owned(), script))
            .collect();
        let fake = Arc::new(Fake {
            scripts,
            ..Fake::default()
        });
        let store = Arc::new(Memory::new());
        let target = |plugin: &str, degraded| Target {
            plugin: plugin.to_owned(),
            model: None,
            degraded,
        };
        let route = |pattern: &str, to| Route {
            pattern: pattern.to_owned(),
            to: vec![to],
        };
        let patterns = [
            "hello", "org/*", "tools", "odd", "wait", "fail*", "slow", "flood", "big", "cut", "many",
        ];
        let mut routes: Vec<Route> = patterns
            .iter()
            .map(|pattern| route(pattern, target("fake", false)))
            .collect();
        routes.push(route("second", target("fake", true)));
        routes.push(route("lost", target("missing", false)));
        let provided = Provided {
            port: fake.clone(),
            supervisor: Supervisor::permissive(),
        };
        let providers = BTreeMap::from([("fake".to_owned(), provided)]);
        let current = Arc::new(Current::new(Generation {
            number: 1,
            providers,
            instruments: Vec::new(),
            plugins: Vec::new(),
            storage: store.clone(),
            routes: Routes::new(routes),
            access: self.access,
        }));
        let ledger = Ledger::start(Arc::clone(&current), Arc::new(NoSpool), WhenDown::default());
        let server = Arc::new(Server::new(current, ledger));
        let router = router(Arc::clone(&server), self.config.clone());
        World {
            fake,
            store,
            server,
            router,
            config: self.config,
        }
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Status and body, without what differs from run to run.
    pub(crate) fn shown(&self) -> String {
        format!("{}\n{}", self.status, stable(&self.body))
    }
}

/// Replaces ids and times.
pub(crate) fn stable(text: &str) -> String {
    let mut shown = text.to_owned();
    for (before, end) in [
        ("\"id\":\"chatcmpl-", '"'),
        ("\"id\":\"cmpl-", '"'),
        ("\"created\":", ','),
    ] {
        let mut out = String::new();
        let mut rest = shown.as_str();
        while let Some(at) = rest.find(before) {
            let (head, tail) = rest.split_at(at + before.len());
            out.push_str(head);
            out.push_str("[…]");
            rest = &tail[tail.find(end).unwrap()..];
        }
        out.push_str(rest);
        shown = out;
    }
    shown
}

impl World {
    pub(crate) async fn ask(&self, request: Request<Body>) -> Heard {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Heard {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Heard {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Heard {
        let request = Request::post(path).header("content-type", "application/json");
        self.ask(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn chat(&self, body: &str) -> Heard {
        self.post("/v1/chat/completions", body).await
    }

    /// What the provider was asked last.
    pub(crate) fn asked(&self) -> ChatRequest {
        self.fake
            .asked
            .lock()
            .unwrap()
            .last()
            .cloned()
            .expect("the provider was not asked")
    }
}
