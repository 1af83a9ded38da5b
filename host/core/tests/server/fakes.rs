//! A provider that plays a script, a storage that remembers and fails when told to, a spool in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encaje_core::call::CallParts;
use encaje_core::chat::{ChatEvent, ChatRequest, Chunk, FinishReason, Usage};
use encaje_core::embeddings::{EmbedInput, EmbedRequest, EmbedResponse, Purpose, Ranked, RerankRequest};
use encaje_core::generation::{Access, Current, Generation, Instrumented, Provided};
use encaje_core::ledger::{Ledger, WhenDown};
use encaje_core::ports::{Completion, ModelInfo, Provider, SharedProvider, Spool, Storage};
use encaje_core::route::{Route, Routes, Target};
use encaje_core::server::{Answer, Said, Server};
use encaje_core::storage::{Aggregation, Durability, Mutation, Page, Query, Table};
use encaje_core::supervise::Supervisor;
use encaje_core::value::{Fields, Value};
use encaje_core::{Call, Caller, Problem, ProblemKind};
use tokio::sync::Semaphore;

/// One step of a provider's script.
#[derive(Clone)]
pub enum Step {
    Say(Vec<Chunk>),
    Fail(ProblemKind),
    Wait(Duration),
}

/// Plays its script for every call.
pub struct Scripted {
    name: String,
    offers: Vec<String>,
    script: Vec<Step>,
    pub supervisor: Arc<Supervisor>,
    /// So many times it fails before it begins.
    pub fails_first: Option<(usize, Problem)>,
    /// Asks the model `m` itself before it answers.
    pub asks: bool,
    /// The number of each try.
    pub attempts: Arc<Mutex<Vec<u32>>>,
    pub asked: Arc<Mutex<Vec<String>>>,
    /// Answers that were dropped.
    pub dropped: Arc<AtomicUsize>,
}

impl Scripted {
    pub fn new(name: &str, script: Vec<Step>) -> Self {
        Self {
            name: name.to_owned(),
            offers: vec!["chat".to_owned(), "embed".to_owned()],
            script,
            supervisor: Supervisor::permissive(),
            fails_first: None,
            asks: false,
            attempts: Arc::default(),
            asked: Arc::default(),
            dropped: Arc::default(),
        }
    }
}

struct Playing {
    steps: VecDeque<Step>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Completion for Playing {
    async fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        loop {
            match self.steps.pop_front() {
                None => return Ok(None),
                Some(Step::Say(chunks)) => return Ok(Some(chunks)),
                Some(Step::Fail(kind)) => return Err(Problem::new(kind, "as the script says")),
                Some(Step::Wait(time)) => tokio::time::sleep(time).await,
            }
        }
    }
}

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn offers(&self) -> &[String] {
        &self.offers
    }

    /// One that is called like itself, after the waits of its script.
    async fn models(&self, call: &Call) -> Result<Vec<ModelInfo>, Problem> {
        self.attempts.lock().unwrap().push(call.attempt());
        for step in &self.script {
            match step {
                Step::Fail(kind) => return Err(Problem::new(kind.clone(), "as the script says")),
                Step::Wait(time) => tokio::time::sleep(*time).await,
                Step::Say(_) => {}
            }
        }
        Ok(vec![ModelInfo {
            id: format!("of-{}", self.name),
            owned_by: self.name.clone(),
            created: None,
            context_tokens: None,
            max_output_tokens: None,
            capabilities: Vec::new(),
        }])
    }

    async fn complete(&self, call: &Call, request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        let tries = {
            let mut attempts = self.attempts.lock().unwrap();
            attempts.push(call.attempt());
            attempts.len()
        };
        if let Some((times, problem)) = &self.fails_first
            && tries <= *times
        {
            return Err(problem.clone());
        }
        if self.asks {
            call.models().unwrap().complete(call, request.clone()).await?;
        }
        self.asked.lock().unwrap().push(request.model);
        Ok(Box::new(Playing {
            steps: self.script.clone().into(),
            dropped: Arc::clone(&self.dropped),
        }))
    }

    /// Two numbers an input, but one too few for an input that says `broken`.
    async fn embed(&self, _: &Call, request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        for step in &self.script {
            match step {
                Step::Fail(kind) => return Err(Problem::new(kind.clone(), "as the script says")),
                Step::Wait(time) => tokio::time::sleep(*time).await,
                Step::Say(_) => {}
            }
        }
        let count = request.inputs.len();
        let broken = request.inputs.contains(&EmbedInput::Text("broken".to_owned()));
        Ok(EmbedResponse {
            dimensions: 2,
            vectors: vec![0.5; count * 2 - usize::from(broken)],
            covered: vec![1; count],
            usage: Usage::default(),
            extra: Vec::new(),
        })
    }

    async fn rerank(&self, _: &Call, _: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        Err(Problem::new(ProblemKind::Unsupported, "no"))
    }

    async fn count_tokens(&self, _: &Call, _: ChatRequest) -> Result<u32, Problem> {
        Err(Problem::new(ProblemKind::Unsupported, "no"))
    }
}

/// Rows by table and key, as written; fails as told.
pub struct Rows {
    pub batches: Mutex<Vec<Vec<Mutation>>>,
    pub down: AtomicBool,
    /// The next writes that fail, of rows that hold this word, as if something was in the way for a moment.
    pub sulks: Mutex<Option<(String, u32, ProblemKind)>>,
    /// Milliseconds that a write takes.
    pub slow_ms: AtomicU64,
    /// Refuses batches with a message that holds this word, for good.
    pub hated: Mutex<Option<String>>,
    /// A write takes one of these and gives it back.
    pub gate: Semaphore,
}

impl Rows {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            batches: Mutex::default(),
            down: AtomicBool::new(false),
            sulks: Mutex::default(),
            slow_ms: AtomicU64::new(0),
            hated: Mutex::default(),
            gate: Semaphore::new(1),
        })
    }

    /// Rows of a table, the later one of the same key alone.
    pub fn rows(&self, table: &str) -> Vec<BTreeMap<String, Value>> {
        let mut rows = BTreeMap::new();
        for mutation in self.batches.lock().unwrap().iter().flatten() {
            let Mutation::Upsert(name, fields) = mutation else {
                panic!("the ledger upserts, so that a replay repeats nothing: {mutation:?}");
            };
            if name == table {
                let key = ["trace_id", "span_id", "position"].map(|name| format!("{:?}", value(fields, name)));
                rows.insert(key, fields.iter().cloned().collect());
            }
        }
        rows.into_values().collect()
    }

    /// The roots of the callers' own calls.
    pub fn calls(&self) -> Vec<BTreeMap<String, Value>> {
        let mut calls = self.rows("spans");
        calls.retain(|row| row["root"] == Value::Boolean(true) && row["tenant"] != Value::from("encaje"));
        calls
    }
}

fn value<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    fields.iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

#[async_trait]
impl Storage for Rows {
    fn name(&self) -> &str {
        "rows"
    }

    async fn migrate(&self, _: &Call, _: &[Table]) -> Result<Vec<String>, Problem> {
        Ok(Vec::new())
    }

    async fn write(&self, _: &Call, batch: &[Mutation], durability: Durability) -> Result<Vec<u64>, Problem> {
        assert_eq!(
            durability,
            Durability::Process,
            "traces survive the process, and are not synced one by one"
        );
        let _turn = self.gate.acquire().await.unwrap();
        tokio::time::sleep(Duration::from_millis(self.slow_ms.load(Ordering::SeqCst))).await;
        if self.down.load(Ordering::SeqCst) {
            return Err(Problem::new(ProblemKind::Unavailable, "down"));
        }
        if let Some((word, left, kind)) = &mut *self.sulks.lock().unwrap()
            && *left > 0
            && format!("{batch:?}").contains(word.as_str())
        {
            *left -= 1;
            return Err(Problem::new(kind.clone(), "not now"));
        }
        if let Some(word) = &*self.hated.lock().unwrap()
            && format!("{batch:?}").contains(word)
        {
            return Err(Problem::new(ProblemKind::TooLarge, "hated"));
        }
        self.batches.lock().unwrap().push(batch.to_vec());
        Ok(vec![1; batch.len()])
    }

    async fn read(&self, _: &Call, _: &Query) -> Result<Page, Problem> {
        Err(Problem::new(ProblemKind::Unsupported, "no"))
    }

    async fn aggregate(&self, _: &Call, _: &Aggregation) -> Result<Page, Problem> {
        Err(Problem::new(ProblemKind::Unsupported, "no"))
    }

    async fn scrub(&self, _: &Call) -> Result<(), Problem> {
        Ok(())
    }
}

/// Holds what it is given, up to a number of batches.
pub struct Waiting {
    pub room: usize,
    pub batches: Mutex<VecDeque<(u64, Vec<Mutation>)>>,
}

impl Spool for Waiting {
    fn append(&self, batch: &[Mutation]) -> Result<(), Problem> {
        let mut batches = self.batches.lock().unwrap();
        if batches.len() == self.room {
            return Err(Problem::new(ProblemKind::TooLarge, "full"));
        }
        let position = batches.back().map_or(1, |(position, _)| position + 1);
        batches.push_back((position, batch.to_vec()));
        Ok(())
    }

    fn oldest(&self, limit: usize) -> Result<Vec<(u64, Vec<Mutation>)>, Problem> {
        Ok(self.batches.lock().unwrap().iter().take(limit).cloned().collect())
    }

    fn forget(&self, position: u64) -> Result<(), Problem> {
        self.batches.lock().unwrap().retain(|(own, _)| *own > position);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.batches.lock().unwrap().is_empty()
    }
}

/// A server whose model `m` asks these providers in order, the second and later ones marked as degraded.
pub struct World {
    pub server: Server,
    pub rows: Arc<Rows>,
    pub spool: Arc<Waiting>,
}

impl World {
    pub fn new(providers: Vec<Scripted>) -> Self {
        Self::with(providers, WhenDown::Spool, 1_000)
    }

    pub fn with(providers: Vec<Scripted>, when_down: WhenDown, room: usize) -> Self {
        Self::whole(providers, Vec::new(), when_down, room)
    }

    pub fn whole(providers: Vec<Scripted>, instruments: Vec<Instrumented>, when_down: WhenDown, room: usize) -> Self {
        let (rows, batches) = (Rows::new(), Mutex::default());
        let spool = Arc::new(Waiting { room, batches });
        let target = |(place, provider): (usize, &Scripted)| Target {
            plugin: provider.name.clone(),
            model: (place > 0).then(|| format!("m-of-{}", provider.name)),
            degraded: place > 0,
        };
        let route = Route {
            pattern: "m".to_owned(),
            to: providers.iter().enumerate().map(target).collect(),
        };
        let shared = |provider: Scripted| {
            let provided = Provided {
                supervisor: provider.supervisor.clone(),
                port: Arc::new(provider) as SharedProvider,
            };
            (provided.port.name().to_owned(), provided)
        };
        let current = Arc::new(Current::new(Generation {
            number: 1,
            providers: providers.into_iter().map(shared).collect(),
            instruments,
            plugins: Vec::new(),
            storage: Arc::clone(&rows) as _,
            routes: Routes::new(vec![route]),
            access: Access::Anonymous,
        }));
        let ledger = Ledger::start(Arc::clone(&current), Arc::clone(&spool) as _, when_down);
        Self {
            server: Server::new(current, ledger),
            rows,
            spool,
        }
    }

    pub fn ask(&self, text: &str) -> Answer {
        self.ask_in(Duration::from_secs(20), question("m", text))
    }

    /// As a request that is admitted now.
    pub fn ask_in(&self, time_limit: Duration, request: ChatRequest) -> Answer {
        self.server.chat(&self.server.generation(), call(time_limit), request)
    }
}

pub fn call(time_limit: Duration) -> Call {
    Call::new(CallParts {
        caller: Caller::anonymous(),
        request_id: "req_1".to_owned(),
        parent: None,
        session: None,
        idempotency_key: None,
        time_limit,
    })
}

pub fn question(model: &str, text: &str) -> ChatRequest {
    ChatRequest::question(model, text)
}

pub fn texts(inputs: &[&str]) -> EmbedRequest {
    EmbedRequest {
        model: "m".to_owned(),
        inputs: inputs.iter().map(|text| EmbedInput::Text((*text).to_owned())).collect(),
        purpose: Purpose::Unspecified,
        dimensions: None,
        extra: Vec::new(),
    }
}

pub fn text(text: &str) -> Step {
    Step::Say(vec![Chunk {
        choice: 0,
        event: ChatEvent::Text(text.to_owned()),
    }])
}

pub fn finish() -> Step {
    Step::Say(vec![Chunk {
        choice: 0,
        event: ChatEvent::Finish(FinishReason::Stop),
    }])
}

pub fn usage() -> Step {
    Step::Say(vec![Chunk {
        choice: 0,
        event: ChatEvent::Usage(Usage::default()),
    }])
}

/// Everything that an answer says, and its problem if it ended with one.
pub async fn heard(mut answer: Answer) -> (Vec<Said>, Option<Problem>) {
    let mut all = Vec::new();
    while let Some(said) = answer.next().await {
        if let Said::Failed(problem) = said {
            return (all, Some(problem));
        }
        all.push(said);
    }
    assert!(matches!(all.last(), Some(Said::End)), "{all:?}");
    (all, None)
}

/// The plugin that answered, and whether it is second best.
pub fn started(said: &[Said]) -> (&str, bool) {
    match said.first() {
        Some(Said::Started { plugin, degraded }) => (plugin, *degraded),
        other => panic!("{other:?}"),
    }
}

/// Waits for something that happens soon.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
