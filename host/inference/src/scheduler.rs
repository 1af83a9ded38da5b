//! The answers of one model, made side by side by one thread.
//!
//! Each round reads a piece of one prompt and says one token of every answer, so that nobody waits for another's end. A
//! reader that went away is noticed before the next piece or token; one that is slow makes its own answer pause. It never
//! waits while there is work, and never works while there is none.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use encaje_core::chat::{ChatEvent, Chunk, Usage};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::answer::Answer;
use crate::cache::Cache;
use crate::chat::{Plan, Sampler, Vocabulary};
use crate::error::ModelError;
use crate::limits::{PREFILL_CHUNK, STALL_POLL};
use crate::model::{Logits, Model, Next, Wanted};
use crate::pool::Pool;

/// What goes to the reader: chunks, and whether they are the last.
pub(crate) type Message = Result<(Vec<Chunk>, bool), ModelError>;

/// One request on its way to the thread.
pub(crate) struct Job {
    /// The prompt; shorter than the context.
    pub(crate) prompt: Vec<u32>,
    /// How to answer.
    pub(crate) plan: Plan,
    /// Where the answer goes; closed when the reader goes away.
    pub(crate) out: mpsc::Sender<Message>,
    /// Its place in the queue, given back with it.
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// A job that has a place.
struct Running {
    job: Job,
    /// The prompt's cache while it is read.
    reading: Option<Cache>,
    /// When it last had a turn.
    turn: u64,
    answers: Vec<Answer>,
    /// Whether it takes part in this round.
    ready: bool,
}

/// The state of the thread.
pub(crate) struct Scheduler {
    model: Arc<dyn Model>,
    vocabulary: Arc<Vocabulary>,
    pool: Arc<Pool>,
    places: usize,
    jobs: Receiver<Job>,
    waiting: VecDeque<Job>,
    running: Vec<Running>,
    turn: u64,
}

impl Scheduler {
    /// For one model; at most `places` answers at once.
    pub(crate) fn new(
        model: Arc<dyn Model>,
        vocabulary: Arc<Vocabulary>,
        pool: Arc<Pool>,
        places: usize,
        jobs: Receiver<Job>,
    ) -> Self {
        Self {
            model,
            vocabulary,
            pool,
            places,
            jobs,
            waiting: VecDeque::new(),
            running: Vec::new(),
            turn: 0,
        }
    }

    /// Works until nobody can send jobs any more and all are answered.
    pub(crate) fn run(mut self) {
        loop {
            if self.running.is_empty() && self.waiting.is_empty() {
                match self.jobs.recv() {
                    Ok(job) => self.waiting.push_back(job),
                    Err(_) => return,
                }
            }
            self.waiting.extend(self.jobs.try_iter());
            self.waiting.retain(|job| !job.out.is_closed());
            self.running.retain(|running| !running.job.out.is_closed());
            self.admit();
            let read = self.read();
            let said = self.say();
            if !read && !said && !self.running.is_empty() {
                match self.jobs.recv_timeout(STALL_POLL) {
                    Ok(job) => self.waiting.push_back(job),
                    Err(RecvTimeoutError::Timeout) => {}
                    // Nobody can send any more; the answers that pause are still looked after.
                    Err(RecvTimeoutError::Disconnected) => std::thread::sleep(STALL_POLL),
                }
            }
        }
    }

    fn admit(&mut self) {
        let mut taken: usize = self
            .running
            .iter()
            .map(|running| running.job.plan.sampling.choices as usize)
            .sum();
        while let Some(job) = self.waiting.pop_front() {
            taken += job.plan.sampling.choices as usize;
            if taken > self.places && !self.running.is_empty() {
                self.waiting.push_front(job);
                return;
            }
            let most = job.plan.sampling.max_tokens.map_or(usize::MAX, |most| most as usize);
            match self.model.cache(job.prompt.len().saturating_add(most)) {
                Ok(cache) => {
                    let reading = Some(cache);
                    self.running.push(Running {
                        job,
                        reading,
                        turn: self.turn,
                        answers: Vec::new(),
                        ready: false,
                    });
                }
                Err(error) => fail(&job, error),
            }
        }
    }

    /// Reads a piece of the prompt that has waited longest; whether there was one.
    fn read(&mut self) -> bool {
        let reading = self
            .running
            .iter_mut()
            .enumerate()
            .filter(|(_, running)| running.reading.is_some());
        let Some((index, running)) = reading.min_by_key(|(_, running)| running.turn) else {
            return false;
        };
        self.turn += 1;
        running.turn = self.turn;
        let Some(cache) = running.reading.as_mut() else {
            return false;
        };
        let rest = running.job.prompt.get(cache.length()..).unwrap_or_default();
        let (piece, last) = rest
            .split_at_checked(PREFILL_CHUNK)
            .map_or((rest, true), |(p, r)| (p, r.is_empty()));
        let wanted = if last { Wanted::Last } else { Wanted::Nothing };
        let model = &self.model;
        let outcome = guarded(|| self.pool.run(|| model.prefill(cache, piece, wanted)));
        let outcome = outcome.and_then(|logits| if last { self.begin(index, &logits) } else { Ok(()) });
        if let Err(error) = outcome {
            fail(&self.running.swap_remove(index).job, error);
        }
        true
    }

    /// The prompt has been read: says the first token of every answer.
    fn begin(&mut self, index: usize, logits: &Logits) -> Result<(), ModelError> {
        let Some(running) = self.running.get_mut(index) else {
            return Ok(());
        };
        let Some(cache) = running.reading.take() else {
            return Ok(());
        };
        let Some(row) = logits.rows().next() else {
            return Err(ModelError::Failed("no logits".to_owned()));
        };
        let Plan { sampling, seed } = &running.job.plan;
        let context = self.model.facts().context.saturating_sub(running.job.prompt.len());
        let most = sampling.max_tokens.map_or(context, |most| context.min(most as usize));
        let others = (1..sampling.choices).map(|_| cache.fork()).collect::<Vec<_>>();
        let caches = std::iter::once(cache).chain(others);
        let answers = (0..sampling.choices).zip(caches).map(|(choice, cache)| {
            Answer::new(
                choice,
                cache,
                Sampler::new(sampling, *seed, choice),
                &sampling.stop,
                most,
            )
        });
        running.answers = answers.collect();
        let mut chunks = Vec::new();
        for answer in &mut running.answers {
            chunks.extend(answer.say(row, &self.vocabulary)?);
        }
        self.tell(index, chunks);
        Ok(())
    }

    /// Says one token of every answer whose reader has room; whether there was one.
    fn say(&mut self) -> bool {
        for running in &mut self.running {
            running.ready = !running.answers.is_empty() && running.job.out.capacity() > 0;
        }
        let mut batch: Vec<Next<'_>> = self
            .running
            .iter_mut()
            .filter(|running| running.ready)
            .flat_map(|running| running.answers.iter_mut().filter_map(Answer::next))
            .collect();
        if batch.is_empty() {
            return false;
        }
        let model = &self.model;
        let outcome = guarded(|| self.pool.run(|| model.decode(&mut batch)));
        drop(batch);
        let logits = match outcome {
            Ok(logits) => logits,
            Err(error) => {
                for running in self.running.extract_if(.., |running| running.ready) {
                    fail(&running.job, error.clone());
                }
                return true;
            }
        };
        let mut rows = logits.rows();
        let mut told = Vec::new();
        for (index, running) in self.running.iter_mut().enumerate().filter(|(_, running)| running.ready) {
            let mut chunks = Ok(Vec::new());
            for answer in running.answers.iter_mut().filter(|answer| !answer.is_done()) {
                let Some(row) = rows.next() else { break };
                let said = answer.say(row, &self.vocabulary);
                chunks = chunks.and_then(|mut chunks: Vec<Chunk>| {
                    chunks.extend(said?);
                    Ok(chunks)
                });
            }
            told.push((index, chunks));
        }
        // From the back, since an answer that ends is taken out.
        for (index, chunks) in told.into_iter().rev() {
            match chunks {
                Ok(chunks) => self.tell(index, chunks),
                Err(error) => fail(&self.running.swap_remove(index).job, error),
            }
        }
        true
    }

    /// Sends chunks to the reader; takes the job out when they are the last.
    fn tell(&mut self, index: usize, mut chunks: Vec<Chunk>) {
        let Some(running) = self.running.get(index) else { return };
        let done = running.answers.iter().all(Answer::is_done);
        if done {
            let usage = Usage {
                input_tokens: running.job.prompt.len() as u64,
                output_tokens: running.answers.iter().map(|answer| answer.said() as u64).sum(),
                ..Usage::default()
            };
            chunks.push(Chunk {
                choice: 0,
                event: ChatEvent::Usage(usage),
            });
        }
        if chunks.is_empty() {
            return;
        }
        // There is room: `say` has looked, and before the first token nothing has been sent. A reader that left is
        // found out in the next round.
        let _ = running.job.out.try_send(Ok((chunks, done)));
        if done {
            self.running.swap_remove(index);
        }
    }
}

fn fail(job: &Job, error: ModelError) {
    tracing::error!(%error, "a local model failed");
    let _ = job.out.try_send(Err(error));
}

/// A bug in the arithmetic fails its requests, not the thread.
fn guarded<T>(work: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(ModelError::Failed("it panicked".to_owned())))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Mutex, PoisonError};

    use encaje_core::chat::{ChatRequest, Sampling};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::GgufModel;
    use crate::model::Facts;
    use crate::testing::{self, END};

    /// A model that says when it is asked for a token of how many answers, and waits to be let go on.
    struct Gated {
        inner: Arc<dyn Model>,
        asked: Mutex<Sender<usize>>,
        go: Mutex<Receiver<()>>,
    }

    fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    impl Model for Gated {
        fn facts(&self) -> &Facts {
            self.inner.facts()
        }

        fn cache(&self, capacity: usize) -> Result<Cache, ModelError> {
            self.inner.cache(capacity)
        }

        fn prefill(&self, cache: &mut Cache, tokens: &[u32], wanted: Wanted) -> Result<Logits, ModelError> {
            self.inner.prefill(cache, tokens, wanted)
        }

        fn decode(&self, batch: &mut [Next<'_>]) -> Result<Logits, ModelError> {
            locked(&self.asked).send(batch.len()).unwrap();
            // An error once nobody holds it back any more.
            let _ = locked(&self.go).recv();
            self.inner.decode(batch)
        }

        fn embed(&self, windows: &[&[u32]]) -> Result<Vec<f32>, ModelError> {
            self.inner.embed(windows)
        }
    }

    /// An answer of so many tokens, and where it goes.
    fn job(tokens: u32) -> (Job, mpsc::Receiver<Message>) {
        let sampling = Sampling {
            temperature: Some(0.0),
            logit_bias: vec![(END, -1e6)],
            max_tokens: Some(tokens),
            choices: 1,
            ..Sampling::default()
        };
        let request = ChatRequest {
            sampling,
            ..ChatRequest::question("tiny", "hey")
        };
        let (out, answer) = mpsc::channel(64);
        let job = Job {
            prompt: vec![1, 2, 3],
            plan: Plan::new(&request).unwrap(),
            out,
            _permit: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        };
        (job, answer)
    }

    #[test]
    fn no_token_but_the_one_under_way_is_made_for_a_reader_that_left() {
        let folder = tempfile::tempdir().unwrap();
        let opened = GgufModel::open(&testing::gguf(folder.path(), false, |_| {}), None).unwrap();
        let ((asked, asks), (go, gate), (jobs, receiver)) = (channel(), channel(), channel());
        let model = Gated {
            inner: opened.model,
            asked: Mutex::new(asked),
            go: Mutex::new(gate),
        };
        let pool = Arc::new(Pool::new(Some(1)).unwrap());
        let scheduler = Scheduler::new(Arc::new(model), opened.vocabulary, pool, 4, receiver);
        let ((leaves, read_by_leaver), (stays, mut read_by_stayer)) = (job(50), job(12));
        jobs.send(leaves).unwrap();
        jobs.send(stays).unwrap();
        let thread = std::thread::spawn(move || scheduler.run());
        // Until a token of both is under way, and some more.
        let mut seen = 0;
        while seen < 4 {
            seen += usize::from(asks.recv().unwrap() == 2);
            if seen < 4 {
                go.send(()).unwrap();
            }
        }
        drop(read_by_leaver);
        drop((go, jobs));
        thread.join().unwrap();
        let afterwards: Vec<usize> = asks.iter().collect();
        assert!(!afterwards.is_empty(), "the other answer went on");
        assert!(
            afterwards.iter().all(|answers| *answers == 1),
            "tokens of an answer that nobody reads: {afterwards:?}"
        );
        let mut usage = None;
        while let Ok(message) = read_by_stayer.try_recv() {
            let (chunks, done) = message.unwrap();
            usage = chunks.into_iter().last().filter(|_| done);
        }
        let last = usage.expect("the answer that is read came to its end").event;
        assert!(matches!(last, ChatEvent::Usage(usage) if usage.output_tokens == 12));
    }
}
