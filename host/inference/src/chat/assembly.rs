//! From the bytes of tokens to whole characters, with nothing of a stop string ever shown.
//!
//! What might still become a stop string, or is but a part of a character, is held back until the next token decides.
//! Probabilities of a token go out with the text that holds its last byte.

use std::collections::VecDeque;

use encaje_core::chat::TokenLogprob;

/// What may be told now.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Said {
    /// Whole characters.
    pub(crate) text: String,
    /// Of the tokens whose text is out.
    pub(crate) logprobs: Vec<TokenLogprob>,
    /// A stop string came; there is no more to say.
    pub(crate) stopped: bool,
}

/// The text of one answer on its way.
#[derive(Debug)]
pub(crate) struct Assembly {
    stops: Vec<Vec<u8>>,
    pending: Vec<u8>,
    /// Bytes that went out, counted over the whole answer.
    told: usize,
    /// Where each token that has not gone out begins and ends.
    tokens: VecDeque<(usize, usize, TokenLogprob)>,
}

impl Assembly {
    /// With the stop strings of a request; none is empty.
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().map(|stop| stop.as_bytes().to_vec()).collect();
        Self {
            stops,
            pending: Vec::new(),
            told: 0,
            tokens: VecDeque::new(),
        }
    }

    /// Adds a token's bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], logprob: Option<TokenLogprob>) -> Said {
        let start = self.told + self.pending.len();
        self.pending.extend_from_slice(bytes);
        self.tokens
            .extend(logprob.map(|logprob| (start, start + bytes.len(), logprob)));
        if let Some(at) = self.stops.iter().filter_map(|stop| find(&self.pending, stop)).min() {
            let text = self.tell(at);
            let told = self.told;
            let logprobs = self
                .tokens
                .drain(..)
                .filter(|(start, ..)| *start < told)
                .map(|(.., own)| own)
                .collect();
            self.pending.clear();
            return Said {
                text,
                logprobs,
                stopped: true,
            };
        }
        let held = self
            .stops
            .iter()
            .map(|stop| started(&self.pending, stop))
            .max()
            .unwrap_or(0);
        let held = held.max(incomplete(&self.pending));
        let text = self.tell(self.pending.len() - held);
        let mut logprobs = Vec::new();
        while let Some((.., logprob)) = self.tokens.pop_front_if(|(_, end, _)| *end <= self.told) {
            logprobs.push(logprob);
        }
        Said {
            text,
            logprobs,
            stopped: false,
        }
    }

    /// The answer ended otherwise: what was held back goes out, a part of a character as U+FFFD.
    pub(crate) fn finish(&mut self) -> Said {
        let text = self.tell(self.pending.len());
        Said {
            text,
            logprobs: self.tokens.drain(..).map(|(.., own)| own).collect(),
            stopped: false,
        }
    }

    fn tell(&mut self, bytes: usize) -> String {
        let out: Vec<u8> = self.pending.drain(..bytes).collect();
        self.told += bytes;
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// The longest end of `text` with which `stop` begins.
fn started(text: &[u8], stop: &[u8]) -> usize {
    let most = text.len().min(stop.len().saturating_sub(1));
    (1..=most)
        .rev()
        .find(|length| stop.get(..*length).is_some_and(|begin| text.ends_with(begin)))
        .unwrap_or(0)
}

/// How many bytes at the end are the beginning of a character.
fn incomplete(text: &[u8]) -> usize {
    for (count, byte) in text.iter().rev().take(3).enumerate().map(|(i, byte)| (i + 1, *byte)) {
        let length = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if length > count { count } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn logprob(bytes: &[u8]) -> TokenLogprob {
        let token = String::from_utf8_lossy(bytes).into_owned();
        TokenLogprob {
            token,
            bytes: bytes.to_vec(),
            logprob: -1.0,
            top: Vec::new(),
        }
    }

    fn run(stops: &[&str], tokens: &[&[u8]]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut assembly = Assembly::new(&stops);
        let mut texts = Vec::new();
        for token in tokens {
            let said = assembly.push(token, None);
            texts.push(said.text);
            if said.stopped {
                return (texts, true);
            }
        }
        texts.push(assembly.finish().text);
        (texts, false)
    }

    #[test]
    fn characters_are_never_split() {
        let fish = "🐟".as_bytes();
        let (texts, _) = run(&[], &[b"a", &fish[..1], &fish[1..3], &fish[3..], b"b"]);
        assert_eq!(texts, ["a", "", "", "🐟", "b", ""]);
        assert_eq!(run(&[], &[b"a", &fish[..3]]).0, ["a", "", "\u{fffd}"]);
        assert_eq!(run(&[], &[b"\xff", b"\x80a"]).0, ["\u{fffd}", "\u{fffd}a", ""]);
    }

    #[test]
    fn stop_strings_straddle_tokens_and_never_show() {
        assert_eq!(
            run(&["STOP"], &[b"go S", b"T", b"OP on"]),
            (vec!["go ".into(), String::new(), String::new()], true)
        );
        assert_eq!(run(&["STOP"], &[b"go S", b"TO", b"ast"]).0, ["go ", "", "STOast", ""]);
        assert_eq!(run(&["STOP"], &[b"go ST"]).0, ["go ", "ST"]);
        assert_eq!(run(&["\n\n", "b"], &[b"a\n", b"x\n", b"\ny"]).0, ["a", "\nx", ""]);
        assert_eq!(
            run(&["aab"], &[b"a", b"a", b"a", b"b"]),
            (vec!["".into(), "".into(), "a".into(), "".into()], true)
        );
    }

    #[test]
    fn probabilities_go_out_with_their_text() {
        let mut assembly = Assembly::new(&["END".to_owned()]);
        assert_eq!(assembly.push(b"a", Some(logprob(b"a"))).logprobs.len(), 1);
        assert_eq!(assembly.push(b" E", Some(logprob(b" E"))).logprobs.len(), 0);
        let said = assembly.push(b"N", Some(logprob(b"N")));
        assert_eq!((said.text.as_str(), said.logprobs.len()), ("", 0));
        let said = assembly.push(b"D", Some(logprob(b"D")));
        assert!(said.stopped);
        assert_eq!(
            said.logprobs,
            [logprob(b" E")],
            "the token whose space was shown, and none of the stop's own"
        );
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_text_is_the_same(
            text in "[ab\u{e9}\u{1f41f}]{0,30}",
            stop in "[ab\u{e9}]{1,3}",
            cuts in proptest::collection::vec(0usize..100, 0..20),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let tokens: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let (texts, stopped) = run(&[&stop], &tokens);
            let expected = text.split(&stop).next().unwrap_or_default();
            prop_assert_eq!(texts.concat(), expected);
            prop_assert_eq!(stopped, text.contains(&stop));
        }
    }
}
