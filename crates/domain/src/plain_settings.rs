//! The plain settings of an application: a flag, a number or a choice each. What their table in `settings.rs` says is what
//! the API takes, describes and bounds, what an import reads and what it must keep within. The names by which they are
//! stored are in `latchkey-storage`.

use std::fmt;

use crate::settings::AppSettings;

/// A setting with one value.
#[derive(Debug)]
pub struct PlainSetting {
    /// The name that selects it in the API. Settings that belong together share one.
    pub name: &'static str,
    /// The field of its value in the API, and in the documents of a Cosync JWT server.
    pub field: &'static str,
    /// What it does, where the name does not say.
    pub about: &'static str,
    /// Whether clients of the application see it, not only operators.
    pub is_public: bool,
    /// Its values.
    pub kind: PlainKind,
}

/// The values of a [`PlainSetting`], and where they are among the settings.
#[derive(Debug)]
pub enum PlainKind {
    /// On or off.
    Flag {
        /// Reads it.
        get: fn(&AppSettings) -> bool,
        /// Writes it.
        set: fn(&mut AppSettings, bool),
    },
    /// A whole number from `least` to `most`.
    Number {
        /// The least value.
        least: u32,
        /// The greatest value that can be set.
        most: u32,
        /// The greatest value that an import keeps.
        most_imported: u32,
        /// Reads it.
        get: fn(&AppSettings) -> u32,
        /// Writes it.
        set: fn(&mut AppSettings, u32),
    },
    /// One of several names.
    Choice {
        /// The names.
        names: &'static [&'static str],
        /// Reads it.
        get: fn(&AppSettings) -> &'static str,
        /// Writes it; a name that is not listed changes nothing.
        set: fn(&mut AppSettings, &str),
    },
}

/// A value of a [`PlainSetting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainValue {
    /// Of a flag.
    Flag(bool),
    /// Of a number.
    Number(u32),
    /// Of a choice.
    Choice(&'static str),
}

impl fmt::Display for PlainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(on) => on.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Choice(name) => f.write_str(name),
        }
    }
}

impl PlainSetting {
    /// Its value among these settings.
    #[must_use]
    pub fn value(&self, settings: &AppSettings) -> PlainValue {
        match self.kind {
            PlainKind::Flag { get, .. } => PlainValue::Flag(get(settings)),
            PlainKind::Number { get, .. } => PlainValue::Number(get(settings)),
            PlainKind::Choice { get, .. } => PlainValue::Choice(get(settings)),
        }
    }

    /// Sets its value.
    ///
    /// # Errors
    /// A sentence that names the bounds; the settings are unchanged then.
    pub fn set(&self, settings: &mut AppSettings, value: PlainValue) -> Result<(), String> {
        self.check(value)?;
        self.restore(settings, value);
        Ok(())
    }

    /// Sets a value that was stored, whatever the bounds are now. One of another kind changes nothing.
    pub fn restore(&self, settings: &mut AppSettings, value: PlainValue) {
        match (&self.kind, value) {
            (PlainKind::Flag { set, .. }, PlainValue::Flag(on)) => set(settings, on),
            (PlainKind::Number { set, .. }, PlainValue::Number(number)) => set(settings, number),
            (PlainKind::Choice { set, .. }, PlainValue::Choice(name)) => set(settings, name),
            _ => {}
        }
    }

    /// Checks that a value is of its kind and within its bounds.
    ///
    /// # Errors
    /// A sentence that names the bounds.
    pub fn check(&self, value: PlainValue) -> Result<(), String> {
        self.check_up_to(value, |most, _| most)
    }

    /// As [`Self::check`], for a value that is imported.
    ///
    /// # Errors
    /// A sentence that names the bounds.
    pub fn check_imported(&self, value: PlainValue) -> Result<(), String> {
        self.check_up_to(value, |_, most_imported| most_imported)
    }

    fn check_up_to(&self, value: PlainValue, bound: fn(u32, u32) -> u32) -> Result<(), String> {
        match (&self.kind, value) {
            (PlainKind::Flag { .. }, PlainValue::Flag(_)) => Ok(()),
            (PlainKind::Flag { .. }, _) => Err(format!("{} is true or false", self.field)),
            (PlainKind::Number { least, most, most_imported, .. }, value) => {
                let most = bound(*most, *most_imported);
                match value {
                    PlainValue::Number(number) if (*least..=most).contains(&number) => Ok(()),
                    _ => Err(format!("{} is {least} to {most}", self.field)),
                }
            }
            (PlainKind::Choice { names, .. }, PlainValue::Choice(name)) if names.contains(&name) => Ok(()),
            (PlainKind::Choice { names, .. }, _) => {
                Err(format!("{} is one of {}", self.field, names.join(", ")))
            }
        }
    }
}

/// The type of a setting of this kind.
macro_rules! plain_type {
    (flag) => {
        bool
    };
    (number($($bounds:tt)*)) => {
        u32
    };
    (choice($values:ty)) => {
        $values
    };
}

/// The kind of a setting, with access to it by its path in the settings.
macro_rules! plain_kind {
    (flag, $($path:ident).+) => {
        $crate::plain_settings::PlainKind::Flag {
            get: |settings| settings.$($path).+,
            set: |settings, on| settings.$($path).+ = on,
        }
    };
    (number($least:literal..=$most:expr), $($path:ident).+) => {
        $crate::plain_settings::plain_kind!(number($least..=$most, imported $most), $($path).+)
    };
    (number($least:literal..=$most:expr, imported $imported:expr), $($path:ident).+) => {
        $crate::plain_settings::PlainKind::Number {
            least: $least,
            most: $most,
            most_imported: $imported,
            get: |settings| settings.$($path).+,
            set: |settings, number| settings.$($path).+ = number,
        }
    };
    (choice($values:ty), $path:ident) => {
        $crate::plain_settings::PlainKind::Choice {
            names: <$values as strum::VariantNames>::VARIANTS,
            get: |settings| settings.$path.name(),
            set: |settings, name| {
                if let Some(value) = <$values>::from_name(name) {
                    settings.$path = value;
                }
            },
        }
    };
}

/// Defines the settings of an application: the structure, the presets, and the table [`PLAIN_SETTINGS`]. A line of
/// `plain` says who sees a setting, the name that selects it and its field in the API, its field here, its kind, what a
/// new application has, and what it does. `within` are those of inner structures.
macro_rules! app_settings {
    (
        $(#[$doc:meta])*
        if $recommended:ident;
        plain {
            $( $shown:ident $name:literal $field:literal $ident:ident: $kind:ident $(($($limits:tt)*))? = $preset:expr, $about:literal; )+
        }
        within {
            $( $inner_shown:ident $inner_name:literal $inner_field:literal $outer:ident.$inner:ident: $inner_kind:ident $(($($inner_limits:tt)*))?, $inner_about:literal; )+
        }
        others {
            $( $(#[$other_doc:meta])+ $other:ident: $type:ty = $other_preset:expr; )+
        }
    ) => {
        $(#[$doc])*
        pub struct AppSettings {
            $( #[doc = $about] pub $ident: $crate::plain_settings::plain_type!($kind $(($($limits)*))?), )+
            $( $(#[$other_doc])+ pub $other: $type, )+
        }

        impl AppSettings {
            /// The settings of a new application.
            #[must_use]
            pub fn preset(preset: Preset) -> Self {
                let $recommended = preset == Preset::Recommended;
                Self { $( $ident: $preset, )+ $( $other: $other_preset, )+ }
            }
        }

        /// The settings with one value each.
        pub const PLAIN_SETTINGS: &[PlainSetting] = &[
            $( PlainSetting {
                name: $name,
                field: $field,
                about: $about,
                is_public: $shown,
                kind: $crate::plain_settings::plain_kind!($kind $(($($limits)*))?, $ident),
            }, )+
            $( PlainSetting {
                name: $inner_name,
                field: $inner_field,
                about: $inner_about,
                is_public: $inner_shown,
                kind: $crate::plain_settings::plain_kind!($inner_kind $(($($inner_limits)*))?, $outer.$inner),
            }, )+
        ];
    };
}

pub(crate) use {app_settings, plain_kind, plain_type};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{PLAIN_SETTINGS, Preset};

    #[test]
    fn every_setting_is_read_as_it_was_written_and_is_apart_from_the_others() {
        for setting in PLAIN_SETTINGS {
            let mut settings = AppSettings::preset(Preset::Recommended);
            let before = setting.value(&settings);
            let other = match (&setting.kind, before) {
                (PlainKind::Number { least, most, .. }, PlainValue::Number(now)) => {
                    PlainValue::Number(if now == *most { *least } else { *most })
                }
                (PlainKind::Choice { names, .. }, PlainValue::Choice(now)) => {
                    PlainValue::Choice(names.iter().find(|name| **name != now).unwrap())
                }
                (PlainKind::Flag { .. }, PlainValue::Flag(on)) => PlainValue::Flag(!on),
                (_, value) => panic!("{} reads as {value:?}", setting.field),
            };
            let original = settings.clone();
            setting.set(&mut settings, other).unwrap();
            let changed: Vec<_> = PLAIN_SETTINGS
                .iter()
                .filter(|candidate| candidate.value(&settings) != candidate.value(&original))
                .map(|candidate| candidate.field)
                .collect();
            assert_eq!(changed, [setting.field]);
            setting.set(&mut settings, before).unwrap();
            assert_eq!(settings, original, "{}", setting.field);
        }
    }

    #[test]
    fn a_value_out_of_bounds_or_of_another_kind_changes_nothing() {
        let original = AppSettings::preset(Preset::Compatible);
        for setting in PLAIN_SETTINGS {
            let mut settings = original.clone();
            let wrong = match &setting.kind {
                PlainKind::Number { most, .. } if *most < u32::MAX => PlainValue::Number(most + 1),
                PlainKind::Number { .. } => PlainValue::Flag(true),
                PlainKind::Flag { .. } => PlainValue::Number(1),
                PlainKind::Choice { .. } => PlainValue::Choice("canary"),
            };
            let sentence = setting.set(&mut settings, wrong).unwrap_err();
            assert!(sentence.starts_with(&format!("{} is ", setting.field)), "{sentence}");
            assert_eq!(settings, original);
        }
    }
}
