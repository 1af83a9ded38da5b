//! Bytes of a body that came and were not read yet, and the lines in them. It waits for nothing and knows no connection.
//!
//! It stands on the standard library alone, so that `fuzz/` compiles this file by itself.

/// A line is over its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineTooLong;

/// What came and was not read.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// What came; the bytes before `taken` were read.
    ready: Vec<u8>,
    taken: usize,
    /// Bytes of `ready`, from `taken` on, that hold no end of a line.
    searched: usize,
}

impl Unread {
    /// Whether everything that came was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.left().is_empty()
    }

    /// Where a further piece is appended.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        self.ready.drain(..self.taken);
        self.taken = 0;
        &mut self.ready
    }

    /// At most so many bytes, of whatever they are part.
    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        if self.taken == 0 && self.ready.len() <= most {
            self.searched = 0;
            return std::mem::take(&mut self.ready);
        }
        let bytes = self.left().get(..most).unwrap_or(self.left()).to_vec();
        self.take(bytes.len());
        bytes
    }

    /// The next line, without its `\n` or `\r\n`; `None` where its end has not come yet.
    ///
    /// # Errors
    /// [`LineTooLong`] for a line of more than `most` bytes, and for the beginning of one.
    pub(crate) fn line(&mut self, most: usize) -> Result<Option<String>, LineTooLong> {
        let left = self.left();
        let fresh = left.get(self.searched..).unwrap_or_default();
        let found = fresh
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|at| self.searched + at);
        let length = found.unwrap_or(left.len());
        if length > most {
            return Err(LineTooLong);
        }
        if found.is_none() {
            self.searched = length;
            return Ok(None);
        }
        let line = text(left.get(..length).unwrap_or_default());
        self.take(length + 1);
        Ok(Some(line))
    }

    /// The last line, which lacks its end, once nothing more will come; `None` where there is none.
    pub(crate) fn last_line(&mut self) -> Option<String> {
        let line = (!self.is_empty()).then(|| text(self.left()));
        *self = Self::default();
        line
    }

    fn left(&self) -> &[u8] {
        self.ready.get(self.taken..).unwrap_or_default()
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        self.searched = 0;
        if self.taken >= self.ready.len() {
            self.ready.clear();
            self.taken = 0;
        }
    }
}

/// What is not UTF-8 is replaced.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}
