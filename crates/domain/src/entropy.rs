//! The port through which randomness comes in, and a repeatable source for tests.
//! The system's source is `SystemEntropy` in `latchkey-crypto`: this crate does no I/O.

use std::sync::Mutex;

/// The system's random source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random source failed")]
pub struct EntropyError;

/// A source of random bytes fit for keys.
pub trait Entropy: Send + Sync {
    /// Fills the whole buffer.
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails; the buffer must not be used then.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError>;
}

impl dyn Entropy + '_ {
    /// `N` random bytes.
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A number below `bound`, each equally likely (`bound` 0 gives 0).
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails.
    pub fn below(&self, bound: u32) -> Result<u32, EntropyError> {
        if bound == 0 {
            return Ok(0);
        }
        // Numbers above the last whole multiple would make small results more likely.
        let limit = u32::MAX - u32::MAX % bound;
        loop {
            let drawn = u32::from_le_bytes(self.bytes()?);
            if drawn < limit {
                return Ok(drawn % bound);
            }
        }
    }
}

/// A repeatable source for tests: the same seed gives the same bytes. Never a source for real keys.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// A source that begins at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        let mut state = self.0.lock().map_err(|_| EntropyError)?;
        for chunk in buffer.chunks_mut(8) {
            // SplitMix64: any generator with a good spread does.
            *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut word = *state;
            word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            word ^= word >> 31;
            for (byte, random) in chunk.iter_mut().zip(word.to_le_bytes()) {
                *byte = random;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives these numbers, one after the other.
    struct Scripted(Mutex<Vec<u32>>);

    impl Entropy for Scripted {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
            let drawn = self.0.lock().unwrap().remove(0);
            buffer.copy_from_slice(&drawn.to_le_bytes());
            Ok(())
        }
    }

    #[test]
    fn numbers_above_the_last_whole_multiple_are_drawn_again() {
        let below = |bound, drawn: &[u32]| {
            let entropy = Scripted(Mutex::new(drawn.to_vec()));
            (&entropy as &dyn Entropy).below(bound).unwrap()
        };
        assert_eq!(below(10, &[4_294_967_289]), 9);
        assert_eq!(below(10, &[4_294_967_290, u32::MAX, 23]), 3);
        assert_eq!(below(1, &[7]), 0);
        assert_eq!(below(0, &[]), 0);
    }

    /// The test vector of SplitMix64 for the seed 0.
    #[test]
    fn a_seed_gives_the_known_bytes() {
        let entropy = SeededEntropy::new(0);
        let mut bytes = [0; 24];
        entropy.fill(&mut bytes).unwrap();
        let words = bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        let expected = [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F];
        assert_eq!(words.collect::<Vec<_>>(), expected);
    }
}
