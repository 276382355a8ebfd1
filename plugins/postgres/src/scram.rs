//! The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), without I/O and without
//! randomness: the nonce is a parameter. It exists beside postgres-protocol's because that one derives the key itself,
//! anew at every login, which a sandbox pays for several times over. It never puts the password into a message, and it
//! believes no server that does not prove that it knows the verifier.

use crate::salted::{self, SaltedPassword};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use sha2::{Digest, Sha256};

/// Counts come from the server, and a rogue one could burn the call's whole budget. PostgreSQL's default is 4,096.
const ITERATIONS_MAX: u32 = 100_000;

/// What the client says about the TLS channel (RFC 5802's gs2-header).
pub(crate) enum Binding {
    /// It could bind, and the server did not offer it.
    NotOffered,
    /// There is nothing to bind to.
    Unsupported,
    TlsServerEndPoint(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Self::NotOffered => "y,,",
            Self::Unsupported => "n,,",
            Self::TlsServerEndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Self::NotOffered | Self::Unsupported => &[],
            Self::TlsServerEndPoint(data) => data,
        }
    }
}

/// Waits for the server's challenge.
pub(crate) struct Scram {
    password: String,
    binding: Binding,
    nonce: String,
}

/// Waits for the server's own proof.
pub(crate) struct Answered {
    salted: SaltedPassword,
    auth_message: String,
}

impl Scram {
    /// `nonce`: printable characters without a comma, never used before.
    pub(crate) fn new(password: String, binding: Binding, nonce: String) -> Self {
        Self {
            password,
            binding,
            nonce,
        }
    }

    /// client-first-message.
    pub(crate) fn first(&self) -> String {
        format!("{}{}", self.binding.header(), self.first_bare())
    }

    /// The user's name is empty: PostgreSQL takes the one of the startup message.
    fn first_bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// client-final-message for a server-first-message.
    pub(crate) fn answer(self, challenge: &[u8]) -> Result<(String, Answered), String> {
        let challenge = text(challenge)?;
        let (nonce, salt, iterations) = parse(challenge)?;
        if !nonce.starts_with(&self.nonce) {
            return Err("the server answers with another nonce".into());
        }
        let salted = salted::remembered(&self.password, &salt, iterations);
        let bound = [self.binding.header().as_bytes(), self.binding.data()].concat();
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(bound));
        let auth_message = format!("{},{challenge},{without_proof}", self.first_bare());
        let client_key = salted::hmac(&salted, b"Client Key");
        let signature = salted::hmac(&Sha256::digest(client_key), auth_message.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(key, signature)| key ^ signature)
            .collect();
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((
            last,
            Answered {
                salted,
                auth_message,
            },
        ))
    }
}

impl Answered {
    /// Whether a server-final-message comes from a server that knows the verifier.
    pub(crate) fn verify(&self, last: &[u8]) -> Result<(), String> {
        let last = text(last)?;
        let signature = match last.split(',').next().unwrap_or_default().split_once('=') {
            Some(("v", signature)) => signature,
            Some(("e", error)) => return Err(format!("the server says {}", error.escape_debug())),
            _ => return Err("the server's last message is malformed".into()),
        };
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| "the server's signature is not base64".to_owned())?;
        let mut expected = salted::keyed(&salted::hmac(&self.salted, b"Server Key"));
        expected.update(self.auth_message.as_bytes());
        expected.verify_slice(&signature).map_err(|_| {
            "the server's signature is wrong, so it does not know the password's verifier".into()
        })
    }
}

/// Nonce, salt and iterations of `r=…,s=…,i=…`; extensions may follow.
fn parse(challenge: &str) -> Result<(&str, Vec<u8>, u32), String> {
    let malformed = || "the server's challenge is malformed".to_owned();
    let mut attributes = challenge.split(',');
    let mut next = |name: &str| {
        let attribute = attributes.next().unwrap_or_default();
        attribute.strip_prefix(name).ok_or_else(malformed)
    };
    let (nonce, salt, iterations) = (next("r=")?, next("s=")?, next("i=")?);
    let salt = STANDARD.decode(salt).map_err(|_| malformed())?;
    let iterations: u32 = iterations.parse().map_err(|_| malformed())?;
    if !(1..=ITERATIONS_MAX).contains(&iterations) {
        return Err(format!(
            "the server asks for {iterations} iterations, and {ITERATIONS_MAX} are the most"
        ));
    }
    Ok((nonce, salt, iterations))
}

fn text(message: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(message).map_err(|_| "a message is not text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3, but for the user's name, which PostgreSQL's clients leave empty.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    const EXPECTED_LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k=";
    const EXPECTED_SIGNATURE: &str = "v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=";

    fn started() -> Scram {
        Scram::new("pencil".into(), Binding::Unsupported, NONCE.into())
    }

    #[test]
    fn an_independent_implementation_agrees() {
        // Made with Python's hashlib and hmac from the same messages.
        let (last, answered) = started().answer(CHALLENGE.as_bytes()).unwrap();
        assert_eq!(started().first(), format!("n,,n=,r={NONCE}"));
        assert_eq!(last, EXPECTED_LAST);
        answered.verify(EXPECTED_SIGNATURE.as_bytes()).unwrap();
        let mut wrong = EXPECTED_SIGNATURE.as_bytes().to_vec();
        wrong[10] = if wrong[10] == b'A' { b'B' } else { b'A' };
        let refused = answered.verify(&wrong).unwrap_err();
        assert!(refused.contains("signature is wrong"), "{refused}");
    }

    #[test]
    fn a_challenge_is_taken_only_whole() {
        for broken in [
            "",
            "r=rOprNGfwEbeRWgbNEkqO",
            "r=somebody-elses-nonce,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=not base64,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=100001",
            "m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        ] {
            assert!(started().answer(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(started().answer(b"r=\xff").is_err());
    }

    #[test]
    fn the_servers_own_error_is_shown_without_control_characters() {
        let (_, answered) = started().answer(CHALLENGE.as_bytes()).unwrap();
        let error = answered.verify(b"e=other-error\x1b[31m").unwrap_err();
        assert!(error.contains("other-error") && !error.contains('\x1b'));
    }
}
