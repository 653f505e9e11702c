//! The program `latchkey`: a thin shell around the library.

use std::process::ExitCode;

use clap::Parser as _;
use latchkey_server::commands::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
