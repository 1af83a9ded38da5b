//! Inner products of quantized weight rows with rows of eight-bit activations: portable, and for x86-64 with AVX2 or
//! AVX-512 VNNI.
//!
//! A block is 32 weights. It knows nothing of files: `matrix.rs` brings every format into one of the two shapes here.

/// Weights, and activations, that share a scale.
pub(super) const BLOCK: usize = 32;

/// One activation row: eight-bit values, and for each block its scale and the sum of what the values stand for.
#[derive(Clone, Copy)]
pub(super) struct Activation<'a> {
    pub(super) values: &'a [i8],
    pub(super) scales: &'a [f32],
    pub(super) sums: &'a [f32],
}

/// One weight row. `weight = scale * code + minimum`.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    /// Per block 16 bytes (element `i` low in byte `i`, element `i + 16` high) or 32 signed bytes.
    pub(super) codes: Codes<'a>,
    /// One a block, or two where `Codes::Halves`.
    pub(super) scales: &'a [f32],
    /// One a block, or none at all.
    pub(super) minimums: &'a [f32],
}

/// How the codes of a row are stored.
#[derive(Clone, Copy)]
pub(super) enum Codes<'a> {
    /// 0 to 15.
    Nibbles(&'a [u8]),
    /// -127 to 127.
    Bytes(&'a [i8]),
    /// -127 to 127, with one scale for each half of a block.
    Halves(&'a [i8]),
}

/// Which instructions this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

/// The best that this processor has.
pub(super) fn level() -> Level {
    static LEVEL: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
    *LEVEL.get_or_init(detect)
}

fn detect() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if avx2 && is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
            return Level::Vnni;
        }
        if avx2 {
            return Level::Avx2;
        }
    }
    Level::Portable
}

/// The inner product of one weight row with `N` activation rows of the same length.
pub(super) fn dot<const N: usize>(level: Level, weights: Weights<'_>, rows: [Activation<'_>; N]) -> [f32; N] {
    check(&weights, &rows);
    match level {
        Level::Portable => portable(&weights, &rows),
        // SAFETY: `level` comes from `detect`, which found these instructions; `check` has compared all lengths.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::avx2(&weights, &rows) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Vnni => unsafe { x86::vnni(&weights, &rows) },
    }
}

/// The vector paths read through pointers; this is what makes that sound.
fn check<const N: usize>(weights: &Weights<'_>, rows: &[Activation<'_>; N]) {
    let (blocks, scales) = match weights.codes {
        Codes::Nibbles(codes) => (codes.len() / (BLOCK / 2), 1),
        Codes::Bytes(codes) => (codes.len() / BLOCK, 1),
        Codes::Halves(codes) => (codes.len() / BLOCK, 2),
    };
    assert_eq!(weights.scales.len(), blocks * scales, "a scale for each block");
    assert!(
        weights.minimums.is_empty() || weights.minimums.len() == blocks,
        "a minimum for each block or for none"
    );
    for row in rows {
        assert_eq!(row.values.len(), blocks * BLOCK, "rows of equal length");
        assert_eq!(row.scales.len(), blocks, "a scale for each block");
        assert_eq!(row.sums.len(), blocks, "a sum for each block");
    }
}

fn portable<const N: usize>(weights: &Weights<'_>, rows: &[Activation<'_>; N]) -> [f32; N] {
    let one = |row: &Activation<'_>| -> f32 {
        let values = row.values.chunks_exact(BLOCK).zip(row.scales);
        let minimums: f32 = weights
            .minimums
            .iter()
            .zip(row.sums)
            .map(|(minimum, sum)| minimum * sum)
            .sum();
        let products: f32 = match weights.codes {
            Codes::Nibbles(codes) => codes
                .chunks_exact(BLOCK / 2)
                .zip(weights.scales)
                .zip(values)
                .map(|((codes, scale), (values, own))| {
                    let (low, high) = values.split_at(BLOCK / 2);
                    let whole: i32 = codes
                        .iter()
                        .zip(low.iter().zip(high))
                        .map(|(code, (low, high))| {
                            i32::from(code & 15) * i32::from(*low) + i32::from(code >> 4) * i32::from(*high)
                        })
                        .sum();
                    whole as f32 * (scale * own)
                })
                .sum(),
            Codes::Bytes(codes) => codes
                .chunks_exact(BLOCK)
                .zip(weights.scales)
                .zip(values)
                .map(|((codes, scale), (values, own))| whole(codes, values) as f32 * (scale * own))
                .sum(),
            Codes::Halves(codes) => codes
                .chunks_exact(BLOCK / 2)
                .zip(weights.scales)
                .zip(
                    row.values
                        .chunks_exact(BLOCK / 2)
                        .zip(row.scales.iter().flat_map(|own| [own, own])),
                )
                .map(|((codes, scale), (values, own))| whole(codes, values) as f32 * (scale * own))
                .sum(),
        };
        products + minimums
    };
    std::array::from_fn(|i| rows.get(i).map_or(0.0, one))
}

fn whole(codes: &[i8], values: &[i8]) -> i32 {
    codes
        .iter()
        .zip(values)
        .map(|(code, value)| i32::from(*code) * i32::from(*value))
        .sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The same sums, 32 weights at a time. `check` has been called.

    use std::arch::x86_64::*;

    use super::{Activation, BLOCK, Codes, Weights};

    /// The sum of the eight lanes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn across(total: __m256) -> f32 {
        let half = _mm_add_ps(_mm256_castps256_ps128(total), _mm256_extractf128_ps::<1>(total));
        let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
        _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
    }

    /// Adds the minimums of the last blocks, which fill no vector.
    #[inline]
    fn tail<const N: usize>(sums: &mut [f32; N], weights: &Weights<'_>, rows: &[Activation<'_>; N]) {
        let rest = weights.minimums.len() / 8 * 8;
        let minimums = weights.minimums.get(rest..).unwrap_or_default();
        for (sum, row) in sums.iter_mut().zip(rows) {
            for (minimum, own) in minimums.iter().zip(row.sums.get(rest..).unwrap_or_default()) {
                *sum += minimum * own;
            }
        }
    }

    macro_rules! path {
        ($name:ident, $features:literal, $quads:expr) => {
            /// The sums of all blocks.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name<const N: usize>(weights: &Weights<'_>, rows: &[Activation<'_>; N]) -> [f32; N] {
                let mut totals = [_mm256_setzero_ps(); N];
                let blocks = rows.first().map_or(0, |row| row.scales.len());
                let values = rows.map(|row| row.values.as_ptr());
                let own = rows.map(|row| row.scales.as_ptr());
                let scales = weights.scales.as_ptr();
                // SAFETY: `check` has made sure that codes, scales, values and sums have `blocks` blocks; loads are unaligned.
                unsafe {
                    macro_rules! each_row {
                        ($block:ident, $scale:ident, $sums:expr) => {
                            for ((total, values), own) in totals.iter_mut().zip(values).zip(own) {
                                let activations = _mm256_loadu_si256(values.add($block * BLOCK).cast());
                                let sums: __m256i = $sums(activations);
                                let scale = _mm256_mul_ps($scale, _mm256_set1_ps(*own.add($block)));
                                *total = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), scale, *total);
                            }
                        };
                    }
                    match weights.codes {
                        Codes::Nibbles(codes) => {
                            for block in 0..blocks {
                                let packed = _mm_loadu_si128(codes.as_ptr().add(block * BLOCK / 2).cast());
                                let both = _mm256_set_m128i(_mm_srli_epi16::<4>(packed), packed);
                                let codes = _mm256_and_si256(both, _mm256_set1_epi8(15));
                                let scale = _mm256_set1_ps(*scales.add(block));
                                each_row!(block, scale, |activations| $quads(codes, activations));
                            }
                        }
                        Codes::Bytes(codes) => {
                            for block in 0..blocks {
                                let codes = _mm256_loadu_si256(codes.as_ptr().add(block * BLOCK).cast());
                                let size = _mm256_abs_epi8(codes);
                                let scale = _mm256_set1_ps(*scales.add(block));
                                each_row!(block, scale, |activations| $quads(
                                    size,
                                    _mm256_sign_epi8(activations, codes)
                                ));
                            }
                        }
                        Codes::Halves(codes) => {
                            for block in 0..blocks {
                                let codes = _mm256_loadu_si256(codes.as_ptr().add(block * BLOCK).cast());
                                let size = _mm256_abs_epi8(codes);
                                let low = _mm_set1_ps(*scales.add(2 * block));
                                let scale = _mm256_set_m128(_mm_set1_ps(*scales.add(2 * block + 1)), low);
                                each_row!(block, scale, |activations| $quads(
                                    size,
                                    _mm256_sign_epi8(activations, codes)
                                ));
                            }
                        }
                    }
                    for block in (0..weights.minimums.len() / 8 * 8).step_by(8) {
                        let minimums = _mm256_loadu_ps(weights.minimums.as_ptr().add(block));
                        for (total, row) in totals.iter_mut().zip(rows) {
                            *total = _mm256_fmadd_ps(_mm256_loadu_ps(row.sums.as_ptr().add(block)), minimums, *total);
                        }
                    }
                }
                let mut sums = totals.map(|total| across(total));
                tail(&mut sums, weights, rows);
                sums
            }
        };
    }

    // Unsigned codes of at most 127 times signed values of at most 127: two products stay within 16 bits.
    path!(avx2, "avx2,fma", |codes, values| _mm256_madd_epi16(
        _mm256_maddubs_epi16(codes, values),
        _mm256_set1_epi16(1)
    ));
    path!(vnni, "avx2,fma,avx512vnni,avx512vl", |codes, values| {
        _mm256_dpbusd_epi32(_mm256_setzero_si256(), codes, values)
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn levels() -> Vec<Level> {
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if level() != Level::Portable {
                levels.push(Level::Avx2);
            }
            if level() == Level::Vnni {
                levels.push(Level::Vnni);
            }
        }
        levels
    }

    proptest! {
        #[test]
        fn every_path_agrees_with_the_plain_sum(
            blocks in 1usize..20,
            seed in any::<u64>(),
        ) {
            let mut state = seed;
            let mut random = move || { state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); (state >> 33) as i32 };
            let nibbles: Vec<u8> = (0..blocks * 16).map(|_| random() as u8).collect();
            let bytes: Vec<i8> = (0..blocks * 32).map(|_| (random() % 128) as i8).collect();
            let scales: Vec<f32> = (0..blocks * 2).map(|_| random() as f32 / 1e9).collect();
            let minimums: Vec<f32> = (0..blocks).map(|_| random() as f32 / 1e9).collect();
            let values: Vec<i8> = (0..blocks * 32).map(|_| (random() % 128) as i8).collect();
            let own: Vec<f32> = (0..blocks).map(|_| random() as f32 / 1e9).collect();
            let sums: Vec<f32> = (0..blocks).map(|b| own[b] * values[b * 32..][..32].iter().map(|v| f32::from(*v)).sum::<f32>()).collect();
            let row = Activation { values: &values, scales: &own, sums: &sums };
            let code = |kind: usize, i: usize| match kind {
                0 => { let byte = nibbles[i / 32 * 16 + i % 16]; f64::from(if i % 32 < 16 { byte & 15 } else { byte >> 4 }) }
                _ => f64::from(bytes[i]),
            };
            for kind in 0..3 {
                let weights = match kind {
                    0 => Weights { codes: Codes::Nibbles(&nibbles), scales: &scales[..blocks], minimums: &minimums },
                    1 => Weights { codes: Codes::Bytes(&bytes), scales: &scales[..blocks], minimums: &minimums },
                    _ => Weights { codes: Codes::Halves(&bytes), scales: &scales, minimums: &[] },
                };
                let (mut expected, mut size) = (0.0f64, 1e-6f64);
                for i in 0..blocks * 32 {
                    let scale = if kind == 2 { scales[i / 16] } else { scales[i / 32] };
                    let minimum = if kind == 2 { 0.0 } else { minimums[i / 32] };
                    let weight = f64::from(scale) * code(kind, i) + f64::from(minimum);
                    let value = f64::from(own[i / 32]) * f64::from(values[i]);
                    expected += weight * value;
                    size += (weight * value).abs() + f64::from(scale).abs() * code(kind, i).abs() * value.abs();
                }
                for level in levels() {
                    let [one] = dot(level, weights, [row]);
                    let four = dot(level, weights, [row; 4]);
                    prop_assert!((f64::from(one) - expected).abs() < size * 1e-5, "{level:?} {kind}: {one} {expected}");
                    prop_assert_eq!([one; 4], four, "a row must not depend on its neighbours");
                }
            }
        }
    }
}
