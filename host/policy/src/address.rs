//! Which addresses a plugin may reach. Pure: it looks at an address, never at a name, and it is
//! asked about the very address that is connected to. IPv6 spellings of IPv4 addresses are undone
//! first, so that no rule can be walked around in another notation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the operator allows beyond public addresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowance {
    /// Private, shared (CGNAT) and unique-local ranges.
    pub private: bool,
    /// Only where the grant literally names a loopback address or `localhost`.
    pub loopback: bool,
}

/// Refuses an address; the error says why and what would allow it, if anything can.
pub fn check(address: IpAddr, allowance: Allowance) -> Result<(), String> {
    let refused = readings(address)
        .into_iter()
        .filter(|reading| !allowance.allows(class(*reading)))
        .max_by_key(|reading| class(*reading));
    let Some(reading) = refused else {
        return Ok(());
    };
    let shown = if reading == address {
        address.to_string()
    } else {
        format!("{address} (that is, {reading})")
    };
    Err(match class(reading) {
        Class::Metadata => format!(
            "{shown} is a cloud metadata address, which no plugin may reach; correct the host"
        ),
        Class::LinkLocal => {
            format!("{shown} is a link-local address, which no plugin may reach; correct the host")
        }
        // No allowance refuses a public address.
        Class::Special | Class::Public => format!(
            "{shown} is not the address of one server (multicast, broadcast, unspecified or \
             reserved); correct the host"
        ),
        Class::Private => format!(
            "{shown} is a private address; if the server is meant to be there, set private = true \
             in the endpoint's grant"
        ),
        Class::Loopback => format!(
            "{shown} is a loopback address; if the server is meant to run on this machine, write \
             the address itself or localhost into the endpoint's grant and value"
        ),
    })
}

impl Allowance {
    fn allows(self, class: Class) -> bool {
        match class {
            Class::Public => true,
            Class::Private => self.private,
            Class::Loopback => self.loopback,
            Class::Special | Class::LinkLocal | Class::Metadata => false,
        }
    }
}

/// The IPv4 address that an IPv6 address is another notation of, if it is.
pub fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    match v6.segments() {
        // ::ffff:a.b.c.d (mapped, RFC 4291) and ::ffff:0:a.b.c.d (translated, RFC 2765).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        // ::a.b.c.d (compatible, deprecated), but for :: and ::1.
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) != (0, 0) && (high, low) != (0, 1) => {
            v4(high, low)
        }
        // 64:ff9b::/96 (NAT64, RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        _ => address,
    }
}

/// Every address that a packet to this one may come out at. All of them must be allowed: an ISATAP
/// address, for one, is an address in its own network *and* leads to the IPv4 address in it.
fn readings(address: IpAddr) -> Vec<IpAddr> {
    let mut readings = vec![canonical(address)];
    let IpAddr::V6(v6) = address else {
        return readings;
    };
    let [a, b, c, _, e, f, high, low] = v6.segments();
    match (a, b) {
        // 2002::/16 (6to4, RFC 3056).
        (0x2002, _) => readings.push(v4(b, c)),
        // 2001:0::/32 (Teredo, RFC 4380): the client's address is the complement of the tail.
        (0x2001, 0) => readings.push(v4(!high, !low)),
        _ => {}
    }
    // …:0:5efe:a.b.c.d (ISATAP, RFC 5214), whatever its universal and group bits.
    if e & !0x0300 == 0 && f == 0x5efe {
        readings.push(v4(high, low));
    }
    if (a, b, c) == (0x64, 0xff9b, 1) {
        // RFC 8215's block for networks' own NAT64, with RFC 6052's prefixes of 48, 56, 64 and 96
        // bits: which of them holds, only the network knows. Octet 8 is always zero in them.
        let octets = v6.octets();
        let own = [
            [6, 7, 9, 10],
            [7, 9, 10, 11],
            [9, 10, 11, 12],
            [12, 13, 14, 15],
        ]
        .map(|places| places.map(|place| octets[place]));
        // Nobody is at 0.0.0.0/8: a prefix under which that comes out is not the network's.
        let own: Vec<_> = own
            .into_iter()
            .filter(|octets| octets[0] != 0)
            .map(|octets| IpAddr::V4(octets.into()))
            .collect();
        if !own.is_empty() {
            // Outside of such a network the address itself is nobody's.
            readings.remove(0);
        }
        readings.extend(own);
    }
    readings
}

fn v4(high: u16, low: u16) -> IpAddr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// From harmless to never.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Public,
    Private,
    Loopback,
    Special,
    LinkLocal,
    Metadata,
}

fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => class_v4(v4),
        IpAddr::V6(v6) => class_v6(v6),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        // AWS, Azure, GCP, and most others; AWS's container credentials and DNS beside it.
        [169, 254, 169, 254] | [169, 254, 170, 2] => Class::Metadata,
        // Alibaba (inside the shared range), Azure's wire server, Oracle's old endpoint.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Class::Metadata,
        [169, 254, ..] => Class::LinkLocal,
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Class::Private,
        // This network, IETF protocol assignments, documentation, 6to4 relays, benchmarks,
        // multicast, reserved and broadcast.
        [0, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Class::Special,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    let segments = address.segments();
    if address == Ipv6Addr::LOCALHOST {
        return Class::Loopback;
    }
    match segments {
        // AWS's metadata, container credentials (fd00:ec2::23) and the rest of that block.
        [0xfd00, 0xec2, ..] => Class::Metadata,
        // GCP's.
        [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Class::Metadata,
        // fe80::/10, and fec0::/10 (site-local, deprecated).
        [0xfe80..=0xfeff, ..] => Class::LinkLocal,
        [0xfc00..=0xfdff, ..] => Class::Private,
        // Everything that IANA has not allocated as global unicast, documentation and discard
        // prefixes included.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Special,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str, allowance: Allowance) -> String {
        check(address.parse().unwrap(), allowance).unwrap_err()
    }

    const ALL: Allowance = Allowance {
        private: true,
        loopback: true,
    };
    const NONE: Allowance = Allowance {
        private: false,
        loopback: false,
    };

    #[test]
    fn metadata_addresses_are_refused_however_written() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
        ] {
            let expected = format!(
                "{address} is a cloud metadata address, which no plugin may reach; correct the host"
            );
            assert_eq!(refused(address, ALL), expected);
        }
        for address in [
            "::ffff:169.254.169.254",
            "::ffff:0:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001:0:1234::5601:5601",
            "2001:db8::5efe:169.254.169.254",
        ] {
            let spelled: IpAddr = address.parse().unwrap();
            let expected = format!(
                "{spelled} (that is, 169.254.169.254) is a cloud metadata address, which no plugin \
                 may reach; correct the host"
            );
            assert_eq!(refused(address, ALL), expected);
        }
        for address in ["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"] {
            assert_eq!(
                refused(address, ALL),
                format!(
                    "{address} is a cloud metadata address, which no plugin may reach; correct the host"
                )
            );
        }
    }

    #[test]
    fn link_local_addresses_are_refused() {
        for address in ["169.254.0.1", "fe80::1", "fec0::1", "fe80::5efe:808:808"] {
            assert_eq!(
                refused(address, ALL),
                format!(
                    "{address} is a link-local address, which no plugin may reach; correct the host"
                )
            );
        }
    }

    #[test]
    fn addresses_of_no_server_are_refused() {
        for address in [
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert_eq!(
                refused(address, ALL),
                format!(
                    "{address} is not the address of one server (multicast, broadcast, unspecified \
                     or reserved); correct the host"
                )
            );
        }
    }

    #[test]
    fn private_addresses_need_the_grant() {
        for address in [
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "fc00::1",
            "fd12::1",
        ] {
            assert_eq!(
                refused(address, NONE),
                format!(
                    "{address} is a private address; if the server is meant to be there, set private \
                     = true in the endpoint's grant"
                )
            );
            assert_eq!(check(address.parse().unwrap(), ALL), Ok(()));
        }
        assert_eq!(
            refused("::ffff:10.0.0.1", NONE),
            "::ffff:10.0.0.1 (that is, 10.0.0.1) is a private address; if the server is meant to be \
             there, set private = true in the endpoint's grant"
        );
    }

    /// An address that leads on to a public one is still in its own network.
    #[test]
    fn isatap_is_judged_twice() {
        assert!(check("fd12::5efe:8.8.8.8".parse().unwrap(), NONE).is_err());
        assert!(check("fd12::5efe:8.8.8.8".parse().unwrap(), ALL).is_ok());
        assert!(check("fd12::100:5efe:127.0.0.1".parse().unwrap(), NONE).is_err());
    }

    #[test]
    fn a_networks_own_nat64_is_judged_under_every_prefix() {
        for address in [
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:a9fe:a9:fe08:808:808",
            "64:ff9b:1:a9:fe:a9fe:808:808",
            "64:ff9b:1:0:a9:fea9:fe08:808",
        ] {
            let error = refused(address, ALL);
            assert!(error.contains("(that is, 169.254.169.254)"), "{error}");
        }
        assert_eq!(
            check("64:ff9b:1:808:8:800::".parse().unwrap(), NONE),
            Ok(())
        );
    }

    #[test]
    fn loopback_needs_more_than_private() {
        let private = Allowance {
            private: true,
            loopback: false,
        };
        for address in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert_eq!(
                refused(address, private),
                format!(
                    "{address} is a loopback address; if the server is meant to run on this machine, \
                     write the address itself or localhost into the endpoint's grant and value"
                )
            );
            assert_eq!(check(address.parse().unwrap(), ALL), Ok(()));
        }
    }

    #[test]
    fn public_addresses_pass() {
        for address in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::8.8.8.8",
        ] {
            assert_eq!(check(address.parse().unwrap(), NONE), Ok(()));
        }
    }
}
