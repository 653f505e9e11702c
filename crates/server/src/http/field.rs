//! The fields of requests: what a handler reads by, and what the API description lists.

/// A field that a request sends. A handler that reads one which its operation does not list panics in debug builds, and
/// so in tests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
    pub(crate) about: &'static str,
    /// Whether the example of a request contains the field: false for an alternative to another field.
    pub(crate) is_shown: bool,
    /// The pattern of a text.
    pub(crate) pattern: Option<&'static str>,
}

/// The settings by name, with the fields of each.
pub(crate) type SettingFields = Vec<(&'static str, Vec<Field>)>;

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A text, such as this one.
    Text(&'static str),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number of at least and at most so much, or its digits.
    Number(u32, u32),
    /// The name of one of these settings.
    Setting(fn() -> SettingFields),
    /// `true` or `false`, or the text of it.
    Flag,
    /// An object, or its JSON as text.
    Object,
    /// A list, or its JSON as text.
    List,
    /// A list of texts such as this one, or one text with commas.
    Texts(&'static str),
    /// A code: digits, as text or as a number. Some take a recovery code in its place.
    Code,
    /// A file, in a form of type `multipart/form-data`.
    File,
    /// A second spelling of another field, which is taken and not described: generated clients would have two fields of
    /// one name.
    Undescribed,
}

impl Field {
    const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, is_required: false, about, is_shown: false, pattern: None }
    }

    /// The same, but it must be there.
    pub(crate) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// The same, but it may be missing.
    pub(crate) const fn optional(mut self) -> Self {
        self.is_required = false;
        self
    }

    /// The same, and the example of the request has it.
    pub(crate) const fn in_example(mut self) -> Self {
        self.is_shown = true;
        self
    }

    /// The same, as a text of this form.
    pub(crate) const fn matching(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// The same, described otherwise.
    pub(crate) const fn described(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Whether a request may be made with it, and hardly without it.
    pub(crate) const fn is_needed(&self) -> bool {
        self.is_required || self.is_shown
    }
}

pub(crate) const fn text(name: &'static str, example: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Text(example), about)
}

pub(crate) const fn choice(
    name: &'static str,
    values: &'static [&'static str],
    about: &'static str,
) -> Field {
    Field::new(name, Kind::Choice(values), about)
}

/// Minimum and maximum are in the description.
pub(crate) const fn number(name: &'static str, least: u32, most: u32, about: &'static str) -> Field {
    Field::new(name, Kind::Number(least, most), about)
}

pub(crate) const fn setting(name: &'static str, names: fn() -> SettingFields, about: &'static str) -> Field {
    Field::new(name, Kind::Setting(names), about)
}

pub(crate) const fn flag(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Flag, about)
}

pub(crate) const fn object(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Object, about)
}

pub(crate) const fn items(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::List, about)
}

pub(crate) const fn texts(name: &'static str, example: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Texts(example), about)
}

pub(crate) const fn code(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Code, about)
}

pub(crate) const fn file(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::File, about)
}

pub(crate) const fn undescribed(name: &'static str) -> Field {
    Field::new(name, Kind::Undescribed, "")
}

/// What a field is called: a [`Field`], or the name of a member within one.
pub(crate) trait FieldName: Copy {
    /// The name as it is sent.
    fn name(&self) -> &str;
}

impl FieldName for Field {
    fn name(&self) -> &str {
        self.name
    }
}

impl FieldName for &Field {
    fn name(&self) -> &str {
        self.name
    }
}

impl FieldName for &str {
    fn name(&self) -> &str {
        self
    }
}

/// The fields that the route of a request takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldsOfRoute(pub(crate) [&'static [Field]; 2]);

impl FieldsOfRoute {
    /// The names of those that are described.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let described = |field: &&Field| !matches!(field.kind, Kind::Undescribed);
        self.0.iter().flat_map(|fields| fields.iter()).filter(described).map(|field| field.name).collect()
    }

    /// Whether a field of this name is among them.
    pub(crate) fn lists(self, name: &str) -> bool {
        self.0.iter().flat_map(|fields| fields.iter()).any(|field| field.name == name)
    }
}
