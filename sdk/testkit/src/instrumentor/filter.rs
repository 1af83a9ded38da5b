//! Filters: what comes out of a stream must not depend on how it went in.

use encaje_core::chat::{ChatEvent, Chunk};
use encaje_core::ports::Instrument;
use encaje_core::transcript::Transcript;
use proptest::prelude::*;

use super::streams::{Cuts, Piece, cuts, pieces, stream};
use super::{Subject, question};
use crate::generate::MARK;
use crate::provider::judge;
use crate::run::{Verdict, ensure, property, same, shown, unmarked};

impl Subject<'_> {
    /// An instrument that filters.
    async fn opened(&self, choices: usize) -> Verdict<Box<dyn Instrument>> {
        self.offers("filter")?;
        let request = question("Hello.", u32::try_from(choices).unwrap_or(u32::MAX));
        let mut instrument = self.port.attend(&self.settings.call()).await?;
        if self.offers("before").is_ok() {
            instrument.before(&request).await?;
        }
        instrument.open_filter(&request).await?;
        Ok(instrument)
    }

    /// What comes out of a whole answer.
    async fn filter(&self, choices: &[Vec<Piece>], cuts: &Cuts) -> Verdict<Vec<Chunk>> {
        let mut instrument = self.opened(choices.len()).await?;
        let mut out = Vec::new();
        for batch in stream(choices, cuts) {
            out.extend(instrument.push(batch).await?);
        }
        out.extend(instrument.finish().await?);
        Ok(out)
    }

    fn answers(&self) -> impl Strategy<Value = [Vec<Piece>; 2]> + use<> {
        let words = &self.settings.words;
        (pieces(words), pieces(words)).prop_map(|(first, second)| [first, second])
    }
}

/// The texts of each choice: said, thought, refused.
fn texts(chunks: &[Chunk]) -> Vec<(u32, [String; 3])> {
    let choices = Transcript::of(chunks).choices;
    choices
        .into_iter()
        .map(|(choice, said)| (choice, [said.text, said.reasoning, said.refusal]))
        .collect()
}

pub(super) async fn chunking(s: &Subject<'_>) -> Verdict {
    property(s.settings, (s.answers(), cuts()), async |(choices, cuts)| {
        let whole = texts(&s.filter(&choices, &Cuts::none()).await?);
        for cuts in [&cuts, &Cuts::all()] {
            let came = texts(&s.filter(&choices, cuts).await?);
            same("the texts of the answer in pieces", &came, &whole)?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn contract(s: &Subject<'_>) -> Verdict {
    property(s.settings, (s.answers(), cuts()), async |(choices, cuts)| {
        let out = s.filter(&choices, &cuts).await?;
        let answer = judge(out, 2)?;
        ensure(answer.usage().is_some(), || {
            format!("the usage of the answer was expected, {} came", shown(&answer.chunks))
        })
    })
    .await
}

pub(super) async fn choices(s: &Subject<'_>) -> Verdict {
    property(s.settings, (s.answers(), cuts()), async |(choices, cuts)| {
        let both = texts(&s.filter(&choices, &cuts).await?);
        let [first, second] = choices;
        for (place, alone) in [(0, [first, Vec::new()]), (1, [Vec::new(), second])] {
            let alone = texts(&s.filter(&alone, &cuts).await?);
            let of = |texts: &[(u32, [String; 3])]| {
                let mut texts = texts.iter();
                texts
                    .find(|(choice, _)| *choice == place)
                    .map(|(_, texts)| texts.clone())
            };
            same(
                &format!("the choice {place} beside another one"),
                &of(&both),
                &of(&alone),
            )?;
        }
        Ok(())
    })
    .await
}

/// What is no text, each with the bytes of text of its choice before it.
fn placed(chunks: &[Chunk], choice: u32) -> Vec<(String, usize)> {
    let mut bytes = 0;
    let mut placed = Vec::new();
    for chunk in chunks.iter().filter(|chunk| chunk.choice == choice) {
        match &chunk.event {
            ChatEvent::Text(text) | ChatEvent::Reasoning(text) | ChatEvent::Refusal(text) => bytes += text.len(),
            ChatEvent::ToolCall(delta) => placed.push((format!("tool call {}", delta.index), bytes)),
            ChatEvent::Other(name, _) => placed.push((name.clone(), bytes)),
            ChatEvent::Finish(_) => placed.push(("finish".to_owned(), bytes)),
            ChatEvent::Logprobs(_) | ChatEvent::Usage(_) => {}
        }
    }
    placed
}

pub(super) async fn places(s: &Subject<'_>) -> Verdict {
    property(s.settings, (s.answers(), cuts()), async |(choices, cuts)| {
        let sent: Vec<Chunk> = stream(&choices, &cuts).into_iter().flatten().collect();
        let out = s.filter(&choices, &cuts).await?;
        for choice in 0..2 {
            let (sent_places, out_places) = (placed(&sent, choice), placed(&out, choice));
            let text_of = |chunks: &[Chunk]| texts(chunks).into_iter().find(|(own, _)| *own == choice);
            if text_of(&sent) == text_of(&out) {
                same("events with the bytes of text before them", &out_places, &sent_places)?;
                continue;
            }
            // It changed the text: then the order alone can be told, and some may be dropped.
            let mut rest = sent_places.iter();
            let in_order = out_places.iter().all(|(name, _)| rest.any(|(sent, _)| sent == name));
            ensure(in_order, || {
                format!(
                    "events in the order of {} were expected, {} came",
                    shown(&sent_places),
                    shown(&out_places)
                )
            })?;
        }
        Ok(())
    })
    .await
}

pub(super) async fn nothing(s: &Subject<'_>) -> Verdict {
    let out = s.filter(&[Vec::new()], &Cuts::none()).await?;
    let answer = judge(out, 1)?;
    same("the texts of an answer of none", &answer.first().text, &String::new())?;
    let mut instrument = s.opened(1).await?;
    let pushed = instrument.push(Vec::new()).await?;
    same("what comes of no chunks", &pushed, &Vec::new())?;
    same(
        "what was held back of no chunks",
        &instrument.finish().await?,
        &Vec::new(),
    )
}

pub(super) async fn apart(s: &Subject<'_>) -> Verdict {
    property(
        s.settings,
        (s.answers(), s.answers(), cuts()),
        async |(one, other, cuts)| {
            let expected = [
                texts(&s.filter(&one, &cuts).await?),
                texts(&s.filter(&other, &cuts).await?),
            ];
            let (mut first, mut second) = (s.opened(2).await?, s.opened(2).await?);
            let (mut first_out, mut second_out) = (Vec::new(), Vec::new());
            let mut batches = (stream(&one, &cuts).into_iter(), stream(&other, &cuts).into_iter());
            loop {
                let next = (batches.0.next(), batches.1.next());
                if next.0.is_none() && next.1.is_none() {
                    break;
                }
                if let Some(batch) = next.0 {
                    first_out.extend(first.push(batch).await?);
                }
                if let Some(batch) = next.1 {
                    second_out.extend(second.push(batch).await?);
                }
            }
            second_out.extend(second.finish().await?);
            first_out.extend(first.finish().await?);
            same(
                "the texts of two answers at once",
                &[texts(&first_out), texts(&second_out)],
                &expected,
            )
        },
    )
    .await
}

pub(super) async fn dropped(s: &Subject<'_>) -> Verdict {
    property(
        s.settings,
        (s.answers(), s.answers(), cuts()),
        async |(given_up, choices, cuts)| {
            let expected = texts(&s.filter(&choices, &cuts).await?);
            let mut instrument = s.opened(2).await?;
            // All but its end, so that something may be held back.
            let batches = stream(&given_up, &Cuts::all());
            for batch in batches.iter().take(batches.len() / 2) {
                instrument.push(batch.clone()).await?;
            }
            drop(instrument);
            let came = texts(&s.filter(&choices, &cuts).await?);
            same("the texts after an answer that was given up", &came, &expected)
        },
    )
    .await
}

/// A filter that is given up takes its instance along, where there is such a thing: what comes next begins anew.
async fn give_up(s: &Subject<'_>) -> Verdict {
    drop(s.opened(1).await?);
    Ok(())
}

pub(super) async fn forgotten(s: &Subject<'_>) -> Verdict {
    property(
        s.settings,
        (s.answers(), s.answers(), cuts()),
        async |(choices, mut others, cuts)| {
            // At the ends, where a filter holds back what may go on.
            for pieces in &mut others {
                pieces.insert(0, Piece::Text(format!("{MARK} ")));
                pieces.push(Piece::Text(MARK.to_owned()));
            }
            give_up(s).await?;
            s.filter(&others, &cuts).await?;
            let out = s.filter(&choices, &cuts).await?;
            let after = texts(&out);
            unmarked("the texts", &after)?;
            unmarked("the answer", &out)?;
            give_up(s).await?;
            let alone = texts(&s.filter(&choices, &cuts).await?);
            same("the texts after another answer", &after, &alone)
        },
    )
    .await
}
