//! Takes secrets out of what an upstream answers, so that one that repeats them does not hand them to a guest.
//!
//! It finds a secret as it was sent, also where it is split over two pieces of a body. It does not find one that the
//! upstream has encoded, reversed or taken apart: an upstream that conspires with the guest has the secret anyway.

use std::borrow::Cow;

use super::policy::Hidden;

/// What stands where a secret stood.
const MASK: &[u8] = b"***";

/// The secrets of a plugin that it may not see. None of them holds a line break, since each fits into a header.
pub(super) struct Patterns {
    secrets: Vec<Hidden>,
    /// Bytes that a secret begins with.
    first: [bool; 256],
    /// Bytes of the longest.
    longest: usize,
}

impl Patterns {
    pub(super) fn new(secrets: Vec<Hidden>) -> Self {
        let mut first = [false; 256];
        for byte in secrets.iter().filter_map(|secret| secret.expose().bytes().next()) {
            if let Some(known) = first.get_mut(usize::from(byte)) {
                *known = true;
            }
        }
        let longest = secrets.iter().map(|secret| secret.expose().len()).max().unwrap_or(0);
        Self {
            secrets,
            first,
            longest,
        }
    }

    /// How many bytes of an input are certain: no secret that begins there can reach beyond the input's end.
    ///
    /// This looks at lengths and line breaks alone. Were a tail held back only where a secret begins like it, a guest could
    /// have an upstream repeat its guesses and learn the secret byte by byte from what is late. Lines, and so the events
    /// of a stream, pass at once.
    fn certain(&self, input: &[u8]) -> usize {
        let lines = input.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        lines.max((input.len() + 1).saturating_sub(self.longest).min(input.len()))
    }

    /// Appends what begins within the first `certain` bytes of `input` to `output`, with each secret replaced, and returns
    /// how many bytes of `input` that took.
    fn replace(&self, input: &[u8], certain: usize, output: &mut Vec<u8>) -> usize {
        let begins = |byte: &u8| self.first.get(usize::from(*byte)).copied().unwrap_or(false);
        let mut at = 0;
        while let Some(ahead) = input.get(at..certain) {
            let Some(plain) = ahead.iter().position(begins) else {
                output.extend_from_slice(ahead);
                return certain;
            };
            let candidate = input.get(at + plain..).unwrap_or_default();
            let secrets = self.secrets.iter().map(|secret| secret.expose().as_bytes());
            let found = secrets
                .filter(|secret| candidate.starts_with(secret))
                .map(<[u8]>::len)
                .max();
            let (before, with_one) = (ahead.get(..plain), ahead.get(..=plain));
            match found {
                Some(_) => {
                    output.extend_from_slice(before.unwrap_or_default());
                    output.extend_from_slice(MASK);
                }
                None => output.extend_from_slice(with_one.unwrap_or_default()),
            }
            at += plain + found.unwrap_or(1);
        }
        at
    }

    /// A whole text without its secrets.
    pub(super) fn text<'t>(&self, text: &'t [u8]) -> Cow<'t, str> {
        if self.secrets.is_empty() {
            return String::from_utf8_lossy(text);
        }
        let mut output = Vec::with_capacity(text.len());
        self.replace(text, text.len(), &mut output);
        Cow::Owned(String::from_utf8_lossy(&output).into_owned())
    }

    /// Whether a text holds a secret, in whatever case: hosts and names of headers lose theirs.
    pub(super) fn holds(&self, text: &[u8]) -> bool {
        self.secrets
            .iter()
            .map(|secret| secret.expose().as_bytes())
            .any(|secret| {
                text.windows(secret.len())
                    .any(|window| window.eq_ignore_ascii_case(secret))
            })
    }
}

/// One body on its way to a guest.
#[derive(Default)]
pub(super) struct Scrubber {
    /// The last bytes that came, as long as a secret could reach beyond them.
    held: Vec<u8>,
}

impl Scrubber {
    /// Appends what is certain of the body so far.
    pub(super) fn push(&mut self, patterns: &Patterns, piece: &[u8], output: &mut Vec<u8>) {
        if patterns.secrets.is_empty() {
            output.extend_from_slice(piece);
        } else if self.held.is_empty() {
            let done = patterns.replace(piece, patterns.certain(piece), output);
            self.held.extend_from_slice(piece.get(done..).unwrap_or_default());
        } else {
            self.held.extend_from_slice(piece);
            let done = patterns.replace(&self.held, patterns.certain(&self.held), output);
            self.held.drain(..done.min(self.held.len()));
        }
    }

    /// Appends what was held back, once the body has ended.
    pub(super) fn finish(&mut self, patterns: &Patterns, output: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        patterns.replace(&held, held.len(), output);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(secrets: &[&str]) -> Patterns {
        Patterns::new(secrets.iter().map(|secret| Hidden::new((*secret).to_owned())).collect())
    }

    fn scrub(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let (patterns, mut scrubber, mut output) = (patterns(secrets), Scrubber::default(), Vec::new());
        for piece in pieces {
            scrubber.push(&patterns, piece, &mut output);
        }
        scrubber.finish(&patterns, &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn a_secret_split_over_pieces_is_replaced() {
        assert_eq!(
            scrub(&["canary"], &[b"a can", b"ary b canary", b" canar"]),
            "a *** b *** canar"
        );
        assert_eq!(scrub(&["canary"], &[b"c", b"a", b"n", b"a", b"r", b"y"]), "***");
        assert_eq!(scrub(&["canary"], &[b"cacanary"]), "ca***");
        assert_eq!(scrub(&["aab"], &[b"aa", b"ab"]), "a***");
        assert_eq!(scrub(&[], &[b"canary"]), "canary");
    }

    #[test]
    fn of_two_secrets_the_longer_one_goes_whole() {
        assert_eq!(scrub(&["key", "key-long"], &[b"key-l", b"ong key-lo"]), "*** ***-lo");
    }

    #[test]
    fn lines_pass_at_once_and_a_tail_waits_whatever_it_says() {
        let patterns = patterns(&["canary-1"]);
        let passed = |piece: &str| {
            let mut output = Vec::new();
            Scrubber::default().push(&patterns, piece.as_bytes(), &mut output);
            String::from_utf8(output).unwrap()
        };
        assert_eq!(passed("data: {\"c\": 1}\n\n"), "data: {\"c\": 1}\n\n");
        assert_eq!(passed("data: can\n"), "data: can\n");
        assert_eq!(passed("data: canary-1\n"), "data: ***\n");
        // A right guess and a wrong one look alike.
        assert_eq!(passed("0123456789canary-"), "0123456789");
        assert_eq!(passed("0123456789conory-"), "0123456789");
    }

    #[test]
    fn a_name_in_another_case_is_found() {
        assert!(patterns(&["Sk-Canary"]).holds(b"x-sk-canary.example"));
        assert!(!patterns(&["Sk-Canary"]).holds(b"sk-canar"));
        assert!(!patterns(&[]).holds(b"anything"));
    }

    proptest! {
        #[test]
        fn however_a_body_is_cut_the_result_is_the_same(body in "[ab\n]{0,40}", cuts in prop::collection::vec(0_usize..40, 0..6)) {
            let secrets = ["abba", "bab", "abbab"];
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
            let whole = scrub(&secrets, &[body.as_bytes()]);
            prop_assert_eq!(&scrub(&secrets, &pieces), &whole);
            prop_assert!(secrets.iter().all(|secret| !whole.contains(secret)));
        }
    }
}
