//! Reads settings from file and environment, reporting all errors at once; and shows the origin of each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use config::{Config, Environment, File, FileFormat, Map, Value, ValueKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Settings;
use super::section::{Described, Section};

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// One setting as `config show` prints it.
#[derive(Debug)]
pub struct DisplaySettings {
    /// `section.key`.
    pub key: String,
    /// Its value, masked if it is secret.
    pub value: String,
    /// `default`, `file` or `environment`.
    pub origin: &'static str,
}

type Sections = BTreeMap<String, Map<String, Value>>;

impl Settings {
    /// Reads the settings: defaults, then `file`, then the environment.
    ///
    /// # Errors
    /// [`ConfigErrors`], all of them at once.
    pub fn load(file: Option<&Path>, environment: &[(String, String)]) -> Result<Self, ConfigErrors> {
        Self::load_with_origins(file, environment).map(|(settings, _)| settings)
    }

    /// Reads the settings and their origins.
    ///
    /// # Errors
    /// [`ConfigErrors`], all of them at once.
    pub fn load_with_origins(
        file: Option<&Path>,
        environment: &[(String, String)],
    ) -> Result<(Self, Vec<DisplaySettings>), ConfigErrors> {
        let mut mistakes = Vec::new();
        let from_file = read(file.map(from_file), "the file", &mut mistakes);
        let from_environment = read(Some(from_environment(environment)), "the environment", &mut mistakes);
        let mut reader = Reader { from_file, from_environment, mistakes, shown: Vec::new() };
        let settings = Self {
            server: reader.section("server"),
            data: reader.section("data"),
            database: reader.section("database"),
            keys: reader.section("keys"),
            hash: reader.section("hash"),
            limits: reader.section("limits"),
            mail: reader.section("mail"),
            sms: reader.section("sms"),
            social: reader.section("social"),
            outbox: reader.section("outbox"),
            audit: reader.section("audit"),
            log: reader.section("log"),
        };
        reader.refuse_unknown_sections(&settings);
        reader.refuse_single_underscores(&settings, environment);
        if reader.mistakes.is_empty() {
            return Ok((settings, reader.shown));
        }
        // The wrong ones have their defaults here: what else is wrong is about others.
        let mut mistakes = reader.mistakes;
        mistakes.extend(settings.check().err().map(|ConfigErrors(more)| more).unwrap_or_default());
        Err(ConfigErrors(mistakes))
    }
}

fn from_file(path: &Path) -> Result<Config, String> {
    // The parser's message quotes the line, which may contain a secret: only place and reason are reported.
    let named = |error: &dyn fmt::Display| {
        let told = error.to_string();
        let told: Vec<&str> = told.lines().filter(|line| !line.contains('|')).map(str::trim).collect();
        format!("{}: {}", path.display(), told.join(" "))
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("the settings file {} (--config, LATCHKEY_CONFIG) cannot be read: {error}", path.display())
    })?;
    Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .build()
        .map_err(|error| named(&error))
}

fn from_environment(variables: &[(String, String)]) -> Result<Config, String> {
    let variables = variables.iter().cloned().collect();
    let source =
        Environment::with_prefix("LATCHKEY").prefix_separator("__").separator("__").source(Some(variables));
    Config::builder().add_source(source).build().map_err(|error| error.to_string())
}

fn read(config: Option<Result<Config, String>>, origin: &str, mistakes: &mut Vec<String>) -> Sections {
    let values = match config {
        None => return Sections::new(),
        Some(Err(mistake)) => {
            mistakes.push(mistake);
            return Sections::new();
        }
        Some(Ok(config)) => config.cache.into_table().unwrap_or_default(),
    };
    let mut sections = Sections::new();
    for (name, value) in values {
        match value.into_table() {
            Ok(table) => {
                sections.insert(name, table);
            }
            Err(_) => mistakes.push(format!("{name} in {origin} is not a section: write section.key")),
        }
    }
    sections
}

struct Reader {
    from_file: Sections,
    from_environment: Sections,
    mistakes: Vec<String>,
    shown: Vec<DisplaySettings>,
}

impl Reader {
    /// One section: each key is read separately, so that one error hides no other.
    fn section<T: Default + Serialize + DeserializeOwned + Section>(&mut self, name: &str) -> T {
        let known: BTreeMap<String, Described> = T::default()
            .described()
            .into_iter()
            .filter_map(|field| Some((field.key.strip_prefix(&format!("{name}."))?.to_owned(), field)))
            .collect();
        let mut values: BTreeMap<String, (Value, &'static str)> = BTreeMap::new();
        for (sections, origin) in [(&self.from_file, "file"), (&self.from_environment, "environment")] {
            for (key, value) in sections.get(name).into_iter().flatten() {
                values.insert(key.clone(), (value.clone(), origin));
            }
        }
        let mut section = Config::builder();
        for (key, (value, origin)) in &values {
            let Some(field) = known.get(key) else {
                let nearest = nearest(key, known.keys().map(String::as_str));
                self.mistakes
                    .push(format!("{name}.{key} ({origin}) is unknown; did you mean {name}.{nearest}?"));
                continue;
            };
            let is_right = *origin == "environment" || is_of_kind(&value.kind, &field.value);
            if !is_right || alone::<T>(key, value).is_err() {
                self.mistakes.push(format!("{name}.{key} ({origin}) {}", field.rule()));
            } else if let Some(value) = field.out_of_bounds(value) {
                self.mistakes.push(format!("{name}.{key} ({origin}) {}, not {value}", field.rule()));
            } else if let Ok(next) = section.clone().set_override(format!("s.{key}"), value.clone()) {
                section = next;
            }
        }
        let section = section.build().and_then(|config| config.get::<T>("s")).unwrap_or_default();
        for (key, value) in fields_of(&section) {
            let origin = values.get(&key).map_or("default", |(_, origin)| *origin);
            self.shown.push(DisplaySettings {
                key: format!("{name}.{key}"),
                value: value.to_string(),
                origin,
            });
        }
        section
    }

    fn refuse_unknown_sections(&mut self, settings: &Settings) {
        let known = fields_of(settings);
        for (sections, origin) in [(&self.from_file, "file"), (&self.from_environment, "environment")] {
            for name in sections.keys().filter(|name| !known.contains_key(*name)) {
                let nearest = nearest(name, known.keys().map(String::as_str));
                self.mistakes
                    .push(format!("the section {name} ({origin}) is unknown; did you mean {nearest}?"));
            }
        }
    }

    /// A name that is nearly a setting would be overlooked. Kubernetes sets such a variable for a service named
    /// `latchkey-server`; its value is an address with a protocol.
    fn refuse_single_underscores(&mut self, settings: &Settings, environment: &[(String, String)]) {
        let known = fields_of(settings);
        for (name, value) in environment {
            if ["tcp://", "udp://", "sctp://"].iter().any(|protocol| value.starts_with(protocol)) {
                continue;
            }
            let rest = name.strip_prefix("LATCHKEY_").map(|rest| rest.trim_start_matches('_'));
            let Some((section, key)) = rest.and_then(|rest| rest.split_once('_')) else { continue };
            let key = key.trim_start_matches('_');
            let (fields, meant) = (known.get(&section.to_lowercase()), format!("LATCHKEY__{section}__{key}"));
            if *name != meant && fields.is_some_and(|fields| fields.get(key.to_lowercase()).is_some()) {
                self.mistakes.push(format!("{name} is no setting; did you mean {meant}?"));
            }
        }
    }
}

/// Whether a value in a file is of the kind of its setting. The library would make a number of `true`, and a flag of 0.3.
fn is_of_kind(kind: &ValueKind, usual: &serde_json::Value) -> bool {
    use serde_json::Value as Usual;
    match usual {
        Usual::Bool(_) => matches!(kind, ValueKind::Boolean(_)),
        Usual::Number(_) => {
            matches!(kind, ValueKind::I64(_) | ValueKind::U64(_) | ValueKind::I128(_) | ValueKind::U128(_))
        }
        Usual::Array(_) => matches!(kind, ValueKind::Array(_) | ValueKind::String(_)),
        _ => matches!(kind, ValueKind::String(_)),
    }
}

/// Whether a value fits its field.
fn alone<T: DeserializeOwned>(key: &str, value: &Value) -> Result<(), config::ConfigError> {
    let config = Config::builder().set_override(format!("s.{key}"), value.clone())?.build()?;
    config.get::<T>("s").map(|_| ())
}

/// The names and printed values of a section's fields.
pub(super) fn fields_of(section: &impl Serialize) -> BTreeMap<String, serde_json::Value> {
    match serde_json::to_value(section) {
        Ok(serde_json::Value::Object(fields)) => fields.into_iter().collect(),
        Ok(_) | Err(_) => BTreeMap::new(),
    }
}

/// The known name that is most like an unknown one.
pub(crate) fn nearest<'k>(unknown: &str, known: impl Iterator<Item = &'k str>) -> &'k str {
    known.min_by_key(|candidate| strsim::damerau_levenshtein(unknown, candidate)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_variable_with_too_few_underscores_is_not_overlooked() {
        let variables = environment(&[("LATCHKEY_SERVER_PORT", "1"), ("LATCHKEY_DATA_FOLDER", "x")]);
        let mistakes = Settings::load(None, &variables).unwrap_err();
        assert_eq!(mistakes.0[0], "LATCHKEY_SERVER_PORT is no setting; did you mean LATCHKEY__SERVER__PORT?");
        assert_eq!(mistakes.0.len(), 2);
        for nearly in ["LATCHKEY_SERVER__PORT", "LATCHKEY__SERVER_PORT", "LATCHKEY___SERVER__PORT"] {
            let mistakes = Settings::load(None, &environment(&[(nearly, "1")])).unwrap_err();
            let text = format!("{nearly} is no setting; did you mean LATCHKEY__SERVER__PORT?");
            assert!(mistakes.0.contains(&text), "{mistakes}");
        }
        let others = environment(&[
            ("LATCHKEY_SERVER_PORT", "tcp://10.0.0.1:80"),
            ("LATCHKEY_SERVER_SERVICE_HOST", "10.0.0.1"),
            ("LATCHKEY_TEST_POSTGRES", "x"),
        ]);
        assert!(Settings::load(None, &others).is_ok());
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("latchkey.toml");
        std::fs::write(&file, "[server]\nport = 9000\naddress = \"::1\"\ntrusted_proxies = [\"private\"]\n")
            .unwrap();
        let variables = environment(&[
            ("LATCHKEY__SERVER__PORT", "9001"),
            ("LATCHKEY__SERVER__CORS_ORIGINS", "https://a.example, https://b.example"),
            ("LATCHKEY__DATABASE__DURABLE", "false"),
            ("LATCHKEY_CONFIG", "elsewhere"),
            ("PATH", "/bin"),
        ]);
        let (settings, shown) = Settings::load_with_origins(Some(&file), &variables).unwrap();
        assert_eq!((settings.server.port, settings.server.address.as_str()), (9001, "::1"));
        assert_eq!(settings.server.cors_origins, ["https://a.example", "https://b.example"]);
        assert_eq!(settings.server.trusted_proxies, ["private"]);
        assert!(!settings.database.durable);
        assert_eq!(settings.limits.body_bytes, 65_536);
        let origin = |key: &str| shown.iter().find(|shown| shown.key == key).unwrap().origin;
        assert_eq!(
            [origin("server.port"), origin("server.address"), origin("log.level")],
            ["environment", "file", "default"]
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_the_right_name() {
        let variables = environment(&[
            ("LATCHKEY__SERVER__PROT", "1"),
            ("LATCHKEY__SERVER__PORT", "many"),
            ("LATCHKEY__HASH__PASSES", "-1"),
            ("LATCHKEY__SEVER__PORT", "1"),
            ("LATCHKEY__MAIL__SENDER", "pigeon"),
            ("LATCHKEY__HASH__MEMORY_KIB", "1"),
        ]);
        let mistakes = Settings::load(None, &variables).unwrap_err().to_string();
        for expected in [
            "server.prot (environment) is unknown; did you mean server.port?",
            "server.port (environment) must be a whole number, 0 to 65535",
            "hash.passes (environment) must be a whole number, 2 to 10",
            "the section sever (environment) is unknown; did you mean server?",
            "mail.sender is one of folder, smtp",
            "hash.memory_kib (environment) must be a whole number, 19456 to 262144, not 1",
        ] {
            assert!(mistakes.contains(expected), "{expected} in {mistakes}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("latchkey.toml");
        std::fs::write(&file, "[database]\nurl = \"postgres://u:canary@h/d\n").unwrap();
        let broken = Settings::load(Some(&file), &[]).unwrap_err().to_string();
        assert!(broken.contains("line 2") && !broken.contains("canary"), "{broken}");
        for (section, line, rule) in [
            ("server", "insecure_http = 0.3", "server.insecure_http (file) must be true or false"),
            ("server", "insecure_http = 1", "server.insecure_http (file) must be true or false"),
            ("server", "port = 1.5", "server.port (file) must be a whole number, 0 to 65535"),
            ("server", "port = true", "server.port (file) must be a whole number, 0 to 65535"),
            ("server", "cors_origins = 7", "server.cors_origins (file) must be a list of texts"),
            ("hash", "passes = 3.9", "hash.passes (file) must be a whole number, 2 to 10"),
            ("data", "folder = 12", "data.folder (file) must be a text"),
        ] {
            std::fs::write(&file, format!("[{section}]\n{line}\n")).unwrap();
            let mistakes = Settings::load(Some(&file), &[]).unwrap_err().to_string();
            assert_eq!(mistakes, rule, "{line}");
        }
        let missing = Settings::load(Some(Path::new("/nonexistent.toml")), &[]).unwrap_err().to_string();
        assert!(missing.contains("/nonexistent.toml"), "{missing}");
    }

    #[test]
    fn sec_100_secrets_are_masked_when_shown() {
        let variables = environment(&[("LATCHKEY__DATABASE__URL", "postgres://u:canary@h/d")]);
        let (settings, shown) = Settings::load_with_origins(None, &variables).unwrap();
        assert_eq!(settings.database.url.expose_secret(), "postgres://u:canary@h/d");
        assert!(!format!("{shown:?} {settings:?}").contains("canary"));
        assert!(shown.iter().any(|shown| shown.key == "database.url" && shown.value == "\"(secret)\""));
    }
}
