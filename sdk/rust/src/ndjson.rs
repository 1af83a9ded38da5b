//! Newline-delimited JSON as it streams in: lines, however the bytes were cut. It does not parse them, and knows no
//! transport.

/// Why a stream is no lines of JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A line grew over the limit.
    #[error("a line of more than {limit} bytes")]
    TooLong {
        /// Bytes that a line may have.
        limit: usize,
    },
    /// A line is no text.
    #[error("a line is not UTF-8")]
    NotUtf8,
}

/// Collects bytes until a line is complete.
///
/// ```
/// use encaje_sdk::ndjson::Lines;
///
/// let mut lines = Lines::new(1024);
/// assert_eq!(lines.push(b"{\"a\":1}\n{\"b\"").unwrap(), ["{\"a\":1}"]);
/// assert_eq!(lines.push(b":2}").unwrap(), [""; 0]);
/// assert_eq!(lines.finish().unwrap().as_deref(), Some("{\"b\":2}"));
/// ```
#[derive(Debug)]
pub struct Lines {
    held: Vec<u8>,
    limit: usize,
}

impl Lines {
    /// Lines of at most `limit` bytes, their end not counted.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            held: Vec::new(),
            limit,
        }
    }

    /// The lines that these bytes complete, without their ends (`\n` or `\r\n`). Empty lines are left out: servers send
    /// them to keep a connection alive.
    ///
    /// # Errors
    /// [`LineError`]; the lines before the bad one are lost with it, and the stream should be given up.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, LineError> {
        let mut lines = Vec::new();
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            // The `\r` of an end is not known to be one yet.
            if self.held.len() + piece.len() > self.limit.saturating_add(1) {
                return Err(LineError::TooLong { limit: self.limit });
            }
            self.held.extend_from_slice(piece);
            if pieces.peek().is_some() {
                lines.extend(self.take()?);
            }
        }
        Ok(lines)
    }

    /// The stream is over: the last line, where it had no end.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn finish(&mut self) -> Result<Option<String>, LineError> {
        self.take()
    }

    fn take(&mut self) -> Result<Option<String>, LineError> {
        let mut line = std::mem::take(&mut self.held);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > self.limit {
            return Err(LineError::TooLong { limit: self.limit });
        }
        let line = String::from_utf8(line).map_err(|_| LineError::NotUtf8)?;
        Ok(Some(line).filter(|line| !line.trim().is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::{LineError, Lines};
    use proptest::prelude::*;

    fn all(chunks: &[&[u8]], limit: usize) -> Result<Vec<String>, LineError> {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for chunk in chunks {
            found.extend(lines.push(chunk)?);
        }
        found.extend(lines.finish()?);
        Ok(found)
    }

    #[test]
    fn empty_lines_and_both_ends_are_understood() {
        assert_eq!(all(&[b"\n\r\n1\r", b"\n2\n\n 3"], 9).unwrap(), ["1", "2", " 3"]);
    }

    #[test]
    fn a_line_over_the_limit_is_refused_before_it_is_kept() {
        assert_eq!(all(&[b"1234\r\n", b"1234"], 4).unwrap(), ["1234", "1234"]);
        assert_eq!(all(&[b"123", b"45\n"], 4), Err(LineError::TooLong { limit: 4 }));
        assert_eq!(all(&[b"123456789"], 4), Err(LineError::TooLong { limit: 4 }));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(all(&[b"\xff\n"], 4), Err(LineError::NotUtf8));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(text in "([a-zé ]{0,5}\r?\n?){0,8}", cuts in prop::collection::vec(0_usize..60, 0..8)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let bytes = text.as_bytes();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole: Vec<String> = text
                .split('\n')
                .map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned())
                .filter(|line| !line.trim().is_empty())
                .collect();
            prop_assert_eq!(all(&chunks, 100).unwrap(), whole);
        }
    }
}
