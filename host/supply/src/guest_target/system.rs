//! The ways to the guest target on the real system: what [`super::Ways`] looks at and does. The order of the ways is
//! decided elsewhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Facts, Found, Settings, TARGET, Toolchain, Way, Ways,
    apt::{Apt, Debian, on_path},
    debian,
    sysroot::Making,
    toolchain::has_std,
};
use crate::{
    home::EncajeHome,
    limits::RUSTUP,
    process,
    progress::{Progress, Work},
    staging,
};

pub(super) struct System<'a> {
    workspace: &'a Path,
    settings: &'a Settings,
    toolchain: Toolchain,
    progress: &'a dyn Progress,
    toolchains: PathBuf,
}

impl<'a> System<'a> {
    pub(super) fn new(
        home: &EncajeHome,
        workspace: &'a Path,
        settings: &'a Settings,
        toolchain: Toolchain,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            workspace,
            settings,
            toolchain,
            progress,
            toolchains: home.toolchains(),
        }
    }

    fn own_sysroot(&self) -> PathBuf {
        self.toolchains.join(self.toolchain.key())
    }

    fn own_compiler(&self) -> PathBuf {
        self.toolchains.join(format!("{}-web", self.toolchain.key()))
    }

    /// What is there already: a few looks at the file system.
    pub(super) fn found(&self) -> Option<Found> {
        let (sysroot, compiler) = (self.own_sysroot(), self.own_compiler());
        if self.toolchain.has_target() {
            return Some(Found::InToolchain);
        }
        if has_std(&sysroot) {
            return Some(Found::OwnSysroot(sysroot));
        }
        (has_std(&compiler) && compiler.join("rustc").is_file()).then_some(Found::OwnCompiler(compiler))
    }

    fn packages(&self, folder: &Path) -> Result<debian::Packages, String> {
        let entries = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        let names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        debian::pick(folder, &names, &self.toolchain.release)
    }

    fn package_folder(&self) -> Option<Result<(), String>> {
        let folder = self.settings.package_folder.as_deref()?;
        Some(match (folder.is_absolute(), on_path("dpkg-deb")) {
            (false, _) => Err(format!("{} is a relative path: give an absolute one", folder.display())),
            (true, false) => Err("dpkg-deb is not on the PATH".to_owned()),
            (true, true) => self.packages(folder).map(drop),
        })
    }

    fn rustup(&self) -> Result<(), String> {
        if !self.settings.rustup {
            return Err("it was kept out by ENCAJE_RUSTUP=off".to_owned());
        }
        if on_path("rustup") {
            Ok(())
        } else {
            Err("it is not on the PATH".to_owned())
        }
    }

    fn add_with_rustup(&self) -> Result<(), String> {
        let meter = self.progress.start(&format!("rustup target add {TARGET}"), Work::Open);
        let mut command = process::clean("rustup", self.workspace);
        let ended = process::run(command.args(["target", "add", TARGET]), RUSTUP, Some(meter.as_ref()))
            .map_err(|error| error.to_string())?;
        if ended.succeeded() { Ok(()) } else { Err(ended.reason()) }
    }

    fn build_from_apt(&self, way: Way) -> Result<(), String> {
        let debian = Debian::of_this_system()?;
        let folder = staging::folder_in(&self.toolchains)
            .map_err(|error| format!("cannot make a folder in {}: {error}", self.toolchains.display()))?;
        let apt = Apt::new(&debian, folder.path(), self.progress)?;
        if way == Way::WebCompiler {
            return self
                .making(&self.own_compiler())
                .with_web_compiler(&apt.web_compiler()?);
        }
        self.making(&self.own_sysroot())
            .with_packages(&apt.sources(&self.toolchain.release)?)
    }

    fn making<'b>(&'b self, into: &'b Path) -> Making<'b> {
        Making {
            toolchain: &self.toolchain,
            into,
            progress: self.progress,
        }
    }
}

impl Ways for System<'_> {
    fn look(&self) -> Facts {
        let found = self.found();
        Facts {
            package_folder: self.package_folder(),
            rustup: self.rustup(),
            debian: Debian::of_this_system().map(drop),
            found,
        }
    }

    fn take(&self, way: Way) -> Result<(), String> {
        match way {
            Way::Rustup => self.add_with_rustup(),
            Way::Apt | Way::WebCompiler => self.build_from_apt(way),
            Way::PackageFolder => {
                let folder = self.settings.package_folder.as_deref().ok_or("no folder is set")?;
                self.making(&self.own_sysroot()).with_packages(&self.packages(folder)?)
            }
        }
    }
}
