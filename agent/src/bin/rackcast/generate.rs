//! What a package is made of besides programs, all from the one definition of the command line:
//! completions for shells, and man pages.

use std::io;
use std::path::Path;

use clap_complete::Shell;

/// Writes a shell's completions to standard output.
///
/// # Errors
/// They cannot be written.
pub(crate) fn completions(command: &mut clap::Command, shell: Shell) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, command, name, &mut script);
    io::Write::write_all(&mut io::stdout(), &script)
}

/// Writes a page for the command, and one for each of its subcommands, into a folder that is there.
///
/// # Errors
/// A page cannot be written.
pub(crate) fn man_pages(command: clap::Command, folder: &Path) -> io::Result<()> {
    // `help` prints what the pages say.
    clap_mangen::generate_to(command.disable_help_subcommand(true), folder)
}
