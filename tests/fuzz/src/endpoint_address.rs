//! Addresses: no spelling of a refused address gets through, and none of an allowed one is refused.
//! It panics where the filter and a second reading of the RFCs (on the 128 bits) disagree.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keyturn_policy::address::{Allowance, canonical, check};

pub(crate) fn run(input: &[u8]) {
    for line in String::from_utf8_lossy(input).lines() {
        if let Ok(address) = line.trim().parse() {
            check_address(address);
        }
    }
    let mut bytes = [0; 16];
    for (byte, given) in bytes.iter_mut().zip(input) {
        *byte = *given;
    }
    check_address(Ipv6Addr::from(bytes).into());
    let [a, b, c, d, rest @ ..] = bytes;
    let v4 = Ipv4Addr::new(a, b, c, d);
    check_address(v4.into());
    let free = rest
        .iter()
        .fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    for spelled in spellings(v4, free) {
        check_address(spelled.into());
        // A spelling of an address is no better than the address.
        for allowance in allowances() {
            let refused = check(v4.into(), allowance).is_err();
            assert!(
                !refused || check(spelled.into(), allowance).is_err(),
                "{v4} is refused and {spelled} is not under {allowance:?}"
            );
        }
    }
}

fn check_address(address: IpAddr) {
    assert_eq!(
        canonical(canonical(address)),
        canonical(address),
        "{address}"
    );
    for allowance in allowances() {
        let answer = check(address, allowance);
        assert_eq!(
            answer.is_ok(),
            allowed(address, allowance),
            "{address} under {allowance:?}: {answer:?}"
        );
        assert_eq!(
            answer.is_ok(),
            check(canonical(address), allowance).is_ok(),
            "{address} and {} are one server",
            canonical(address)
        );
        if let Err(cause) = answer {
            assert!(
                cause.contains(&address.to_string()) && !cause.contains(char::is_control),
                "{cause}"
            );
        }
    }
}

fn allowances() -> impl Iterator<Item = Allowance> {
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(private, loopback)| Allowance { private, loopback })
}

/// Every IPv6 address that carries `v4`, with the bits that the format leaves free taken from `free`.
fn spellings(v4: Ipv4Addr, free: u128) -> Vec<Ipv6Addr> {
    let low = u128::from(u32::from(v4));
    let local_nat64 = 0x0064_ff9b_0001_u128 << 80;
    let [a, b, c, d] = v4.octets().map(u128::from);
    let mut spelled = vec![
        0xffff << 32 | low,
        0xffff_0000 << 32 | low,
        0x0064_ff9b << 96 | low,
        0x2002 << 112 | low << 80 | free & ((1 << 80) - 1),
        0x2001_0000 << 96 | (free & 0xffff_ffff_ffff) << 32 | u128::from(!u32::from(v4)),
    ];
    // RFC 8215's block, with RFC 6052's prefixes of 48, 56, 64 and 96 bits. Nobody is at 0.0.0.0/8,
    // so what comes out there is no reading.
    if a != 0 {
        spelled.extend([
            local_nat64 | a << 72 | b << 64 | c << 48 | d << 40 | free & 0xff_ffff_ffff,
            local_nat64
                | (free & 0xff) << 72
                | a << 64
                | b << 48
                | c << 40
                | d << 32
                | free & 0xffff_ffff,
            local_nat64
                | (free & 0xffff) << 64
                | a << 48
                | b << 40
                | c << 32
                | d << 24
                | free & 0xff_ffff,
            local_nat64 | low,
        ]);
    }
    // ISATAP behind a public, a private and a link-local prefix; its u and g bits vary.
    for prefix in [0x2a00_1450_u128 << 96, 0xfd12 << 112, 0xfe80 << 112] {
        spelled.push(prefix | (free & 0x0300) << 48 | 0x5efe << 32 | low);
    }
    if low > 1 {
        spelled.push(low);
    }
    spelled.into_iter().map(Ipv6Addr::from).collect()
}

/// The rule, read a second time: an address is reached only if it and whatever it carries may be.
fn allowed(address: IpAddr, allowance: Allowance) -> bool {
    match address {
        IpAddr::V4(v4) => allowed_v4(v4, allowance),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            let carried = carried(bits);
            carried.iter().all(|v4| allowed_v4(*v4, allowance))
                && (allowed_v6(bits, allowance) || is_notation(bits) && !carried.is_empty())
        }
    }
}

/// Is the address nothing but another way to write an IPv4 address?
fn is_notation(bits: u128) -> bool {
    let high = bits >> 32;
    [0xffff, 0xffff_0000, 0x0064_ff9b << 64].contains(&high)
        || high == 0 && bits > 1
        || high >> 48 == 0x0064_ff9b_0001
}

fn carried(bits: u128) -> Vec<Ipv4Addr> {
    let v4 = |bits: u128| Ipv4Addr::from(bits as u32);
    let mut carried = Vec::new();
    let high = bits >> 32;
    if is_notation(bits) && high >> 48 != 0x0064_ff9b_0001 {
        carried.push(v4(bits));
    }
    if bits >> 80 == 0x0064_ff9b_0001 {
        // Nobody is at 0.0.0.0/8, so a reading that comes out there is none.
        let octet = |at: u32| (bits >> at) & 0xff;
        let readings = [
            octet(72) << 24 | octet(64) << 16 | octet(48) << 8 | octet(40),
            octet(64) << 24 | octet(48) << 16 | octet(40) << 8 | octet(32),
            octet(48) << 24 | octet(40) << 16 | octet(32) << 8 | octet(24),
            bits & 0xffff_ffff,
        ];
        carried.extend(readings.into_iter().filter(|bits| bits >> 24 != 0).map(v4));
    }
    if bits >> 112 == 0x2002 {
        carried.push(v4(bits >> 80));
    }
    if bits >> 96 == 0x2001_0000 {
        carried.push(v4(!bits));
    }
    if high & 0xffff == 0x5efe && (bits >> 48) & 0xfcff == 0 {
        carried.push(v4(bits));
    }
    carried
}

fn allowed_v4(address: Ipv4Addr, allowance: Allowance) -> bool {
    let bits = u32::from(address);
    let within =
        |network: [u8; 4], prefix: u32| (bits ^ u32::from_be_bytes(network)) >> (32 - prefix) == 0;
    let never = [
        ([169, 254, 0, 0], 16),
        ([100, 100, 100, 200], 32),
        ([168, 63, 129, 16], 32),
        ([0, 0, 0, 0], 8),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 3),
    ];
    let private = [
        ([10, 0, 0, 0], 8),
        ([172, 16, 0, 0], 12),
        ([192, 168, 0, 0], 16),
        ([100, 64, 0, 0], 10),
    ];
    let any = |networks: &[([u8; 4], u32)]| {
        networks
            .iter()
            .any(|(network, prefix)| within(*network, *prefix))
    };
    !any(&never)
        && (allowance.private || !any(&private))
        && (allowance.loopback || !within([127, 0, 0, 0], 8))
}

fn allowed_v6(bits: u128, allowance: Allowance) -> bool {
    let within = |network: u128, prefix: u32| bits >> (128 - prefix) == network;
    if bits == 1 {
        return allowance.loopback;
    }
    // fd00:ec2::/32 is AWS's, fd20:ce::254 is GCP's.
    let metadata = within(0xfd00_0ec2, 32) || bits == 0xfd20_00ce << 96 | 0x254;
    if within(0xfc >> 1, 7) {
        return allowance.private && !metadata;
    }
    within(0b001, 3) && !within(0x2001_0db8, 32) && !within(0x3fff0, 20)
}
