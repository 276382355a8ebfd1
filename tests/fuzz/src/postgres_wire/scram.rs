//! The server's half of SCRAM-SHA-256 (RFC 5802), written apart from the plugin's code: it knows the
//! right signature, so it can say whether the client was right to believe one. It panics if it was not.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use keyturn_plugin_postgres::verifier::verifier;
use sha2::{Digest, Sha256};

use super::PASSWORD;

/// As lenient as any decoder may be: the same bytes in another spelling are the same signature.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Every execution pays for them.
const ITERATIONS_MAX: u32 = 64;

const SASL_CONTINUE: [u8; 4] = [0, 0, 0, 11];
const SASL_FINAL: [u8; 4] = [0, 0, 0, 12];

/// What went over the wire so far.
#[derive(Default)]
pub(super) struct Conversation {
    client_first: Option<String>,
    server_first: Option<String>,
    client_final: Option<String>,
    /// Whether the last final message carried the right signature.
    is_proven: bool,
}

impl Conversation {
    /// The server's next message with what a real one would have put in: our nonce, few iterations,
    /// and if `is_signed` the signature.
    pub(super) fn answer(&mut self, tag: u8, body: &[u8], is_signed: bool) -> Vec<u8> {
        let Some((kind, data)) = body.split_first_chunk::<4>().filter(|_| tag == b'R') else {
            return body.to_vec();
        };
        let Ok(text) = std::str::from_utf8(data) else {
            return body.to_vec();
        };
        if *kind == SASL_CONTINUE && self.client_final.is_none() {
            let text = self.challenge(text);
            let body = [kind, text.as_bytes()].concat();
            self.server_first = Some(text);
            return body;
        }
        if *kind == SASL_FINAL
            && is_signed
            && let Some(signature) = self.signature()
        {
            let text = format!("v={}", BASE64.encode(signature));
            return [kind, text.as_bytes()].concat();
        }
        body.to_vec()
    }

    fn challenge(&self, text: &str) -> String {
        let nonce = self
            .client_first
            .as_deref()
            .and_then(|first| attribute(first, "r="));
        let attributes = text
            .split(',')
            .map(|attribute| match attribute.split_at_checked(2) {
                Some(("r=", suffix)) => format!("r={}{suffix}", nonce.unwrap_or_default()),
                Some(("i=", count)) => match count.parse::<u32>() {
                    Ok(count) if count > ITERATIONS_MAX => format!("i={}", count % ITERATIONS_MAX),
                    _ => attribute.to_owned(),
                },
                _ => attribute.to_owned(),
            });
        attributes.collect::<Vec<_>>().join(",")
    }

    /// What the client sent: a SASLInitialResponse, then a SASLResponse.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        let Some((b'p', body)) = bytes.split_first() else {
            return;
        };
        let body = String::from_utf8_lossy(body.get(4..).unwrap_or_default()).into_owned();
        if let Some((_, first)) = body.split_once(",,") {
            self.client_first = Some(first.to_owned());
        } else if body.starts_with("c=") {
            self.client_final = Some(body);
            self.check_proof();
        }
    }

    /// The client proves the password by nothing but what the verifier in the server can check.
    fn check_proof(&self) {
        let Some((salted, message, last)) = self.signed() else {
            return;
        };
        let proof = attribute(last, "p=").expect("the client's final message has a proof");
        let proof = BASE64.decode(proof).expect("a proof is base64");
        let client_key = mac(&salted, b"Client Key");
        let stored_key = Sha256::digest(client_key);
        let signature = mac(&stored_key, message.as_bytes());
        let proven: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(
            proven, client_key,
            "a server with the verifier would refuse this proof"
        );
    }

    fn signature(&self) -> Option<[u8; 32]> {
        let (salted, message, _) = self.signed()?;
        Some(mac(&mac(&salted, b"Server Key"), message.as_bytes()))
    }

    /// Salted password, AuthMessage, client-final-message.
    fn signed(&self) -> Option<([u8; 32], String, &str)> {
        let (first, challenge) = (self.client_first.as_ref()?, self.server_first.as_ref()?);
        let last = self.client_final.as_ref()?;
        let (without_proof, _) = last.rsplit_once(",p=")?;
        let salt = BASE64.decode(attribute(challenge, "s=")?).ok()?;
        let iterations = attribute(challenge, "i=")?.parse().ok()?;
        let salted = salted(&salt, iterations);
        check_verifier(&salt, iterations, &salted);
        Some((salted, format!("{first},{challenge},{without_proof}"), last))
    }

    /// After a message that may have been the final one: the client believed it or did not.
    pub(super) fn check_final(&mut self, tag: u8, body: &[u8], believed: bool) {
        let Some(data) = body.strip_prefix(&SASL_FINAL).filter(|_| tag == b'R') else {
            return;
        };
        let Some(signature) = self.signature() else {
            return;
        };
        let text = std::str::from_utf8(data).unwrap_or_default();
        let is_right = attribute(text, "v=")
            .and_then(|given| BASE64.decode(given).ok())
            .is_some_and(|given| given == signature);
        assert!(
            is_right || !believed,
            "a wrong signature was believed: {text}"
        );
        let exact = format!("v={}", BASE64.encode(signature));
        assert!(
            believed || text != exact || self.is_proven,
            "the right signature was refused"
        );
        self.is_proven = believed;
    }

    pub(super) fn is_proven(&self) -> bool {
        self.is_proven
    }
}

fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(',')
        .find_map(|attribute| attribute.strip_prefix(name))
}

/// PBKDF2-HMAC-SHA-256 of one block.
fn salted(salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut round = mac(PASSWORD.as_bytes(), &[salt, &[0, 0, 0, 1]].concat());
    let mut sum = round;
    for _ in 1..iterations {
        round = mac(PASSWORD.as_bytes(), &round);
        sum.iter_mut()
            .zip(round)
            .for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

/// The verifier that the plugin would store opens for the same password.
fn check_verifier(salt: &[u8], iterations: u32, salted: &[u8; 32]) {
    let Ok(salt) = <[u8; 16]>::try_from(salt) else {
        return;
    };
    let stored = BASE64.encode(Sha256::digest(mac(salted, b"Client Key")));
    let server = BASE64.encode(mac(salted, b"Server Key"));
    let expected = format!(
        "SCRAM-SHA-256${iterations}:{}${stored}:{server}",
        BASE64.encode(salt)
    );
    assert_eq!(verifier(PASSWORD, &salt, iterations), expected);
}

fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of every length (RFC 2104).
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
