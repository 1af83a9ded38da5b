//! Builds a sysroot with the guest target's standard library from unpacked sources, in a temporary folder that is
//! renamed into place when it is whole. Where the sources come from is not decided here.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::{TARGET, debian::Packages, toolchain::Toolchain};
use crate::{
    limits::{PACKAGES, SYSROOT_BUILD},
    process,
    progress::{Progress, Work},
    staging,
};

/// One sysroot to be made.
pub(super) struct Making<'a> {
    pub(super) toolchain: &'a Toolchain,
    /// Where the result goes; its parent holds the temporary folder, so that the rename stays on one file system.
    pub(super) into: &'a Path,
    pub(super) progress: &'a dyn Progress,
}

impl Making<'_> {
    /// From Debian's `rust-src` and `wasi-libc`, for the user's own rustc.
    pub(super) fn with_packages(&self, packages: &Packages) -> Result<(), String> {
        let work = self.work_folder()?;
        let unpacked = work.path().join("packages");
        self.unpack(&[packages.sources.clone(), packages.libc.clone()], &unpacked)?;
        let sysroot = work.path().join("sysroot");
        link_toolchain(&self.toolchain.sysroot, &sysroot).map_err(|error| cannot("link the toolchain", &error))?;
        let rustc = self.toolchain.sysroot.join("bin/rustc");
        let script = format!(
            "#!/bin/sh\nexec {} --sysroot {} \"$@\"\n",
            quoted(&rustc),
            quoted(&sysroot)
        );
        let compiler = work.path().join("rustc");
        write_script(&compiler, &script).map_err(|error| cannot("write the compiler's script", &error))?;
        self.add_target(work.path(), &sysroot, &unpacked, &compiler)?;
        publish(&sysroot, self.into)
    }

    /// From Debian's `rustc-web` with its libraries and sources, and a `wasi-libc`: a whole compiler, with the linkers of
    /// the user's toolchain.
    pub(super) fn with_web_compiler(&self, packages: &[PathBuf]) -> Result<(), String> {
        let work = self.work_folder()?;
        let unpacked = work.path().join("packages");
        self.unpack(packages, &unpacked)?;
        let sysroot = work.path().join("sysroot");
        take_web_compiler(&unpacked, &sysroot, self.toolchain).map_err(|error| cannot("arrange rustc-web", &error))?;
        let compiler = sysroot.join("rustc");
        self.add_target(work.path(), &sysroot, &unpacked, &compiler)?;
        publish(&sysroot, self.into)
    }

    fn work_folder(&self) -> Result<tempfile::TempDir, String> {
        let parent = self.into.parent().unwrap_or(Path::new("/"));
        staging::folder_in(parent).map_err(|error| cannot(&format!("make a folder in {}", parent.display()), &error))
    }

    fn unpack(&self, packages: &[PathBuf], into: &Path) -> Result<(), String> {
        let meter = self.progress.start("unpacking Debian packages", Work::Open);
        for package in packages {
            let mut command = process::clean("dpkg-deb", Path::new("/"));
            let ended = process::run(command.arg("-x").arg(package).arg(into), PACKAGES, Some(meter.as_ref()))
                .map_err(|error| cannot("run dpkg-deb", &error))?;
            if !ended.succeeded() {
                return Err(format!(
                    "dpkg-deb could not unpack {}: {}",
                    package.display(),
                    ended.reason()
                ));
            }
        }
        Ok(())
    }

    /// Compiles the standard library with `compiler` and puts it into `sysroot`, as verified by hand: the libc beside it,
    /// bitcode embedded (guests with `lto = true` do not link without), and of the result the libraries alone.
    fn add_target(&self, work: &Path, sysroot: &Path, unpacked: &Path, compiler: &Path) -> Result<(), String> {
        let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let libc = unpacked.join("usr/lib").join(TARGET);
        copy_matching(&libc, &libraries.join("self-contained"), |name| {
            name == "libc.a" || (name.starts_with("crt1") && name.ends_with(".o"))
        })
        .map_err(|error| cannot(&format!("take the libc for {TARGET} out of wasi-libc"), &error))?;
        let sources = sources_in(unpacked).map_err(|error| cannot("find the sources in rust-src", &error))?;
        let link = sysroot.join("lib/rustlib/src");
        let made = fs::create_dir_all(&link).and_then(|()| symlink(&sources, link.join("rust")));
        made.map_err(|error| cannot("link the sources", &error))?;
        let built = self.compile(work, compiler)?;
        copy_matching(&built, &libraries, |name| {
            name.starts_with("lib") && name.ends_with(".rlib")
        })
        .map_err(|error| cannot("take over the standard library", &error))?;
        // Half a gigabyte that nobody needs once the library is compiled.
        fs::remove_dir_all(&link).map_err(|error| cannot("remove the link to the sources", &error))
    }

    /// Has cargo build the standard library beneath an empty crate; returns the folder that holds the libraries.
    fn compile(&self, work: &Path, compiler: &Path) -> Result<PathBuf, String> {
        let package = work.join("empty");
        let manifest = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n[workspace]\n";
        fs::create_dir_all(package.join("src"))
            .and_then(|()| fs::write(package.join("Cargo.toml"), manifest))
            .and_then(|()| fs::write(package.join("src/lib.rs"), ""))
            .map_err(|error| cannot("write the empty crate", &error))?;
        let meter = self
            .progress
            .start(&format!("compiling the standard library for {TARGET}"), Work::Open);
        let mut command = process::clean(self.toolchain.cargo(), &package);
        command
            .args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET])
            .env("CARGO_TARGET_DIR", work.join("target"))
            .env("RUSTC", compiler)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Cembed-bitcode=yes");
        let ended = process::run(&mut command, SYSROOT_BUILD, Some(meter.as_ref()))
            .map_err(|error| cannot("run cargo", &error))?;
        if !ended.succeeded() {
            return Err(format!("the standard library did not compile: {}", ended.reason()));
        }
        Ok(work.join("target").join(TARGET).join("release/deps"))
    }
}

fn cannot(what: &str, error: &io::Error) -> String {
    format!("cannot {what}: {error}")
}

/// Every entry of the toolchain's `lib` and `lib/rustlib` as a symbolic link, so that the compiler finds its own parts.
/// `src` is left out: the toolchain's own sources, where it has them, need not be complete.
fn link_toolchain(toolchain: &Path, sysroot: &Path) -> io::Result<()> {
    for (folder, without) in [("lib", "rustlib"), ("lib/rustlib", "src")] {
        fs::create_dir_all(sysroot.join(folder))?;
        for entry in fs::read_dir(toolchain.join(folder))? {
            let entry = entry?;
            if entry.file_name() != without && entry.file_name() != TARGET {
                symlink(entry.path(), sysroot.join(folder).join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}

/// Moves the unpacked compiler to where a sysroot has its parts, and adds the user's linkers and a script that starts it
/// with its own libraries. The script finds everything from its own place, since the folder is renamed afterwards.
fn take_web_compiler(unpacked: &Path, sysroot: &Path, toolchain: &Toolchain) -> io::Result<()> {
    fs::create_dir_all(sysroot)?;
    fs::rename(unpacked.join("usr/bin"), sysroot.join("bin"))?;
    let libc = unpacked.join("usr/lib").join(TARGET);
    let aside = unpacked.join("libc");
    fs::rename(&libc, &aside)?;
    fs::rename(unpacked.join("usr/lib"), sysroot.join("lib"))?;
    fs::create_dir_all(unpacked.join("usr/lib"))?;
    fs::rename(&aside, &libc)?;
    let _ = fs::remove_dir_all(sysroot.join("lib/rustlib/src"));
    let linkers = sysroot.join("lib/rustlib").join(&toolchain.host).join("bin");
    let _ = fs::remove_dir_all(&linkers);
    symlink(
        toolchain.sysroot.join("lib/rustlib").join(&toolchain.host).join("bin"),
        linkers,
    )?;
    let mut folders = Vec::new();
    for entry in fs::read_dir(sysroot.join("lib"))? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.ends_with("-linux-gnu")) {
            folders.push(format!("$here/lib/{name}"));
        }
    }
    let script = format!(
        "#!/bin/sh\nhere=$(CDPATH= cd -- \"$(dirname -- \"$0\")\" && pwd)\n\
         LD_LIBRARY_PATH=\"{}\" exec \"$here/bin/rustc\" --sysroot \"$here\" \"$@\"\n",
        folders.join(":")
    );
    write_script(&sysroot.join("rustc"), &script)
}

fn write_script(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// A path as one word of a shell script.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// The one folder `usr/src/rustc-*`.
fn sources_in(unpacked: &Path) -> io::Result<PathBuf> {
    for entry in fs::read_dir(unpacked.join("usr/src"))? {
        let path = entry?.path();
        if path.join("library/std").is_dir() {
            return path.canonicalize();
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        "no usr/src/rustc-*/library/std in it",
    ))
}

/// Copies the files whose names match; none is an error, since something is then not what it was taken for.
fn copy_matching(from: &Path, into: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    fs::create_dir_all(into)?;
    let mut count = 0_u32;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&wanted) {
            fs::copy(entry.path(), into.join(entry.file_name()))?;
            count += 1;
        }
    }
    if count == 0 {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("nothing of that in {}", from.display()),
        ));
    }
    Ok(())
}

/// One rename: a reader sees the whole sysroot or none. A broken one that stands in the way is moved out of it first.
fn publish(made: &Path, into: &Path) -> Result<(), String> {
    if into.exists() {
        fs::remove_dir_all(into).map_err(|error| cannot("remove the incomplete sysroot", &error))?;
    }
    fs::rename(made, into).map_err(|error| cannot("put the sysroot in its place", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_is_linked_but_for_what_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let toolchain = folder.path().join("toolchain");
        for path in [
            "lib/rustlib/x86/lib",
            "lib/rustlib/src",
            &format!("lib/rustlib/{TARGET}"),
        ] {
            fs::create_dir_all(toolchain.join(path)).unwrap();
        }
        fs::write(toolchain.join("lib/librustc_driver.so"), "x").unwrap();
        let sysroot = folder.path().join("sysroot");
        link_toolchain(&toolchain, &sysroot).unwrap();
        assert!(sysroot.join("lib/librustc_driver.so").is_symlink());
        assert!(sysroot.join("lib/rustlib/x86").is_symlink());
        assert!(!sysroot.join("lib/rustlib").is_symlink());
        assert!(!sysroot.join("lib/rustlib/src").exists());
        assert!(!sysroot.join("lib/rustlib").join(TARGET).exists());
    }

    #[test]
    fn nothing_that_matches_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "a").unwrap();
        let into = folder.path().join("into");
        assert!(copy_matching(folder.path(), &into, |name| name.ends_with(".rlib")).is_err());
        copy_matching(folder.path(), &into, |name| name.ends_with(".txt")).unwrap();
        assert!(into.join("a.txt").is_file());
    }

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted(Path::new("/it's here")), r"'/it'\''s here'");
    }
}
