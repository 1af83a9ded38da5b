//! What can go wrong with a native model, and what the caller and the operator are told about it.
//!
//! Errors of one request (a bad parameter, too long a prompt) are `encaje_core::Problem`s from the start; these are the
//! errors of the model and its files.

use encaje_core::{Problem, ProblemKind};

/// A failure of a model or of its files.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ModelError {
    /// A file of the model is not there.
    #[error("{file} is missing")]
    Missing {
        /// Which.
        file: String,
    },
    /// A file of the model cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Unreadable {
        /// Which.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// A file of the model is not what it should be.
    #[error("the model's file is damaged or of another kind: {0}")]
    Malformed(String),
    /// The model is sound, but of a kind that this version does not run.
    #[error("{what} `{value}` is not supported")]
    Unknown {
        /// Of what the value is, e.g. `architecture`.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// This kind of model cannot do that.
    #[error("this model cannot {0}")]
    Cannot(&'static str),
    /// The computation failed.
    #[error("the model failed: {0}")]
    Failed(String),
}

impl ModelError {
    /// The problem of a request that needed the model `id`.
    pub fn to_problem(&self, id: &str) -> Problem {
        match self {
            Self::Missing { .. } => Problem::new(
                ProblemKind::Misconfigured,
                format!("The model `{id}` is not on this machine. Run `encaje model pull {id}`."),
            )
            .with_code("model_not_pulled"),
            Self::Unreadable { .. } => Problem::new(
                ProblemKind::Misconfigured,
                format!("The files of the model `{id}` cannot be read."),
            ),
            Self::Malformed(_) => Problem::new(
                ProblemKind::Misconfigured,
                format!("The files of the model `{id}` are damaged. Run `encaje model pull {id}`."),
            ),
            Self::Unknown { what, value } => Problem::new(
                ProblemKind::Unsupported,
                format!("The model `{id}` cannot be run: {what} `{value}` is not supported."),
            ),
            Self::Cannot(what) => {
                Problem::new(ProblemKind::Unsupported, format!("The model `{id}` cannot {what}.")).with_param("model")
            }
            Self::Failed(_) => Problem::new(ProblemKind::Internal, format!("The model `{id}` failed.")),
        }
        .with_detail(format!("{id}: {self}"))
    }
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
