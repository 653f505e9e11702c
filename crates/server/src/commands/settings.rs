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
    for setting in Settings::default().described() {
        let bounds = setting.bounds.filter(|bounds| bounds.are_narrow());
        let bounds = bounds.map_or(String::new(), |bounds| format!(", {bounds}"));
        super::say(&format!("{} = {}{bounds}\n    {}", setting.key, setting.value, setting.about));
    }
}

pub(super) fn show(file: Option<&Path>, environment: &[(String, String)]) -> Result<(), StartError> {
    let (_, shown) = Settings::load_with_origins(file, environment)?;
    for setting in shown {
        super::say(&format!("{:<34} {:<36} # {}", setting.key, setting.value, setting.origin));
    }
    Ok(())
}
