//! What a package is made of besides programs, all from the one definition of the command line:
//! completions for shells, and man pages.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Args, Exit, complain, say};

/// Print completions for a shell.
#[derive(Debug, Clone, clap::Args)]
pub struct Completions {
    /// Which shell.
    pub shell: Shell,
}

/// Write the man pages of this command, for a package.
#[derive(Debug, Clone, clap::Args)]
pub struct Man {
    /// Folder to write them into.
    pub folder: PathBuf,
}

/// Writes a shell's completions to standard output.
pub fn completions(options: &Completions) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Args::command(), "rackcast", &mut script);
    say(String::from_utf8_lossy(&script));
    Exit::Yes
}

/// Writes a page for the command, and one for each of its subcommands, into a folder that is there.
pub fn man(options: &Man) -> Exit {
    // `help` prints what the pages say.
    let command = Args::command().disable_help_subcommand(true);
    match clap_mangen::generate_to(command, &options.folder) {
        Ok(()) => Exit::Yes,
        Err(error) => complain(Exit::No, &format!("{}: {error}", options.folder.display())),
    }
}
