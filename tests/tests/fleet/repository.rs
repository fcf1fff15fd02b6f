//! Our packages in two versions, and the signed repository that offers them to the hosts.

use std::path::{Path, PathBuf};
use std::process::Command;

use rackcast_tests::files::root;
use rackcast_tests::process::program;
use tempfile::TempDir;

/// A version of the packages: the same programs under another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// What a fresh host gets.
    First,
    /// What it is upgraded to.
    Next,
}

impl Version {
    /// As dpkg tells it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::First => "0.1.0~fleet1",
            Self::Next => "0.1.0~fleet2",
        }
    }
}

/// The repository, made by what `make apt-repo` runs.
#[derive(Debug)]
pub(crate) struct Repository {
    dir: TempDir,
}

impl Repository {
    /// Packages the programs that were built for the tests, and offers the first version.
    ///
    /// # Panics
    /// That does not work.
    pub(crate) fn build() -> Self {
        let repository = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        package(&repository.packages(Version::First));
        next(
            &repository.packages(Version::First),
            &repository.packages(Version::Next),
        );
        repository.offer(Version::First);
        repository
    }

    /// Where a version's packages lie.
    pub(crate) fn packages(&self, version: Version) -> PathBuf {
        self.dir.path().join(version.text())
    }

    /// The folder that hosts are shown.
    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join("apt")
    }

    /// Adds a version to what hosts are offered; those before stay.
    ///
    /// # Panics
    /// It cannot be signed.
    pub(crate) fn offer(&self, version: Version) {
        let mut add = Command::new("packaging/apt-repo");
        add.arg("--no-debug")
            .arg("--debs")
            .arg(self.packages(version));
        run(add.arg("--out").arg(self.folder()));
    }
}

fn package(out: &Path) {
    let programs = program("rackcast");
    let mut build = Command::new("packaging/build");
    // Debug symbols are most of the time that packages take, and no host here wants them.
    build.env("DEB_BUILD_OPTIONS", "noautodbgsym");
    build.arg("--programs").arg(programs.parent().unwrap());
    build.args(["--version", Version::First.text()]);
    run(build.arg("--out").arg(out));
}

/// The first version's packages under the next number, with something new in every configuration
/// file, so that an upgrade must decide what becomes of it.
fn next(first: &Path, next: &Path) {
    let mut repack = Command::new("tests/fleet/repack");
    repack.args([first, next]);
    run(repack.args([Version::First.text(), Version::Next.text()]));
}

fn run(command: &mut Command) {
    let output = command.current_dir(root()).output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?} fails:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
