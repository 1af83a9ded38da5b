//! Every limit of this crate, each with its reason. Nothing here decides anything else.

use std::time::Duration;

/// How long `rustup target add` may take. The component has about 100 MB unpacked; a host that cannot be reached usually refuses at
/// once, and a newcomer should not watch a hanging connection for longer than this before the next way is tried.
pub const RUSTUP: Duration = Duration::from_secs(120);

/// How long a question to a tool (`rustc -vV`, `apt-cache madison`) may take: milliseconds as a rule, with room for a
/// loaded machine.
pub const QUESTION: Duration = Duration::from_secs(60);

/// How many answers of rustc are kept, one a folder that plugins were built in: with one more all go, and are asked for again.
pub const ANSWERS_KEPT: usize = 256;

/// How long one `apt-get update` of one suite may take: at most 10 MB of index.
pub const APT_INDEX: Duration = Duration::from_secs(180);

/// How long the download and the unpacking of Debian packages may take: the largest is 45 MB packed, 440 MB unpacked.
pub const PACKAGES: Duration = Duration::from_secs(900);

/// How long building the standard library may take: 22 seconds on two cores, with room for a slow machine and registry.
pub const SYSROOT_BUILD: Duration = Duration::from_secs(1800);

/// How long one plugin may take to build, its dependencies' downloads included.
pub const PLUGIN_BUILD: Duration = Duration::from_secs(1800);

/// How long installing the tools of one language may take: 30 MB (Python) or 20 MB (JavaScript) over a slow line.
pub const TOOLS_INSTALL: Duration = Duration::from_secs(1800);

/// How long the native unit tests of one guest workspace may take, build included.
pub const GUEST_TESTS: Duration = Duration::from_secs(1800);

/// How long `pip download` of one wheel may take: 100 MB over a slow line.
pub const PIP: Duration = Duration::from_secs(3600);

/// How much of a tool's standard output is kept, from its end. `cargo --message-format=json` prints about 1 KB an
/// artifact, so this holds thousands.
pub const STDOUT_KEPT: usize = 8 << 20;

/// How much of a tool's standard error is kept, from its end: what a person reads of a failed build.
pub const STDERR_KEPT: usize = 64 << 10;

/// The longest line of a tool's output that is shown as a note beside a spinner.
pub const NOTE_CHARACTERS: usize = 100;

/// The most files that the content hash of a plugin's sources covers. A plugin of this repository has tens; more means
/// that a folder which is no source got in.
pub const SOURCE_FILES: usize = 20_000;

/// The most bytes that the content hash of a plugin's sources covers, so that an unchanged plugin stays quick.
pub const SOURCE_BYTES: u64 = 256 << 20;

/// How deep path dependencies of path dependencies are followed, and folders within folders.
pub const SOURCE_DEPTH: usize = 32;

/// The largest `plugin.toml`: the manifest travels in every component, and is read before anything is trusted.
pub const MANIFEST_BYTES: u64 = 256 << 10;

/// The largest component that is made or read: a Python guest has 18 MB. It is what a server loads at most; the command
/// line, which knows both, does not compile where the two differ.
pub const COMPONENT_BYTES: u64 = 128 << 20;

/// The most imports and exports that `inspect` lists of one component.
pub const COMPONENT_NAMES: usize = 10_000;

/// Bytes of one such name: the longest of WASI's has some 50, and each is shown on a line.
pub const COMPONENT_NAME_BYTES: usize = 256;

/// The most differences between a component and the contracts that are told: all have one cause as a rule.
pub const MISMATCHES: usize = 8;

/// How many built components are kept in the cache; the ones unused for longest go first.
pub const BUILDS_KEPT: usize = 128;

/// How often a build starts again because its sources changed while it ran.
pub const BUILD_ATTEMPTS: usize = 3;

/// The most files of one model artifact.
pub const MODEL_FILES: usize = 256;

/// How deep folders within one model artifact may lie; real ones have one level.
pub const MODEL_DEPTH: usize = 8;

/// The most bytes of one model artifact, unpacked: more than any model that this server can hold in memory.
pub const MODEL_BYTES: u64 = 64 << 30;

/// The most entries that a wheel may list: its directory is read into memory.
pub const WHEEL_ENTRIES: usize = 100_000;

/// How old a temporary folder must be to count as left behind by a killed process: longer than all limits above.
pub const LEFTOVER: Duration = Duration::from_secs(24 * 3600);

/// The size of one read while files are copied or hashed.
pub const COPY_BUFFER: usize = 128 << 10;

/// How often a silent program is looked at.
pub const LOOK: Duration = Duration::from_millis(250);
