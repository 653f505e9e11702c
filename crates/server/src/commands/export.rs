//! `export`. What leaves goes to standard output, or to a file that has its name when it is whole.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;

use super::batches::{JSON_LINES, extension_of};
use super::data_access::{Link, Start, secret_in};
use super::{ExportCommand, note};
use crate::settings::Settings;
use crate::start::StartError;
use crate::transfer::{ExportRequest, Form};

pub(super) fn export(settings: &Settings, command: ExportCommand) -> Result<(), StartError> {
    let (app, to, form, passphrase) = match command {
        ExportCommand::Archive { app, to, passphrase_file } => {
            (app, to, Form::Archive, passphrase_file.as_ref().map(secret_in).transpose()?)
        }
        ExportCommand::Users { app, to } => {
            if to.as_deref().is_some_and(|to| JSON_LINES.contains(&extension_of(to).as_str())) {
                let text = "users leave as CSV: give the file a name that ends in .csv";
                return Err(StartError::BadInput(text.to_owned()));
            }
            (app, to, Form::Users, None)
        }
    };
    let system = actix_web::rt::System::new();
    system.block_on(async {
        let link = Link::open(settings, Start::Refused).await?;
        let mut pieces = link.run_export(ExportRequest { app, form, passphrase }).await?;
        let mut out = Out::new(to)?;
        while let Some(piece) = pieces.next().await {
            out.write(&piece?)?;
        }
        out.end()
    })
}

/// Where an export goes: standard output, or a file that gets its name when it is whole.
struct Out {
    to: Box<dyn Write>,
    file: Option<(PathBuf, PathBuf)>,
}

impl Out {
    fn new(to: Option<PathBuf>) -> Result<Self, StartError> {
        let Some(path) = to else { return Ok(Self { to: Box::new(io::stdout()), file: None }) };
        if path.exists() {
            return Err(StartError::CannotWrite(format!("{} exists already", path.display())));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        // One that was left by an export that was stopped goes, whatever it is, with its mode.
        if part.symlink_metadata().is_ok() {
            std::fs::remove_file(&part).map_err(|error| cannot_write(&part, &error))?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
        let file = file.map_err(|error| cannot_write(&part, &error))?;
        Ok(Self { to: Box::new(io::BufWriter::new(file)), file: Some((part, path)) })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), StartError> {
        self.to.write_all(piece).map_err(|error| cannot_write(Path::new("the export"), &error))
    }

    fn end(mut self) -> Result<(), StartError> {
        self.to.flush().map_err(|error| cannot_write(Path::new("the export"), &error))?;
        if let Some((part, path)) = self.file {
            std::fs::rename(&part, &path).map_err(|error| cannot_write(&path, &error))?;
            note(&format!("{} is written", path.display()));
        }
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> StartError {
    StartError::CannotWrite(format!("{} cannot be written: {error}", path.display()))
}
