//! `config check`, `config show` and `config reference`.

use std::path::Path;

use crate::settings::Settings;
use crate::start::StartError;

pub(super) fn check(settings: &Settings) -> Result<(), StartError> {
    let checked = settings.check()?;
    crate::start::check_files(settings, &checked)?;
    super::say("the settings are good");
    Ok(())
}

pub(super) fn reference() {
    for setting in Settings::described() {
        let bounds = match setting.bounds {
            None => String::new(),
            Some((least, u64::MAX)) => format!(", at least {least}"),
            Some((least, most)) => format!(", {least} to {most}"),
        };
        super::say(&format!("{} = {}{bounds}\n    {}", setting.key, setting.default, setting.about));
    }
}

pub(super) fn show(file: Option<&Path>, environment: &[(String, String)]) -> Result<(), StartError> {
    let (_, shown) = Settings::load_with_origins(file, environment)?;
    for setting in shown {
        super::say(&format!("{:<34} {:<36} # {}", setting.key, setting.value, setting.origin));
    }
    Ok(())
}
