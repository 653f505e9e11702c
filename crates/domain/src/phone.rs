//! Phone numbers in the form of ITU-T E.164, and country codes.
//! Whether a number is in service is not known here.

use std::fmt;

/// The text is not an international phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a phone number needs + and the country code")]
pub struct InvalidPhone;

/// The text is not a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such calling code")]
pub struct InvalidCallingCode;

/// The code of a country or territory, without `+`. Members of the North American plan outside of the United States and
/// Canada are identified by their area codes, such as `1876`: calls there cost many times as much.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallingCode(&'static str);

impl CallingCode {
    /// Parses a code with or without `+`.
    ///
    /// # Errors
    /// [`InvalidCallingCode`].
    pub fn parse(text: &str) -> Result<Self, InvalidCallingCode> {
        let digits = text.trim().trim_start_matches('+');
        CALLING_CODES.iter().find(|code| **code == digits).map(|code| Self(code)).ok_or(InvalidCallingCode)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for CallingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

/// A phone number (ITU-T E.164): `+` and 8 to 15 digits, starting with the country code. `Debug` masks it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

impl Phone {
    /// Parses a number with its calling code and without the zero that is dialled before it at home. Blanks, hyphens,
    /// dots, slashes, brackets and the `(0)` of some countries' writing mean nothing.
    ///
    /// # Errors
    /// [`InvalidPhone`].
    pub fn parse(text: &str) -> Result<Self, InvalidPhone> {
        let text = text.trim().replace("(0)", "");
        let written = text.strip_prefix('+').ok_or(InvalidPhone)?;
        let mut number = String::from("+");
        for character in written.chars() {
            match character {
                '0'..='9' => number.push(character),
                ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')' => {}
                _ => return Err(InvalidPhone),
            }
        }
        // Mexico has dropped the 1 that mobile numbers once had.
        if number.len() == 14 && number.starts_with("+521") {
            number.remove(3);
        }
        let phone = Self(number);
        let code = phone.find_code().ok_or(InvalidPhone)?;
        let has_trunk_zero = phone.digits().get(code.0.len()..).is_some_and(|rest| rest.starts_with('0'));
        let is_right = !has_trunk_zero || KEEPS_ZERO.contains(&code.0);
        if is_right && (8..=15).contains(&phone.digits().len()) { Ok(phone) } else { Err(InvalidPhone) }
    }

    /// A stored number, even if it would be refused now: `+` and 8 to 15 digits.
    ///
    /// # Errors
    /// [`InvalidPhone`].
    pub fn from_stored(text: &str) -> Result<Self, InvalidPhone> {
        let digits = text.strip_prefix('+').ok_or(InvalidPhone)?;
        if (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPhone)
        }
    }

    /// The number, with its `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    fn find_code(&self) -> Option<CallingCode> {
        let begins = |code: &&&str| self.digits().starts_with(**code);
        CALLING_CODES.iter().filter(begins).max_by_key(|code| code.len()).map(|code| CallingCode(code))
    }

    /// Whether the number belongs to one of these countries and is not premium-rate.
    #[must_use]
    pub fn is_allowed(&self, countries: &[CallingCode]) -> bool {
        !self.is_premium() && self.calling_code().is_some_and(|code| countries.contains(&code))
    }

    /// The calling code.
    #[must_use]
    pub fn calling_code(&self) -> Option<CallingCode> {
        self.find_code()
    }

    /// Whether calls and messages to it cost extra: premium, shared-cost, satellite and personal ranges.
    #[must_use]
    pub fn is_premium(&self) -> bool {
        let digits = self.digits();
        // In the North American plan 976 is a premium exchange of every area.
        let is_exchange_976 = digits.starts_with('1') && digits.get(4..7) == Some("976");
        is_exchange_976 || PREMIUM.iter().any(|prefix| digits.starts_with(prefix))
    }

    /// The first seven digits: numbers of one range are often bought together.
    #[must_use]
    pub fn range(&self) -> &str {
        self.digits().get(..7).unwrap_or_default()
    }

    /// The number for people who read logs: its calling code and its last two digits.
    #[must_use]
    pub fn masked(&self) -> String {
        let code = self.find_code().map_or("", CallingCode::as_str);
        let end = self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default();
        format!("+{code}***{end}")
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Assigned geographic codes (ITU-T E.164 list of 2016 and its amendments), and the area codes of the North
/// American plan that are territories of their own.
const CALLING_CODES: &[&str] = &[
    "1", "1242", "1246", "1264", "1268", "1284", "1340", "1345", "1441", "1473", "1649", "1658", "1664",
    "1670", "1671", "1684", "1721", "1758", "1767", "1784", "1787", "1809", "1829", "1849", "1868", "1869",
    "1876", "1939", "20", "211", "212", "213", "216", "218", "220", "221", "222", "223", "224", "225", "226",
    "227", "228", "229", "230", "231", "232", "233", "234", "235", "236", "237", "238", "239", "240", "241",
    "242", "243", "244", "245", "246", "247", "248", "249", "250", "251", "252", "253", "254", "255", "256",
    "257", "258", "260", "261", "262", "263", "264", "265", "266", "267", "268", "269", "27", "290", "291",
    "297", "298", "299", "30", "31", "32", "33", "34", "350", "351", "352", "353", "354", "355", "356",
    "357", "358", "359", "36", "370", "371", "372", "373", "374", "375", "376", "377", "378", "380", "381",
    "382", "383", "385", "386", "387", "389", "39", "40", "41", "420", "421", "423", "43", "44", "45", "46",
    "47", "48", "49", "500", "501", "502", "503", "504", "505", "506", "507", "508", "509", "51", "52", "53",
    "54", "55", "56", "57", "58", "590", "591", "592", "593", "594", "595", "596", "597", "598", "599", "60",
    "61", "62", "63", "64", "65", "66", "670", "672", "673", "674", "675", "676", "677", "678", "679", "680",
    "681", "682", "683", "685", "686", "687", "688", "689", "690", "691", "692", "7", "76", "77", "81", "82",
    "84", "850", "852", "853", "855", "856", "86", "880", "886", "90", "91", "92", "93", "94", "95", "960",
    "961", "962", "963", "964", "965", "966", "967", "968", "970", "971", "972", "973", "974", "975", "976",
    "977", "98", "992", "993", "994", "995", "996", "998",
];

/// Where a number's own first digit may be a zero; elsewhere one is dialled at home only, and would make a second
/// spelling of the number.
const KEEPS_ZERO: &[&str] = &["225", "226", "229", "241", "242", "378", "39", "76", "77"];

/// Ranges that are premium-rate or not of subscribers: by country code, then national prefix.
const PREMIUM: &[&str] = &[
    "1500", "1521", "1522", "1523", "1524", "1525", "1526", "1527", "1528", "1529", "1532", "1533", "1535",
    "1538", "1542", "1543", "1544", "1545", "1546", "1547", "1549", "1550", "1552", "1553", "1554", "1556",
    "1566", "1569", "1577", "1578", "1588", "1589", "1700", "1900", "27862", "30901", "30909", "3190",
    "3290", "3381", "3382", "3389", "34803", "34806", "34807", "34905", "3516", "358600", "358700", "3690",
    "37090", "37190", "372900", "38090", "39199", "3989", "4090", "41900", "41901", "41906", "42090",
    "421900", "43900", "43901", "43930", "43931", "43939", "4470", "4484", "4487", "449", "4590", "46900",
    "46939", "46944", "4782", "4870", "49137", "4918", "4919", "49900", "52900", "55900", "60600", "61190",
    "64900", "651900", "7803", "7809", "81570", "81990", "8260", "90900", "97219", "971700",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codes(codes: &[&str]) -> Vec<CallingCode> {
        codes.iter().map(|code| CallingCode::parse(code).unwrap()).collect()
    }

    #[test]
    fn sec_047_all_spellings_are_one_number() {
        for spelling in [
            "+4915112345678",
            " +49 151 1234 5678 ",
            "+49(0)151/1234-5678",
            "+49.151.12345678",
            "+49\u{a0}151\u{a0}12345678",
            "+49(151)12345678",
        ] {
            assert_eq!(Phone::parse(spelling).unwrap().as_str(), "+4915112345678", "{spelling}");
        }
        for wrong in [
            "",
            "+",
            "015112345678",
            "4915112345678",
            "+49151",
            "+4915112345678901",
            "+49151abc5678",
            "++4915112345678",
            "+0015112345678",
            "+2100000000",
            "+49151\u{0661}2345678",
            "+49151123456\n78",
            "+979123456789",
            "+4909001234567",
            "+49 0 151 12345678",
            "+330612345678",
        ] {
            assert!(Phone::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sec_047_only_listed_countries_and_no_premium_numbers() {
        let number = |text: &str| Phone::parse(text).unwrap();
        assert!(number("+12025550123").is_allowed(&codes(&["1"])));
        assert!(!number("+12025550123").is_allowed(&codes(&["49"])));
        assert!(!number("+12025550123").is_allowed(&[]));
        // Islands share the country code 1, and are listed by their area codes.
        assert!(!number("+18765550123").is_allowed(&codes(&["1"])));
        assert!(number("+18765550123").is_allowed(&codes(&["1876"])));
        for premium in [
            "+19005550123",
            "+12029761234",
            "+449098790000",
            "+4490012345678",
            "+49900312345",
            "+33891234567",
        ] {
            assert!(number(premium).is_premium(), "{premium}");
            assert!(!number(premium).is_allowed(&codes(&["1", "44", "49", "33"])), "{premium}");
        }
        assert!(!number("+77011234567").is_allowed(&codes(&["7"])), "Kazakhstan is no part of Russia");
        assert_eq!(number("+5215512345678"), number("+525512345678"));
        assert!(Phone::parse("+390612345678").is_ok() && Phone::parse("+2250712345678").is_ok());
        for plain in ["+12025550123", "+447911123456", "+4915112345678", "+33612345678", "+5511987654321"] {
            assert!(!number(plain).is_premium(), "{plain}");
        }
    }

    #[test]
    fn a_stored_number_is_read_whatever_is_refused_since() {
        assert_eq!(Phone::from_stored("+00151123").unwrap().as_str(), "+00151123");
        for wrong in ["", "49151123", "+1234567", "+1234567890123456", "+4915112a", "+49 151 12"] {
            assert!(Phone::from_stored(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn calling_codes_are_known_ones() {
        assert_eq!(CallingCode::parse("+49").unwrap().as_str(), "49");
        for wrong in ["", "+", "0", "999", "49 ,", "1999"] {
            assert!(CallingCode::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Phone::parse("+18765550123").unwrap().calling_code(), CallingCode::parse("1876").ok());
    }

    #[test]
    fn sec_103_a_number_prints_masked() {
        let phone = Phone::parse("+4915112345678").unwrap();
        assert_eq!(format!("{phone:?}"), "+49***78");
        assert_eq!(format!("{:?}", phone.calling_code().unwrap()), "+49");
        assert_eq!(phone.range(), "4915112");
    }

    proptest! {
        #[test]
        fn nonsense_never_panics_and_what_parses_parses_again(text in "\\PC{0,30}") {
            if let Ok(phone) = Phone::parse(&text) {
                prop_assert_eq!(Phone::parse(phone.as_str()), Ok(phone.clone()));
                prop_assert_eq!(Phone::from_stored(phone.as_str()), Ok(phone.clone()));
                let _ = (phone.range().len(), phone.masked(), phone.is_premium());
            }
        }
    }
}
