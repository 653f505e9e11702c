//! Characters in texts from clients: which ones are refused, and which ones mean nothing in a code.

use icu_properties::CodePointSetData;
use icu_properties::props::{Dash, DefaultIgnorableCodePoint};

/// Whether the text holds a character that no name, handle or address may hold: C0 and C1 controls
/// (NUL, CR and LF among them), bidirectional controls, line separators and the byte order mark.
#[must_use]
pub fn has_forbidden_characters(text: &str) -> bool {
    text.chars().any(is_forbidden_character)
}

/// Whether a character shows nothing (Unicode section 5.21). The blank Braille pattern is not among Unicode's, and
/// shows nothing either.
pub(crate) fn is_invisible(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) || c == '\u{2800}'
}

/// A code as a person typed or pasted it, in the form in which it is compared: full-width characters become ASCII;
/// blanks, dashes and invisible characters, which mails and keyboards add, are dropped. Digits of other scripts stay.
pub(crate) fn typed_code(text: &str) -> String {
    let narrow = |c: char| match c {
        // Full-width forms are in the order of ASCII (Unicode, block Halfwidth and Fullwidth Forms).
        '\u{FF01}'..='\u{FF5E}' => u8::try_from(u32::from(c) - 0xFF01 + 0x21).map_or(c, char::from),
        _ => c,
    };
    let is_kept =
        |c: &char| !c.is_whitespace() && !CodePointSetData::new::<Dash>().contains(*c) && !is_invisible(*c);
    text.chars().map(narrow).filter(is_kept).collect()
}

/// Whether [`has_forbidden_characters`] looks for this one.
#[must_use]
pub fn is_forbidden_character(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use crate::{Code, RecoveryCode};

    /// What keyboards, mail programs and copying add to `123456`.
    const PASTED: [&str; 14] = [
        " 123456\r\n",
        "123 456",
        "123-456",
        "\u{a0}123456\u{a0}",
        "123\u{202f}456",
        "123\u{2009}456",
        "\u{3000}123456",
        "123\u{2011}456",
        "123\u{2013}456",
        "123\u{ad}456",
        "\u{feff}123456",
        "\u{200b}1\u{200d}23456",
        "\u{2068}123456\u{2069}",
        "\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}",
    ];

    #[test]
    fn sec_033_what_pasting_adds_to_a_code_is_dropped() {
        for pasted in PASTED {
            assert_eq!(Code::parse(pasted).unwrap().expose(), "123456", "{pasted:?}");
        }
        let recovery = "abcdefghijklmnop";
        for pasted in [
            "ABCD-EFGH-IJKL-MNOP",
            "abcd\u{2011}efgh\u{a0}ijkl\u{200b}mnop",
            "\u{ff41}bcd efgh ijkl mno\u{ff50}",
        ] {
            assert_eq!(RecoveryCode::parse(pasted).unwrap().expose(), recovery, "{pasted:?}");
        }
    }

    #[test]
    fn sec_033_digits_of_other_scripts_and_signs_are_refused() {
        for wrong in [
            "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}",
            "\u{967}\u{968}\u{969}\u{96a}\u{96b}\u{96c}",
            "\u{1d7cf}23456",
            "\u{2460}23456",
            "\u{b9}23456",
            "+123456",
            "123.456",
            "123,456",
            "1e5456",
            "0x123456",
            "12345",
            "123456789",
            "",
        ] {
            assert!(Code::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
