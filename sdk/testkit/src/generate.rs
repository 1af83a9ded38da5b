//! Random values, filters and texts: few different ones, so that they meet, and the odd ones among them.

use encaje_core::value::{Comparator, Comparison, Filter, Value};
use proptest::prelude::*;
use proptest::sample::select;

/// What a generated field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Short texts, empty and odd ones too.
    Text,
    /// Small whole numbers of both signs.
    Integer,
    /// Reals that binary fractions cannot all say.
    Real,
    /// Both.
    Boolean,
}

/// A field that filters may ask for.
pub(crate) type Field = (&'static str, Kind);

/// Texts that have broken something somewhere: scripts of both directions, characters of one to four bytes, combining
/// ones, private ones, an emoji of several, quotes, escapes, wildcards, a byte order mark, line breaks of other systems.
pub(crate) const ODD_TEXTS: [&str; 14] = [
    "ñandú ÿ ß İ",
    "e\u{301}te\u{301}",
    "日本語の文章です。",
    "שלום עולם",
    "👩‍👩‍👧‍👦 🌊",
    "\u{feff}bom",
    "\u{e000}\u{10ffff}",
    "'; DROP TABLE items; --",
    "\"quoted\" \\ 100% _under_",
    "a\tb\r\nc\u{2028}d",
    "${x} {{y}} %s <b>&amp;</b>",
    " ",
    "ﷺ ﬁ ſ",
    "\u{200b}\u{200d}",
];

/// A text that nobody says by chance: where it turns up, it leaked.
pub(crate) const MARK: &str = "zq7-testkit-mark";

/// A value of a kind.
pub(crate) fn value(of: Kind) -> BoxedStrategy<Value> {
    let texts = vec![
        "",
        "a",
        "ab",
        "abc",
        "b",
        "A",
        "ñ",
        "%",
        "_",
        "\u{d7ff}x",
        "\u{e000}",
        "🌊",
    ];
    match of {
        Kind::Text => select(texts).prop_map(Value::from).boxed(),
        Kind::Integer => (-3_i64..4).prop_map(Value::Integer).boxed(),
        Kind::Real => select(vec![-1.5, -0.1, 0.0, 0.1, 0.1 + 0.2, 2.0])
            .prop_map(Value::Real)
            .boxed(),
        Kind::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
    }
}

/// A value of a kind, or null.
pub(crate) fn nullable(of: Kind) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 3 => value(of)].boxed()
}

/// A filter over these fields: any of some groups of comparisons, every comparator but full-text search.
pub(crate) fn filter(fields: &'static [Field]) -> BoxedStrategy<Filter> {
    let comparison = select(fields).prop_flat_map(comparison);
    let group = proptest::collection::vec(comparison, 1..3);
    proptest::collection::vec(group, 0..3).boxed()
}

fn comparison((field, of): Field) -> BoxedStrategy<Comparison> {
    let mut single = vec![Comparator::Equal, Comparator::NotEqual];
    if of != Kind::Boolean {
        single.extend([
            Comparator::Less,
            Comparator::LessOrEqual,
            Comparator::Greater,
            Comparator::GreaterOrEqual,
        ]);
    }
    if of == Kind::Text {
        single.extend([Comparator::StartsWith, Comparator::Contains]);
    }
    let single = (select(single), value(of)).prop_map(|(by, value)| (by, vec![value]));
    let list = select(vec![Comparator::OneOf, Comparator::NotOneOf]);
    let list = (list, proptest::collection::vec(value(of), 1..5));
    let null = select(vec![Comparator::IsNull, Comparator::IsNotNull]).prop_map(|by| (by, Vec::new()));
    prop_oneof![3 => single, 1 => list, 1 => null]
        .prop_map(move |(by, values)| Comparison {
            field: field.to_owned(),
            by,
            values,
        })
        .boxed()
}

/// A text of some words, some of them odd.
pub(crate) fn text() -> BoxedStrategy<String> {
    let plain = vec!["the", "quick", "fox", "jumps", "over", "a", "dog"];
    let word = prop_oneof![3 => select(plain), 1 => select(ODD_TEXTS.to_vec())];
    proptest::collection::vec(word, 0..12)
        .prop_map(|words| words.join(" "))
        .boxed()
}
