//! Which windows are embedded together.

use crate::limits::EMBED_PASS_TOKENS;

/// The windows in passes, by their places: those of like length together, so that little is padded, and no more in a pass
/// than others can wait for.
pub(crate) fn passes(windows: &[&[u32]]) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, usize)> = windows.iter().map(|window| window.len()).enumerate().collect();
    order.sort_by_key(|(_, length)| *length);
    let mut passes: Vec<Vec<usize>> = Vec::new();
    for (place, length) in order {
        match passes.last_mut() {
            Some(pass) if (pass.len() + 1) * length <= EMBED_PASS_TOKENS => pass.push(place),
            _ => passes.push(vec![place]),
        }
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_holds_windows_of_like_length_that_others_can_wait_for() {
        let long = vec![0u32; EMBED_PASS_TOKENS * 2];
        let windows = [
            &long[..256],
            &long[..3],
            &long[..],
            &long[..256],
            &long[..4],
            &long[..256],
        ];
        assert_eq!(passes(&windows), [vec![1, 4], vec![0, 3], vec![5], vec![2]]);
        assert!(passes(&[]).is_empty());
    }
}
