//! Settings in their order: flag, `ENCAJE_*` environment variable, registry, default. Each value knows where it is from.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::limits;
use crate::names::nearest;
use crate::registry::{Registry, WhenStorageFails};
use crate::units;

/// The variables that the server reads; those of the second list are read elsewhere.
const OWN: [&str; 6] = [
    "ENCAJE_HOME",
    "ENCAJE_DATA",
    "ENCAJE_LISTEN",
    "ENCAJE_WHEN_STORAGE_FAILS",
    "ENCAJE_TIMEOUT",
    "ENCAJE_DRAIN",
];
const ELSEWHERE: [&str; 5] = [
    "ENCAJE_REGISTRY",
    "ENCAJE_LOG",
    "ENCAJE_API_KEY",
    "ENCAJE_DEB_DIR",
    "ENCAJE_RUSTUP",
];

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The registry, by the name that it was parsed with.
    Registry(String),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(out, "flag {flag}"),
            Self::Environment(name) => write!(out, "environment {name}"),
            Self::Registry(origin) => write!(out, "registry {origin}"),
            Self::Default => write!(out, "default"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value and where it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it is from.
    pub origin: Origin,
}

/// One setting as `doctor` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its name in the registry.
    pub name: &'static str,
    /// Its value, as the registry would write it.
    pub value: String,
    /// Where it is from.
    pub origin: Origin,
}

/// What the command line said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--home`.
    pub home: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<SocketAddr>,
}

/// The variables of the process, taken once, so that nothing depends on when they are read.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Of this process. Variables that are not UTF-8 are left out: none of ours may be.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The value of a variable; an empty one counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `ENCAJE_*` variables that nothing reads, each with what may have been meant.
    pub fn unknown(&self) -> Vec<String> {
        let ours = self.0.keys().filter(|name| name.starts_with("ENCAJE_"));
        let known = || OWN.into_iter().chain(ELSEWHERE);
        let unknown = ours.filter(|name| !known().any(|known| known == *name));
        let say = |name: &String| match nearest(name, known()) {
            Some(near) => format!("nothing reads the environment variable `{name}`; did you mean `{near}`?"),
            None => format!("nothing reads the environment variable `{name}`"),
        };
        unknown.map(say).collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// A setting that is no good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// The text does not say what it should.
    #[error("{origin} is `{value}`, but must be {expected}")]
    Wrong {
        /// Where it is from.
        origin: Origin,
        /// What it says.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// There is no folder to fall back on.
    #[error("no folder for {what}: set {variable} to an absolute path (HOME is not set either)")]
    NoFolder {
        /// For what.
        what: &'static str,
        /// What to set.
        variable: &'static str,
    },
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Downloads and builds; a cache. `$ENCAJE_HOME`, else `~/.cache/encaje`.
    pub home: Setting<PathBuf>,
    /// Databases and the spool. `$ENCAJE_DATA`, else the registry's, else `data` below `$ENCAJE_HOME` where that is set,
    /// else `$XDG_DATA_HOME/encaje` or `~/.local/share/encaje`: traces must outlive a cache that is emptied.
    pub data: Setting<PathBuf>,
    /// Where to listen. Ask [`Registry::refuse_open_listen`] before binding it.
    pub listen: Setting<SocketAddr>,
    /// What happens to a call while the storage is down.
    pub when_storage_fails: Setting<WhenStorageFails>,
    /// Bytes of a request's body.
    pub max_body: Setting<u64>,
    /// Connections at once, each with one request at a time.
    pub max_in_flight: Setting<u32>,
    /// The longest that a call may take.
    pub timeout: Setting<Duration>,
    /// What a graceful shutdown gives the calls that run.
    pub drain: Setting<Duration>,
}

struct Resolving<'a> {
    environment: &'a Environment,
    registry: &'a Registry,
    errors: Vec<SettingError>,
}

impl Settings {
    /// Settles every setting. `registry_folder` is where the registry's relative paths start.
    ///
    /// # Errors
    /// All settings that are no good.
    pub fn resolve(
        flags: &Flags,
        environment: &Environment,
        registry: &Registry,
        registry_folder: &Path,
    ) -> Result<Self, Vec<SettingError>> {
        let mut resolving = Resolving {
            environment,
            registry,
            errors: Vec::new(),
        };
        let settled = resolving.settle(flags, registry_folder);
        match settled {
            Some(settings) if resolving.errors.is_empty() => Ok(settings),
            _ => Err(resolving.errors),
        }
    }

    /// Every setting, its value and its origin, for people to read.
    pub fn list(&self) -> Vec<Listed> {
        fn listed<T>(name: &'static str, setting: &Setting<T>, show: impl Fn(&T) -> String) -> Listed {
            Listed {
                name,
                value: show(&setting.value),
                origin: setting.origin.clone(),
            }
        }
        let path = |path: &PathBuf| path.display().to_string();
        let duration = |duration: &Duration| units::format_duration(*duration);
        vec![
            listed("home", &self.home, path),
            listed("data", &self.data, path),
            listed("listen", &self.listen, ToString::to_string),
            listed("when_storage_fails", &self.when_storage_fails, |fails| {
                fails.as_str().to_owned()
            }),
            listed("max_body", &self.max_body, |bytes| units::format_size(*bytes)),
            listed("max_in_flight", &self.max_in_flight, ToString::to_string),
            listed("timeout", &self.timeout, duration),
            listed("drain", &self.drain, duration),
        ]
    }
}

type Read<'a, T> = (&'static str, &'a dyn Fn(&str) -> Option<T>, &'a str);

impl Resolving<'_> {
    /// Asks for every setting before it gives up on one, so that all mistakes are found.
    fn settle(&mut self, flags: &Flags, registry_folder: &Path) -> Option<Settings> {
        let server = &self.registry.server;
        let home = self.home(flags);
        let data = self.data(flags, registry_folder);
        let listen = self.listen(flags);
        let when_storage_fails = self.when_storage_fails();
        let second = Duration::from_secs(1);
        let timeout = self.duration(
            "ENCAJE_TIMEOUT",
            "timeout",
            server.timeout,
            second..=limits::MAX_TIMEOUT,
        );
        let drain = self.duration(
            "ENCAJE_DRAIN",
            "drain",
            server.drain,
            Duration::ZERO..=limits::MAX_DRAIN,
        );
        Some(Settings {
            home: home?,
            data: data?,
            listen: listen?,
            when_storage_fails: when_storage_fails?,
            max_body: self.stated("max_body", server.max_body),
            max_in_flight: self.stated("max_in_flight", server.max_in_flight),
            timeout: timeout?,
            drain: drain?,
        })
    }

    fn listen(&mut self, flags: &Flags) -> Option<Setting<SocketAddr>> {
        let read = |text: &str| text.parse().ok();
        let expected = format!("an address and a port such as `{}`", limits::DEFAULT_LISTEN);
        let (registered, default) = (self.registry.server.listen, limits::DEFAULT_LISTEN.parse().ok());
        self.pick(
            ("--listen", flags.listen),
            ("ENCAJE_LISTEN", &read, &expected),
            registered,
            default,
        )
    }

    fn when_storage_fails(&mut self) -> Option<Setting<WhenStorageFails>> {
        let server = &self.registry.server;
        let both = [WhenStorageFails::Spool, WhenStorageFails::Refuse];
        let read = |text: &str| both.into_iter().find(|each| each.as_str() == text);
        let written = server
            .written
            .contains(&"when_storage_fails")
            .then_some(server.when_storage_fails);
        let variable: Read<'_, _> = ("ENCAJE_WHEN_STORAGE_FAILS", &read, "`spool` or `refuse`");
        self.pick(("", None), variable, written, Some(server.when_storage_fails))
    }

    fn in_registry(&self) -> Origin {
        Origin::Registry(self.registry.origin().to_owned())
    }

    fn pick<T>(
        &mut self,
        (flag, flagged): (&'static str, Option<T>),
        (variable, read, expected): Read<'_, T>,
        registered: Option<T>,
        default: Option<T>,
    ) -> Option<Setting<T>> {
        if let Some(value) = flagged {
            return Some(Setting {
                value,
                origin: Origin::Flag(flag),
            });
        }
        if let Some(text) = self.environment.get(variable) {
            let origin = Origin::Environment(variable);
            if let Some(value) = read(text) {
                return Some(Setting { value, origin });
            }
            self.errors.push(SettingError::Wrong {
                origin,
                value: text.to_owned(),
                expected: expected.to_owned(),
            });
            return None;
        }
        match registered {
            Some(value) => Some(Setting {
                value,
                origin: self.in_registry(),
            }),
            None => default.map(|value| Setting {
                value,
                origin: Origin::Default,
            }),
        }
    }

    /// A value that only the registry gives; where it does not, it has been read as the default.
    fn stated<T>(&self, key: &str, value: T) -> Setting<T> {
        let written = self.registry.server.written.contains(&key);
        Setting {
            value,
            origin: if written { self.in_registry() } else { Origin::Default },
        }
    }

    fn duration(
        &mut self,
        variable: &'static str,
        key: &str,
        value: Duration,
        range: std::ops::RangeInclusive<Duration>,
    ) -> Option<Setting<Duration>> {
        let read = |text: &str| units::parse_duration(text).filter(|duration| range.contains(duration));
        let (least, most) = (
            units::format_duration(*range.start()),
            units::format_duration(*range.end()),
        );
        let expected = format!("a duration such as `30s`, from {least} to {most}");
        let written = self.registry.server.written.contains(&key).then_some(value);
        self.pick(("", None), (variable, &read, &expected), written, Some(value))
    }

    fn home(&mut self, flags: &Flags) -> Option<Setting<PathBuf>> {
        let default = self
            .environment
            .get("HOME")
            .map(|home| Path::new(home).join(".cache").join("encaje"));
        let read = |text: &str| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
        let before = self.errors.len();
        let home = self.pick(
            ("--home", flags.home.clone()),
            ("ENCAJE_HOME", &read, "an absolute path"),
            None,
            default,
        );
        if home.is_none() && self.errors.len() == before {
            self.errors.push(SettingError::NoFolder {
                what: "downloads and builds",
                variable: "ENCAJE_HOME",
            });
        }
        home
    }

    fn data(&mut self, flags: &Flags, registry_folder: &Path) -> Option<Setting<PathBuf>> {
        let given = flags
            .home
            .clone()
            .or_else(|| self.environment.get("ENCAJE_HOME").map(PathBuf::from));
        let shared = || {
            self.environment
                .get("XDG_DATA_HOME")
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let user = || Some(Path::new(self.environment.get("HOME")?).join(".local").join("share"));
        let default = given
            .map(|home| home.join("data"))
            .or_else(|| Some(shared().or_else(user)?.join("encaje")));
        let registered = self
            .registry
            .server
            .data
            .as_ref()
            .map(|data| registry_folder.join(data));
        let read = |text: &str| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
        let before = self.errors.len();
        let variable: Read<'_, PathBuf> = ("ENCAJE_DATA", &read, "an absolute path");
        let data = self.pick(("--data", flags.data.clone()), variable, registered, default);
        if data.is_none() && self.errors.len() == before {
            self.errors.push(SettingError::NoFolder {
                what: "databases",
                variable: "ENCAJE_DATA",
            });
        }
        data
    }
}
