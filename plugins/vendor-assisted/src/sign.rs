//! Assertions (RFC 7519, RFC 7523) that prove a private key to a vendor's token endpoint: ES256 with Apple's keys,
//! RS256 (RFC 8017, RSASSA-PKCS1-v1_5) with Google's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U2048};
use keyturn_sdk::{Error, clock, random};
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::der::asn1::UintRef;
use p256::pkcs8::der::{Decode as _, Reader as _, SecretDocument, SliceReader};
use p256::pkcs8::{DecodePrivateKey as _, ObjectIdentifier, PrivateKeyInfoRef};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::profile::{Algorithm, Sign};
use crate::values::Values;

const LIFETIME_SECONDS: u64 = 300;
/// A vendor whose clock is a little behind refuses what was made in its future, as if the key were wrong.
const BACKDATED_SECONDS: u64 = 60;
/// Keys of Google's service accounts have no other size.
const RSA_BYTES: usize = 256;
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// What stands before a SHA-256 hash in a signature: its DigestInfo (RFC 8017, section 9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// A token of the key; a broken one is signed by nobody.
pub(crate) fn assertion(sign: &Sign, values: &Values, broken: bool) -> Result<String, Error> {
    let issued_at = (clock::now_ms() / 1000).saturating_sub(BACKDATED_SECONDS);
    let filled = |texts: &std::collections::BTreeMap<String, String>| {
        let filled = texts
            .iter()
            .map(|(name, text)| Ok((name.clone(), Value::from(values.fill(text)?))));
        filled.collect::<Result<Map<_, _>, Error>>()
    };
    let (mut header, mut claims) = (filled(&sign.header)?, filled(&sign.claims)?);
    let algorithm = match sign.algorithm {
        Algorithm::Es256 => "ES256",
        Algorithm::Rs256 => "RS256",
    };
    header.insert("alg".into(), algorithm.into());
    claims.insert("iat".into(), issued_at.into());
    claims.insert("exp".into(), (issued_at + LIFETIME_SECONDS).into());
    let encode =
        |object: Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::from(object).to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = values.get(&sign.key)?;
    let signature = match sign.algorithm {
        Algorithm::Es256 => es256(key, message.as_bytes()),
        Algorithm::Rs256 => rs256(key, message.as_bytes()),
    };
    let mut signature = signature.ok_or_else(|| {
        Error::invalid_secret(
            "the private key cannot sign: its parts do not fit each other; make another one",
        )
    })?;
    if broken {
        random::fill(&mut signature);
    }
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn es256(pem: &str, message: &[u8]) -> Option<Vec<u8>> {
    let key = p256::ecdsa::SigningKey::from_pkcs8_pem(pem).ok()?;
    let signature: p256::ecdsa::Signature = key.sign(message);
    Some(signature.to_bytes().to_vec())
}

/// Whether a key can be read that signs with RS256.
pub(crate) fn is_rsa_key(pem: &str) -> bool {
    RsaKey::from_pem(pem).is_some()
}

/// RFC 8017, section 8.2.1, without the Chinese remainder: slower, and no fault can give the key away.
fn rs256(pem: &str, message: &[u8]) -> Option<Vec<u8>> {
    let key = RsaKey::from_pem(pem)?;
    let mut encoded = [0xff; RSA_BYTES];
    let hash = Sha256::digest(message);
    let info = RSA_BYTES - hash.len() - SHA256_INFO.len();
    (encoded[0], encoded[1], encoded[info - 1]) = (0, 1, 0);
    encoded[info..info + SHA256_INFO.len()].copy_from_slice(&SHA256_INFO);
    encoded[info + SHA256_INFO.len()..].copy_from_slice(&hash);
    let (modulus, encoded) = (
        FixedMontyParams::new(key.modulus),
        U2048::from_be_slice(&encoded),
    );
    // In constant time.
    let signed = FixedMontyForm::new(&encoded, &modulus).pow(&key.private_exponent);
    let opened = signed.pow_vartime(&key.public_exponent).retrieve();
    (opened == encoded).then(|| signed.retrieve().to_be_bytes().as_ref().to_vec())
}

struct RsaKey {
    modulus: Odd<U2048>,
    public_exponent: U2048,
    private_exponent: U2048,
}

impl RsaKey {
    fn from_pem(pem: &str) -> Option<Self> {
        let (label, document) = SecretDocument::from_pem(pem).ok()?;
        let info = PrivateKeyInfoRef::try_from(document.as_bytes()).ok()?;
        if label != "PRIVATE KEY" || info.algorithm.oid != RSA_ENCRYPTION {
            return None;
        }
        // RSAPrivateKey of RFC 8017, appendix A.1.2.
        let mut reader = SliceReader::new(info.private_key.as_bytes()).ok()?;
        let [modulus, public_exponent, private_exponent] = reader
            .sequence(|reader| {
                u8::decode(reader)?;
                let used = [
                    UintRef::decode(reader)?,
                    UintRef::decode(reader)?,
                    UintRef::decode(reader)?,
                ];
                for _prime_exponent_or_coefficient in 0..5 {
                    UintRef::decode(reader)?;
                }
                Ok::<_, p256::pkcs8::der::Error>(used)
            })
            .ok()?;
        let is_2048 = modulus.as_bytes().len() == RSA_BYTES && modulus.as_bytes()[0] & 0x80 != 0;
        is_2048.then_some(())?;
        Some(Self {
            modulus: Odd::new(number(modulus)?).into_option()?,
            public_exponent: number(public_exponent)?,
            private_exponent: number(private_exponent)?,
        })
    }
}

fn number(digits: UintRef<'_>) -> Option<U2048> {
    let digits = digits.as_bytes();
    let mut padded = [0; RSA_BYTES];
    let begins = RSA_BYTES.checked_sub(digits.len())?;
    padded[begins..].copy_from_slice(digits);
    Some(U2048::from_be_slice(&padded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use jsonwebtoken::{DecodingKey, Validation, decode};
    use keyturn_sdk::fake;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm};

    fn opened(
        profile: &str,
        key: &'static SignatureAlgorithm,
        broken: bool,
    ) -> Result<Value, jsonwebtoken::errors::Error> {
        let _host = fake::Host::new().install();
        let pair = KeyPair::generate_for(key).unwrap();
        let sign = Profile::named(profile).unwrap().sign.unwrap();
        let mut values = Values::default();
        values.add(&sign.key, pair.serialize_pem());
        for name in [
            "apple_key_id",
            "apple_team_id",
            "apple_client_id",
            "firebase_credentials.private_key_id",
            "firebase_credentials.client_email",
        ] {
            values.add(name, format!("the {name}"));
        }
        let token = assertion(&sign, &values, broken).unwrap();
        let public = pair.public_key_pem();
        let (algorithm, public) = match sign.algorithm {
            Algorithm::Es256 => (
                jsonwebtoken::Algorithm::ES256,
                DecodingKey::from_ec_pem(public.as_bytes()).unwrap(),
            ),
            Algorithm::Rs256 => (
                jsonwebtoken::Algorithm::RS256,
                DecodingKey::from_rsa_pem(public.as_bytes()).unwrap(),
            ),
        };
        let mut validation = Validation::new(algorithm);
        // The fake host's clock stands.
        validation.validate_exp = false;
        validation.validate_aud = false;
        decode::<Value>(&token, &public, &validation).map(|token| token.claims)
    }

    #[test]
    fn another_implementation_accepts_what_is_signed() {
        let claims = opened("apple", &PKCS_ECDSA_P256_SHA256, false).unwrap();
        assert_eq!(claims["iss"], "the apple_team_id");
        assert_eq!(
            claims["exp"].as_u64(),
            claims["iat"].as_u64().map(|iat| iat + 300)
        );
        let claims = opened("firebase", &PKCS_RSA_SHA256, false).unwrap();
        assert_eq!(claims["iss"], "the firebase_credentials.client_email");
    }

    #[test]
    fn a_broken_one_is_signed_by_nobody() {
        assert!(opened("apple", &PKCS_ECDSA_P256_SHA256, true).is_err());
        assert!(opened("firebase", &PKCS_RSA_SHA256, true).is_err());
    }

    #[test]
    fn keys_of_another_kind_are_none() {
        let pem = |key| KeyPair::generate_for(key).unwrap().serialize_pem();
        assert!(is_rsa_key(&pem(&PKCS_RSA_SHA256)));
        assert!(!is_rsa_key(&pem(&PKCS_ECDSA_P256_SHA256)));
        assert!(es256(&pem(&PKCS_RSA_SHA256), b"").is_none());
    }
}
