//! What every diagnostic owes to whoever reads it. Which mistakes there are is not known here.

use encaje_registry::{Diagnostic, limits, render};

/// Bytes of one diagnostic on a terminal: the message and the fix may each name a list of names, beside the excerpt.
const SHOWN_BYTES: usize = 128 << 10;

/// Errors of a text: some, each in the text, each with a fix, and none that writes to the terminal but letters.
pub(crate) fn errors(text: &str, wrong: &[Diagnostic]) {
    assert!(!wrong.is_empty(), "refused without a word");
    assert!(wrong.iter().all(Diagnostic::is_error), "a warning among the errors");
    located(text, wrong);
}

/// Warnings of a text, which may be none.
pub(crate) fn warnings(text: &str, found: &[Diagnostic]) {
    assert!(!found.iter().any(Diagnostic::is_error), "an error among the warnings");
    located(text, found);
}

/// Diagnostics of either severity.
pub(crate) fn located(text: &str, found: &[Diagnostic]) {
    assert!(found.len() <= limits::MAX_DIAGNOSTICS + 1, "{} findings", found.len());
    for each in found {
        let line = text.split('\n').nth(each.line.wrapping_sub(1));
        let line = line.unwrap_or_else(|| panic!("there is no line {}: {each}", each.line));
        let length = line.chars().count();
        assert!(
            (1..=length + 1).contains(&each.column),
            "line {} has {length} characters, not {}: {each}",
            each.line,
            each.column
        );
        assert!(!each.message.is_empty(), "{each:?}");
        assert!(each.fix.as_ref().is_some_and(|fix| !fix.is_empty()), "no fix: {each:?}");
    }
    let shown = render(found);
    plain(&shown);
    assert!(
        shown.len() <= SHOWN_BYTES * found.len().max(1),
        "{} bytes of findings",
        shown.len()
    );
}

/// Nothing in it moves a terminal's cursor or writes over what stands there.
pub(crate) fn plain(shown: &str) {
    let odd = shown.chars().find(|each| each.is_control() && *each != '\n');
    assert!(odd.is_none(), "{odd:?} in {shown:?}");
}
