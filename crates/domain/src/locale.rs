//! The locales that an application may offer: upper-case two-letter codes, a fixed list of 183: the
//! reference's 182 and Spanish, which it lacks.

/// The text is not one of the permitted codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not one of the permitted locales")]
pub struct InvalidLocale;

const PERMITTED: &str = "AB AA AF AK SQ AM AR AN HY AS AV AE AY AZ BM BA EU BE BN BI BS BR BG MY CA CH CE NY ZH CU CV KW CO CR HR CS DA DV NL DZ EN EO ET ES EE FO FJ FI FR FT FF GD GL LG KA DE EL KL GN GU HT HA HE HZ HI HO HU IS IO IG ID IA IE IU IK GA IT JA JV KN KR KS KK KM KI RW KY KV KG KO KJ KU LO LA LV LI LN LT LU LB MK MG MS ML MT GV MI MR MH MN NA NV ND NR NG NE NO NB NN OC OJ OR OM OS PI PS FA PL PT PA QU RO RM RN RU SE SM SG SA SC SR SN SD SI SK SL SO ST EW SU SW SS SV TL TY TG TA TT TE TH BO TI TO TS TN TR TK TW UG UK UR UZ VE VI VO WA CY WO XH YI YO ZA ZU";

/// A permitted locale.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locale([u8; 2]);

impl Locale {
    /// English, which every application offers.
    pub const EN: Self = Self(*b"EN");

    /// Parses a code in any letter case.
    ///
    /// # Errors
    /// [`InvalidLocale`] when it is not on the list.
    pub fn parse(text: &str) -> Result<Self, InvalidLocale> {
        let upper = text.to_ascii_uppercase();
        let bytes = <[u8; 2]>::try_from(upper.as_bytes()).map_err(|_| InvalidLocale)?;
        if PERMITTED.split(' ').any(|code| code == upper) { Ok(Self(bytes)) } else { Err(InvalidLocale) }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("EN")
    }

    /// All permitted locales, in the order of the list.
    pub fn all() -> impl Iterator<Item = Self> {
        PERMITTED.split(' ').filter_map(|code| Self::parse(code).ok())
    }
}

impl std::fmt::Debug for Locale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole_and_letter_case_does_not_matter() {
        let all: std::collections::BTreeSet<_> = Locale::all().collect();
        // The reference's list has 183 entries, one of them (LI) twice; Spanish is ours.
        assert_eq!(all.len(), 183);
        assert!(all.contains(&Locale::parse("es").unwrap()));
        assert_eq!(Locale::parse("fr").unwrap().as_str(), "FR");
        assert_eq!(format!("{:?}", Locale::EN), "EN");
        for wrong in ["", "E", "XX", "ENG", "é", "E "] {
            assert!(Locale::parse(wrong).is_err(), "{wrong}");
        }
    }
}
