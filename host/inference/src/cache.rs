//! Keys and values of the positions that a sequence has read.
//!
//! One allocation a sequence, for all the positions it may come to have; the system gives memory page by page as positions
//! are written, so that a short answer costs little.

/// The shape of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheShape {
    /// Layers of the model.
    pub layers: usize,
    /// Key-value heads of a layer.
    pub heads: usize,
    /// Values of a head.
    pub width: usize,
}

impl CacheShape {
    /// Bytes that one position takes.
    pub fn position_bytes(&self) -> usize {
        self.layers * self.heads * self.width * 2 * size_of::<f32>()
    }
}

/// The keys and values of one sequence.
#[derive(Debug)]
pub struct Cache {
    shape: CacheShape,
    capacity: usize,
    length: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Cache {
    /// Room for `capacity` positions.
    pub(crate) fn new(shape: CacheShape, capacity: usize) -> Self {
        let size = shape.layers * shape.heads * shape.width * capacity;
        Self {
            shape,
            capacity,
            length: 0,
            keys: vec![0.0; size],
            values: vec![0.0; size],
        }
    }

    /// Positions that have been read.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Positions that it has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn shape(&self) -> CacheShape {
        self.shape
    }

    /// Makes positions that have been written count as read.
    pub(crate) fn advance(&mut self, positions: usize) {
        self.length = (self.length + positions).min(self.capacity);
    }

    /// A copy of what has been read, for another answer to the same prompt.
    pub(crate) fn fork(&self) -> Self {
        let mut copy = Self::new(self.shape, self.capacity);
        let (room, used) = (self.capacity * self.shape.width, self.length * self.shape.width);
        let pairs = [(&mut copy.keys, &self.keys), (&mut copy.values, &self.values)];
        for (to, from) in pairs {
            for (to, from) in to.chunks_mut(room.max(1)).zip(from.chunks(room.max(1))) {
                for (to, from) in to.iter_mut().zip(from).take(used) {
                    *to = *from;
                }
            }
        }
        copy.length = self.length;
        copy
    }

    /// Writes the key and the value of every head at one position of one layer; `key` and `value` hold head after head.
    pub(crate) fn write(&mut self, layer: usize, position: usize, key: &[f32], value: &[f32]) {
        let (room, width) = (self.capacity * self.shape.width, self.shape.width);
        let first = layer * self.shape.heads;
        for (to, from) in [(&mut self.keys, key), (&mut self.values, value)] {
            for (head, from) in from.chunks_exact(width).enumerate() {
                let at = (first + head) * room + position * width;
                if let Some(place) = to.get_mut(at..at + width) {
                    place.copy_from_slice(from);
                }
            }
        }
    }

    /// Keys and values of the first `positions` positions of one head, position after position.
    pub(crate) fn head(&self, layer: usize, head: usize, positions: usize) -> (&[f32], &[f32]) {
        let room = self.capacity * self.shape.width;
        let at = (layer * self.shape.heads + head) * room;
        let range = at..at + positions * self.shape.width;
        (
            self.keys.get(range.clone()).unwrap_or_default(),
            self.values.get(range).unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_holds_what_was_read_and_goes_its_own_way() {
        let mut cache = Cache::new(
            CacheShape {
                layers: 2,
                heads: 2,
                width: 2,
            },
            4,
        );
        for position in 0..2 {
            for layer in 0..2 {
                let base = (position * 10 + layer * 100) as f32;
                cache.write(
                    layer,
                    position,
                    &[base, base + 1.0, base + 2.0, base + 3.0],
                    &[-base; 4],
                );
            }
            cache.advance(1);
        }
        let mut fork = cache.fork();
        assert_eq!(fork.length(), 2);
        for layer in 0..2 {
            for head in 0..2 {
                assert_eq!(fork.head(layer, head, 2), cache.head(layer, head, 2));
            }
        }
        assert_eq!(cache.head(1, 1, 2).0, [102.0, 103.0, 112.0, 113.0]);
        fork.write(0, 2, &[9.0; 4], &[9.0; 4]);
        assert_eq!(cache.head(0, 0, 3).0[4..], [0.0, 0.0]);
    }
}
