//! Where a text is: a web address in its normal form (RFC 3986 §6.2.2, without what needs the server's help), or a name of
//! the configuration. No other scheme, no user in an address, no host that is not ASCII.

use encaje_sdk::errors::Problem;

use crate::limits::MAX_LOCATION;

/// A location that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A normal web address.
    Web(String),
    /// `text:` and this name; empty means all.
    Text(String),
}

impl Location {
    /// # Errors
    /// `invalid-request` for a broken address, `unsupported` for another scheme.
    pub(crate) fn parse(location: &str) -> Result<Self, Problem> {
        let refuse = |message: String| Err(Problem::invalid_request(message).with_param("location"));
        if location.len() > MAX_LOCATION {
            return refuse(format!("a location has at most {MAX_LOCATION} bytes"));
        }
        let location = location.trim();
        let Some((scheme, rest)) = location.split_once(':') else {
            return refuse("a location begins with `http:`, `https:` or `text:`".to_owned());
        };
        match scheme.to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text(rest.to_owned())),
            scheme @ ("http" | "https") => match normal(scheme, rest) {
                Ok(address) => Ok(Self::Web(address)),
                Err(why) => refuse(format!("the address is broken: {why}")),
            },
            other => {
                let message = format!("`{other}:` is not read here; `http:`, `https:` and `text:` are");
                Err(Problem::unsupported(message).with_param("location"))
            }
        }
    }

    /// As it is known by.
    pub(crate) fn canonical(&self) -> String {
        match self {
            Self::Web(address) => address.clone(),
            Self::Text(name) => format!("text:{name}"),
        }
    }
}

fn normal(scheme: &str, rest: &str) -> Result<String, &'static str> {
    let rest = rest.strip_prefix("//").ok_or("`//` is missing behind the scheme")?;
    // What is behind `#` never leaves a browser.
    let rest = rest.split('#').next().unwrap_or_default();
    if rest.contains(|character: char| character.is_control() || character == '\\') {
        return Err("it has control characters or backslashes");
    }
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    let authority = authority_of(scheme, authority)?;
    let path = without_dots(&escaped(path));
    let query = query.map(|query| format!("?{}", escaped(query))).unwrap_or_default();
    Ok(format!("{scheme}://{authority}{path}{query}"))
}

fn authority_of(scheme: &str, authority: &str) -> Result<String, &'static str> {
    if authority.contains('@') {
        return Err("it names a user; keys belong into the registry's secrets");
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are between brackets.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.bytes().all(in_name),
    };
    if host.is_empty() || !is_host {
        return Err("its host is no name or address in ASCII; write an international name in its `xn--` form");
    }
    let host = host.to_ascii_lowercase();
    if port.is_empty() {
        return Ok(host);
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let number: u16 = port
        .parse()
        .ok()
        .filter(|port| digits && *port > 0)
        .ok_or("its port is no number of a port")?;
    let usual = if scheme == "http" { 80 } else { 443 };
    Ok(if number == usual {
        host
    } else {
        format!("{host}:{number}")
    })
}

/// Escapes what must be, with capital digits, and no letter or digit that need not be.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        at += 1;
        let digits = bytes
            .get(at..at + 2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match (byte, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(meant)) => {
                at += 2;
                if meant.is_ascii_alphanumeric() || b"-._~".contains(&meant) {
                    out.push(char::from(meant));
                } else {
                    out.push_str(&format!("%{meant:02X}"));
                }
            }
            (b'%' | b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.., _) => {
                out.push_str(&format!("%{byte:02X}"));
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

/// The path without `.` and `..` (RFC 3986 §5.2.4); it begins with `/`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (place, segment) in segments.iter().enumerate() {
        let is_last = place + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::Location;
    use encaje_sdk::errors::ProblemKind;
    use proptest::prelude::*;

    fn canonical(location: &str) -> String {
        Location::parse(location).unwrap().canonical()
    }

    #[test]
    fn one_page_has_one_name() {
        for (location, expected) in [
            ("HTTP://Example.ORG", "http://example.org/"),
            ("https://example.org:443/a#part", "https://example.org/a"),
            ("http://example.org:8080?q=a b", "http://example.org:8080/?q=a%20b"),
            ("http://example.org:/a/./b/../c/", "http://example.org/a/c/"),
            ("http://example.org/../../a/..", "http://example.org/"),
            (
                "http://example.org/%7euser/%e9%2f/é",
                "http://example.org/~user/%E9%2F/%C3%A9",
            ),
            ("http://example.org/100%", "http://example.org/100%25"),
            ("http://example.org/a//b?x=/../y", "http://example.org/a//b?x=/../y"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            (" https://example.org/%2e%2E/x", "https://example.org/x"),
            ("text:Read me", "text:Read me"),
            ("text:", "text:"),
        ] {
            assert_eq!(canonical(location), expected, "{location}");
        }
    }

    #[test]
    fn what_is_no_location_is_told() {
        for location in [
            "",
            "example.org/a",
            "http:/example.org",
            "http://",
            "http://user:pass@example.org/",
            "http://exämple.org/",
            "http://example.org:0/",
            "http://example.org:65536/",
            "http://example.org:+8/",
            "http://[::1/",
            "http://exa mple.org/",
            "http://example.org/a\nb",
            "http://example.org\\@other.org/",
        ] {
            let problem = Location::parse(location).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::InvalidRequest), "{location}");
        }
        for location in ["data:text/plain,x", "file:///etc/passwd", "ftp://example.org/"] {
            let problem = Location::parse(location).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::Unsupported), "{location}");
        }
        assert!(Location::parse(&format!("http://example.org/{}", "x".repeat(8_192))).is_err());
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own(tail in "[a-c/.%2eEé ?#:@]{0,30}") {
            let once = canonical(&format!("http://example.org/{tail}"));
            prop_assert!(once.is_ascii());
            prop_assert_eq!(canonical(&once), once);
        }
    }
}
