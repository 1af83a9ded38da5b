//! Something in the path of every call (`encaje:instrumentor`): implement [`Instrumentor`], and [`Filter`] where it changes
//! answers, then [`export_instrumentor!`](crate::export_instrumentor). A hook that is not implemented returns `unsupported`;
//! the host calls those that [`Instrumentor::check`] names.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::instrumentor::exports::encaje::instrumentor::instrumentor as exported;
use crate::bindings::lifecycle::exports::encaje::common::lifecycle;
use crate::chat::{ChatRequest, Chunk};
use crate::errors::Problem;

pub use crate::telemetry::{Exchange, Score, Span};
pub use exported::{Annotation, Decision};

/// What an instrumentor plugin does. The meaning of each hook is the WIT's. `before`, `filter` and `after` of one request
/// share an instance, so a `thread_local!` carries what one of them must tell the next.
pub trait Instrumentor: 'static {
    /// Run once for each new generation, before any traffic: checks the configuration and returns the hooks that are to be
    /// called, of `before`, `filter`, `after`, `export-spans` and `ingest`.
    ///
    /// # Errors
    /// Whatever keeps the plugin from working; the old generation goes on serving.
    fn check() -> Result<Vec<String>, Problem>;

    /// Before anybody is asked.
    ///
    /// # Errors
    /// What the operator's `on_error` decides about. A refusal is no error but [`Decision::Reject`].
    fn before(request: ChatRequest) -> Result<Decision, Problem> {
        Err(missing("before", &request.model))
    }

    /// Before the first chunk of an answer.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn open_filter(request: ChatRequest) -> Result<Box<dyn Filter>, Problem> {
        Err(missing("filter", &request.model))
    }

    /// After the call has ended, however it did.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn after(exchange: Exchange) -> Result<Annotation, Problem> {
        Err(missing("after", &exchange.request.model))
    }

    /// Finished spans, to be sent elsewhere.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn export_spans(batch: Vec<Span>) -> Result<(), Problem> {
        let spans = batch.len();
        Err(Problem::unsupported(format!(
            "this plugin exports no spans ({spans} were offered)"
        )))
    }

    /// The spans that a payload of a foreign shape tells of.
    ///
    /// # Errors
    /// `unsupported` unless implemented, and for a format that it does not know.
    fn ingest(format: String, _payload: Vec<u8>) -> Result<Vec<Span>, Problem> {
        Err(Problem::unsupported(format!("this plugin reads no payloads (format `{format}`)")).with_param("format"))
    }
}

fn missing(hook: &str, model: &str) -> Problem {
    Problem::unsupported(format!("this plugin has no hook `{hook}` (model `{model}`)"))
}

/// One answer as it streams. Dropped when it is over or when the caller has gone.
pub trait Filter: 'static {
    /// The next chunks of the provider; returns what is to be sent now, which may be nothing.
    ///
    /// # Errors
    /// What the operator's `on_error` decides about.
    fn push(&mut self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem>;

    /// The answer is over; returns what was held back. Called once, last.
    ///
    /// # Errors
    /// As in `push`.
    fn finish(&mut self) -> Result<Vec<Chunk>, Problem>;
}

impl Annotation {
    /// Nothing to add.
    #[must_use]
    pub fn none() -> Self {
        Self {
            attributes: Vec::new(),
            scores: Vec::new(),
            tags: Vec::new(),
        }
    }
}

/// What [`export_instrumentor!`](crate::export_instrumentor) exports for an [`Instrumentor`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

impl<T: Instrumentor> lifecycle::Guest for Exported<T> {
    fn check() -> Result<Vec<String>, Problem> {
        T::check()
    }
}

impl<T: Instrumentor> exported::Guest for Exported<T> {
    type Filter = ExportedFilter;

    fn before(request: ChatRequest) -> Result<Decision, Problem> {
        T::before(request)
    }

    fn open_filter(request: ChatRequest) -> Result<exported::Filter, Problem> {
        T::open_filter(request).map(|filter| exported::Filter::new(ExportedFilter(RefCell::new(filter))))
    }

    fn after(exchange: Exchange) -> Result<Annotation, Problem> {
        T::after(exchange)
    }

    fn export_spans(batch: Vec<Span>) -> Result<(), Problem> {
        T::export_spans(batch)
    }

    fn ingest(format: String, payload: Vec<u8>) -> Result<Vec<Span>, Problem> {
        T::ingest(format, payload)
    }
}

/// The resource that the host pushes chunks through.
#[doc(hidden)]
pub struct ExportedFilter(RefCell<Box<dyn Filter>>);

impl exported::GuestFilter for ExportedFilter {
    fn push(&self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem> {
        self.0.try_borrow_mut().map_err(|_| busy())?.push(chunks)
    }

    fn finish(&self) -> Result<Vec<Chunk>, Problem> {
        self.0.try_borrow_mut().map_err(|_| busy())?.finish()
    }
}

/// A guest is never entered twice at once, so this cannot happen; if it did, the call would fail, not the instance.
fn busy() -> Problem {
    Problem::internal("a filter was called while it was running")
}

/// Exports a type that implements [`Instrumentor`](crate::instrumentor::Instrumentor) as a plugin of the kind `instrumentor`. Once a crate.
/// Outside WebAssembly it only checks the type, so that unit tests of the plugin link.
#[macro_export]
macro_rules! export_instrumentor {
    ($plugin:ty) => {
        const _: () = {
            type EncajeExported = $crate::instrumentor::Exported<$plugin>;
            const fn is_exportable<
                T: $crate::bindings::instrumentor::exports::encaje::instrumentor::instrumentor::Guest,
            >() {
            }
            is_exportable::<EncajeExported>();
            #[cfg(target_family = "wasm")]
            $crate::bindings::lifecycle::export_lifecycle_interface!(
                EncajeExported with_types_in $crate::bindings::lifecycle
            );
            #[cfg(target_family = "wasm")]
            $crate::bindings::instrumentor::export_instrumentor_interface!(
                EncajeExported with_types_in $crate::bindings::instrumentor
            );
        };
    };
}
