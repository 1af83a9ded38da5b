//! What names, paths and addresses may look like. Says yes or no, and in words what was expected; reports nothing.

use crate::limits;

/// A sort of text with rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// Of a plugin, a database, a tenant or a key: it becomes a file name or a label.
    Plain,
    /// Of a model.
    Model,
    /// Of a route: a model's name, or the start of one and a `*`.
    Pattern,
    /// Of a secret: an environment variable.
    Secret,
    /// Of a metric or its label, as Prometheus has them.
    Metric,
    /// A file below a folder, in `/` notation.
    Below,
    /// `owner/name` on the model hub.
    Repository,
    /// A branch, tag or commit on the model hub.
    Revision,
    /// `package==version`.
    Requirement,
    /// `1.2.3`, with `-pre` and `+build`.
    Version,
}

impl Name {
    /// Whether the text keeps the rules.
    pub(crate) fn fits(self, text: &str) -> bool {
        let chars =
            |max: usize, allowed: fn(char) -> bool| !text.is_empty() && text.len() <= max && text.chars().all(allowed);
        let starts = |allowed: fn(char) -> bool| text.chars().next().is_some_and(allowed);
        match self {
            Self::Plain => chars(limits::MAX_NAME, plain) && starts(|first| first.is_ascii_alphanumeric()),
            Self::Model => chars(limits::MAX_MODEL_NAME, model) && starts(|first| first.is_ascii_alphanumeric()),
            Self::Pattern => match text.strip_suffix('*') {
                Some("") => true,
                Some(prefix) => Self::Model.fits(prefix),
                None => Self::Model.fits(text),
            },
            Self::Secret => {
                chars(limits::MAX_NAME, |each| each.is_ascii_alphanumeric() || each == '_')
                    && starts(|first| first.is_ascii_alphabetic() || first == '_')
            }
            Self::Metric => {
                chars(limits::MAX_NAME, |each| {
                    each.is_ascii_lowercase() || each.is_ascii_digit() || each == '_'
                }) && starts(|first| first.is_ascii_lowercase())
            }
            Self::Below => is_below(text),
            Self::Repository => text.split('/').count() == 2 && text.split('/').all(|part| Self::Plain.fits(part)),
            Self::Revision => {
                chars(limits::MAX_MODEL_NAME, |each| plain(each) || each == '/')
                    && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
            }
            Self::Requirement => text.split_once("==").is_some_and(|(package, version)| {
                Self::Plain.fits(package)
                    && version.len() <= limits::MAX_NAME
                    && version.starts_with(|first: char| first.is_ascii_digit())
                    && version.chars().all(|each| plain(each) || each == '+' || each == '!')
            }),
            Self::Version => is_version(text),
        }
    }

    /// What was expected, after "expected".
    pub(crate) fn expected(self) -> String {
        let plain = "letters, digits, `-`, `_` and `.`, the first a letter or digit";
        match self {
            Self::Plain => format!("a name of {plain}, at most {} of them", limits::MAX_NAME),
            Self::Model => format!(
                "a model's name of letters, digits and any of `-_.:/@+`, the first a letter or digit, at most {} of them",
                limits::MAX_MODEL_NAME
            ),
            Self::Pattern => "a model's name, or the start of one and a single `*` at its end".to_owned(),
            Self::Secret => "the name of an environment variable: letters, digits and `_`".to_owned(),
            Self::Metric => "a name of lower-case letters, digits and `_`, the first a letter".to_owned(),
            Self::Below => "a relative path with `/` between its parts, without `..` and without `\\`".to_owned(),
            Self::Repository => "a repository of the model hub, `owner/name`".to_owned(),
            Self::Revision => "a branch, tag or commit of the model hub's repository".to_owned(),
            Self::Requirement => "a package with an exact version, `name==1.2.3`".to_owned(),
            Self::Version => "a version such as `1.2.3`".to_owned(),
        }
    }
}

fn plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

fn model(character: char) -> bool {
    plain(character) || matches!(character, ':' | '/' | '@' | '+')
}

fn is_below(text: &str) -> bool {
    let good = |part: &str| !part.is_empty() && part != "." && part != "..";
    text.len() <= limits::MAX_TEXT
        && text.split('/').all(good)
        && !text.contains(['\\', ':'])
        && !text.chars().any(char::is_control)
}

fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers = |part: &str| !part.is_empty() && part.len() < 10 && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= limits::MAX_NAME
        && core.split('.').count() == 3
        && core.split('.').all(numbers)
        && text.chars().all(|each| plain(each) || each == '+')
}

/// The known name nearest to what was written, when it is near enough to be what was meant.
pub(crate) fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if written.len() > limits::MAX_COMPARED {
        return None;
    }
    let lower = written.to_lowercase();
    let short_enough = known.into_iter().filter(|known| known.len() <= limits::MAX_COMPARED);
    let measured = short_enough.map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known));
    let (distance, best) = measured.min_by_key(|(distance, _)| *distance)?;
    // A third of the letters may differ: `lisen` is `listen`, but `kv` is not `sql`.
    let near = distance <= (written.chars().count().max(best.len()) / 3).max(1) && distance < best.len();
    near.then_some(best)
}

/// "`a`, `b` and `c`".
pub(crate) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit() {
        for (rule, text) in [
            (Name::Plain, "a-1_b.c"),
            (Name::Model, "Owner/Model-0.6B:free"),
            (Name::Pattern, "*"),
            (Name::Pattern, "gpt-*"),
            (Name::Secret, "OPENAI_API_KEY"),
            (Name::Below, "a/b.db"),
            (Name::Below, "..a"),
            (Name::Repository, "owner/name-1.0"),
            (Name::Revision, "refs/pr/1"),
            (Name::Requirement, "a-package==0.1.2"),
            (Name::Version, "1.2.3-rc.1+5"),
        ] {
            assert!(rule.fits(text), "{text} is {}", rule.expected());
        }
    }

    #[test]
    fn names_that_do_not() {
        for (rule, text) in [
            (Name::Plain, ""),
            (Name::Plain, "-x"),
            (Name::Plain, "../x"),
            (Name::Plain, "a b"),
            (Name::Model, "a*"),
            (Name::Pattern, "a*b"),
            (Name::Pattern, "a**"),
            (Name::Below, "/etc/passwd"),
            (Name::Below, "a/../b"),
            (Name::Below, "a//b"),
            (Name::Below, "C:/x"),
            (Name::Below, "a\\..\\b"),
            (Name::Repository, "name"),
            (Name::Repository, "../name"),
            (Name::Revision, "../../etc"),
            (Name::Requirement, "--index-url=x==1"),
            (Name::Requirement, "name>=1"),
            (Name::Requirement, "name== 1"),
            (Name::Version, "1.2"),
        ] {
            assert!(!rule.fits(text), "{text} is {}", rule.expected());
        }
    }

    #[test]
    fn the_nearest_is_near() {
        let known = ["listen", "data", "storage"];
        assert_eq!(nearest("lisen", known), Some("listen"));
        assert_eq!(nearest("Storage", known), Some("storage"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest(&"listen".repeat(100), known), None);
    }
}
