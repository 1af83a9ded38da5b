//! Downloads Debian packages with apt, without root and without touching the system's own state: a private
//! configuration with its own lists, sources and status. apt checks the archive's signature and every package's digest;
//! proxies and other `Acquire::` settings are taken over from the system.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::debian::{self, Packages, Repository};
use crate::{
    limits::{APT_INDEX, PACKAGES, QUESTION},
    process::{self, Ended},
    progress::{Progress, Work},
};

/// The keyring of Debian's own package `debian-archive-keyring`, for sources that name none.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The Debian that this system is.
#[derive(Clone, Debug)]
pub(super) struct Debian {
    pub(super) codename: String,
    pub(super) archive: Repository,
    pub(super) security: Option<Repository>,
}

impl Debian {
    /// Reads the system's release and apt sources; the text says why packages cannot come that way.
    pub(super) fn of_this_system() -> Result<Self, String> {
        let (id, codename) = debian::release(&fs::read_to_string("/etc/os-release").unwrap_or_default());
        if id != "debian" {
            return Err(format!(
                "this system is {}, not Debian",
                if id.is_empty() { "of unknown kind" } else { &id }
            ));
        }
        let codename = codename.ok_or("/etc/os-release names no VERSION_CODENAME")?;
        for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
            if !on_path(tool) {
                return Err(format!("{tool} is not on the PATH"));
            }
        }
        let (archive, security) = debian::archives(&read_sources(Path::new("/etc/apt")), &codename);
        let archive = archive.ok_or_else(|| format!("apt's sources have no {codename} main"))?;
        Ok(Self {
            codename,
            archive,
            security,
        })
    }
}

pub(super) fn on_path(tool: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
}

fn read_sources(folder: &Path) -> Vec<Repository> {
    let mut all = debian::one_line(&fs::read_to_string(folder.join("sources.list")).unwrap_or_default());
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("sources.list.d"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => all.extend(debian::one_line(&text)),
            Some("sources") => all.extend(debian::paragraphs(&text)),
            _ => {}
        }
    }
    all
}

/// apt with a state of its own in a temporary folder.
pub(super) struct Apt<'a> {
    debian: &'a Debian,
    folder: &'a Path,
    progress: &'a dyn Progress,
}

impl<'a> Apt<'a> {
    pub(super) fn new(debian: &'a Debian, folder: &'a Path, progress: &'a dyn Progress) -> Result<Self, String> {
        let apt = Self {
            debian,
            folder,
            progress,
        };
        for part in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(folder.join(part)).map_err(|error| format!("cannot make a folder for apt: {error}"))?;
        }
        let dump = process::run(process::clean("apt-config", folder).arg("dump"), QUESTION, None);
        let settings = dump.map(|ended| ended.stdout).unwrap_or_default();
        apt.write("status", "")?;
        apt.write("apt.conf", &configuration(folder, &settings))?;
        Ok(apt)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        fs::write(self.folder.join(name), text).map_err(|error| format!("cannot write apt's {name}: {error}"))
    }

    /// Downloads the sources of exactly this compiler version and a wasi-libc from the first suite that has both.
    pub(super) fn sources(&self, release: &str) -> Result<Packages, String> {
        let mut seen = Vec::new();
        for suite in debian::candidate_suites(&self.debian.codename) {
            let found = self
                .update(&[(&self.debian.archive, &suite)])
                .and_then(|()| self.matching(release));
            match found {
                Ok((sources, libc)) => {
                    self.download(&[format!("rust-src={sources}"), format!("wasi-libc={libc}")])?;
                    let folder = self.folder.join("packages");
                    return debian::pick(&folder, &names_in(&folder), release);
                }
                Err(reason) => seen.push(format!("{suite}: {reason}")),
            }
        }
        Err(seen.join("; "))
    }

    fn matching(&self, release: &str) -> Result<(String, String), String> {
        let versions = self.versions("rust-src")?;
        let Some(sources) = versions.iter().find(|version| debian::upstream(version) == release) else {
            let has = if versions.is_empty() {
                "none".to_owned()
            } else {
                versions.join(", ")
            };
            return Err(format!("no rust-src of {release} (it has {has})"));
        };
        let libc = self.versions("wasi-libc")?.into_iter().next().ok_or("no wasi-libc")?;
        Ok((sources.clone(), libc))
    }

    /// Downloads the compiler that Debian keeps new for its browsers, all it stands on, and a wasi-libc.
    pub(super) fn web_compiler(&self) -> Result<Vec<PathBuf>, String> {
        let own = [Some(&self.debian.archive), self.debian.security.as_ref()];
        let security = format!("{}-security", self.debian.codename);
        let suites = [self.debian.codename.as_str(), security.as_str()];
        let mut wanted: Vec<(&Repository, &str)> =
            own.into_iter().zip(suites).filter_map(|(r, s)| Some((r?, s))).collect();
        // A libc for the target is newer than this Debian; the compiler itself must be of this Debian, to find its libc6.
        self.update(&wanted)?;
        if self.versions("rustc-web")?.is_empty() {
            return Err(format!("{} has no rustc-web", self.debian.codename));
        }
        let mut packages = self.depends(&["rustc-web", "rust-web-src"])?;
        packages.insert("rust-web-src".to_owned());
        self.download(&packages.into_iter().collect::<Vec<_>>())?;
        let candidates = debian::candidate_suites(&self.debian.codename);
        let mut tried = Vec::new();
        for suite in &candidates {
            wanted.clear();
            wanted.push((&self.debian.archive, suite));
            let found = self.update(&wanted).and_then(|()| self.versions("wasi-libc"));
            match found.map(|versions| versions.into_iter().next()) {
                Ok(Some(version)) => {
                    self.download(&[format!("wasi-libc={version}")])?;
                    let folder = self.folder.join("packages");
                    return Ok(names_in(&folder).iter().map(|name| folder.join(name)).collect());
                }
                Ok(None) => tried.push(format!("{suite}: no wasi-libc")),
                Err(reason) => tried.push(format!("{suite}: {reason}")),
            }
        }
        Err(tried.join("; "))
    }

    /// The compiler's own parts among what these packages depend on: its libraries, and the libraries of its LLVM that
    /// not every system has. The C library and its like are the system's.
    fn depends(&self, of: &[&str]) -> Result<BTreeSet<String>, String> {
        let mut packages: BTreeSet<String> = BTreeSet::from(["rustc-web".to_owned()]);
        let mut open: Vec<String> = of.iter().map(|name| (*name).to_owned()).collect();
        while let Some(package) = open.pop() {
            let mut command = self.apt("apt-cache");
            command.args([
                "depends",
                "--no-recommends",
                "--no-suggests",
                "--no-conflicts",
                "--no-breaks",
            ]);
            command.args(["--no-replaces", "--no-enhances", &package]);
            let text = self.ask(&mut command)?;
            for name in text.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")) {
                let systems = ["libc6", "libc-", "libgcc", "libstdc++"]
                    .iter()
                    .any(|start| name.starts_with(start));
                if name.starts_with("lib") && !systems && packages.len() < 32 && packages.insert(name.to_owned()) {
                    open.push(name.to_owned());
                }
            }
        }
        Ok(packages)
    }

    /// Reads the indexes of these suites, and of no others.
    fn update(&self, suites: &[(&Repository, &str)]) -> Result<(), String> {
        let lines: Vec<String> = suites
            .iter()
            .map(|(repository, suite)| source_line(repository, suite))
            .collect();
        self.write("sources.list", &lines.join("\n"))?;
        let names: Vec<&str> = suites.iter().map(|(_, suite)| *suite).collect();
        let meter = self.progress.start(
            &format!("reading Debian's index of {}", names.join(" and ")),
            Work::Open,
        );
        let mut command = self.apt("apt-get");
        command.args(["update", "-q", "--error-on=any"]);
        let ended = process::run(&mut command, APT_INDEX, Some(meter.as_ref())).map_err(|error| error.to_string())?;
        check(&ended)
    }

    fn versions(&self, package: &str) -> Result<Vec<String>, String> {
        let text = self.ask(self.apt("apt-cache").args(["madison", package]))?;
        Ok(debian::madison(&text, package))
    }

    fn download(&self, packages: &[String]) -> Result<(), String> {
        let meter = self.progress.start("downloading Debian packages", Work::Open);
        let mut command = self.apt("apt-get");
        command
            .current_dir(self.folder.join("packages"))
            .args(["download", "-q"])
            .args(packages);
        let ended = process::run(&mut command, PACKAGES, Some(meter.as_ref())).map_err(|error| error.to_string())?;
        check(&ended)
    }

    fn ask(&self, command: &mut Command) -> Result<String, String> {
        let ended = process::run(command, QUESTION, None).map_err(|error| error.to_string())?;
        check(&ended).map(|()| ended.stdout)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = process::clean(program, self.folder);
        command
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("LC_ALL", "C.UTF-8");
        command
    }
}

fn check(ended: &Ended) -> Result<(), String> {
    if ended.succeeded() { Ok(()) } else { Err(ended.reason()) }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .map(|entries| entries.flatten().collect::<Vec<_>>())
        .unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn source_line(repository: &Repository, suite: &str) -> String {
    let named = repository.signed_by.clone();
    let keyring = named.or_else(|| Some(PathBuf::from(KEYRING)).filter(|keyring| keyring.is_file()));
    let options = keyring
        .map(|keyring| format!("[signed-by={}] ", keyring.display()))
        .unwrap_or_default();
    format!("deb {options}{} {suite} main\n", repository.address)
}

/// Everything in our folder; of the system's settings only how to fetch (proxies, certificates, checks of dates), since
/// its hooks are for its own state.
fn configuration(folder: &Path, dump: &str) -> String {
    let acquire = dump.lines().filter(|line| {
        let setting = |name: &str| line.starts_with(&format!("Acquire::{name}"));
        ["http", "https", "Check-", "Retries", "ForceIPv"]
            .iter()
            .any(|name| setting(name))
            && !line.ends_with(" \"\";")
    });
    let place = folder.display();
    let mut text = acquire.collect::<Vec<_>>().join("\n");
    text.push_str(&format!(
        "\nDir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\nDir::Etc::preferences \"/dev/null\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\nDir::Etc::sourcelist \"{place}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\nDir::State \"{place}\";\nDir::State::lists \"{place}/lists\";\n\
         Dir::State::status \"{place}/status\";\nDir::Cache \"{place}/cache\";\nAPT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n"
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_systems_settings_only_those_of_fetching_are_taken() {
        let dump = "APT::Update::Post-Invoke:: \"rm -rf /x\";\nAcquire::http::Proxy \"http://proxy.example:3128\";\n\
            Acquire::http \"\";\nDir::State \"var/lib/apt\";\nAcquire::Check-Valid-Until \"false\";\n";
        let text = configuration(Path::new("/work folder"), dump);
        assert!(text.starts_with("Acquire::http::Proxy \"http://proxy.example:3128\";\nAcquire::Check-Valid-Until"));
        assert!(!text.contains("Post-Invoke") && !text.contains("var/lib/apt"));
        assert!(text.contains("Dir::State \"/work folder\";"));
    }

    #[test]
    fn a_source_names_its_keyring() {
        let repository = Repository {
            address: "http://mirror.example/debian".into(),
            suites: vec![],
            components: vec![],
            signed_by: Some("/k.gpg".into()),
        };
        assert_eq!(
            source_line(&repository, "testing"),
            "deb [signed-by=/k.gpg] http://mirror.example/debian testing main\n"
        );
    }
}
