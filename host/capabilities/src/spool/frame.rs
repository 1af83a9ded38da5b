//! The bytes of a spool: its head and its records.
//!
//! ```text
//! head    "ENCSPOL1", then two slots of: position forgotten (u64), check of it (8 bytes)
//! record  marker (4), payload length (u32), position (u64), check of these and the payload (8), payload
//! ```
//! Numbers are little-endian, a check is the front of a SHA-256. The two slots are written in turn, so that a torn one
//! leaves the other. The marker holds a zero byte, which JSON text cannot, so no payload can be taken for a record.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use encaje_core::storage::{Assignment, Mutation};
use encaje_core::value::{Fields, Filter, Value};
use encaje_core::{Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits;

const MAGIC: [u8; 8] = *b"ENCSPOL1";
const SLOT_BYTES: u64 = 16;
/// Bytes before the first record.
pub(super) const HEAD_BYTES: u64 = 8 + 2 * SLOT_BYTES;

const MARKER: [u8; 4] = [0, b'E', b'S', b'R'];
/// Bytes of a record before its payload.
pub(super) const FRAME_BYTES: usize = 24;
/// Of these, the bytes before the check.
const CHECKED_BYTES: usize = 16;

/// The head: the position that is forgotten, in one of two slots.
#[derive(Debug, Default)]
pub(super) struct Head {
    forgotten: u64,
    slot: u64,
}

impl Head {
    /// Writes the head of an empty spool.
    pub(super) fn create(file: &File) -> io::Result<Self> {
        let mut head = Self::default();
        head.forget(file, 0)?;
        Ok(head)
    }

    /// Reads the head; where both slots are damaged nothing counts as forgotten, since repeating a batch is the lesser evil.
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let mut magic = [0; 8];
        file.read_exact_at(&mut magic, 0)?;
        if magic != MAGIC {
            let newer = magic.starts_with(b"ENCSPOL");
            let words = if newer {
                "another version of the server wrote it"
            } else {
                "the file is no spool or damaged"
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        let mut head = Self::default();
        for slot in 0..2 {
            let (mut position, mut found) = ([0; 8], [0; 8]);
            let at = MAGIC.len() as u64 + slot * SLOT_BYTES;
            file.read_exact_at(&mut position, at)?;
            file.read_exact_at(&mut found, at + 8)?;
            let value = u64::from_le_bytes(position);
            if found == check(&[&position]) && value >= head.forgotten {
                head = Self { forgotten: value, slot };
            }
        }
        Ok(head)
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Writes the position into the other slot.
    pub(super) fn forget(&mut self, file: &File, position: u64) -> io::Result<()> {
        let slot = 1 - self.slot;
        let bytes = position.to_le_bytes();
        file.write_all_at(&MAGIC, 0)?;
        file.write_all_at(
            &[bytes, check(&[&bytes])].concat(),
            MAGIC.len() as u64 + slot * SLOT_BYTES,
        )?;
        // A fresh file has its full head from the first write on.
        if file.metadata()?.len() < HEAD_BYTES {
            file.set_len(HEAD_BYTES)?;
        }
        *self = Self {
            forgotten: position,
            slot,
        };
        Ok(())
    }
}

/// What stands at an offset.
pub(super) enum Found {
    /// A whole record.
    Record {
        /// Its position.
        position: u64,
        /// JSON.
        payload: Vec<u8>,
    },
    /// None, or one that is torn or changed.
    Damage,
}

/// Reads the record at an offset of a file that ends at `end`.
pub(super) fn read(file: &File, offset: u64, end: u64) -> io::Result<Found> {
    let mut frame = [0_u8; FRAME_BYTES];
    if end - offset < FRAME_BYTES as u64 {
        return Ok(Found::Damage);
    }
    file.read_exact_at(&mut frame, offset)?;
    let (checked, found) = frame.split_at(CHECKED_BYTES);
    let (marker, rest) = checked.split_at(MARKER.len());
    let (length, position) = rest.split_at(4);
    let length = length.try_into().map_or(0, u32::from_le_bytes) as usize;
    let fits = (end - offset - FRAME_BYTES as u64) >= length as u64 && length <= limits::SPOOL_RECORD_BYTES;
    if marker != MARKER || !fits {
        return Ok(Found::Damage);
    }
    let mut payload = vec![0; length];
    file.read_exact_at(&mut payload, offset + FRAME_BYTES as u64)?;
    if found != check(&[checked, &payload]) {
        return Ok(Found::Damage);
    }
    Ok(Found::Record {
        position: position.try_into().map_or(0, u64::from_le_bytes),
        payload,
    })
}

/// Where the next marker stands, or `end`.
pub(super) fn next_marker(file: &File, mut offset: u64, end: u64) -> io::Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    while offset < end {
        let read = file.read_at(&mut buffer, offset)?;
        let window = buffer.get(..read).unwrap_or_default();
        if let Some(place) = window.windows(MARKER.len()).position(|bytes| bytes == MARKER) {
            return Ok(offset + place as u64);
        }
        if read < MARKER.len() {
            break;
        }
        // A marker may lie across the border of two windows.
        offset += (read - MARKER.len() + 1) as u64;
    }
    Ok(end)
}

/// A batch with its reals set aside as bits: JSON has no infinities, and reading a decimal may miss the last bit.
#[derive(Serialize, Deserialize)]
struct Payload<B> {
    batch: B,
    reals: Vec<u64>,
}

/// The whole record of a batch.
pub(super) fn encode(position: u64, batch: &[Mutation]) -> Result<Vec<u8>, Problem> {
    let mut batch = batch.to_vec();
    let mut reals = Vec::new();
    for_reals(&mut batch, &mut |real| {
        reals.push(real.to_bits());
        *real = 0.0;
    });
    let payload = serde_json::to_vec(&Payload { batch, reals }).map_err(Problem::internal)?;
    if payload.len() > limits::SPOOL_RECORD_BYTES {
        let words = format!(
            "A spooled batch takes {} bytes; this one has {}.",
            limits::SPOOL_RECORD_BYTES,
            payload.len()
        );
        return Err(Problem::new(ProblemKind::TooLarge, words).with_code("spool_record"));
    }
    let length = u32::try_from(payload.len()).map_err(Problem::internal)?;
    let checked = [&MARKER[..], &length.to_le_bytes(), &position.to_le_bytes()].concat();
    let check = check(&[&checked, &payload]);
    Ok([&checked[..], &check, &payload].concat())
}

/// The batch of a record.
pub(super) fn decode(payload: &[u8]) -> Result<Vec<Mutation>, Problem> {
    let Payload { mut batch, reals } = serde_json::from_slice::<Payload<Vec<Mutation>>>(payload)
        .map_err(|error| Problem::internal(format_args!("a record of the spool cannot be read: {error}")))?;
    let mut reals = reals.into_iter();
    for_reals(&mut batch, &mut |real| {
        *real = reals.next().map_or(*real, f64::from_bits)
    });
    Ok(batch)
}

/// Visits every real of a batch, always in the same order.
fn for_reals(batch: &mut [Mutation], visit: &mut dyn FnMut(&mut f64)) {
    let value = |value: &mut Value, visit: &mut dyn FnMut(&mut f64)| {
        if let Value::Real(real) = value {
            visit(real);
        }
    };
    let fields = |fields: &mut Fields, visit: &mut dyn FnMut(&mut f64)| {
        fields.iter_mut().for_each(|(_, field)| value(field, visit));
    };
    let filter = |filter: &mut Filter, visit: &mut dyn FnMut(&mut f64)| {
        let comparisons = filter.iter_mut().flatten();
        comparisons
            .flat_map(|comparison| &mut comparison.values)
            .for_each(|of| value(of, visit));
    };
    for mutation in batch {
        match mutation {
            Mutation::Upsert(_, row) | Mutation::Insert(_, row) => fields(row, visit),
            Mutation::Remove(remove) => filter(&mut remove.filter, visit),
            Mutation::Update(update) => {
                filter(&mut update.filter, visit);
                for (_, assignment) in &mut update.set {
                    if let Assignment::Set(of) = assignment {
                        value(of, visit);
                    }
                }
            }
        }
    }
}

/// The front of a digest: enough against accidents, which is all it is for.
fn check(parts: &[&[u8]]) -> [u8; 8] {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    let mut front = [0; 8];
    front
        .iter_mut()
        .zip(digest.finalize())
        .for_each(|(to, from)| *to = from);
    front
}
