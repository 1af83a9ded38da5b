//! What the command line may say. Each option's help is its documentation.

use std::net::SocketAddr;
use std::path::PathBuf;

pub use clap::Parser;
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use encaje_core::trace::PluginKind;

/// An LLM server whose every changeable part is a sandboxed WebAssembly component.
#[derive(Debug, Parser)]
#[command(name = "encaje", version, about)]
pub struct Args {
    /// What every command understands.
    #[command(flatten)]
    pub common: Common,
    /// What to do; `serve` when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command understands.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Common {
    /// The registry.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ENCAJE_REGISTRY",
        default_value = "registry.toml"
    )]
    pub registry: PathBuf,
    /// Folder for downloads and builds [default: ~/.cache/encaje].
    #[arg(long, global = true, value_name = "FOLDER")]
    pub home: Option<PathBuf>,
    /// Folder for databases and the spool.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Builds what the registry names, fetches the models, and serves.
    Serve(Serve),
    /// Shows what the registry on disk would change in the running server.
    Plan,
    /// Makes the running server take over the registry on disk, and says how that went.
    Apply,
    /// Reads recorded calls.
    #[command(subcommand)]
    Trace(Trace),
    /// Builds and looks into plugins.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Lists and fetches local models.
    #[command(subcommand)]
    Model(Model),
    /// Talks to a model of a running server.
    Chat(Chat),
    /// Looks at everything that a server needs, and says what to do about what is wrong.
    Doctor,
    /// Measures a running server.
    Bench(Bench),
}

impl Default for Command {
    fn default() -> Self {
        Self::Serve(Serve::default())
    }
}

/// Options of `serve`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Serve {
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Also compile plugins whose source changes while the server runs.
    #[arg(long)]
    pub dev: bool,
    /// Do not watch the registry; `encaje apply` and SIGHUP still work.
    #[arg(long)]
    pub no_watch: bool,
}

/// What `trace` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum Trace {
    /// The last calls, newest first.
    List {
        /// Ask a running server instead of the store.
        #[command(flatten)]
        remote: Remote,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// From the page before.
        #[arg(long)]
        cursor: Option<String>,
        /// Only of this model.
        #[arg(long)]
        model: Option<String>,
        /// Only with this status: ok, error or cancelled.
        #[arg(long)]
        status: Option<String>,
        /// Of this tenant, when read from the store.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// One call, whole: spans, messages, usage.
    Show {
        /// Its id, or the beginning of it.
        id: String,
        /// Ask a running server instead of the store.
        #[command(flatten)]
        remote: Remote,
        /// Of this tenant, when read from the store.
        #[arg(long, default_value = "default")]
        tenant: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A running server.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Remote {
    /// Address of a running server, such as http://127.0.0.1:8080.
    #[arg(long)]
    pub url: Option<String>,
    /// API key for it.
    #[arg(long, env = "ENCAJE_API_KEY", hide_env_values = true)]
    pub key: Option<String>,
}

/// What `plugin` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum Plugin {
    /// The plugins that the registry declares.
    List,
    /// Makes a folder with a new plugin that builds, passes its test and runs as it is.
    New {
        /// Its name: lower-case letters, digits and `-`.
        name: String,
        /// What it is.
        #[arg(long, value_parser = kinds())]
        kind: String,
        /// What it is written in.
        #[arg(long, default_value = "rust", value_parser = languages())]
        lang: String,
        /// The folder [default: one of that name in the current folder].
        #[arg(long)]
        into: Option<PathBuf>,
    },
    /// Builds a plugin's folder to one component file.
    Build {
        /// The folder that holds `plugin.toml`.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Where to put the file [default: NAME.wasm in the current folder].
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// Build again at each edit, and have the registry's running server take the new one over.
        #[arg(long)]
        watch: bool,
    },
    /// Shows how the plugins of a running server fare, again and again.
    Top {
        /// The server.
        #[command(flatten)]
        remote: Remote,
        /// Seconds between two looks.
        #[arg(long, default_value_t = 1)]
        every: u64,
        /// Looks once.
        #[arg(long)]
        once: bool,
        /// As JSON, once.
        #[arg(long)]
        json: bool,
    },
    /// Runs the conformance kit over a plugin.
    Test(Box<Test>),
    /// Says in words why a component does not fit this host, and what to do about it.
    Doctor {
        /// A component file.
        file: PathBuf,
    },
    /// Shows a component's manifest, imports, exports, size and digest.
    Inspect {
        /// A component file.
        file: PathBuf,
    },
}

/// Options of `plugin test`.
#[derive(Debug, Clone, clap::Args)]
pub struct Test {
    /// A folder, which is built first, or a component file.
    #[arg(default_value = ".")]
    pub plugin: PathBuf,
    /// The plugin's configuration, a JSON object; its manifest's defaults stand behind it.
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    pub config: Option<String>,
    /// A host that it may ask, e.g. 127.0.0.1:11434; may be given several times.
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Vec<String>,
    /// The model that a provider is asked for [default: the first that it lists].
    #[arg(long)]
    pub model: Option<String>,
    /// A provider passes on the parameters that it does not know: its upstream judges them.
    #[arg(long)]
    pub forwards: bool,
    /// Tokens that an answer may have [default: 48].
    #[arg(long, value_name = "TOKENS")]
    pub answer_tokens: Option<u32>,
    /// A local model that it may use: a GGUF file, or a folder of a sentence transformer; may be given several times.
    #[arg(long = "local", value_name = "NAME=PATH")]
    pub local: Vec<String>,
    /// Memory that it may take, e.g. 256MiB [default: as in a registry that does not say].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// CPU time that one call may take, e.g. 10s [default: as in a registry that does not say].
    #[arg(long, value_name = "TIME")]
    pub cpu: Option<String>,
    /// A word that an instrumentor reacts to; may be given several times.
    #[arg(long = "word", value_name = "WORD")]
    pub words: Vec<String>,
    /// What an evaluator's metrics are started with, a JSON object.
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    pub params: Option<String>,
    /// What a retriever's collections are made with, a JSON object.
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    pub spec: Option<String>,
    /// One that does not go with it.
    #[arg(long, value_name = "JSON", value_parser = json_object)]
    pub other_spec: Option<String>,
    /// Where a source begins.
    #[arg(long)]
    pub location: Option<String>,
    /// What the random cases are made of.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Random cases of each check.
    #[arg(long)]
    pub cases: Option<u32>,
}

fn kinds() -> PossibleValuesParser {
    PluginKind::ALL.map(PluginKind::as_str).into()
}

fn languages() -> PossibleValuesParser {
    encaje_supply::build::languages().into()
}

/// A text that is a JSON object, as it was given.
fn json_object(text: &str) -> Result<String, String> {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("it is not a JSON object: {error}")),
    }
}

/// What `model` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum Model {
    /// The models that the registry declares, and which of them are here.
    List,
    /// Fetches models; all of them when none is named.
    Pull {
        /// Their names in the registry.
        names: Vec<String>,
    },
}

/// Options of `chat`.
#[derive(Debug, Clone, clap::Args)]
pub struct Chat {
    /// The model.
    #[arg(default_value = "smollm2-135m-instruct")]
    pub model: String,
    /// Address of the running server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// API key for it.
    #[arg(long, env = "ENCAJE_API_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// A system prompt.
    #[arg(long)]
    pub system: Option<String>,
}

/// Options of `bench`.
#[derive(Debug, Clone, clap::Args)]
pub struct Bench {
    /// Address of the running server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The model to ask.
    #[arg(long)]
    pub model: String,
    /// API key for it.
    #[arg(long, env = "ENCAJE_API_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Connections at once.
    #[arg(long, default_value_t = 16)]
    pub connections: usize,
    /// How long, in seconds.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Open loop: so many requests a second, sent whether or not earlier ones were answered.
    #[arg(long)]
    pub rate: Option<u32>,
    /// Ask for streamed answers.
    #[arg(long)]
    pub stream: bool,
    /// Another server that is sent the same requests, in turns with the first, to compare with.
    #[arg(long, value_name = "URL")]
    pub baseline: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        let line = format!("encaje plugin {line}");
        Args::try_parse_from(line.split(' ')).unwrap_err().to_string()
    }

    #[test]
    fn a_word_that_is_not_quite_right_is_told_with_the_nearest() {
        let kind = refused("new x1 --kind evaluater");
        assert!(kind.contains("a similar value exists: 'evaluator'"), "{kind}");
        let language = refused("new x1 --kind evaluator --lang pyton");
        assert!(
            language.contains("'python'") && language.contains("typescript"),
            "{language}"
        );
    }

    #[test]
    fn what_should_be_json_is_read_before_anything_is_built() {
        for option in ["--params", "--spec", "--other-spec", "--config"] {
            for text in ["{", "[]", "1"] {
                let said = refused(&format!("test {option} {text}"));
                assert!(said.contains(option) && said.contains("not a JSON object"), "{said}");
            }
            let line = format!("encaje plugin test {option} {{}}");
            Args::try_parse_from(line.split(' ')).unwrap();
        }
    }
}
