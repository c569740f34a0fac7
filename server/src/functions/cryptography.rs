//! Functions of the extension pgcrypto: `digest`, `hmac`, `gen_random_bytes`. Of its algorithms those of SHA-2; the others are not offered.

use super::overloads::{Call, Overloaded, results};
use crate::error::{Result, SqlError, SqlState};
use crate::types::SqlType::{Bytea, Int4, Text};
use arrow::array::ArrayRef;
use datafusion::logical_expr::{ScalarUDF, Volatility};
use hmac::{Hmac, KeyInit, Mac};
use rand::RngCore;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// Bytes that one call of `gen_random_bytes` makes at most, PostgreSQL's own bound.
const RANDOM_BYTES_MAX: i32 = 1024;

/// The functions.
pub fn functions() -> Vec<ScalarUDF> {
    vec![
        Overloaded::named("digest").of(&[Text, Text], Bytea, digest).of(&[Bytea, Text], Bytea, digest).build(),
        Overloaded::named("hmac").of(&[Text, Text, Text], Bytea, hmac).of(&[Bytea, Bytea, Text], Bytea, hmac).build(),
        Overloaded::named("gen_random_bytes").of(&[Int4], Bytea, random).with_volatility(Volatility::Volatile).build(),
    ]
}

fn data(call: &Call, argument: usize, row: usize) -> &[u8] {
    match call.types[argument] {
        Bytea => call.bytes(argument, row),
        _ => call.text(argument, row).as_bytes(),
    }
}

fn digest(call: &Call) -> Result<ArrayRef> {
    results::bytes(call, |row, out| {
        let data = data(call, 0, row);
        match algorithm(call.text(1, row))? {
            Algorithm::Sha224 => out.extend_from_slice(&Sha224::digest(data)),
            Algorithm::Sha256 => out.extend_from_slice(&Sha256::digest(data)),
            Algorithm::Sha384 => out.extend_from_slice(&Sha384::digest(data)),
            Algorithm::Sha512 => out.extend_from_slice(&Sha512::digest(data)),
        }
        Ok(())
    })
}

fn hmac(call: &Call) -> Result<ArrayRef> {
    macro_rules! code {
        ($hash:ty, $data:expr, $key:expr) => {{
            let mut mac = Hmac::<$hash>::new_from_slice($key).expect("HMAC takes keys of any length");
            mac.update($data);
            mac.finalize().into_bytes().to_vec()
        }};
    }
    results::bytes(call, |row, out| {
        let (data, key) = (data(call, 0, row), data(call, 1, row));
        let code = match algorithm(call.text(2, row))? {
            Algorithm::Sha224 => code!(Sha224, data, key),
            Algorithm::Sha256 => code!(Sha256, data, key),
            Algorithm::Sha384 => code!(Sha384, data, key),
            Algorithm::Sha512 => code!(Sha512, data, key),
        };
        out.extend_from_slice(&code);
        Ok(())
    })
}

enum Algorithm {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

fn algorithm(name: &str) -> Result<Algorithm> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "sha224" => Algorithm::Sha224,
        "sha256" => Algorithm::Sha256,
        "sha384" => Algorithm::Sha384,
        "sha512" => Algorithm::Sha512,
        "md5" | "sha1" => return Err(SqlError::unsupported(format!("the hash algorithm \"{name}\""))),
        _ => {
            let message = format!("Cannot use \"{name}\": No such hash algorithm");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    })
}

fn random(call: &Call) -> Result<ArrayRef> {
    results::bytes(call, |row, out| {
        let count = call.int4(0, row);
        if !(1..=RANDOM_BYTES_MAX).contains(&count) {
            return Err(SqlError::new(SqlState("39000"), "Length not in range"));
        }
        out.resize(usize::try_from(count).unwrap_or(0), 0);
        rand::rng().fill_bytes(out);
        Ok(())
    })
}
