//! `[server]`, `[sources]`, `[keys]` and `[databases]`. Binds no socket and opens no file.

use std::net::SocketAddr;
use std::time::Duration;

use encaje_core::Caller;
use encaje_core::generation::ApiKey;
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Severity, Span, quoted};
use crate::limits;
use crate::names::Name;
use crate::reader::{Node, Shape, string_text};
use crate::registry::Registry;
use crate::units;

const SERVER: Shape = Shape {
    known: &[
        "listen",
        "data",
        "storage",
        "when_storage_fails",
        "max_body",
        "max_in_flight",
        "timeout",
        "drain",
    ],
    renamed: &[
        ("bind", "`listen = \"127.0.0.1:8080\"`"),
        ("address", "`listen = \"127.0.0.1:8080\"`"),
        ("host", "`listen = \"127.0.0.1:8080\"`, address and port together"),
        ("port", "`listen = \"127.0.0.1:8080\"`, address and port together"),
        ("data_dir", "`data`"),
        ("ledger", "`storage`"),
        ("database", "`storage`, the name of a plugin of kind `storage`"),
        ("hub", "`hub` under `[sources]`"),
        ("request_timeout", "`timeout`"),
    ],
};

const SOURCES: Shape = Shape {
    known: &["hub"],
    renamed: &[("hf", "`hub`")],
};

const KEY: Shape = Shape {
    known: &["sha256", "tenant"],
    renamed: &[
        ("key", "`sha256`: the key's hash, never the key"),
        ("value", "`sha256`: the key's hash, never the key"),
        ("hash", "`sha256`"),
        ("org", "`tenant`"),
    ],
};

const DATABASE: Shape = Shape {
    known: &["sqlite"],
    renamed: &[
        ("file", "`sqlite`"),
        ("path", "`sqlite`"),
        ("url", "`sqlite`, a file below the data folder"),
    ],
};

/// How to hash a key.
const HASH_IT: &str = "write the hash: `printf %s \"$KEY\" | sha256sum` prints it";

/// What happens to a call while the storage is down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenStorageFails {
    /// It is served; its trace waits in a file and is written later.
    #[default]
    Spool,
    /// It is refused.
    Refuse,
}

impl WhenStorageFails {
    /// As the registry spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spool => "spool",
            Self::Refuse => "refuse",
        }
    }
}

/// `[server]`, as the registry has it; what a flag or the environment says is in [`crate::Settings`].
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    /// Where to listen; `None` is the default.
    pub listen: Option<SocketAddr>,
    /// The folder for databases and the spool, relative to the registry's own folder; `None` is the default.
    pub data: Option<String>,
    /// The plugin that keeps the ledger; of kind `storage` and declared.
    pub storage: String,
    /// What happens to a call while it is down.
    pub when_storage_fails: WhenStorageFails,
    /// Bytes of a request's body.
    #[serde(serialize_with = "units::serialize_size")]
    pub max_body: u64,
    /// Requests that are worked on at once.
    pub max_in_flight: u32,
    /// The longest that a call may take.
    #[serde(serialize_with = "units::serialize_duration")]
    pub timeout: Duration,
    /// What a graceful shutdown gives the calls that run.
    #[serde(serialize_with = "units::serialize_duration")]
    pub drain: Duration,
    /// The keys that the text has.
    #[serde(skip)]
    pub(crate) written: Vec<&'static str>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: None,
            data: None,
            storage: String::new(),
            when_storage_fails: WhenStorageFails::default(),
            max_body: limits::DEFAULT_BODY,
            max_in_flight: limits::DEFAULT_IN_FLIGHT,
            timeout: limits::DEFAULT_TIMEOUT,
            drain: limits::DEFAULT_DRAIN,
            written: Vec::new(),
        }
    }
}

impl Server {
    /// The table and the place of `listen` (or of where to add it).
    pub(super) fn read(node: Option<&Node<'_>>) -> (Self, Span) {
        let mut server = Self::default();
        let Some(table) = node.and_then(|node| node.table(&SERVER, "`[server]`")) else {
            return (server, Span::default());
        };
        server.written = SERVER.known.iter().copied().filter(|key| table.has(key)).collect();
        let mut listen_at = table.at();
        if let Some(node) = table.get("listen") {
            listen_at = node.at();
            server.listen = address(&node);
        }
        server.data = table
            .get("data")
            .and_then(|node| node.text("a folder such as `\"data\"`"))
            .map(str::to_owned);
        if let Some(name) = table
            .get("storage")
            .and_then(|node| node.name(Name::Plain, "a plugin's name"))
        {
            server.storage = name;
        }
        let words = [("spool", WhenStorageFails::Spool), ("refuse", WhenStorageFails::Refuse)];
        if let Some(word) = table.get("when_storage_fails").and_then(|node| node.word(&words)) {
            server.when_storage_fails = word;
        }
        if let Some(size) = table
            .get("max_body")
            .and_then(|node| node.size(1_024..=limits::MAX_BODY))
        {
            server.max_body = size;
        }
        let in_flight = |node: Node<'_>| node.integer32(1..=limits::MAX_IN_FLIGHT, "a number such as `1024`");
        if let Some(number) = table.get("max_in_flight").and_then(in_flight) {
            server.max_in_flight = number;
        }
        let second = Duration::from_secs(1);
        if let Some(timeout) = table
            .get("timeout")
            .and_then(|node| node.duration(second..=limits::MAX_TIMEOUT))
        {
            server.timeout = timeout;
        }
        if let Some(drain) = table
            .get("drain")
            .and_then(|node| node.duration(Duration::ZERO..=limits::MAX_DRAIN))
        {
            server.drain = drain;
        }
        (server, listen_at)
    }
}

fn address(node: &Node<'_>) -> Option<SocketAddr> {
    let text = node.text("an address such as `\"127.0.0.1:8080\"`")?;
    let address = text.parse().ok();
    if address.is_none() {
        let fix = match text.strip_prefix("localhost:").or(text.strip_prefix(':')) {
            Some(port) => format!("write `\"127.0.0.1:{port}\"`; names are not resolved"),
            None => "write an IP address and a port, such as `\"127.0.0.1:8080\"` or `\"[::1]:8080\"`".to_owned(),
        };
        node.error(format!("{} is not an address and a port", quoted(text)), fix);
    }
    address
}

/// Whether only this machine reaches an address.
fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

impl Registry {
    /// Refuses to listen where others reach the server while anybody may call it. [`Registry::parse`] has asked this of
    /// the registry's own address; ask it again of one that a flag or the environment gives.
    ///
    /// # Errors
    /// One that names the lines to add.
    pub fn refuse_open_listen(&self, listen: SocketAddr) -> Result<(), Box<Diagnostic>> {
        if is_local(listen) || !self.keys.is_empty() {
            return Ok(());
        }
        let message =
            format!("the server refuses to start: other machines reach `{listen}`, and no API key is declared");
        let port = listen.port();
        let tenant = string_text(&Caller::anonymous().tenant);
        let fix = format!(
            "add a key,\n  [keys.NAME]\n  sha256 = \"…\"        # `printf %s \"$KEY\" | sha256sum` prints it\n  \
             tenant = {tenant}\nor listen on this machine alone: `listen = \"127.0.0.1:{port}\"`"
        );
        Err(Box::new(self.diagnostic(Severity::Error, self.listen_at, message, fix)))
    }
}

/// `[sources]`: the hub's base address.
pub(super) fn sources(node: &Node<'_>) -> Option<String> {
    let table = node.table(&SOURCES, "`[sources]`")?;
    let node = table.get("hub")?;
    let text = node.text("the hub's address, `\"https://…\"`")?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |character: char| character.is_ascii_graphic() && !matches!(character, '?' | '#' | '@' | '"' | '\\');
    if !rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(plain)) {
        let fix = "write `\"https://HOST\"`, without a user, a query or a fragment";
        node.error(format!("{} is not the address of a model hub", quoted(text)), fix);
        return None;
    }
    Some(text.trim_end_matches('/').to_owned())
}

/// `[keys.NAME]`. No message here shows a line of the file: somebody may have put the key itself there.
pub(super) fn keys(node: &Node<'_>) -> Vec<ApiKey> {
    let mut keys: Vec<ApiKey> = Vec::new();
    for (name, node) in node.discreet_entries(Name::Plain, "`[keys.NAME]` with `sha256 = \"…\"`") {
        let example = format!("`[keys.{name}]` with `sha256 = \"…\"`");
        let Some(table) = node.discreet_table(&KEY, &example) else {
            continue;
        };
        let tenant = match table.get("tenant") {
            Some(node) => node.name(Name::Plain, "a tenant's name such as `\"default\"`"),
            None => Some(Caller::anonymous().tenant),
        };
        if tenant.as_ref().is_some_and(|tenant| *tenant == Caller::server().tenant) {
            let message = format!("`keys.{name}.tenant` is the server's own tenant");
            node.report.error_unseen(node.key, message, "choose another name");
        }
        let Some(hash) = table.get("sha256") else {
            node.report.error_unseen(
                table.at(),
                format!("`sha256` is missing in `{}`", table.path()),
                HASH_IT,
            );
            continue;
        };
        let Some(sha256) = hash.digest_unseen(HASH_IT) else {
            continue;
        };
        if let Some(same) = keys.iter().find(|key| key.sha256 == *sha256.bytes()) {
            let message = format!("`keys.{name}` and `keys.{}` are the same key", same.name);
            node.report.error_unseen(hash.key, message, "keep one of the two");
            continue;
        }
        if let Some(tenant) = tenant {
            keys.push(ApiKey {
                name,
                tenant,
                sha256: *sha256.bytes(),
            });
        }
    }
    keys
}

/// A database that a plugin may be granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Database {
    /// The SQLite file, relative to the data folder and below it.
    pub sqlite: String,
    #[serde(skip)]
    pub(crate) at: Span,
}

impl Database {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let example = "`sqlite = \"main.db\"`";
        let table = node.table(&DATABASE, example)?;
        let file = table.require("sqlite", example)?;
        Some(Self {
            sqlite: file.name(Name::Below, "a file below the data folder, `\"main.db\"`")?,
            at: file.at(),
        })
    }
}
