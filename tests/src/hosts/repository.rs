//! Our packages in two versions, and the signed repository that offers them to the hosts.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::files::root;
use crate::process::program;

/// A version of the packages: the same programs under another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// What a fresh host gets.
    First,
    /// What it is upgraded to.
    Next,
    /// The same with a unit by which the transcode node is reached from its own machine alone.
    Broken,
}

impl Version {
    /// As dpkg tells it.
    pub fn text(self) -> &'static str {
        match self {
            Self::First => "0.1.0~fleet1",
            Self::Next => "0.1.0~fleet2",
            Self::Broken => "0.1.0~fleet3",
        }
    }
}

/// What is wrong with [`Version::Broken`]: its node looks well from inside.
const BROKEN: &str = "[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost\n";
/// Where that goes.
const BROKEN_FILE: &str =
    "rackcast-transcode/usr/lib/systemd/system/rackcast-transcode.service.d/broken.conf";

/// The repository, made by what `make apt-repo` runs.
#[derive(Debug)]
pub struct Repository {
    dir: TempDir,
}

impl Repository {
    /// Packages the programs that were built for the tests, and offers the first version.
    ///
    /// # Panics
    /// That does not work.
    pub fn build() -> Self {
        let repository = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        package(&repository.packages(Version::First));
        repository.repack(Version::Next, None);
        repository.offer(Version::First);
        repository
    }

    /// The first version's packages under another number, with something new in every configuration
    /// file, so that an upgrade must decide what becomes of it; and with the files of a folder.
    fn repack(&self, version: Version, files: Option<&Path>) {
        let mut repack = Command::new("tests/fleet/repack");
        repack.arg(self.packages(Version::First));
        repack.arg(self.packages(version));
        repack.args([Version::First.text(), version.text()]);
        run(repack.args(files));
    }

    /// Makes the packages that are no good.
    fn spoil(&self) {
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join(BROKEN_FILE);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, BROKEN).unwrap();
        self.repack(Version::Broken, Some(files.path()));
    }

    /// Where a version's packages lie.
    pub fn packages(&self, version: Version) -> PathBuf {
        self.dir.path().join(version.text())
    }

    /// The folder that hosts are shown.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("apt")
    }

    /// Adds a version to what hosts are offered; those before stay.
    ///
    /// # Panics
    /// It cannot be signed.
    pub fn offer(&self, version: Version) {
        if version == Version::Broken && !self.packages(version).exists() {
            self.spoil();
        }
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
