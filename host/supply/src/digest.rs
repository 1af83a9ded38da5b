//! SHA-256 digests as values, and of files. No signatures here.

use std::{
    fmt, fs,
    io::{self, Read},
    path::Path,
    str::FromStr,
};

use sha2::Digest;

use crate::limits::COPY_BUFFER;

/// A SHA-256 digest; shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256([u8; 32]);

/// The text is no digest.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a SHA-256 digest: 64 hexadecimal digits are expected")]
pub struct Sha256Error(String);

impl Sha256 {
    /// Of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Of a file's content, read in pieces.
    ///
    /// # Errors
    /// Whatever reading the file gives.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        copy_hashed(&mut fs::File::open(path)?, &mut io::sink(), &mut |_| {}).map(|(digest, _)| digest)
    }
}

/// Copies all of `from`, and gives its digest and length. `at` hears of the bytes copied so far.
pub(crate) fn copy_hashed(
    from: &mut dyn Read,
    to: &mut dyn io::Write,
    at: &mut dyn FnMut(u64),
) -> io::Result<(Sha256, u64)> {
    let mut hash = sha2::Sha256::new();
    let mut buffer = vec![0; COPY_BUFFER];
    let mut length = 0_u64;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok((Sha256(hash.finalize().into()), length)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = buffer.get(..count).unwrap_or_default();
        hash.update(piece);
        to.write_all(piece)?;
        length += count as u64;
        at(length);
    }
}

impl FromStr for Sha256 {
    type Err = Sha256Error;

    fn from_str(text: &str) -> Result<Self, Sha256Error> {
        let wrong = || Sha256Error(text.chars().take(80).collect());
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let mut value = 0;
            for digit in digits {
                let digit = char::from(*digit).to_digit(16).ok_or_else(wrong)?;
                value = value << 4 | digit as u8;
            }
            *byte = value;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_published_one_and_text_round_trips() {
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256::of(b"").to_string(), text);
        assert_eq!(text.parse::<Sha256>().unwrap(), Sha256::of(b""));
        assert_eq!(text.to_uppercase().parse::<Sha256>().unwrap(), Sha256::of(b""));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in ["", "e3b0", &"g".repeat(64), &"é".repeat(32), &"a".repeat(65)] {
            assert!(text.parse::<Sha256>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_longer_than_the_buffer_is_hashed_whole() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..COPY_BUFFER * 2 + 7).map(|index| (index % 251) as u8).collect();
        let path = folder.path().join("x");
        fs::write(&path, &bytes).unwrap();
        assert_eq!(Sha256::of_file(&path).unwrap(), Sha256::of(&bytes));
    }
}
