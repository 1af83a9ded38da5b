//! Vector functions between the products: norms, rotary positions, attention, the gated unit.
//!
//! Written so that the compiler can use whole vectors (sums in sixteen lanes), and compiled once for AVX2 with FMA beside
//! the portable way; which runs is decided by the processor.

use super::kernel::{Level, level};

/// Lanes of a sum: two vectors of AVX2, so that additions need not wait for each other.
const LANES: usize = 16;

/// Compiles a function twice and calls what this processor has. All paths of one machine give the same bits every time.
macro_rules! dispatched {
    ($(#[$about:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$about])*
        $visibility fn $name($($argument: $kind),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($argument: $kind),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn wide($($argument: $kind),*) $(-> $result)? { plain($($argument),*) }
                if level() != Level::Portable {
                    // SAFETY: `level` found AVX2 and FMA on this processor.
                    return unsafe { wide($($argument),*) };
                }
            }
            plain($($argument),*)
        }
    };
}

#[inline(always)]
fn lanes_dot(left: &[f32], right: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (left, right) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let tail: f32 = left.remainder().iter().zip(right.remainder()).map(|(l, r)| l * r).sum();
    for (left, right) in left.zip(right) {
        for ((lane, l), r) in lanes.iter_mut().zip(left).zip(right) {
            *lane += l * r;
        }
    }
    lanes.iter().sum::<f32>() + tail
}

dispatched! {
    /// The inner product.
    pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
        lanes_dot(left, right)
    }
}

/// `e` to the power of `x`, within 2e-7 of it relatively for `x` in [-87, 88]; 0 below. Branchless, so that a loop over
/// it becomes vectors.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    let bounded = x.clamp(-87.0, 88.0);
    // Round to the nearest whole power of two by the way that floats are stored.
    let shifted = bounded * std::f32::consts::LOG2_E + 12_582_912.0;
    let power = shifted - 12_582_912.0;
    let rest = bounded - power * 0.693_359_4 - power * -2.121_944_4e-4;
    let series = 1.0 / 720.0;
    let series = series * rest + 1.0 / 120.0;
    let series = series * rest + 1.0 / 24.0;
    let series = series * rest + 1.0 / 6.0;
    let series = series * rest + 0.5;
    let series = series * rest * rest + rest + 1.0;
    let scale = f32::from_bits(((power as i32 + 127) as u32) << 23);
    if x < -87.0 { 0.0 } else { series * scale }
}

dispatched! {
    /// `target += change`.
    pub(crate) fn add(target: &mut [f32], change: &[f32]) {
        for (target, change) in target.iter_mut().zip(change) {
            *target += change;
        }
    }
}

dispatched! {
    /// `gates = silu(gates) * values`.
    pub(crate) fn gate(gates: &mut [f32], values: &[f32]) {
        for (gate, value) in gates.iter_mut().zip(values) {
            *gate = *gate / (1.0 + exponential(-*gate)) * value;
        }
    }
}

dispatched! {
    /// A block of values as signed bytes; the scale that they share, and the sum of what they stand for.
    pub(super) fn quantize(values: &[f32], codes: &mut [i8]) -> (f32, f32) {
        let mut lanes = [0.0f32; LANES];
        for values in values.chunks_exact(LANES) {
            for (lane, value) in lanes.iter_mut().zip(values) {
                *lane = lane.max(value.abs());
            }
        }
        let largest = lanes.iter().copied().fold(0.0f32, f32::max);
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let mut total = 0i32;
        for (code, value) in codes.iter_mut().zip(values) {
            let whole = (value * inverse).round_ties_even() as i32;
            *code = whole as i8;
            total += whole;
        }
        let scale = largest / 127.0;
        (scale, scale * total as f32)
    }
}

/// Root-mean-square norm of each row of `weight.len()` values.
pub(crate) fn normalise(rows: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact(weight.len().max(1)) {
        let mean = dot(row, row) / row.len() as f32;
        let scale = 1.0 / (mean + epsilon).sqrt();
        out.extend(row.iter().zip(weight).map(|(value, weight)| value * scale * weight));
    }
    out
}

/// Turns neighbouring pairs of the first `2 * frequencies.len()` values of each head, as GGUF's llama files are laid out.
pub(crate) fn rotate(row: &mut [f32], head: usize, position: usize, frequencies: &[f64]) {
    let turns: Vec<(f32, f32)> = frequencies
        .iter()
        .map(|frequency| {
            let (sine, cosine) = (position as f64 * frequency).sin_cos();
            (sine as f32, cosine as f32)
        })
        .collect();
    for head in row.chunks_exact_mut(head.max(1)) {
        for (pair, (sine, cosine)) in head.chunks_exact_mut(2).zip(&turns) {
            if let [a, b] = pair {
                (*a, *b) = (*a * cosine - *b * sine, *a * sine + *b * cosine);
            }
        }
    }
}

dispatched! {
    /// Attention of one query head: `keys` and `values` are the positions that it may see, each of `query.len()` values.
    pub(crate) fn attend(query: &[f32], keys: &[f32], values: &[f32], out: &mut [f32]) {
        let scale = 1.0 / (query.len() as f32).sqrt();
        let mut weights = vec![0.0f32; keys.len() / query.len().max(1)];
        // A loop, since a closure would be compiled outside and without the wide instructions.
        for (weight, key) in weights.iter_mut().zip(keys.chunks_exact(query.len().max(1))) {
            *weight = lanes_dot(query, key) * scale;
        }
        let best = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for weight in &mut weights {
            *weight = exponential(*weight - best);
        }
        let total: f32 = weights.iter().sum();
        out.fill(0.0);
        for (value, weight) in values.chunks_exact(query.len().max(1)).zip(&weights) {
            for (out, value) in out.iter_mut().zip(value) {
                *out += weight * value;
            }
        }
        let share = 1.0 / total;
        for out in out {
            *out *= share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_close_everywhere() {
        for step in -8_700..8_800 {
            let x = step as f32 / 100.0;
            let (own, real) = (f64::from(exponential(x)), f64::from(x).exp());
            assert!((own - real).abs() <= real * 4e-7, "{x}: {own} {real}");
        }
        assert_eq!(exponential(-1e9), 0.0);
        assert_eq!(exponential(f32::NEG_INFINITY), 0.0);
        assert_eq!(exponential(0.0), 1.0);
    }

    #[test]
    fn attention_is_the_softmax_weighted_mean() {
        let query: Vec<f32> = (0..20).map(|i| (i as f32 * 0.7).sin()).collect();
        let keys: Vec<f32> = (0..60).map(|i| (i as f32 * 0.3).cos()).collect();
        let values: Vec<f32> = (0..60).map(|i| i as f32).collect();
        let mut out = vec![0.0; 20];
        attend(&query, &keys, &values, &mut out);
        let scores: Vec<f64> = keys
            .chunks(20)
            .map(|key| key.iter().zip(&query).map(|(k, q)| f64::from(k * q)).sum::<f64>() / 20f64.sqrt())
            .collect();
        let total: f64 = scores.iter().map(|s| s.exp()).sum();
        for (i, out) in out.iter().enumerate() {
            let expected: f64 = scores
                .iter()
                .enumerate()
                .map(|(p, s)| s.exp() / total * f64::from(values[p * 20 + i]))
                .sum();
            assert!((f64::from(*out) - expected).abs() < 1e-4, "{out} {expected}");
        }
    }

    #[test]
    fn position_zero_is_not_turned_and_lengths_are_kept() {
        let mut row = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        rotate(&mut row, 6, 0, &[1.0, 0.1]);
        assert_eq!(row, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        rotate(&mut row, 6, 3, &[1.0, 0.1]);
        assert!((row[0] - (3f32.cos() - 2.0 * 3f32.sin())).abs() < 1e-5);
        assert!((row[2].hypot(row[3]) - 5.0).abs() < 1e-5);
        assert_eq!(row[4..], [5.0, 6.0]);
    }
}
