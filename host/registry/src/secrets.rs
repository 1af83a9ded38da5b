//! Secrets, from the environment or a `.env` file, by the names that the registry gives them.
//!
//! Only the names asked for are kept. The environment wins over the file, the process's own environment is never
//! written, settings in the file are refused rather than half obeyed, and no value is ever shown.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use crate::limits;
use crate::settings::Environment;

/// The one secret of the command line itself: the key that it shows to a running server.
const API_KEY: &str = "ENCAJE_API_KEY";

/// A `.env` file that cannot be used. Says nothing of its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is there and cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is larger than [`limits::MAX_DOTENV_BYTES`].
    #[error("{path} is larger than {most} bytes; is it the right file?", most = limits::MAX_DOTENV_BYTES)]
    TooLarge {
        /// The file.
        path: String,
    },
    /// A line is not `NAME=value`.
    #[error("{path}: entry {entry} is not `NAME=value`; a value with spaces stands in quotes")]
    Syntax {
        /// The file.
        path: String,
        /// Counted from 1, without comments and empty lines.
        entry: usize,
    },
    /// A setting stands among the secrets.
    #[error(
        "{path}: `{name}` is a setting; write it into registry.toml or set it in the environment: `.env` holds secrets alone"
    )]
    Setting {
        /// The file.
        path: String,
        /// The variable.
        name: String,
    },
}

/// Secrets by name.
#[derive(Clone, Default)]
pub struct Secrets {
    values: BTreeMap<String, (String, &'static str)>,
}

impl Secrets {
    /// Looks for the secrets of these names; `file` may be missing.
    ///
    /// # Errors
    /// [`SecretError`] when the file is there and cannot be used.
    pub fn load<'n>(
        names: impl IntoIterator<Item = &'n str>,
        environment: &Environment,
        file: &Path,
    ) -> Result<Self, SecretError> {
        let mut in_file = read(file)?;
        let mut values = BTreeMap::new();
        for name in names {
            let found = match environment.get(name) {
                Some(value) => Some((value.to_owned(), "environment")),
                None => in_file
                    .remove(name)
                    .filter(|value| !value.is_empty())
                    .map(|value| (value, ".env")),
            };
            values.extend(found.map(|found| (name.to_owned(), found)));
        }
        Ok(Self { values })
    }

    /// A secret's value. Do not show it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.as_str())
    }

    /// The names that were found, each with where: `environment` or `.env`.
    pub fn names(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.values.iter().map(|(name, (_, origin))| (name.as_str(), *origin))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.values.keys()).finish()
    }
}

fn read(file: &Path) -> Result<BTreeMap<String, String>, SecretError> {
    let path = file.display().to_string();
    let mut bytes = Vec::new();
    match std::fs::File::open(file) {
        Ok(opened) => opened
            .take(limits::MAX_DOTENV_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| SecretError::Unreadable {
                path: path.clone(),
                error,
            })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(SecretError::Unreadable { path, error }),
    };
    if bytes.len() as u64 > limits::MAX_DOTENV_BYTES {
        return Err(SecretError::TooLarge { path });
    }
    let mut values = BTreeMap::new();
    // Some editors begin UTF-8 files with a byte order mark.
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    for (index, entry) in dotenvy::from_read_iter(text).enumerate() {
        // The parser's own error quotes the line, and the line holds the secret.
        let (name, value) = entry.map_err(|_| SecretError::Syntax {
            path: path.clone(),
            entry: index + 1,
        })?;
        if name.starts_with("ENCAJE_") && name != API_KEY {
            return Err(SecretError::Setting { path, name });
        }
        values.entry(name).or_insert(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Secrets, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, text).unwrap();
        Secrets::load(["A", "B", "C"], &environment.iter().copied().collect(), &file)
    }

    #[test]
    fn the_environment_wins_and_only_asked_names_are_kept() {
        let secrets = load("# secrets\nA=file-a\nB=\"file b\"\nOTHER=x\n", &[("A", "real-a")]).unwrap();
        assert_eq!(
            (secrets.get("A"), secrets.get("B"), secrets.get("C")),
            (Some("real-a"), Some("file b"), None)
        );
        assert_eq!(
            secrets.names().collect::<Vec<_>>(),
            [("A", "environment"), ("B", ".env")]
        );
        assert_eq!(secrets.get("OTHER"), None);
    }

    #[test]
    fn no_value_is_shown() {
        let secrets = load("A=hush\n", &[]).unwrap();
        assert_eq!(format!("{secrets:?}"), "{\"A\"}");
        let broken = load("A=fine\nB='hush\n", &[]).unwrap_err();
        assert!(matches!(broken, SecretError::Syntax { .. }), "{broken}");
        assert!(!format!("{broken} {broken:?}").contains("hush"));
    }

    #[test]
    fn a_setting_in_the_file_is_refused_by_name() {
        let wrong = load("ENCAJE_LISTEN=0.0.0.0:1\n", &[]).unwrap_err();
        assert!(wrong.to_string().contains("`ENCAJE_LISTEN` is a setting"), "{wrong}");
    }

    #[test]
    fn a_missing_file_is_no_error_and_a_huge_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let none = Secrets::load(["A"], &Environment::default(), &folder.path().join(".env")).unwrap();
        assert_eq!(none.get("A"), None);
        let huge = "A=1\n".repeat(limits::MAX_DOTENV_BYTES as usize);
        assert!(matches!(load(&huge, &[]), Err(SecretError::TooLarge { .. })));
    }
}
