//! What every text from outside must satisfy before it means anything: no control characters, no
//! characters that reorder what a person reads.

/// Whether the text holds a character that no name, handle or address may hold: C0 and C1 controls
/// (NUL, CR and LF among them), bidirectional controls, line separators and the byte order mark.
#[must_use]
pub fn has_forbidden_characters(text: &str) -> bool {
    text.chars().any(is_forbidden_character)
}

/// Whether [`has_forbidden_characters`] looks for this one.
#[must_use]
pub fn is_forbidden_character(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}
