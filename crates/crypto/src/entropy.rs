//! The system's random source.

use latchkey_domain::{Entropy, EntropyError};
use ring::rand::{SecureRandom, SystemRandom};

/// Random bytes from the operating system, fit for keys.
#[derive(Debug, Clone)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// The system's source.
    #[must_use]
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that opens the system's random source")]
        Self(SystemRandom::new())
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        self.0.fill(buffer).map_err(|_| EntropyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_bytes_are_drawn() {
        let (one, other) = ([0; 32], [0; 32]);
        let [one, other] = [one, other].map(|mut bytes| {
            SystemEntropy::new().fill(&mut bytes).unwrap();
            bytes
        });
        assert!(one != other && one != [0; 32]);
    }
}
