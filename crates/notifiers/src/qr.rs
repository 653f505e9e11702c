//! Setup of authenticator apps: the `otpauth` URL and its QR code.

use png::{BitDepth, ColorType, Encoder};
use qrcode::{Color, EcLevel, QrCode};

use crate::message::NotifyError;
use crate::render::percent_encoded;

/// More of an application's name is not shown by authenticator apps, and would not fit beside a long account.
const MAX_ISSUER: usize = 40;
/// Pixels of one module, and modules of white around them (ISO/IEC 18004 wants four).
const SCALE: usize = 5;
const QUIET: usize = 4;

/// The address of a secret, as authenticator apps read it. `key` is base32 without padding.
#[must_use]
pub fn authenticator_uri(issuer: &str, account: &str, key: &str) -> String {
    let issuer = percent_encoded(&issuer.chars().take(MAX_ISSUER).collect::<String>());
    let account = percent_encoded(account).replace("%40", "@");
    format!(
        "otpauth://totp/{issuer}:{account}?secret={key}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
    )
}

/// A text as the picture of a QR code (PNG, black on white).
///
/// # Errors
/// [`NotifyError::Refused`] when the text is too long for one.
pub fn qr_png(text: &str) -> Result<Vec<u8>, NotifyError> {
    let failed = |error: &dyn std::fmt::Display| NotifyError::Refused(error.to_string());
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|error| failed(&error))?;
    let width = code.width();
    let side = (width + 2 * QUIET) * SCALE;
    let modules = code.to_colors();
    let is_dark = |x: usize, y: usize| match (x.checked_sub(QUIET), y.checked_sub(QUIET)) {
        (Some(x), Some(y)) if x < width => modules.get(y * width + x) == Some(&Color::Dark),
        _ => false,
    };
    let pixels: Vec<u8> = (0..side * side)
        .map(|at| if is_dark(at % side / SCALE, at / side / SCALE) { 0 } else { 0xff })
        .collect();
    let side = u32::try_from(side).map_err(|error| failed(&error))?;
    let mut picture = Vec::new();
    let mut encoder = Encoder::new(&mut picture, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| failed(&error))?;
    writer.write_image_data(&pixels).map_err(|error| failed(&error))?;
    writer.finish().map_err(|error| failed(&error))?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_names_issuer_and_account() {
        assert_eq!(
            authenticator_uri("Shop & Co", "ana+x@example.com", "GEZDGNBVGY3TQOJQ"),
            "otpauth://totp/Shop%20%26%20Co:ana%2Bx@example.com?secret=GEZDGNBVGY3TQOJQ&issuer=Shop%20%26%20Co&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn a_picture_is_a_square_png_with_a_white_edge() {
        let picture = qr_png("otpauth://totp/Shop:ana@example.com?secret=GEZDGNBVGY3TQOJQ").unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(&picture));
        let mut reader = decoder.read_info().unwrap();
        let (side, height) = (reader.info().width, reader.info().height);
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(side, height);
        let side = usize::try_from(side).unwrap();
        assert!(pixels[..side * QUIET * SCALE].iter().all(|pixel| *pixel == 0xff));
        let first = (side + 1) * QUIET * SCALE;
        assert_eq!(pixels[first], 0, "the corner of a finder is dark");
        assert!(qr_png(&"x".repeat(5_000)).is_err());
        // The longest heading and account that there can be.
        let uri = authenticator_uri(&"😀".repeat(100), &"ü".repeat(127), &"A".repeat(32));
        assert!(qr_png(&uri).is_ok(), "{}", uri.len());
    }
}
