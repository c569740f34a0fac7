//! `tls-server-end-point` (RFC 5929): what ties a password's proof to the certificate of the connection that it came through.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// PKCS #1: the last byte says which.
const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// ECDSA with a hash of SHA-2: the last byte says which.
const ECDSA: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];

/// The hash of a certificate (DER), by the function that its signature uses; `None` where that is not defined, as for Ed25519.
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = signature_algorithm(certificate)?;
    let hash = match algorithm.split_last()? {
        // MD5 and SHA-1 are replaced by SHA-256, says the RFC.
        (4 | 5 | 11, rest) if rest == RSA => Sha256::digest(certificate).to_vec(),
        (12, rest) if rest == RSA => Sha384::digest(certificate).to_vec(),
        (13, rest) if rest == RSA => Sha512::digest(certificate).to_vec(),
        (2, rest) if rest == ECDSA => Sha256::digest(certificate).to_vec(),
        (3, rest) if rest == ECDSA => Sha384::digest(certificate).to_vec(),
        (4, rest) if rest == ECDSA => Sha512::digest(certificate).to_vec(),
        _ => return None,
    };
    Some(hash)
}

/// Certificate ::= SEQUENCE { what is signed, SEQUENCE { OBJECT IDENTIFIER, ... }, ... }
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate)?;
    let (_, after_signed) = element(certificate)?;
    let (algorithm, _) = element(after_signed)?;
    element(algorithm).map(|(identifier, _)| identifier)
}

/// The contents of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..0x80 => (usize::from(*short), rest),
        long => {
            let digits = usize::from(long & 0x7f);
            if !(1..=4).contains(&digits) {
                return None;
            }
            let (digits, rest) = rest.split_at_checked(digits)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let made = rcgen::CertificateParams::new(vec!["localhost".to_string()]).unwrap().self_signed(&key).unwrap();
        made.der().to_vec()
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let sha256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point(&sha256).unwrap(), Sha256::digest(&sha256).to_vec());
        let sha384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(end_point(&sha384).unwrap(), Sha384::digest(&sha384).to_vec());
        assert_eq!(end_point(&certificate(&rcgen::PKCS_ED25519)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = end_point(&bytes);
        }
    }
}
