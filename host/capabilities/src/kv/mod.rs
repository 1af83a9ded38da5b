//! A small durable map for each plugin and tenant: the `kv` capability.
//!
//! It is one SQLite file of the host's own, so that a storage plugin may use it too. Every write is synced before it
//! returns. Plugin and tenant are columns, never parts of a key, so no key reaches into another space. It is no database:
//! values are small and there are no queries.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use encaje_core::storage::Durability;
use encaje_core::time::now_us;
use encaje_core::value::Value;
use encaje_core::{Problem, ProblemKind};

use crate::limits;
use crate::sql::{Database, Rows, Statement};

/// The file in the data folder.
const FILE: &str = "kv.db";

/// What this version writes; a file with a higher number is refused.
const FORMAT: i64 = 1;

/// `usage` is kept by triggers, so that it cannot drift from `entry`.
const SCHEMA: [&str; 8] = [
    "CREATE TABLE IF NOT EXISTS format (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)",
    "INSERT INTO format SELECT 1, 1 WHERE NOT EXISTS (SELECT 1 FROM format)",
    "CREATE TABLE IF NOT EXISTS entry (plugin TEXT NOT NULL, tenant TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, \
     version INTEGER NOT NULL, expires_us INTEGER, PRIMARY KEY (plugin, tenant, key))",
    "CREATE INDEX IF NOT EXISTS entry_expiry ON entry (expires_us) WHERE expires_us IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS usage (plugin TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL)",
    "CREATE TRIGGER IF NOT EXISTS entry_added AFTER INSERT ON entry BEGIN \
     INSERT INTO usage SELECT new.plugin, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM usage WHERE plugin = new.plugin); \
     UPDATE usage SET entries = entries + 1, bytes = bytes + length(new.key) + length(new.value) \
     WHERE plugin = new.plugin; END",
    "CREATE TRIGGER IF NOT EXISTS entry_changed AFTER UPDATE OF value ON entry BEGIN \
     UPDATE usage SET bytes = bytes + length(new.value) - length(old.value) WHERE plugin = new.plugin; END",
    "CREATE TRIGGER IF NOT EXISTS entry_removed AFTER DELETE ON entry BEGIN \
     UPDATE usage SET entries = entries - 1, bytes = bytes - length(old.key) - length(old.value) \
     WHERE plugin = old.plugin; END",
];

const PURGE: &str = "DELETE FROM entry WHERE rowid IN \
    (SELECT rowid FROM entry WHERE expires_us <= ?1 ORDER BY expires_us LIMIT ?2)";

const GET: &str = "SELECT value, version FROM entry WHERE plugin = ?1 AND tenant = ?2 AND key = ?3 \
    AND (expires_us IS NULL OR expires_us > ?4)";

const SET: &str = "INSERT INTO entry (plugin, tenant, key, value, version, expires_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
    ON CONFLICT (plugin, tenant, key) DO UPDATE SET value = excluded.value, version = excluded.version, \
    expires_us = excluded.expires_us";

const REMOVE_EXPIRED: &str = "DELETE FROM entry WHERE plugin = ?1 AND tenant = ?2 AND key = ?3 AND expires_us <= ?4";

const ADD: &str = "INSERT INTO entry (plugin, tenant, key, value, version, expires_us) VALUES (?1, ?2, ?3, ?4, ?5, NULL) \
    ON CONFLICT (plugin, tenant, key) DO NOTHING";

const REPLACE: &str = "UPDATE entry SET value = ?4, version = ?5 WHERE plugin = ?1 AND tenant = ?2 AND key = ?3 \
    AND version = ?6 AND (expires_us IS NULL OR expires_us > ?7)";

const REMOVE: &str = "DELETE FROM entry WHERE plugin = ?1 AND tenant = ?2 AND key = ?3 \
    AND (expires_us IS NULL OR expires_us > ?4)";

/// Changes one row when the plugin is within its caps, else none.
const WITHIN_CAPS: &str = "UPDATE usage SET entries = entries WHERE plugin = ?1 AND entries <= ?2 AND bytes <= ?3";

const KEYS: &str = "SELECT key FROM entry WHERE plugin = ?1 AND tenant = ?2 AND key >= ?3 AND key < ?4 \
    AND (expires_us IS NULL OR expires_us > ?5) ORDER BY key";

/// An entry as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// Another number after each change, also after removal; never 0.
    pub version: u64,
}

/// The map of all plugins and tenants. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Kv {
    database: Database,
    last_version: Arc<AtomicI64>,
    caps: Caps,
}

/// What one plugin may keep.
#[derive(Debug, Clone, Copy)]
struct Caps {
    entries: i64,
    bytes: i64,
}

impl Kv {
    /// Opens the file in the data folder, which is made where there is none. Expired entries are removed.
    ///
    /// # Errors
    /// As [`crate::sql::Databases::open`]; `Misconfigured` with code `database_newer` when a later version wrote the file.
    pub async fn open(directory: &Path) -> Result<Self, Problem> {
        Self::open_with(
            directory,
            Caps {
                entries: limits::KV_ENTRIES,
                bytes: limits::KV_BYTES,
            },
        )
        .await
    }

    async fn open_with(directory: &Path, caps: Caps) -> Result<Self, Problem> {
        let database = Database::of_host("kv", directory, FILE)?;
        let schema = SCHEMA.iter().map(|sql| statement(sql, Vec::new(), None)).collect();
        database.transact(schema, Durability::Disk).await?;
        let rows = database.query("SELECT version FROM format", Vec::new(), 1).await?;
        if first_integer(&rows) != Some(FORMAT) {
            let words = "The file of the `kv` capability was written by a newer version of this server.";
            return Err(Problem::new(ProblemKind::Misconfigured, words).with_code("database_newer"));
        }
        let purge = statement(PURGE, vec![now().into(), (-1_i64).into()], None);
        database.transact(vec![purge], Durability::Disk).await?;
        let rows = database.query("SELECT max(version) FROM entry", Vec::new(), 1).await?;
        let last = first_integer(&rows).unwrap_or(0);
        Ok(Self {
            database,
            last_version: Arc::new(AtomicI64::new(last)),
            caps,
        })
    }

    /// The map of one plugin and tenant.
    ///
    /// # Errors
    /// `InvalidRequest` for a name over [`limits::KV_NAME_BYTES`].
    pub fn space(&self, plugin: &str, tenant: &str) -> Result<Space, Problem> {
        if plugin.len() > limits::KV_NAME_BYTES || tenant.len() > limits::KV_NAME_BYTES {
            let words = format!(
                "Names of plugins and tenants have {} bytes at most.",
                limits::KV_NAME_BYTES
            );
            return Err(Problem::new(ProblemKind::InvalidRequest, words));
        }
        Ok(Space {
            kv: self.clone(),
            plugin: plugin.to_owned(),
            tenant: tenant.to_owned(),
        })
    }

    /// Finishes what waits and closes the file.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Larger than every version before, also where the clock went back.
    fn next_version(&self) -> i64 {
        let now = now();
        let next = |last: i64| Some(last.saturating_add(1).max(now));
        match self
            .last_version
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
        {
            Ok(last) | Err(last) => last.saturating_add(1).max(now),
        }
    }
}

/// The map of one plugin and tenant. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Space {
    kv: Kv,
    plugin: String,
    tenant: String,
}

impl Space {
    /// The same map for calls that must end within `time` each.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.kv.database = self.kv.database.within(time);
        self
    }

    /// The entry, unless it has expired.
    ///
    /// # Errors
    /// `InvalidRequest` for an empty or too long key; what the database says.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, Problem> {
        let mut params = self.place(key)?;
        params.push(now().into());
        let rows = self.kv.database.query(GET, params, 1).await?;
        let Some(row) = rows.values.into_iter().next() else {
            return Ok(None);
        };
        match <[Value; 2]>::try_from(row) {
            Ok([Value::Blob(value), Value::Integer(version)]) => Ok(Some(Entry {
                key: key.to_owned(),
                value,
                version: version.unsigned_abs(),
            })),
            _ => Err(damaged()),
        }
    }

    /// Sets an entry, whatever it was; it expires `expires_ms` milliseconds from now, or never. Its new version.
    ///
    /// # Errors
    /// `InvalidRequest` for the key, `TooLarge` for the value or when the plugin has used up its entries or bytes; what the
    /// database says.
    pub async fn set(&self, key: &str, value: Vec<u8>, expires_ms: Option<u64>) -> Result<u64, Problem> {
        let mut params = self.place(key)?;
        let version = self.kv.next_version();
        let expires = expires_ms.map(|milliseconds| {
            i64::try_from(milliseconds)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000)
                .saturating_add(now())
        });
        params.extend([small(value)?, version.into(), expires.into()]);
        self.write(vec![statement(SET, params, None)]).await?;
        Ok(version.unsigned_abs())
    }

    /// Sets an entry only if its version is `expected`; 0 means "must not exist". An existing entry keeps its expiry, a new
    /// one has none. Its new version.
    ///
    /// # Errors
    /// `Conflict` when it is otherwise; else as [`Space::set`].
    pub async fn compare_and_set(&self, key: &str, expected: u64, value: Vec<u8>) -> Result<u64, Problem> {
        let mut params = self.place(key)?;
        let mut expired = params.clone();
        expired.push(now().into());
        let version = self.kv.next_version();
        params.extend([small(value)?, version.into()]);
        let mut statements = vec![statement(REMOVE_EXPIRED, expired, None)];
        if expected == 0 {
            statements.push(statement(ADD, params, Some(1)));
        } else {
            params.extend([Value::from(expected), now().into()]);
            statements.push(statement(REPLACE, params, Some(1)));
        }
        self.write(statements).await?;
        Ok(version.unsigned_abs())
    }

    /// Removes an entry; whether there was one.
    ///
    /// # Errors
    /// `InvalidRequest` for the key; what the database says.
    pub async fn remove(&self, key: &str) -> Result<bool, Problem> {
        let mut params = self.place(key)?;
        params.push(now().into());
        let changed = self
            .kv
            .database
            .transact(vec![statement(REMOVE, params, None)], Durability::Disk)
            .await?;
        Ok(changed.first().is_some_and(|count| *count > 0))
    }

    /// The keys that start with `prefix`, in the order of their bytes, after `after`; at most `limit`, and no more than
    /// [`limits::KV_KEYS`].
    ///
    /// # Errors
    /// `InvalidRequest` for a too long prefix; what the database says.
    pub async fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>, Problem> {
        if prefix.len().max(after.map_or(0, str::len)) > limits::KEY_BYTES {
            return Err(bad_key());
        }
        let mut from = prefix.as_bytes().to_vec();
        if let Some(after) = after
            && after >= prefix
        {
            // The next possible key in the order of bytes.
            from = [after.as_bytes(), &[0]].concat();
        }
        let params = vec![
            self.plugin.as_str().into(),
            self.tenant.as_str().into(),
            Value::Blob(from),
            Value::Blob(after_prefix(prefix)),
            now().into(),
        ];
        let rows = self.kv.database.query(KEYS, params, limit.min(limits::KV_KEYS)).await?;
        let text = |row: Vec<Value>| match row.into_iter().next() {
            Some(Value::Blob(bytes)) => String::from_utf8(bytes).map_err(|_| damaged()),
            _ => Err(damaged()),
        };
        rows.values.into_iter().map(text).collect()
    }

    /// Runs writes with the purge before and the caps after them, in one transaction.
    async fn write(&self, writes: Vec<Statement>) -> Result<(), Problem> {
        let caps = self.kv.caps;
        let mut statements = vec![statement(PURGE, vec![now().into(), limits::KV_PURGE.into()], None)];
        statements.extend(writes);
        let guard = format!("statements[{}]", statements.len());
        let plugin = Value::from(self.plugin.as_str());
        statements.push(statement(
            WITHIN_CAPS,
            vec![plugin, caps.entries.into(), caps.bytes.into()],
            Some(1),
        ));
        match self.kv.database.transact(statements, Durability::Disk).await {
            Ok(_) => Ok(()),
            Err(problem) if problem.kind == ProblemKind::Conflict && problem.param.as_ref() == Some(&guard) => {
                let words = format!(
                    "A plugin keeps {} entries and {} bytes in `kv` at most; this write would exceed one of them.",
                    caps.entries, caps.bytes
                );
                Err(Problem::new(ProblemKind::TooLarge, words).with_code("kv_full"))
            }
            Err(problem) if problem.kind == ProblemKind::Conflict => {
                let words = "The entry has another version than expected.";
                Err(Problem::new(ProblemKind::Conflict, words).with_code("kv_version"))
            }
            Err(mut problem) => {
                problem.param = None;
                Err(problem)
            }
        }
    }

    fn place(&self, key: &str) -> Result<Vec<Value>, Problem> {
        if key.is_empty() || key.len() > limits::KEY_BYTES {
            return Err(bad_key());
        }
        Ok(vec![
            self.plugin.as_str().into(),
            self.tenant.as_str().into(),
            Value::Blob(key.as_bytes().to_vec()),
        ])
    }
}

fn statement(sql: &str, params: Vec<Value>, expected_changes: Option<u64>) -> Statement {
    Statement {
        sql: sql.to_owned(),
        params,
        expected_changes,
    }
}

fn small(value: Vec<u8>) -> Result<Value, Problem> {
    if value.len() > limits::KV_VALUE_BYTES {
        let words = format!(
            "A value has {} bytes at most; this one has {}.",
            limits::KV_VALUE_BYTES,
            value.len()
        );
        return Err(Problem::new(ProblemKind::TooLarge, words).with_param("value"));
    }
    Ok(Value::Blob(value))
}

fn bad_key() -> Problem {
    Problem::invalid("key", format!("A key has 1 to {} bytes.", limits::KEY_BYTES))
}

fn damaged() -> Problem {
    Problem::internal("the `kv` file holds a row of another shape than it was written with")
}

/// The first byte string after everything that starts with `prefix`.
fn after_prefix(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        // No byte of UTF-8 is 255, so this never overflows.
        Some(last) => *last = last.saturating_add(1),
        None => end.push(u8::MAX),
    }
    end
}

fn first_integer(rows: &Rows) -> Option<i64> {
    rows.values
        .first()
        .and_then(|row| row.first())
        .and_then(Value::as_integer)
}

fn now() -> i64 {
    i64::try_from(now_us()).unwrap_or(i64::MAX)
}
