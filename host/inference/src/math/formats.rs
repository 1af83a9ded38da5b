//! GGUF's quantized blocks, unpacked into the two shapes that the kernels read.
//!
//! Exact: the codes stay as they are, only their order and the place of their scales change. Formats that do not fit (two
//! and three bits) are left to candle, which turns them into plain floats. Block layouts as in ggml's `ggml-common.h`.

use candle_core::quantized::GgmlDType;
use half::f16;

/// A matrix in pieces, still without its size.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    pub(super) nibbles: Vec<u8>,
    pub(super) bytes: Vec<i8>,
    pub(super) scales: Vec<f32>,
    pub(super) minimums: Vec<f32>,
}

/// Whether [`unpack`] knows the format.
pub(super) fn unpacks(format: GgmlDType) -> bool {
    use GgmlDType::*;
    matches!(format, Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 | Q4K | Q5K | Q6K)
}

/// Unpacks whole blocks; a partial one at the end is left out (GGUF has none).
pub(super) fn unpack(format: GgmlDType, data: &[u8]) -> Unpacked {
    let mut out = Unpacked::default();
    for block in data.chunks_exact(format.type_size()) {
        // The sizes are those of `type_size`, so that no split below finds too little.
        let _ = match format {
            GgmlDType::Q4_0 => four_bits(&mut out, block, false),
            GgmlDType::Q4_1 => four_bits(&mut out, block, true),
            GgmlDType::Q5_0 => five_bits(&mut out, block, false),
            GgmlDType::Q5_1 => five_bits(&mut out, block, true),
            GgmlDType::Q8_0 => eight_bits(&mut out, block),
            GgmlDType::Q4K => four_or_five_of_256(&mut out, block, false),
            GgmlDType::Q5K => four_or_five_of_256(&mut out, block, true),
            GgmlDType::Q6K => six_of_256(&mut out, block),
            _ => None,
        };
    }
    out
}

fn float(block: &[u8]) -> Option<(f32, &[u8])> {
    let (bytes, rest) = block.split_first_chunk()?;
    Some((f16::from_le_bytes(*bytes).to_f32(), rest))
}

fn four_bits(out: &mut Unpacked, block: &[u8], has_minimum: bool) -> Option<()> {
    let (scale, rest) = float(block)?;
    let (minimum, codes) = if has_minimum {
        float(rest)?
    } else {
        (-8.0 * scale, rest)
    };
    out.scales.push(scale);
    out.minimums.push(minimum);
    out.nibbles.extend_from_slice(codes);
    Some(())
}

fn five_bits(out: &mut Unpacked, block: &[u8], has_minimum: bool) -> Option<()> {
    let (scale, rest) = float(block)?;
    let (minimum, rest) = if has_minimum {
        float(rest)?
    } else {
        (-16.0 * scale, rest)
    };
    let (high, codes) = rest.split_first_chunk()?;
    let high = u32::from_le_bytes(*high);
    out.scales.push(scale);
    out.minimums.push(minimum);
    let fifth = |index: usize| ((high >> index) as u8 & 1) << 4;
    out.bytes
        .extend(codes.iter().enumerate().map(|(i, code)| (code & 15 | fifth(i)) as i8));
    out.bytes.extend(
        codes
            .iter()
            .enumerate()
            .map(|(i, code)| (code >> 4 | fifth(i + 16)) as i8),
    );
    Some(())
}

fn eight_bits(out: &mut Unpacked, block: &[u8]) -> Option<()> {
    let (scale, codes) = float(block)?;
    out.scales.push(scale);
    out.bytes.extend(codes.iter().map(|code| *code as i8));
    Some(())
}

/// The eight six-bit scales and minimums of a block of 256.
fn packed_scales(bytes: &[u8]) -> Option<[(u8, u8); 8]> {
    let (low, rest) = bytes.split_first_chunk::<4>()?;
    let (middle, rest) = rest.split_first_chunk::<4>()?;
    let (high, _) = rest.split_first_chunk::<4>()?;
    let mut pairs = [(0, 0); 8];
    let (first, second) = pairs.split_at_mut(4);
    for ((((first, second), low), middle), high) in first.iter_mut().zip(second).zip(low).zip(middle).zip(high) {
        *first = (low & 63, middle & 63);
        *second = (high & 15 | low >> 6 << 4, high >> 4 | middle >> 6 << 4);
    }
    Some(pairs)
}

fn four_or_five_of_256(out: &mut Unpacked, block: &[u8], fifth: bool) -> Option<()> {
    let (scale, rest) = float(block)?;
    let (minimum, rest) = float(rest)?;
    let (packed, rest) = rest.split_at_checked(12)?;
    for (own_scale, own_minimum) in packed_scales(packed)? {
        out.scales.push(scale * f32::from(own_scale));
        out.minimums.push(-minimum * f32::from(own_minimum));
    }
    let (high, codes) = rest.split_at_checked(if fifth { 32 } else { 0 })?;
    for (pair, codes) in codes.chunks_exact(32).enumerate() {
        if fifth {
            let bit = |high: u8, index: usize| (high >> index & 1) << 4;
            out.bytes.extend(
                codes
                    .iter()
                    .zip(high)
                    .map(|(code, high)| (code & 15 | bit(*high, 2 * pair)) as i8),
            );
            out.bytes.extend(
                codes
                    .iter()
                    .zip(high)
                    .map(|(code, high)| (code >> 4 | bit(*high, 2 * pair + 1)) as i8),
            );
        } else {
            // From "low half, high half of 64" to the same of each 32.
            let (first, second) = codes.split_at_checked(16)?;
            let both = first.iter().zip(second);
            out.nibbles
                .extend(both.clone().map(|(first, second)| first & 15 | second << 4));
            out.nibbles
                .extend(both.map(|(first, second)| first >> 4 | second & 240));
        }
    }
    Some(())
}

fn six_of_256(out: &mut Unpacked, block: &[u8]) -> Option<()> {
    let (low, rest) = block.split_at_checked(128)?;
    let (high, rest) = rest.split_at_checked(64)?;
    let (scales, rest) = rest.split_at_checked(16)?;
    let (scale, _) = float(rest)?;
    out.scales
        .extend(scales.iter().map(|own| scale * f32::from(*own as i8)));
    for (low, high) in low.chunks_exact(64).zip(high.chunks_exact(32)) {
        let (first, second) = low.split_at_checked(32)?;
        let quarter = |low: &[u8], upper: bool, shift: usize| -> Vec<i8> {
            low.iter()
                .zip(high)
                .map(|(low, high)| {
                    let nibble = if upper { low >> 4 } else { low & 15 };
                    (nibble | (high >> shift & 3) << 4) as i8 - 32
                })
                .collect()
        };
        out.bytes.extend(quarter(first, false, 0));
        out.bytes.extend(quarter(second, false, 2));
        out.bytes.extend(quarter(first, true, 4));
        out.bytes.extend(quarter(second, true, 6));
    }
    Some(())
}
