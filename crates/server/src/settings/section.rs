//! How a section of the settings is written down: once, with the default, the bounds and the meaning of each field.

/// The greatest value of a number without an upper bound.
pub(super) const NO_BOUND: u64 = u64::MAX;

/// A setting as `config reference` shows it.
#[derive(Debug)]
pub struct Described {
    /// Section and name.
    pub key: String,
    /// What it does, and in which unit.
    pub about: String,
    /// The value that holds if nothing is set.
    pub default: String,
    /// The bounds of a number.
    pub bounds: Option<(u64, u64)>,
}

impl Described {
    pub(super) fn new(
        key: String,
        about: &[&str],
        default: &serde_json::Value,
        bounds: Option<(u64, u64)>,
    ) -> Self {
        let about = about.concat().trim().to_owned();
        Self { key, about, default: default.to_string(), bounds }
    }
}

/// The mistake of a number out of its bounds.
pub(super) fn out_of_bounds(key: &str, value: u64, (least, most): (u64, u64)) -> Option<String> {
    match (least..=most).contains(&value) {
        true => None,
        false if most == NO_BOUND => Some(format!("{key} is at least {least}")),
        false => Some(format!("{key} is {least} to {most}")),
    }
}

/// Defines a section: each field with its meaning, type, default and, for some numbers, bounds.
macro_rules! section {
    (
        $(#[$doc:meta])*
        $name:ident, $key:literal {
            $( $(#[doc = $about:literal])+ $(#[serde($($serde:tt)*)])? $field:ident: $type:ty = $default:expr
                $(, $least:literal..=$most:expr)?; )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $( $(#[doc = $about])+ $(#[serde($($serde)*)])? pub $field: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        impl $name {
            /// The numbers that are out of their bounds.
            pub(super) fn mistakes(&self) -> Vec<String> {
                let checks: Vec<Option<String>> = vec![$( $(
                    super::section::out_of_bounds(
                        concat!($key, ".", stringify!($field)),
                        u64::try_from(self.$field).unwrap_or(u64::MAX),
                        ($least, $most),
                    ),
                )? )+];
                checks.into_iter().flatten().collect()
            }

            /// Every field, for `config reference`.
            pub(super) fn described() -> Vec<super::section::Described> {
                let defaults = super::source::fields_of(&Self::default());
                let default = |field: &str| defaults.get(field).cloned().unwrap_or_default();
                vec![$(
                    super::section::Described::new(
                        concat!($key, ".", stringify!($field)).to_owned(),
                        &[$($about),+],
                        &default(stringify!($field)),
                        [$( Some(($least, $most)), )? None].into_iter().next().flatten(),
                    ),
                )+]
            }
        }
    };
}

pub(super) use section;
