//! What tests of this crate share: a file layer that records syncs, and tests that run themselves again as another
//! process, since a test binary has no other program at hand.

pub(crate) mod vfs;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Names the folder that the child works in, and thereby says that this process is one.
const FOLDER: &str = "ENCAJE_TEST_CHILD";

/// The folder to work in, when this process is the child of a test.
pub(crate) fn as_child() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Runs one test of this crate, by its full name, as another process in this folder.
pub(crate) fn child(test: &str, folder: &Path) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .status()
        .unwrap()
}

/// Ends this process as `kill -9` does.
pub(crate) fn kill_this_process() -> ! {
    // SAFETY: the call takes two numbers; the signal ends this process.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("the signal cannot be caught")
}
