//! Which addresses a request may go to: by default those that are routed in the whole Internet, and no others.
//!
//! It looks at numbers alone, as the registries of IANA divide them. Whether a name or a literal address was allowed at all
//! is the policy's to say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far the addresses behind a name may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Anywhere in the Internet, and nowhere near.
    Global,
    /// This machine alone, for `localhost`.
    Loopback,
    /// Anywhere in the Internet, in private networks and on this machine.
    Near,
    /// In private networks and on this machine alone, for secrets that travel in the clear.
    NearOnly,
}

impl Reach {
    /// Whether an address may be connected to.
    pub(super) fn covers(self, address: IpAddr) -> bool {
        match (place(address), self) {
            (Place::Global, Self::Global | Self::Near) => true,
            (Place::Private, Self::Near | Self::NearOnly) => true,
            (Place::Loopback, Self::Loopback | Self::Near | Self::NearOnly) => true,
            (Place::Global | Place::Private | Place::Loopback | Place::Special, _) => false,
        }
    }
}

/// Where an address lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Routed in the whole Internet.
    Global,
    /// In a private network.
    Private,
    /// This machine.
    Loopback,
    /// Link-local, multicast, reserved, a tunnel or another spelling of an IPv4 address, or a service that hands out the
    /// machine's own credentials. Never behind a name.
    Special,
}

/// Where an address lies.
pub(super) fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => place_v4(address),
        IpAddr::V6(address) => place_v6(address),
    }
}

fn place_v4(address: Ipv4Addr) -> Place {
    match address.octets() {
        // Services of clouds for their own machines, which lie outside of the link-local block.
        [100, 100, 100, 200] | [168, 63, 129, 16] => Place::Special,
        [127, ..] => Place::Loopback,
        // Shared address space (RFC 6598) is where overlay networks live.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Place::Private,
        [0, ..] | [169, 254, ..] => Place::Special,
        // Protocol assignments, documentation, relays of 6to4, benchmarks.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Place::Special
        }
        // Multicast, reserved, broadcast.
        [224..=255, ..] => Place::Special,
        _ => Place::Global,
    }
}

/// Only `2000::/3` is handed out for global use: `::`, IPv4-mapped and IPv4-compatible addresses, NAT64 (`64:ff9b::/96`,
/// `64:ff9b:1::/48`), discard-only (`100::/64`), link-local, site-local and multicast all lie outside of it.
fn place_v6(address: Ipv6Addr) -> Place {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Place::Loopback,
        // Services of clouds for their own machines.
        [0xfd00, 0x0ec2 | 0x0042 | 0x00c1, ..] | [0xfd20, 0x00ce, ..] => Place::Special,
        [0xfc00..=0xfdff, ..] => Place::Private,
        // Protocol assignments with Teredo, documentation, 6to4.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => Place::Special,
        [0x2000..=0x3fff, ..] => Place::Global,
        _ => Place::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Place {
        place(text.parse().unwrap())
    }

    #[test]
    fn every_special_block_is_refused_from_its_first_to_its_last_address() {
        for text in [
            "0.0.0.0",
            "0.255.255.255",
            "169.254.0.0",
            "169.254.169.254",
            "169.254.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.0.2.0",
            "192.0.2.255",
            "192.88.99.1",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.0",
            "198.51.100.255",
            "203.0.113.0",
            "203.0.113.255",
            "224.0.0.0",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.254",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "::",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "64:ff9b:1:ffff::1",
            "100::1",
            "100:0:0:0:ffff::",
            "2001::1",
            "2001:0:ffff::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2001:db8:ffff::1",
            "2002:7f00:1::1",
            "2002:ffff::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "4000::1",
            "1fff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "feff::1",
            "ff00::1",
            "ff02::1",
            "ffff::1",
            "fd00:ec2::254",
            "fd00:c1::a9fe:a9fe",
            "fd20:ce::254",
            "fd00:42::42",
        ] {
            assert_eq!(of(text), Place::Special, "{text}");
        }
    }

    #[test]
    fn private_and_loopback_blocks_end_where_they_end() {
        for text in [
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "fc00::1",
            "fdff:ffff::1",
        ] {
            assert_eq!(of(text), Place::Private, "{text}");
        }
        for text in ["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"] {
            assert_eq!(of(text), Place::Loopback, "{text}");
        }
        for text in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2001:4860::8888",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700::1",
            "3ffe::1",
            "3fff:1000::1",
        ] {
            assert_eq!(of(text), Place::Global, "{text}");
        }
    }

    #[test]
    fn each_reach_covers_its_places_and_no_other() {
        let [global, private, loopback, special] =
            ["8.8.8.8", "10.0.0.1", "::1", "169.254.169.254"].map(|text| text.parse::<IpAddr>().unwrap());
        let covered = |reach: Reach| [global, private, loopback, special].map(|address| reach.covers(address));
        assert_eq!(covered(Reach::Global), [true, false, false, false]);
        assert_eq!(covered(Reach::Loopback), [false, false, true, false]);
        assert_eq!(covered(Reach::Near), [true, true, true, false]);
        assert_eq!(covered(Reach::NearOnly), [false, true, true, false]);
    }
}
