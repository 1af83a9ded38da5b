//! What the operator lets one plugin reach, and with which secrets: raw rules become checked ones, and each hop of a
//! request is judged by them.
//!
//! It sees parsed addresses alone, so that what is judged and what is connected to are one. It resolves no name: which
//! addresses may stand behind one is [`super::address`]'s to say.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use encaje_core::{Problem, ProblemKind};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::address::{Place, Reach, place};
use super::headers;
use super::scrub::Patterns;
use crate::limits;

/// One line of the operator's `allow.http`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A host's name in lower case or an IP address; an IPv6 address without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Methods in upper case; empty allows any.
    pub methods: Vec<String>,
    /// What the path begins with, on the borders of its segments: `/v1` covers `/v1` and `/v1/x`, not `/v1x`. `None`
    /// allows any.
    pub path: Option<String>,
    /// Whether addresses of private networks and of this machine may stand behind the name. Link-local addresses and
    /// those that hand out a machine's credentials must be listed literally even so.
    pub private: bool,
}

/// How a secret leaves the host.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The one host whose requests get it; written as in [`Rule::host`].
    pub host: String,
    /// The header's name.
    pub header: String,
    /// The header's value; the one `{}` in it stands for the secret.
    pub template: String,
    /// Whether the plugin may read the value itself.
    pub reveal: bool,
    /// The value; `None` where the operator set none.
    pub value: Option<Hidden>,
}

/// A text that is never shown: neither `Debug` nor `Display` tell more than that there is one.
#[derive(Clone)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What one plugin may reach.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The plugin's name in the registry, for texts to the operator.
    pub plugin: String,
    /// Where its requests may go.
    pub rules: Vec<Rule>,
    /// The secrets that were granted to it, by name.
    pub secrets: BTreeMap<String, Secret>,
}

/// A host as addresses name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// Reads what stands in a rule or an address, with or without the brackets of IPv6.
    fn new(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match bare.unwrap_or(text).parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(text.to_ascii_lowercase()),
        }
    }

    fn of(url: &Url) -> Option<Self> {
        url.host_str().map(Self::new)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A [`Rule`] that was understood.
struct Allowed {
    host: Host,
    port: u16,
    methods: Vec<String>,
    /// Without a slash at its end; empty covers every path.
    path: String,
    private: bool,
}

/// A [`Secret`] that was understood.
pub(super) struct Bound {
    pub(super) header: HeaderName,
    host: Host,
    reveal: bool,
    /// The value, and the header made of it.
    value: Option<(Hidden, HeaderValue)>,
}

/// A [`Policy`] that was understood.
pub(super) struct Checked {
    plugin: String,
    allowed: Vec<Allowed>,
    secrets: BTreeMap<String, Bound>,
    /// What must not come back to the guest.
    pub(super) patterns: Patterns,
}

impl Checked {
    pub(super) fn new(policy: Policy) -> Result<Self, Problem> {
        let allowed = policy.rules.into_iter().map(Allowed::new).collect::<Result<_, _>>()?;
        let mut secrets = BTreeMap::new();
        for (name, secret) in policy.secrets {
            let bound = Bound::new(&name, secret)?;
            secrets.insert(name, bound);
        }
        let unseen = secrets.values().filter(|secret: &&Bound| !secret.reveal);
        let unseen = unseen.filter_map(|secret| secret.value.as_ref().map(|(value, _)| value.clone()));
        let unseen = unseen.filter(|value| value.expose().len() >= limits::SCRUBBED_SECRET_BYTES);
        Ok(Self {
            plugin: policy.plugin,
            allowed,
            patterns: Patterns::new(unseen.collect()),
            secrets,
        })
    }

    /// How far the addresses behind this hop's host may lie; a literal address needs no resolution, and a rule has named
    /// it. With `secret` the hop carries one.
    pub(super) fn judge(&self, method: &Method, url: &Url, secret: bool) -> Result<Reach, Problem> {
        let (Some(host), Some(port)) = (Host::of(url), url.port_or_known_default()) else {
            return Err(Problem::invalid("url", "The address names no host."));
        };
        let mut listed = self
            .allowed
            .iter()
            .filter(|rule| rule.host == host && rule.port == port)
            .peekable();
        // Plain text never is what stands behind this port; and a key or a conversation would be sent in the clear.
        let plain_on_tls = url.scheme() == "http" && port == 443;
        if listed.peek().is_none() || plain_on_tls {
            let scheme = if plain_on_tls {
                " in plain `http`; use `https`"
            } else {
                ""
            };
            return Err(self.denied(&format!("`http` to `{host}:{port}`{scheme}"), &host, port));
        }
        let mut fitting = listed.filter(|rule| rule.fits(method, url.path())).peekable();
        if fitting.peek().is_none() {
            let asked = format!(
                "`http` for {method} of this path at `{host}:{port}`, whose entry is for other methods or paths"
            );
            return Err(self.denied(&asked, &host, port));
        }
        let private = fitting.any(|rule| rule.private);
        let exposed = secret && url.scheme() == "http";
        let reach = match (&host, private) {
            (Host::Address(address), _) if exposed => {
                matches!(place(*address), Place::Private | Place::Loopback).then_some(Reach::NearOnly)
            }
            (Host::Address(_), _) => Some(Reach::Global),
            (Host::Name(name), _) if name == "localhost" => Some(Reach::Loopback),
            (Host::Name(_), true) => Some(if exposed { Reach::NearOnly } else { Reach::Near }),
            (Host::Name(_), false) => (!exposed).then_some(Reach::Global),
        };
        reach.ok_or_else(|| exposed_secret(&host, port))
    }

    /// The secret of this name, for a request to this address.
    pub(super) fn secret(&self, name: &str, url: &Url) -> Result<&Bound, Problem> {
        let bound = self.granted(name)?;
        if !bound.is_for(url) {
            let words = format!(
                "The secret `{name}` is sent to `{}` alone; registry.toml binds it to that host.",
                bound.host
            );
            return Err(Problem::new(ProblemKind::Denied, words).with_code("secret_host"));
        }
        if bound.value.is_none() {
            return Err(without_value(name));
        }
        Ok(bound)
    }

    /// Names of the secrets that have a value.
    pub(super) fn available(&self) -> Vec<String> {
        let with_value = self.secrets.iter().filter(|(_, bound)| bound.value.is_some());
        with_value.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn reveal(&self, name: &str) -> Result<String, Problem> {
        let bound = self.granted(name)?;
        if !bound.reveal {
            let words = format!(
                "The plugin `{0}` may send the secret `{name}` but not see it. Grant that in registry.toml: [plugins.{0}] \
                 allow = {{ secrets = {{ {name} = {{ reveal = true }} }} }}, beside what stands there (the plugin's \
                 manifest must require it too).",
                self.plugin
            );
            return Err(Problem::new(ProblemKind::Denied, words).with_code("not_granted"));
        }
        let value = bound.value.as_ref().ok_or_else(|| without_value(name))?;
        Ok(value.0.expose().to_owned())
    }

    /// Whether a header is one that a secret goes into, whatever host it is for.
    pub(super) fn binds(&self, header: &HeaderName) -> bool {
        self.secrets.values().any(|bound| bound.header == *header)
    }

    /// The name of a granted secret is shown as it was asked for, since it is the operator's; any other is the guest's.
    fn granted(&self, name: &str) -> Result<&Bound, Problem> {
        self.secrets.get(name).ok_or_else(|| {
            let name = name.chars().take(64).collect::<String>().escape_debug().to_string();
            let words = format!(
                "The plugin `{0}` was not granted the secret `{name}`. Grant it in registry.toml: [plugins.{0}] allow = \
                 {{ secrets = {{ {name} = {{ host = \"HOST\", header = \"authorization\", value = \"Bearer {{}}\" }} }} }} \
                 (the plugin's manifest must require it too).",
                self.plugin
            );
            Problem::new(ProblemKind::Denied, words).with_code("not_granted")
        })
    }

    fn denied(&self, what: &str, host: &Host, port: u16) -> Problem {
        let words = format!(
            "The plugin `{0}` was not granted {what}. Grant it in registry.toml: [plugins.{0}] allow = {{ http = \
             [\"{host}:{port}\"] }} (the plugin's manifest must require it too).",
            self.plugin
        );
        Problem::new(ProblemKind::Denied, words).with_code("not_granted")
    }

    /// What a guest hears whose host leads nowhere that it may go; the addresses themselves are for the log.
    pub(super) fn refused(&self, url: &Url, reach: Reach, detail: &dyn fmt::Display) -> Problem {
        let (host, port) = (
            Host::of(url).map(|host| host.to_string()).unwrap_or_default(),
            url.port_or_known_default().unwrap_or_default(),
        );
        let words = match reach {
            Reach::NearOnly => {
                format!("`{host}` is not in a private network, and a secret is sent there over https alone. Use https.")
            }
            Reach::Loopback => format!("`{host}` does not lead to this machine."),
            Reach::Global | Reach::Near => format!(
                "`{host}` leads to an address that the plugin `{0}` may not reach: a private, local or reserved one. If \
                 that is meant, write the address itself into registry.toml: [plugins.{0}] allow = {{ http = \
                 [\"ADDRESS:{port}\"] }}, or let the entry of `{host}:{port}` say `private = true`.",
                self.plugin
            ),
        };
        Problem::new(ProblemKind::Denied, words)
            .with_code("address_refused")
            .with_detail(detail)
    }
}

impl Allowed {
    fn new(rule: Rule) -> Result<Self, Problem> {
        let path = rule.path.unwrap_or_default();
        if !path.is_empty() && (!path.starts_with('/') || path.contains(['?', '#', '\\'])) {
            let words = format!("The path `{path}` of `allow.http` must begin with `/` and hold no `?`, `#` or `\\`.");
            return Err(Problem::new(ProblemKind::Misconfigured, words));
        }
        // As addresses of requests are written, e.g. with `%20` for a space.
        let mut written = Url::parse("http://localhost/").map_err(Problem::internal)?;
        written.set_path(&path);
        Ok(Self {
            host: Host::new(&rule.host),
            port: rule.port,
            methods: rule.methods,
            path: written.path().trim_end_matches('/').to_owned(),
            private: rule.private,
        })
    }

    fn fits(&self, method: &Method, path: &str) -> bool {
        let method_fits = self.methods.is_empty() || self.methods.iter().any(|allowed| allowed == method.as_str());
        method_fits && (self.path.is_empty() || (covers(&self.path, path) && !is_ambiguous(path)))
    }
}

/// Whether a path begins with a prefix on the border of a segment.
fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether some servers would read a path as another one: they decode separators and dots, once more if they were encoded
/// twice, or cut parameters such as `..;x` off a segment. Dots that everybody resolves were resolved by the parser.
fn is_ambiguous(path: &str) -> bool {
    let mut path = path.to_ascii_lowercase();
    while path.contains("%25") {
        path = path.replace("%25", "%");
    }
    let segment = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    // `%c0` and `%c1` begin overlong spellings, which are no UTF-8.
    ["%2e", "%2f", "%5c", "%00", "%c0", "%c1"]
        .iter()
        .any(|encoded| path.contains(encoded))
        || path.split('/').any(segment)
}

impl Bound {
    fn new(name: &str, secret: Secret) -> Result<Self, Problem> {
        let misconfigured = |words: &str| {
            let words = format!("The secret `{name}` of registry.toml cannot be used: {words}.");
            Problem::new(ProblemKind::Misconfigured, words)
        };
        let header = HeaderName::from_bytes(secret.header.as_bytes())
            .map_err(|_| misconfigured("its `header` is not the name of a header"))?;
        if headers::is_hosts_own(&header) {
            return Err(misconfigured("its `header` is one that the connection itself needs"));
        }
        if secret.template.matches("{}").count() != 1 {
            return Err(misconfigured("its `value` needs one `{}` where the secret goes"));
        }
        // A header's value ends before its last blank, so that an echo of it would not be found with one.
        let value = secret.value.map(|value| Hidden::new(value.expose().trim().to_owned()));
        let value = match value.filter(|value| !value.expose().is_empty()) {
            None => None,
            Some(value) if value.expose().len() > limits::SECRET_BYTES => {
                return Err(misconfigured(
                    "what the environment holds for it is too long for a header",
                ));
            }
            Some(value) => {
                let written = secret.template.replace("{}", value.expose());
                let unfit =
                    "what the environment holds for it does not fit into a header; is there a line break in it?";
                let mut written =
                    HeaderValue::from_str(&written).map_err(|_| misconfigured(unfit.trim_end_matches('?')))?;
                written.set_sensitive(true);
                Some((value, written))
            }
        };
        Ok(Self {
            header,
            host: Host::new(&secret.host),
            reveal: secret.reveal,
            value,
        })
    }

    /// Whether this host may get it.
    pub(super) fn is_for(&self, url: &Url) -> bool {
        Host::of(url).is_some_and(|host| host == self.host)
    }

    /// The header's value, with the secret in it.
    pub(super) fn written(&self) -> Option<HeaderValue> {
        self.value.as_ref().map(|(_, written)| written.clone())
    }
}

fn without_value(name: &str) -> Problem {
    let words = format!("The secret `{name}` has no value. Set `{name}` in the server's environment or in `.env`.");
    Problem::new(ProblemKind::Misconfigured, words).with_code("secret_missing")
}

fn exposed_secret(host: &Host, port: u16) -> Problem {
    let words = format!(
        "A secret is sent in plain `http` only to this machine or a private network, not to `{host}:{port}`. Use https, or \
         let the entry of `{host}:{port}` in registry.toml say `private = true` if the host is in a private network."
    );
    Problem::new(ProblemKind::Denied, words).with_code("secret_in_clear")
}
