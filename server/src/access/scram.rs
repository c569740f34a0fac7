//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side: a password is proven without being sent.
//!
//! 1. The client's first message names its nonce; the answer adds ours, the salt and the count of iterations.
//! 2. The client's last message proves that it knows the password; it is compared in constant time.
//! 3. Our last message proves that we know the verifier.
//!
//! For a role that does not exist, or has no password, a mock verifier takes part: its salt depends on the name alone, so that nothing tells
//! such a role from one with another password.

use crate::error::{Result, SqlError, SqlState};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// PostgreSQL's count.
const ITERATIONS: u32 = 4096;
/// The mechanism's name.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// The same, tied to the certificate of an encrypted connection.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// How it is tied.
const BINDING: &str = "p=tls-server-end-point";

/// What a proof is tied to.
#[derive(Clone, Copy, Debug)]
pub enum Channel<'a> {
    /// Nothing; whether [`MECHANISM_PLUS`] was offered too.
    Plain {
        /// It was: a client that says it was not has been lied to.
        plus_offered: bool,
    },
    /// The end point of the encrypted connection.
    Bound(&'a [u8]),
}

/// What proves a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(secret)")
    }
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (how, keys) = rest.split_once('$')?;
        let (iterations, salt) = how.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let key = |text: &str| <[u8; 32]>::try_from(STANDARD.decode(text).ok()?).ok();
        Some(Self {
            iterations: iterations.parse().ok().filter(|n| *n > 0)?,
            salt: STANDARD.decode(salt).ok()?,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }

    /// Whether this is the verifier of a password of plain letters.
    pub fn fits(&self, password: &str) -> bool {
        self.iterations == ITERATIONS && equal(&keys(password, &self.salt, self.iterations).0, &self.stored_key)
    }

    /// A verifier that no password fits; the same salt for the same name as long as the server's secret lasts.
    pub fn mock(secret: &[u8; 32], user: &str) -> Self {
        let salt = Sha256::new().chain_update(secret).chain_update(user.as_bytes()).finalize();
        let unknown = |label: &[u8]| keyed(secret, &[label, user.as_bytes()].concat());
        Self { iterations: ITERATIONS, salt: salt[..16].to_vec(), stored_key: unknown(b"stored"), server_key: unknown(b"server") }
    }
}

/// The verifier of a password, as text.
pub fn verifier_of(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}

/// Whether text is a verifier already, which CREATE ROLE ... PASSWORD takes as it is.
pub fn is_verifier(text: &str) -> bool {
    Verifier::parse(text).is_some()
}

/// An exchange after its first message.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    /// What the client's last message must say of channel binding.
    binding: String,
    /// The nonce of both.
    nonce: String,
    /// The messages so far, over which both sides sign.
    signed: String,
}

impl Exchange {
    /// Reads the client's first message; answers with ours. `nonce` is ours, printable.
    pub fn begin(verifier: Verifier, client_first: &[u8], nonce: &str, channel: Channel<'_>) -> Result<(Self, String)> {
        let text = std::str::from_utf8(client_first).map_err(|_| malformed("The message is not UTF-8."))?;
        let mut parts = text.splitn(3, ',');
        let (flag, identity, bare) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        check_flag(flag, channel)?;
        if !identity.is_empty() {
            return Err(SqlError::unsupported("an authorization identity"));
        }
        let mut attributes = bare.split(',');
        if !attributes.next().is_some_and(|user| user.starts_with("n=")) {
            return Err(malformed("The user name is missing."));
        }
        let client_nonce = attributes.next().and_then(|part| part.strip_prefix("r=")).filter(|nonce| !nonce.is_empty());
        let client_nonce = client_nonce.filter(|nonce| nonce.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
        let client_nonce = client_nonce.ok_or_else(|| malformed("The nonce is missing or not printable."))?;
        let nonce = format!("{client_nonce}{nonce}");
        let answer = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        let signed = format!("{bare},{answer}");
        let mut binding = format!("{flag},,").into_bytes();
        if let Channel::Bound(end_point) = channel {
            binding.extend_from_slice(end_point);
        }
        let exchange = Self { verifier, binding: STANDARD.encode(binding), nonce, signed };
        Ok((exchange, answer))
    }

    /// Reads the client's last message; our last message if the proof holds, `None` if it does not.
    pub fn finish(self, client_final: &[u8]) -> Result<Option<String>> {
        let text = std::str::from_utf8(client_final).map_err(|_| malformed("The message is not UTF-8."))?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or_else(|| malformed("The proof is missing."))?;
        let mut attributes = without_proof.split(',');
        if attributes.next().and_then(|part| part.strip_prefix("c=")) != Some(&self.binding) {
            return Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "SCRAM channel binding check failed"));
        }
        if attributes.next().and_then(|part| part.strip_prefix("r=")) != Some(&self.nonce) {
            return Err(malformed("The nonce does not match."));
        }
        let proof = STANDARD.decode(proof).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let proof = proof.ok_or_else(|| malformed("The proof is malformed."))?;
        let message = format!("{},{without_proof}", self.signed);
        let signature = keyed(&self.verifier.stored_key, message.as_bytes());
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(byte, other)| *byte ^= other);
        let stored: [u8; 32] = Sha256::digest(client_key).into();
        let answer = format!("v={}", STANDARD.encode(keyed(&self.verifier.server_key, message.as_bytes())));
        Ok(equal(&stored, &self.verifier.stored_key).then_some(answer))
    }
}

/// What the client's first message says of channel binding must fit to what was offered and chosen.
fn check_flag(flag: &str, channel: Channel<'_>) -> Result<()> {
    match (flag, channel) {
        (BINDING, Channel::Bound(_)) | ("n", Channel::Plain { .. }) | ("y", Channel::Plain { plus_offered: false }) => Ok(()),
        ("y", Channel::Plain { plus_offered: true }) => {
            let detail = "The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.";
            let message = "SCRAM channel binding negotiation error";
            Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message).with_detail(detail))
        }
        ("n" | "y", Channel::Bound(_)) => {
            Err(malformed("The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data."))
        }
        (flag, Channel::Plain { .. }) if flag.starts_with("p=") => Err(malformed(
            "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.",
        )),
        (flag, _) if flag.starts_with("p=") => {
            Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, format!("unsupported SCRAM channel-binding type \"{}\"", &flag[2..])))
        }
        _ => Err(malformed("Unexpected channel-binding flag.")),
    }
}

/// Stored key and server key of a password.
fn keys(password: &str, salt: &[u8], iterations: u32) -> ([u8; 32], [u8; 32]) {
    let mut block = keyed(password.as_bytes(), &[salt, &[0, 0, 0, 1]].concat());
    let mut salted = block;
    for _ in 1..iterations {
        block = keyed(password.as_bytes(), &block);
        salted.iter_mut().zip(block).for_each(|(byte, other)| *byte ^= other);
    }
    (Sha256::digest(keyed(&salted, b"Client Key")).into(), keyed(&salted, b"Server Key"))
}

fn keyed(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Compares in a time that does not depend on where the two differ.
fn equal(left: &[u8; 32], right: &[u8; 32]) -> bool {
    std::hint::black_box(left.iter().zip(right).fold(0u8, |different, (a, b)| different | std::hint::black_box(a ^ b))) == 0
}

fn malformed(detail: &str) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message").with_detail(detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
    use proptest::prelude::*;

    const PLAIN: Channel<'static> = Channel::Plain { plus_offered: false };

    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    /// RFC 7677, section 3: user `user`, password `pencil`.
    fn rfc_verifier() -> Verifier {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let (stored_key, server_key) = keys("pencil", &salt, 4096);
        Verifier { iterations: 4096, salt, stored_key, server_key }
    }

    #[test]
    fn the_vectors_of_the_rfc() {
        let (exchange, first) = Exchange::begin(rfc_verifier(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", NONCE, PLAIN).unwrap();
        assert_eq!(first, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(exchange.finish(last).unwrap().unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    fn login(verifier: Verifier, password: &str) -> bool {
        login_through(verifier, password, ChannelBinding::unsupported(), PLAIN)
    }

    fn login_through(verifier: Verifier, password: &str, binding: ChannelBinding, channel: Channel<'_>) -> bool {
        let mut client = ScramSha256::new(password.as_bytes(), binding);
        let (exchange, first) = Exchange::begin(verifier, client.message(), "nonce", channel).unwrap();
        client.update(first.as_bytes()).unwrap();
        match exchange.finish(client.message()) {
            Ok(Some(last)) => client.finish(last.as_bytes()).map(|()| true).unwrap(),
            Ok(None) | Err(_) => false,
        }
    }

    #[test]
    fn the_right_password_and_no_other() {
        let verifier = Verifier::parse(&verifier_of("s3cret")).unwrap();
        assert!(login(verifier.clone(), "s3cret"));
        assert!(verifier.fits("s3cret") && !verifier.fits("s3creT"));
        assert!(!login(verifier, "s3creT"));
        assert!(!login(Verifier::mock(&[7; 32], "ghost"), "s3cret"));
        assert_eq!(Verifier::mock(&[7; 32], "ghost"), Verifier::mock(&[7; 32], "ghost"));
    }

    #[test]
    fn a_proof_is_tied_to_the_certificate() {
        let verifier = Verifier::parse(&verifier_of("s3cret")).unwrap();
        let bound = |client: &[u8], server: &[u8]| {
            login_through(verifier.clone(), "s3cret", ChannelBinding::tls_server_end_point(client.to_vec()), Channel::Bound(server))
        };
        assert!(bound(b"one", b"one"));
        assert!(!bound(b"one", b"another"));
        let begin = |text: &str, channel| Exchange::begin(rfc_verifier(), text.as_bytes(), NONCE, channel);
        // Somebody between took the offer away.
        assert!(begin("y,,n=,r=a", Channel::Plain { plus_offered: true }).is_err());
        assert!(begin("n,,n=,r=a", Channel::Plain { plus_offered: true }).is_ok());
        for text in ["n,,n=,r=a", "y,,n=,r=a", "p=tls-unique,,n=,r=a"] {
            assert!(begin(text, Channel::Bound(b"one")).is_err(), "{text}");
        }
    }

    #[test]
    fn lies_are_refused() {
        let begin = |text: &str| Exchange::begin(rfc_verifier(), text.as_bytes(), NONCE, PLAIN);
        for text in ["", "n", "x,,n=,r=a", "p=tls-unique,,n=,r=a", "n,a=me,n=,r=a", "n,,r=a", "n,,n=", "n,,n=,r=", "n,,n=,r=\u{7f}"] {
            assert!(begin(text).is_err(), "{text}");
        }
        for text in ["", "c=biws", "c=eSws,r=ab,p=AA==", "c=biws,r=other,p=AA==", "c=biws,r=ab,p=AA=="] {
            let (exchange, _) = begin("n,,n=,r=a").unwrap();
            assert!(exchange.finish(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_message_panics(first in proptest::collection::vec(any::<u8>(), 0..60), last in "\\PC{0,60}") {
            let _ = Exchange::begin(Verifier::mock(&[1; 32], "u"), &first, "n", PLAIN);
            let _ = Exchange::begin(Verifier::mock(&[1; 32], "u"), &first, "n", Channel::Bound(b"one"));
            let (exchange, _) = Exchange::begin(Verifier::mock(&[1; 32], "u"), b"n,,n=,r=a", "n", PLAIN).unwrap();
            let answered = exchange.finish(last.as_bytes());
            prop_assert!(!matches!(answered, Ok(Some(_))));
            let _ = Verifier::parse(&last);
        }
    }
}
