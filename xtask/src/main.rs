//! Contributors' commands: `cargo xtask <command>`. Each is a module with one `run`.

mod browser;
mod ci;
mod cluster;
mod flags;
mod fuzz_api;
mod interop;
mod mutants;
mod proxies;
mod public_api;
mod python;
mod run;
mod security;
mod served;
mod test;
mod tidy;

use anyhow::Context as _;
use xshell::Shell;

fn main() -> anyhow::Result<()> {
    let flags = flags::Xtask::from_env_or_exit();
    let shell = Shell::new()?;
    shell.change_dir(root()?);
    match flags.subcommand {
        flags::XtaskCmd::Test(test) => test::run(&shell, test.sqlite, &test.arguments),
        flags::XtaskCmd::Ci(_) => ci::run(&shell),
        flags::XtaskCmd::Tidy(_) => tidy::run(&shell),
        flags::XtaskCmd::Browser(_) => browser::run(&shell),
        flags::XtaskCmd::Interop(_) => interop::run(&shell),
        flags::XtaskCmd::FuzzApi(fuzz) => fuzz_api::run(&shell, fuzz.seconds),
        flags::XtaskCmd::Proxies(_) => proxies::run(&shell),
        flags::XtaskCmd::PublicApi(api) => public_api::run(&shell, api.update),
        flags::XtaskCmd::Security(_) => security::run(&shell),
        flags::XtaskCmd::Mutants(mutants) => mutants::run(&shell, mutants.part.as_deref()),
    }
}

/// The root of the workspace.
fn root() -> anyhow::Result<std::path::PathBuf> {
    let manifest = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map(std::path::Path::to_owned).context("the workspace has a root")
}
