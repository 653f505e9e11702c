//! Reading stored hashes: PHC strings of argon2id and bcrypt's own form, each within bounds that are
//! checked before a byte of memory is taken.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD_NO_PAD};

use crate::error::CryptoError;

/// The maximum memory of a stored hash: 256 MiB.
pub(super) const MAX_MEMORY_KIB: u32 = 262_144;
/// The maximum passes of a stored hash.
pub(super) const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 8;

/// A stored hash.
#[derive(Debug, PartialEq)]
pub(super) enum Phc {
    Argon2id { memory_kib: u32, passes: u32, lanes: u32, salt: Vec<u8>, output: Vec<u8> },
    Bcrypt { cost: u32 },
}

impl Phc {
    pub(super) fn parse(text: &str) -> Result<Self, CryptoError> {
        if text.len() > 512 {
            return Err(CryptoError::Hash("longer than 512 bytes"));
        }
        let mut parts = text.split('$');
        match (parts.next(), parts.next()) {
            (Some(""), Some("argon2id")) => argon2id(parts),
            (Some(""), Some("2a" | "2b" | "2y")) => bcrypt(parts),
            _ => Err(CryptoError::Hash("it is neither bcrypt nor argon2id")),
        }
    }
}

fn argon2id<'a>(mut parts: impl Iterator<Item = &'a str>) -> Result<Phc, CryptoError> {
    let malformed = || CryptoError::Hash("not an argon2id PHC string");
    let (Some("v=19"), Some(cost), Some(salt), Some(output), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    let mut numbers = cost.split(',');
    let mut number = |name: &str| {
        let text = numbers.next()?.strip_prefix(name)?.strip_prefix('=')?;
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse::<u32>().ok()).flatten()
    };
    let (Some(memory_kib), Some(passes), Some(lanes)) = (number("m"), number("t"), number("p")) else {
        return Err(malformed());
    };
    if numbers.next().is_some() {
        return Err(malformed());
    }
    if !(1..=MAX_PASSES).contains(&passes) || !(1..=MAX_LANES).contains(&lanes) {
        return Err(CryptoError::Hash("more passes or lanes than are allowed"));
    }
    if memory_kib < 8 * lanes || memory_kib > MAX_MEMORY_KIB {
        return Err(CryptoError::Hash("less or more memory than is allowed"));
    }
    let salt = STANDARD_NO_PAD.decode(salt).map_err(|_| malformed())?;
    let output = STANDARD_NO_PAD.decode(output).map_err(|_| malformed())?;
    if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&output.len()) {
        return Err(malformed());
    }
    Ok(Phc::Argon2id { memory_kib, passes, lanes, salt, output })
}

fn bcrypt<'a>(mut parts: impl Iterator<Item = &'a str>) -> Result<Phc, CryptoError> {
    let (Some(cost), Some(rest), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(CryptoError::Hash("not a bcrypt hash"));
    };
    // As strict as at a log-in: 16 bytes of salt, 23 of output, each in its own alphabet.
    let decoder = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);
    let is_whole = |text: Option<&str>| text.is_some_and(|text| decoder.decode(text).is_ok());
    let is_number = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || rest.len() != 53 || !is_whole(rest.get(..22)) || !is_whole(rest.get(22..)) {
        return Err(CryptoError::Hash("not a bcrypt hash"));
    }
    match cost.parse::<u32>() {
        Ok(cost @ 4..=14) => Ok(Phc::Bcrypt { cost }),
        _ => Err(CryptoError::Hash("bcrypt costs of 4 to 14 are allowed")),
    }
}
