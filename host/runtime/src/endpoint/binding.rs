//! Channel bindings: `tls-server-end-point` (RFC 5929) and `tls-exporter` (RFC 9266). Reads just
//! as much of a certificate as it takes to find its signature algorithm.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The hash of the certificate by the hash of its own signature algorithm; MD5 and SHA-1 count as
/// SHA-256. None where the algorithm has no single hash (Ed25519).
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(match signature_hash(certificate)? {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
/// RSASSA-PSS-params: the hash algorithm's explicit tag.
const PSS_HASH: u8 = 0xa0;

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, … }
/// (RFC 5280 §4.1).
fn signature_hash(certificate: &[u8]) -> Option<Hash> {
    let (body, _) = element(certificate, SEQUENCE)?;
    let (_, after_tbs) = element(body, SEQUENCE)?;
    let (algorithm, _) = element(after_tbs, SEQUENCE)?;
    let (oid, parameters) = element(algorithm, OID)?;
    match oid {
        // 1.2.840.113549.1.1.x: RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512; 10 is PSS.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last] => match last {
            4 | 5 | 11 => Some(Hash::Sha256),
            12 => Some(Hash::Sha384),
            13 => Some(Hash::Sha512),
            10 => pss_hash(parameters),
            _ => None,
        },
        // 1.2.840.10045.4.1: ECDSA with SHA-1; 1.2.840.10045.4.3.x: with SHA-256, -384, -512.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Some(Hash::Sha256),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last] => match last {
            2 => Some(Hash::Sha256),
            3 => Some(Hash::Sha384),
            4 => Some(Hash::Sha512),
            _ => None,
        },
        _ => None,
    }
}

/// RFC 4055 §3.1; the default is SHA-1, which counts as SHA-256.
fn pss_hash(parameters: &[u8]) -> Option<Hash> {
    let (parameters, _) = element(parameters, SEQUENCE)?;
    let Some((tagged, _)) = element(parameters, PSS_HASH) else {
        return Some(Hash::Sha256);
    };
    let (algorithm, _) = element(tagged, SEQUENCE)?;
    match element(algorithm, OID)?.0 {
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last] => match last {
            1 => Some(Hash::Sha256),
            2 => Some(Hash::Sha384),
            3 => Some(Hash::Sha512),
            _ => None,
        },
        _ => Some(Hash::Sha256),
    }
}

/// The contents of the DER element with this tag at the front, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (
            bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
            rest,
        )
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn check(algorithm: &'static SignatureAlgorithm, expected: Option<Hash>) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::new(vec!["db".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        assert_eq!(signature_hash(certificate.der()), expected);
    }

    #[test]
    fn the_hash_follows_the_signature() {
        check(&rcgen::PKCS_ECDSA_P256_SHA256, Some(Hash::Sha256));
        check(&rcgen::PKCS_ECDSA_P384_SHA384, Some(Hash::Sha384));
        check(&rcgen::PKCS_ED25519, None);
    }

    #[test]
    fn cut_certificates_are_no_panic() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["db".into()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let der = certificate.der();
        for length in 0..der.len() {
            let cut = der.get(..length).unwrap();
            assert_eq!(server_end_point(cut), None, "{length} bytes");
        }
    }
}
