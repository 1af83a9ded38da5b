//! One declared model: in memory or not, loaded once however many ask at the same time.
//!
//! Loading goes on when the request that began it is dropped, since others may wait for it. A failure is told to all that
//! waited and forgotten, so that the next request tries again.

use std::sync::{Arc, Mutex, PoisonError};

use encaje_core::{Problem, ProblemKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::error::ModelError;
use crate::limits::RETRY_AFTER;
use crate::loaded::Loaded;
use crate::pool::Pool;
use crate::spec::{Format, ModelSpec};

type Outcome = Option<Result<Arc<Loaded>, ModelError>>;

enum State {
    Absent,
    Loading(watch::Receiver<Outcome>),
    Present(Arc<Loaded>),
}

/// One declared model.
pub(crate) struct Slot {
    /// What the registry says.
    pub(crate) spec: ModelSpec,
    state: Arc<Mutex<State>>,
    /// One permit a request that waits or runs.
    queue: Arc<Semaphore>,
    pool: Arc<Pool>,
}

impl Slot {
    /// Not in memory yet.
    pub(crate) fn new(spec: ModelSpec, pool: Arc<Pool>) -> Self {
        let active = match spec.format {
            Format::Gguf => spec.limits.active,
            // One pass after the other.
            Format::SentenceTransformer => 1,
        };
        let room = active.saturating_add(spec.limits.waiting);
        let queue = Arc::new(Semaphore::new(room.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            spec,
            state: Arc::new(Mutex::new(State::Absent)),
            queue,
            pool,
        }
    }

    /// The model, if it is in memory.
    pub(crate) fn present(&self) -> Option<Arc<Loaded>> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Present(loaded) => Some(Arc::clone(loaded)),
            State::Absent | State::Loading(_) => None,
        }
    }

    /// A place in the queue.
    ///
    /// # Errors
    /// `Overloaded` where it is full.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.queue).try_acquire_owned().map_err(|_| {
            let text = format!("The model `{}` has as many requests as it can queue.", self.spec.id);
            Problem::new(ProblemKind::Overloaded, text).with_retry_after(RETRY_AFTER)
        })
    }

    /// The model, loaded first where it is not in memory.
    ///
    /// # Errors
    /// What kept it from loading; the next call tries again.
    pub(crate) async fn loaded(&self) -> Result<Arc<Loaded>, Problem> {
        let mut outcome = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            match &*state {
                State::Present(loaded) => return Ok(Arc::clone(loaded)),
                State::Loading(outcome) => outcome.clone(),
                State::Absent => {
                    let outcome = self.start().map_err(|error| error.to_problem(&self.spec.id))?;
                    *state = State::Loading(outcome.clone());
                    outcome
                }
            }
        };
        let result = match outcome.wait_for(Option::is_some).await {
            Ok(result) => result.clone(),
            Err(_) => None,
        };
        let result = result.unwrap_or_else(|| Err(ModelError::Failed("the loading thread died".to_owned())));
        result.map_err(|error| error.to_problem(&self.spec.id))
    }

    /// Starts a thread that loads; it sets the state before it tells the outcome, so that whoever has heard of a failure
    /// finds the slot ready for another try.
    fn start(&self) -> Result<watch::Receiver<Outcome>, ModelError> {
        let (sender, receiver) = watch::channel(None);
        let (spec, pool, state) = (self.spec.clone(), Arc::clone(&self.pool), Arc::clone(&self.state));
        let work = move || {
            let begun = std::time::Instant::now();
            let result = Loaded::load(&spec, &pool).map(Arc::new);
            match &result {
                Ok(_) => tracing::info!(
                    model = spec.id,
                    seconds = begun.elapsed().as_secs_f32(),
                    "loaded a local model"
                ),
                Err(error) => tracing::warn!(model = spec.id, %error, "a local model cannot be loaded"),
            }
            *state.lock().unwrap_or_else(PoisonError::into_inner) = match &result {
                Ok(loaded) => State::Present(Arc::clone(loaded)),
                Err(_) => State::Absent,
            };
            // Nobody may be waiting any more; the model is kept all the same.
            let _ = sender.send(Some(result));
        };
        let thread = std::thread::Builder::new()
            .name(format!("load-{}", self.spec.id))
            .spawn(work);
        thread
            .map(|_| receiver)
            .map_err(|error| ModelError::Failed(format!("no thread: {error}")))
    }
}
