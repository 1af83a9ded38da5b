//! What a running server says of itself to other processes on this machine: a small file in its data folder.
//!
//! `plan` compares with the registry that it holds, `apply` signals its process and waits for the attempt that it asked for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A server's state after its last attempt to take over a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// The server's process.
    pub(crate) pid: u32,
    /// When the process began, in the system's ticks: a later process may have its number, but not its beginning.
    pub(crate) began: u64,
    /// Where it listens.
    pub(crate) listen: String,
    /// Counts the attempts that somebody asked for, successful or not. Those that an edit started are not among them: who
    /// asks waits for an answer to that.
    pub(crate) answered: u64,
    /// The generation that serves.
    pub(crate) generation: u64,
    /// The text of the registry that serves.
    pub(crate) registry: String,
    /// Why the last attempt failed, if it did.
    pub(crate) error: Option<String>,
}

fn path(data: &Path) -> PathBuf {
    data.join("server.json")
}

impl Status {
    /// Puts the status in place whole: a reader sees this one or the one before.
    pub(crate) fn write(&self, data: &Path) -> Result<()> {
        std::fs::create_dir_all(data)?;
        let beside = data.join(format!("server.json.{}", self.pid));
        std::fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&beside, path(data)).context("the server's status cannot be written")
    }

    /// The status of the server that runs over this data folder, if one does.
    pub(crate) fn of_running(data: &Path) -> Option<Self> {
        let text = std::fs::read(path(data)).ok()?;
        let status: Self = serde_json::from_slice(&text).ok()?;
        (began(status.pid) == Some(status.began)).then_some(status)
    }

    pub(crate) fn remove(data: &Path) {
        // It says nothing once its process is gone.
        let _ = std::fs::remove_file(path(data));
    }
}

/// When a process began: field 22 of its `stat`, counted after the name, which may hold anything.
pub(crate) fn began(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// Asks a process to take over its registry.
pub(crate) fn signal(pid: u32) -> Result<()> {
    let pid = libc::pid_t::try_from(pid)?;
    // SAFETY: `kill` takes two numbers and touches no memory of ours.
    let sent = unsafe { libc::kill(pid, libc::SIGHUP) };
    if sent == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error()).context("the server cannot be signalled")
    }
}
