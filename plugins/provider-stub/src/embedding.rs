//! Vectors of unit length from a hash of the input: equal inputs have equal vectors, others are nearly orthogonal. They
//! carry no meaning.

use encaje_sdk::chat::Usage;
use encaje_sdk::embeddings::{EmbedInput, EmbedRequest, EmbedResponse};
use encaje_sdk::errors::Problem;

use crate::hash::{Sequence, seed};
use crate::limits::{MAX_DIMENSIONS, MAX_INPUTS};
use crate::words;

/// Answers a request; `dimensions` is the length where the request does not say.
pub(crate) fn embed(request: &EmbedRequest, dimensions: u32, context_tokens: u32) -> Result<EmbedResponse, Problem> {
    if request.inputs.is_empty() || request.inputs.len() > MAX_INPUTS {
        return Err(Problem::invalid_request(format!("between 1 and {MAX_INPUTS} inputs, please")).with_param("input"));
    }
    let dimensions = request.dimensions.unwrap_or(dimensions);
    if dimensions == 0 || dimensions > MAX_DIMENSIONS {
        let message = format!("dimensions must lie between 1 and {MAX_DIMENSIONS}");
        return Err(Problem::invalid_request(message).with_param("dimensions"));
    }
    let mut vectors = Vec::with_capacity(request.inputs.len() * dimensions as usize);
    let mut covered = Vec::with_capacity(request.inputs.len());
    let mut input_tokens = 0;
    for input in &request.inputs {
        let (seed, tokens) = match input {
            EmbedInput::Text(text) => (seed(text.as_bytes()), words::count(text)),
            EmbedInput::Tokens(tokens) => {
                let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
                (seed(&bytes), tokens.len() as u64)
            }
        };
        // Like a real model's truncation: the vector still stands for the whole hash, but the answer owns up to it.
        covered.push(u32::try_from(tokens).unwrap_or(u32::MAX).min(context_tokens));
        input_tokens += tokens;
        push_unit_vector(&mut vectors, seed, dimensions);
    }
    let usage = Usage {
        input_tokens,
        cached_input_tokens: 0,
        cache_write_tokens: 0,
        output_tokens: 0,
        reasoning_tokens: 0,
        extra: Vec::new(),
    };
    Ok(EmbedResponse {
        dimensions,
        vectors,
        covered,
        usage,
        extra: Vec::new(),
    })
}

fn push_unit_vector(vectors: &mut Vec<f32>, seed: u64, dimensions: u32) {
    let start = vectors.len();
    let mut sequence = Sequence(seed);
    vectors.extend((0..dimensions).map(|_| sequence.signed_unit()));
    let Some(row) = vectors.get_mut(start..) else { return };
    let length = row
        .iter()
        .map(|value| f64::from(*value) * f64::from(*value))
        .sum::<f64>()
        .sqrt();
    if length > 0.0 {
        row.iter_mut()
            .for_each(|value| *value = (f64::from(*value) / length) as f32);
    } else if let Some(first) = row.first_mut() {
        *first = 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::{EmbedInput, EmbedRequest, embed};
    use encaje_sdk::embeddings::Purpose;

    fn request(inputs: &[&str], dimensions: Option<u32>) -> EmbedRequest {
        EmbedRequest {
            model: "stub".to_owned(),
            inputs: inputs.iter().map(|text| EmbedInput::Text((*text).to_owned())).collect(),
            purpose: Purpose::Unspecified,
            dimensions,
            extra: Vec::new(),
        }
    }

    #[test]
    fn equal_inputs_have_equal_unit_vectors_and_others_do_not() {
        let response = embed(&request(&["hola", "hello", "hola", ""], Some(64)), 384, 100).unwrap();
        assert_eq!((response.dimensions, response.vectors.len()), (64, 4 * 64));
        let rows: Vec<&[f32]> = response.vectors.chunks(64).collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        for row in &rows {
            assert!((dot(row, row) - 1.0).abs() < 1e-6);
        }
        assert_eq!(rows[0], rows[2]);
        assert!(dot(rows[0], rows[1]).abs() < 0.5);
        assert_eq!(response.covered, [1, 1, 1, 0]);
        assert_eq!(response.usage.input_tokens, 3);
    }

    #[test]
    fn the_configured_length_is_the_default_and_truncation_is_reported() {
        let response = embed(&request(&["one two three"], None), 5, 2).unwrap();
        assert_eq!((response.dimensions, response.vectors.len()), (5, 5));
        assert_eq!((response.covered, response.usage.input_tokens), (vec![2], 3));
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        assert_eq!(
            embed(&request(&[], None), 5, 2).unwrap_err().param.as_deref(),
            Some("input")
        );
        assert_eq!(
            embed(&request(&["a"], Some(0)), 5, 2).unwrap_err().param.as_deref(),
            Some("dimensions")
        );
        assert_eq!(
            embed(&request(&["a"], Some(4097)), 5, 2).unwrap_err().param.as_deref(),
            Some("dimensions")
        );
    }
}
