//! How a section of the settings is written down: once, with the default, the bounds and the meaning of each field.

use std::fmt;

/// The greatest value of a number that only its type bounds.
pub(super) const NO_BOUND: u64 = u64::MAX;

/// A setting with its value.
#[derive(Debug)]
pub struct Described {
    /// Section and name.
    pub key: String,
    /// What it does, and in which unit.
    pub about: String,
    /// The value, as JSON; a secret is masked.
    pub value: serde_json::Value,
    /// The bounds of a number.
    pub bounds: Option<Bounds>,
}

impl Described {
    /// The rule that its value breaks, if it is a number out of its bounds.
    pub(super) fn mistake(&self) -> Option<String> {
        let (bounds, value) = (self.bounds?, self.value.as_u64()?);
        (!bounds.hold(value)).then(|| format!("{} {}", self.key, self.rule()))
    }

    /// The number, if it is out of its bounds. In the environment numbers are texts.
    pub(super) fn out_of_bounds(&self, value: &config::Value) -> Option<u64> {
        let (bounds, value) = (self.bounds?, value.clone().into_uint().ok()?);
        (!bounds.hold(value)).then_some(value)
    }

    /// What a value must be, after the name.
    pub(super) fn rule(&self) -> String {
        match (&self.bounds, &self.value) {
            (Some(bounds), _) => format!("must be a whole number, {bounds}"),
            (None, serde_json::Value::Bool(_)) => "must be true or false".to_owned(),
            (None, serde_json::Value::Array(_)) => "must be a list of texts".to_owned(),
            (None, _) => "must be a text".to_owned(),
        }
    }
}

/// The bounds of a number.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    least: u64,
    most: u64,
}

impl Bounds {
    fn hold(self, value: u64) -> bool {
        (self.least..=self.most).contains(&value)
    }

    /// Whether there is more to say than that it is a number.
    #[must_use]
    pub fn are_narrow(self) -> bool {
        self.least > 0 || self.most < u64::from(u32::MAX)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            NO_BOUND => write!(f, "at least {}", self.least),
            most => write!(f, "{} to {most}", self.least),
        }
    }
}

/// A type of whole numbers.
pub(super) trait Whole {
    /// Its greatest value.
    const MOST: u64;
}

impl Whole for u16 {
    const MOST: u64 = 0xFFFF;
}

impl Whole for u32 {
    const MOST: u64 = 0xFFFF_FFFF;
}

impl Whole for u64 {
    const MOST: u64 = Self::MAX;
}

impl Whole for usize {
    const MOST: u64 = u64::MAX;
}

/// The bounds of a number of type `T`.
pub(super) fn bounds_of<T: Whole>(least: u64, most: u64) -> Bounds {
    Bounds { least, most: most.min(T::MOST) }
}

/// A section of the settings.
pub(super) trait Section {
    /// Every field, with its value in this section.
    fn described(&self) -> Vec<Described>;
}

/// Defines a section: each field with its meaning, type, default and, for numbers, bounds.
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

        impl super::section::Section for $name {
            fn described(&self) -> Vec<super::section::Described> {
                let mut values = super::source::fields_of(self);
                vec![$(
                    super::section::Described {
                        key: concat!($key, ".", stringify!($field)).to_owned(),
                        about: [$($about),+].concat().trim().to_owned(),
                        value: values.remove(stringify!($field)).unwrap_or_default(),
                        bounds: [$( Some(super::section::bounds_of::<$type>($least, $most)), )? None]
                            .into_iter()
                            .next()
                            .flatten(),
                    },
                )+]
            }
        }
    };
}

pub(super) use section;
