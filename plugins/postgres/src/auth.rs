//! The client's side of PostgreSQL's authentication, as a state machine without I/O. It exists to
//! decide in one place what a password may be used for: a SCRAM proof (bound to the TLS channel
//! where the server offers it), an MD5 response under TLS only, and never the password itself.
//! It reports *how* the server checked the password, because a server that asked for none
//! (`trust`, `peer`, `cert`) would make every login pass.

use crate::scram::{Answered, Binding, Scram};
use crate::wire::{ServerError, WireError, server_error};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

/// How the server satisfied itself that the client knows the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Not at all: any password would have done.
    Nothing,
    Md5,
    /// SCRAM-SHA-256; the server proved that it knows the verifier.
    Scram,
    /// SCRAM-SHA-256-PLUS; moreover, it is the server at the other end of the TLS channel.
    ScramPlus,
}

#[derive(Debug)]
pub enum Step {
    Send(Vec<u8>),
    Wait,
    Done(Proof),
}

#[derive(Debug)]
pub enum AuthError {
    /// The server refused the login; the SQLSTATE says why.
    Refused(ServerError),
    /// A method that this plugin does not answer, with the reason and the remedy.
    Unsupported(String),
    /// The server did not prove that it knows the verifier, or broke the protocol.
    Protocol(String),
}

impl From<WireError> for AuthError {
    fn from(error: WireError) -> AuthError {
        AuthError::Protocol(error.0)
    }
}

pub struct Authentication {
    user: String,
    password: String,
    encrypted: bool,
    /// `tls-server-end-point` data, where the host can give it.
    binding: Option<Vec<u8>>,
    /// For SCRAM; used up with the first message.
    nonce: String,
    state: State,
}

enum State {
    Start,
    Md5Answered,
    ScramFirst(Scram, Proof),
    ScramFinal(Answered, Proof),
    ScramVerified(Proof),
    /// Left behind while a step runs, so that a failed one cannot be re-entered.
    Over,
}

impl Authentication {
    /// `nonce`: printable characters without a comma, another one for each login.
    pub fn new(
        user: &str,
        password: &str,
        encrypted: bool,
        binding: Option<Vec<u8>>,
        nonce: String,
    ) -> Authentication {
        Authentication {
            user: user.to_owned(),
            password: password.to_owned(),
            encrypted,
            binding,
            nonce,
            state: State::Start,
        }
    }

    pub fn on(&mut self, message: Message) -> Result<Step, AuthError> {
        if let Message::ErrorResponse(body) = &message {
            self.state = State::Over;
            return Err(AuthError::Refused(server_error(body.fields())?));
        }
        if let Message::NoticeResponse(_) = message {
            return Ok(Step::Wait);
        }
        match (std::mem::replace(&mut self.state, State::Over), message) {
            (State::Start, Message::AuthenticationOk) => Ok(Step::Done(Proof::Nothing)),
            (State::Md5Answered, Message::AuthenticationOk) => Ok(Step::Done(Proof::Md5)),
            (State::ScramVerified(proof), Message::AuthenticationOk) => Ok(Step::Done(proof)),
            (State::Start, Message::AuthenticationMd5Password(body)) => self.md5(body.salt()),
            (State::Start, Message::AuthenticationSasl(body)) => self.sasl(&body),
            (State::ScramFirst(scram, proof), Message::AuthenticationSaslContinue(body)) => {
                let (last, answered) = scram.answer(body.data()).map_err(scram_failed)?;
                let mut buf = BytesMut::new();
                frontend::sasl_response(last.as_bytes(), &mut buf).map_err(scram_failed)?;
                self.state = State::ScramFinal(answered, proof);
                Ok(Step::Send(buf.to_vec()))
            }
            (State::ScramFinal(answered, proof), Message::AuthenticationSaslFinal(body)) => {
                answered.verify(body.data()).map_err(scram_failed)?;
                self.state = State::ScramVerified(proof);
                Ok(Step::Wait)
            }
            (State::Start, Message::AuthenticationCleartextPassword) => {
                Err(AuthError::Unsupported(
                    "the server asks for the password in clear text (pg_hba method password, \
                     ldap, pam, radius or bsd), which is never sent; use scram-sha-256"
                        .into(),
                ))
            }
            (
                State::Start,
                Message::AuthenticationGss
                | Message::AuthenticationSspi
                | Message::AuthenticationKerberosV5
                | Message::AuthenticationScmCredential,
            ) => Err(AuthError::Unsupported(
                "the server asks for Kerberos, GSSAPI or SSPI, not for a password; give these \
                 users a scram-sha-256 line in pg_hba.conf"
                    .into(),
            )),
            (State::ScramFirst(..) | State::ScramFinal(..), Message::AuthenticationOk) => {
                Err(AuthError::Protocol(
                    "the server accepted the login without proving that it knows the password's \
                     verifier; it may be an impostor"
                        .into(),
                ))
            }
            _ => Err(AuthError::Protocol(
                "a message that does not belong to the login".into(),
            )),
        }
    }

    fn md5(&mut self, salt: [u8; 4]) -> Result<Step, AuthError> {
        // An eavesdropper could try passwords against an MD5 response at billions per second, and
        // a man in the middle could ask for one where the server would have asked for SCRAM.
        if !self.encrypted {
            return Err(AuthError::Unsupported(
                "the server asks for an MD5 response on an unencrypted connection; use TLS, or \
                 set password_encryption = 'scram-sha-256' and set the password again"
                    .into(),
            ));
        }
        let response = md5_hash(self.user.as_bytes(), self.password.as_bytes(), salt);
        let mut buf = BytesMut::new();
        frontend::password_message(response.as_bytes(), &mut buf).map_err(scram_failed)?;
        self.state = State::Md5Answered;
        Ok(Step::Send(buf.to_vec()))
    }

    fn sasl(&mut self, body: &AuthenticationSaslBody) -> Result<Step, AuthError> {
        let (mut plain, mut plus) = (false, false);
        let mut mechanisms = body.mechanisms();
        while let Some(mechanism) = mechanisms.next().map_err(scram_failed)? {
            plain |= mechanism == SCRAM_SHA_256;
            plus |= mechanism == SCRAM_SHA_256_PLUS;
        }
        let (name, binding, proof) = match self.binding.take() {
            Some(data) if plus => (
                SCRAM_SHA_256_PLUS,
                Binding::TlsServerEndPoint(data),
                Proof::ScramPlus,
            ),
            // "The client could bind, the server did not offer it": a server that did offer it
            // detects the downgrade by this.
            Some(_) if plain => (SCRAM_SHA_256, Binding::NotOffered, Proof::Scram),
            None if plain => (SCRAM_SHA_256, Binding::Unsupported, Proof::Scram),
            _ => {
                return Err(AuthError::Unsupported(
                    "the server offers none of SCRAM-SHA-256 and (over TLS) SCRAM-SHA-256-PLUS"
                        .into(),
                ));
            }
        };
        let nonce = std::mem::take(&mut self.nonce);
        let scram = Scram::new(self.password.clone(), binding, nonce);
        let first = scram.first();
        let mut buf = BytesMut::new();
        frontend::sasl_initial_response(name, first.as_bytes(), &mut buf).map_err(scram_failed)?;
        self.state = State::ScramFirst(scram, proof);
        Ok(Step::Send(buf.to_vec()))
    }
}

fn scram_failed(error: impl std::fmt::Display) -> AuthError {
    AuthError::Protocol(format!("the SCRAM exchange failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Frames;

    fn message(tag: u8, body: &[u8]) -> Message {
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        bytes.extend_from_slice(body);
        let mut frames = Frames::default();
        frames.push(&bytes);
        frames.next_message().unwrap().unwrap()
    }

    fn request(kind: u32, rest: &[u8]) -> Message {
        let mut body = kind.to_be_bytes().to_vec();
        body.extend_from_slice(rest);
        message(b'R', &body)
    }

    fn started(encrypted: bool, binding: Option<&[u8]>) -> Authentication {
        let binding = binding.map(<[u8]>::to_vec);
        Authentication::new("u", "pencil", encrypted, binding, "a-nonce".into())
    }

    fn sent(step: Step) -> String {
        match step {
            Step::Send(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            other => panic!("nothing was sent: {other:?}"),
        }
    }

    const BOTH: &[u8] = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
    const PLAIN: &[u8] = b"SCRAM-SHA-256\0\0";

    #[test]
    fn a_server_that_asks_for_nothing_is_reported_as_such() {
        let step = started(true, None).on(request(0, b"")).unwrap();
        assert!(matches!(step, Step::Done(Proof::Nothing)));
    }

    #[test]
    fn the_password_itself_is_never_sent() {
        for encrypted in [false, true] {
            let error = started(encrypted, None).on(request(3, b"")).unwrap_err();
            assert!(matches!(error, AuthError::Unsupported(_)));
        }
    }

    #[test]
    fn md5_is_answered_under_tls_only() {
        let error = started(false, None).on(request(5, b"salt")).unwrap_err();
        assert!(matches!(error, AuthError::Unsupported(_)));
        let mut login = started(true, None);
        let text = sent(login.on(request(5, b"salt")).unwrap());
        assert!(text.contains("md5") && !text.contains("pencil"));
        let done = login.on(request(0, b"")).unwrap();
        assert!(matches!(done, Step::Done(Proof::Md5)));
    }

    #[test]
    fn channel_binding_is_used_where_both_sides_can() {
        let text = sent(started(true, Some(b"hash")).on(request(10, BOTH)).unwrap());
        assert!(text.contains("SCRAM-SHA-256-PLUS") && text.contains("p=tls-server-end-point,,"));
        // Offered by nobody, or impossible for us: the header says which.
        let text = sent(started(true, Some(b"hash")).on(request(10, PLAIN)).unwrap());
        assert!(text.contains("y,,n=,r="));
        let text = sent(started(true, None).on(request(10, BOTH)).unwrap());
        assert!(text.contains("n,,n=,r=") && !text.contains("PLUS"));
    }

    #[test]
    fn unknown_mechanisms_and_kerberos_are_unsupported() {
        for message in [request(10, b"OAUTHBEARER\0\0"), request(7, b"")] {
            let error = started(true, None).on(message).unwrap_err();
            assert!(matches!(error, AuthError::Unsupported(_)));
        }
    }

    #[test]
    fn an_impostor_that_skips_its_proof_is_refused() {
        let mut login = started(true, None);
        login.on(request(10, PLAIN)).unwrap();
        let error = login.on(request(0, b"")).unwrap_err();
        assert!(matches!(error, AuthError::Protocol(text) if text.contains("impostor")));
    }

    #[test]
    fn a_wrong_server_signature_is_refused() {
        let mut login = started(true, None);
        let first = sent(login.on(request(10, PLAIN)).unwrap());
        let nonce = first.split("r=").nth(1).unwrap();
        let challenge = format!("r={nonce}server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        login.on(request(11, challenge.as_bytes())).unwrap();
        let error = login
            .on(request(
                12,
                b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            ))
            .unwrap_err();
        assert!(matches!(error, AuthError::Protocol(_)));
    }

    #[test]
    fn an_iteration_count_that_would_burn_the_budget_is_refused() {
        let mut login = started(true, None);
        let first = sent(login.on(request(10, PLAIN)).unwrap());
        let nonce = first.split("r=").nth(1).unwrap();
        let challenge = format!("r={nonce}server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000");
        assert!(login.on(request(11, challenge.as_bytes())).is_err());
    }

    #[test]
    fn a_refusal_carries_the_sqlstate_and_ends_the_login() {
        let mut login = started(true, None);
        let error = login
            .on(message(b'E', b"SFATAL\0VFATAL\0C28P01\0Mno\0\0"))
            .unwrap_err();
        assert!(matches!(error, AuthError::Refused(e) if e.code == "28P01"));
        assert!(login.on(request(0, b"")).is_err());
    }

    /// A panic would be a trap, after which the host has to assume the worst.
    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 1u64;
        let mut random = move |below: usize| {
            // Knuth's MMIX generator; the seed is fixed, so a failure repeats.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..50_000 {
            let length = random(40);
            let mut body: Vec<u8> = (0..length).map(|_| random(256) as u8).collect();
            let tag = b"123AsCDEGHIKnNRSstTZ"[random(20)];
            if tag == b'R' && body.len() >= 4 {
                body[..4].copy_from_slice(&(random(14) as u32).to_be_bytes());
            }
            let mut frames = Frames::default();
            let length = (body.len() + 4).saturating_sub(random(12) / 11) as u32;
            frames.push(&[&[tag], &length.to_be_bytes()[..], &body].concat());
            let Ok(Some(message)) = frames.next_message() else {
                continue;
            };
            if let Message::DataRow(row) = &message {
                let _ = crate::wire::row(row);
            }
            let mut login = started(true, None);
            if random(2) == 0 {
                login.on(request(10, PLAIN)).unwrap();
            }
            let _ = login.on(message);
        }
    }
}
