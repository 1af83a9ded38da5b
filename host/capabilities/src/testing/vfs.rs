//! A file layer of SQLite for tests: the system's own, but each sync is recorded, and can be made slow or made to fail.
//!
//! It hands every file to the system's layer and only exchanges the function that syncs in the table that the file points
//! to. It changes nothing of reading, writing or locking.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};

use rusqlite::ffi;

/// The name to open databases with.
pub(crate) const NAME: &str = "encaje-recorded";

/// One sync of one file.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    pub(crate) path: PathBuf,
    pub(crate) thread: String,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) failed: bool,
}

/// What happens to the syncs of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They fail.
    Fail,
    /// They take so long.
    Delay(Duration),
}

#[derive(Default)]
struct Recorder {
    open: HashMap<usize, PathBuf>,
    syncs: Vec<Sync>,
    faults: HashMap<PathBuf, Fault>,
    /// The system's sync function and our copies of its tables, by the table's address.
    tables: HashMap<usize, usize>,
    original: Option<SyncFunction>,
}

type SyncFunction = unsafe extern "C" fn(*mut ffi::sqlite3_file, c_int) -> c_int;

static RECORDER: LazyLock<Mutex<Recorder>> = LazyLock::new(Mutex::default);

fn recorder() -> MutexGuard<'static, Recorder> {
    RECORDER.lock().unwrap()
}

/// Makes the layer known to SQLite; its name.
pub(crate) fn register() -> &'static str {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the default layer lives as long as the process; the copy is leaked and differs only in its name and in
        // how it opens files.
        unsafe {
            let system = ffi::sqlite3_vfs_find(std::ptr::null());
            let mut ours = *system;
            ours.zName = c"encaje-recorded".as_ptr();
            ours.pNext = std::ptr::null_mut();
            ours.xOpen = Some(open);
            let ours = Box::leak(Box::new(ours));
            assert_eq!(ffi::sqlite3_vfs_register(ours, 0), ffi::SQLITE_OK);
        }
    });
    NAME
}

/// The syncs of one file so far.
pub(crate) fn syncs(path: &Path) -> Vec<Sync> {
    recorder()
        .syncs
        .iter()
        .filter(|sync| sync.path == path)
        .cloned()
        .collect()
}

/// Sets or clears what happens to the syncs of one file.
pub(crate) fn inject(path: &Path, fault: Option<Fault>) {
    let mut recorder = recorder();
    match fault {
        Some(fault) => recorder.faults.insert(path.to_owned(), fault),
        None => recorder.faults.remove(path),
    };
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: all arguments come from SQLite and go to the layer that it would have called.
    unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        let code = (*system).xOpen.unwrap()(system, name, file, flags, out);
        if code != ffi::SQLITE_OK || name.is_null() {
            return code;
        }
        let path = PathBuf::from(CStr::from_ptr(name).to_str().unwrap());
        let mut recorder = recorder();
        recorder.open.insert(file as usize, path);
        let table = (*file).pMethods;
        let ours = *recorder.tables.entry(table as usize).or_insert_with(|| {
            let mut copy = *table;
            copy.xSync = Some(sync);
            std::ptr::from_ref(Box::leak(Box::new(copy))) as usize
        });
        recorder.original = (*table).xSync;
        (*file).pMethods = ours as *const ffi::sqlite3_io_methods;
        code
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let (path, fault, original) = {
        let recorder = recorder();
        let path = recorder.open.get(&(file as usize)).cloned().unwrap_or_default();
        (
            path.clone(),
            recorder.faults.get(&path).copied(),
            recorder.original.unwrap(),
        )
    };
    let began = Instant::now();
    if let Some(Fault::Delay(delay)) = fault {
        std::thread::sleep(delay);
    }
    let failed = fault == Some(Fault::Fail);
    // SAFETY: the file was opened by the layer whose function this is.
    let code = if failed {
        ffi::SQLITE_IOERR_FSYNC
    } else {
        unsafe { original(file, flags) }
    };
    let thread = std::thread::current().name().unwrap_or("").to_owned();
    recorder().syncs.push(Sync {
        path,
        thread,
        began,
        ended: Instant::now(),
        failed,
    });
    code
}
