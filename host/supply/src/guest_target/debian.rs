//! What Debian's texts say: apt's sources, package versions, file names of packages, `madison` tables. Pure; nothing is
//! run or fetched here, and no mirror's address is written down: it comes from the system's own sources.

use std::path::{Path, PathBuf};

/// One repository of apt's sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) address: String,
    pub(super) suites: Vec<String>,
    pub(super) components: Vec<String>,
    pub(super) signed_by: Option<PathBuf>,
}

/// The fields `ID` and `VERSION_CODENAME` of `/etc/os-release`.
pub(super) fn release(text: &str) -> (String, Option<String>) {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().trim_matches('"').to_owned())
    };
    (field("ID=").unwrap_or_default(), field("VERSION_CODENAME="))
}

/// Sources in the one-line style (`deb [options] address suite component…`).
pub(super) fn one_line(text: &str) -> Vec<Repository> {
    text.lines().filter_map(one_repository).collect()
}

fn one_repository(line: &str) -> Option<Repository> {
    let rest = line.trim().strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest
        .split_whitespace()
        .take_while(|word| !word.starts_with('#'))
        .map(str::to_owned);
    Some(Repository {
        address: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: signed_by.map(PathBuf::from),
    })
}

/// Sources in the deb822 style: paragraphs of fields.
pub(super) fn paragraphs(text: &str) -> Vec<Repository> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        let field = |name: &str| {
            paragraph.iter().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let words = |name| {
            field(name)
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let off = field("Enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"));
        if off || !words("Types").iter().any(|kind| kind == "deb") {
            continue;
        }
        // A key may be written out in place of a path; then the system's own keyring is used instead.
        let signed_by = field("Signed-By")
            .filter(|value| value.starts_with('/'))
            .map(PathBuf::from);
        for address in words("URIs") {
            let (suites, components) = (words("Suites"), words("Components"));
            found.push(Repository {
                address,
                suites,
                components,
                signed_by: signed_by.clone(),
            });
        }
    }
    found
}

/// The repositories that serve this Debian: (its main archive, its security archive).
pub(super) fn archives(all: &[Repository], codename: &str) -> (Option<Repository>, Option<Repository>) {
    let security = format!("{codename}-security");
    let serves = |suite: &str| {
        all.iter()
            .find(|repository| {
                repository.components.iter().any(|component| component == "main")
                    && repository.suites.iter().any(|own| own == suite)
            })
            .cloned()
    };
    (serves(codename), serves(&security))
}

/// The suites that may have the sources of a compiler's version, likeliest and smallest first. `stable` and `testing` are
/// names that Debian moves on, so that the list does not grow old.
pub(super) fn candidate_suites(codename: &str) -> Vec<String> {
    let mut suites = vec![format!("{codename}-backports")];
    for suite in ["trixie-backports", "stable-backports", "testing", "unstable"] {
        if !suites.iter().any(|known| known == suite) {
            suites.push(suite.to_owned());
        }
    }
    suites
}

/// The upstream part of a Debian version: `1.95.0` of `1.95.0+dfsg1-2~bpo13+1`, `22.1.8` of `1:22.1.8-1`.
pub(super) fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.split(['+', '-', '~']).next().unwrap_or(version)
}

/// The versions of a package in `apt-cache madison`'s table, best first as apt orders them.
pub(super) fn madison(text: &str, package: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim);
            (cells.next()? == package).then_some(())?;
            cells.next().map(str::to_owned)
        })
        .collect()
}

/// The packages of a folder that build a sysroot for this compiler version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packages {
    pub(super) sources: PathBuf,
    pub(super) libc: PathBuf,
}

/// Picks the two packages, or says what is missing.
pub(super) fn pick(folder: &Path, names: &[String], release: &str) -> Result<Packages, String> {
    let versions = |package: &str| {
        let start = format!("{package}_");
        let mut found: Vec<(&str, &String)> = names
            .iter()
            .filter(|name| name.ends_with(".deb"))
            .filter_map(|name| Some((name.strip_prefix(&start)?.split('_').next()?, name)))
            .collect();
        found.sort();
        found
    };
    let sources = versions("rust-src");
    // apt writes a version's colon as %3a in file names; an epoch says nothing about upstream.
    let exact = sources
        .iter()
        .find(|(version, _)| upstream(version.rsplit("%3a").next().unwrap_or(version)) == release);
    let Some((_, source)) = exact else {
        let there: Vec<&str> = sources.iter().map(|(version, _)| *version).collect();
        let there = if there.is_empty() {
            "none".to_owned()
        } else {
            there.join(", ")
        };
        return Err(format!(
            "{} has no rust-src of {release} (there: {there})",
            folder.display()
        ));
    };
    let Some((_, libc)) = versions("wasi-libc").pop() else {
        return Err(format!("{} has no wasi-libc", folder.display()));
    };
    Ok(Packages {
        sources: folder.join(source),
        libc: folder.join(libc),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &str = "\
# old style gone\nTypes: deb deb-src\n# a note\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\
Components: main contrib\nSigned-By: /usr/share/keyrings/x.gpg\n\nTypes: deb\nURIs: http://mirror.example/security\n\
Suites: bookworm-security\nComponents: main\n\nEnabled: no\nTypes: deb\nURIs: http://off.example\nSuites: bookworm\n\
Components: main\n\nTypes: deb-src\nURIs: http://src.example\nSuites: bookworm\nComponents: main\n";

    #[test]
    fn the_mirror_of_this_debian_comes_from_either_style_of_sources() {
        let all = paragraphs(SOURCES);
        assert_eq!(all.len(), 2, "{all:?}");
        let (main, security) = archives(&all, "bookworm");
        let main = main.unwrap();
        assert_eq!(main.address, "http://mirror.example/debian");
        assert_eq!(main.signed_by.as_deref(), Some(Path::new("/usr/share/keyrings/x.gpg")));
        assert_eq!(security.unwrap().address, "http://mirror.example/security");

        let lines = "deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main # x\n\
            #deb http://no.example bookworm main\ndeb-src http://src.example bookworm main\ndeb https://third.example nodistro main\n";
        let (main, security) = archives(&one_line(lines), "bookworm");
        assert_eq!(main.unwrap().signed_by.as_deref(), Some(Path::new("/k.gpg")));
        assert_eq!(security, None);
        assert_eq!(one_line(lines).len(), 2);
    }

    #[test]
    fn upstream_versions() {
        for (version, expected) in [
            ("1.95.0+dfsg1-2~bpo13+1", "1.95.0"),
            ("1:22.1.8-1~deb12u1", "22.1.8"),
            ("1.63.0", "1.63.0"),
            ("0.0~git20260129", "0.0"),
        ] {
            assert_eq!(upstream(version), expected);
        }
    }

    #[test]
    fn madison_tables() {
        let text = "  rust-src | 1.96.1+dfsg1-2 | http://m trixie-backports/main amd64 Packages\n  rust-src | 1.95.0+dfsg1-2 | http://m\n wasi-libc | 0.0 | m\n";
        assert_eq!(madison(text, "rust-src"), ["1.96.1+dfsg1-2", "1.95.0+dfsg1-2"]);
        assert!(madison("N: nothing", "rust-src").is_empty());
    }

    #[test]
    fn a_folder_must_hold_the_sources_of_exactly_this_version() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let folder = Path::new("/debs");
        let both = names(&[
            "rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb",
            "wasi-libc_0.0~git2026_all.deb",
            "notes.txt",
        ]);
        let picked = pick(folder, &both, "1.95.0").unwrap();
        assert_eq!(picked.libc, folder.join("wasi-libc_0.0~git2026_all.deb"));
        let wrong = pick(folder, &both, "1.95.1").unwrap_err();
        assert!(
            wrong.contains("1.95.1") && wrong.contains("there: 1.95.0+dfsg1"),
            "{wrong}"
        );
        assert!(pick(folder, &both[..1], "1.95.0").unwrap_err().contains("no wasi-libc"));
        assert!(pick(folder, &names(&["rust-src_1.95.01-1_all.deb"]), "1.95.0").is_err());
    }

    #[test]
    fn the_release_file() {
        assert_eq!(
            release("NAME=\"x\"\nID=debian\nVERSION_CODENAME=bookworm\n"),
            ("debian".into(), Some("bookworm".into()))
        );
        assert_eq!(release("ID=\"arch\"\n").0, "arch");
    }
}
