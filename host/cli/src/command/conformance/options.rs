//! Which options of `plugin test` mean something for which kind of plugin, and what to say of those that do not, or that
//! were wanting.

use anyhow::{Result, bail};
use encaje_core::trace::PluginKind;
use encaje_registry::Manifest;

use crate::args::Test;

/// Refuses what the kind's suite would not look at: whoever gave it expects it to be judged.
pub(super) fn check(kind: PluginKind, options: &Test) -> Result<()> {
    let given = [
        ("--model", PluginKind::Provider, options.model.is_some()),
        ("--word", PluginKind::Instrumentor, !options.words.is_empty()),
        ("--params", PluginKind::Evaluator, options.params.is_some()),
        ("--spec", PluginKind::Retriever, options.spec.is_some()),
        ("--other-spec", PluginKind::Retriever, options.other_spec.is_some()),
        ("--location", PluginKind::Source, options.location.is_some()),
    ];
    match given.iter().find(|(_, of, is_given)| *is_given && *of != kind) {
        None => Ok(()),
        Some((option, of, _)) => {
            let (of, kind) = (of.as_str(), kind.as_str());
            bail!("{option} is for plugins of kind `{of}`, and this one is of kind `{kind}`: leave it out")
        }
    }
}

/// What the messages of a plugin cannot say: they speak of a server's registry, and there is none.
pub(super) fn hint(manifest: &Manifest, options: &Test) -> Option<String> {
    let asks = manifest.requires.http.is_some() && options.http.is_empty();
    asks.then(|| {
        "It asks other hosts, and none was allowed here: name each with --http HOST:PORT. (In a server, registry.toml grants \
         them.)"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use crate::args::{Args, Command, Parser, Plugin};

    use super::*;

    fn options(line: &[&str]) -> Test {
        let line = [&["encaje", "plugin", "test"], line].concat();
        match Args::parse_from(line).command {
            Some(Command::Plugin(Plugin::Test(options))) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_option_of_another_kind_is_refused_and_not_passed_over() {
        for (option, value, of) in [
            ("--model", "m", PluginKind::Provider),
            ("--word", "w", PluginKind::Instrumentor),
            ("--params", "{}", PluginKind::Evaluator),
            ("--spec", "{}", PluginKind::Retriever),
            ("--other-spec", "{}", PluginKind::Retriever),
            ("--location", "l", PluginKind::Source),
        ] {
            let options = options(&[option, value]);
            for kind in PluginKind::ALL {
                let checked = check(kind, &options).map_err(|error| error.to_string());
                assert_eq!(checked.is_ok(), kind == of, "{option} {kind:?}: {checked:?}");
            }
        }
    }

    #[test]
    fn a_plugin_that_asks_hosts_of_which_none_was_allowed_gets_the_option_named() {
        let manifest = |requires: &str| {
            let text = format!(
                "name = \"plugin-x\"\nversion = \"1.0.0\"\nkind = \"provider\"\npublisher = \"acme\"\nlicense = \"MIT\"\n\
                 description = \"Works\"\nwit = \"0.1\"\n[requires]\n{requires}\n"
            );
            Manifest::parse(&text, "x").unwrap()
        };
        let asks = manifest("http = true");
        assert!(hint(&asks, &options(&[])).unwrap().contains("--http HOST:PORT"));
        assert_eq!(hint(&asks, &options(&["--http", "127.0.0.1:1"])), None);
        assert_eq!(hint(&manifest(""), &options(&[])), None);
    }
}
