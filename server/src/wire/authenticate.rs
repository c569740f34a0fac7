//! The client proves who it is, as the doorkeeper demands.

use super::frame::{Frontend, Input};
use super::message::Output;
use super::stop::{Failure, violation};
use crate::access::login::{Demand, Doorkeeper, wrong_password};
use crate::access::peer;
use crate::access::rules::Candidate;
use crate::access::scram::{Channel, Exchange, MECHANISM, MECHANISM_PLUS, Verifier};
use crate::error::{Result, SqlError};
use base64::Engine;
use bytes::{Buf, BufMut, Bytes};

/// Random bytes of our part of the nonce.
const NONCE_BYTES: usize = 18;

/// Lets the client in, or says why not. `end_point`: what a proof can be tied to.
pub(super) async fn authenticate(
    door: &dyn Doorkeeper,
    candidate: &Candidate<'_>,
    end_point: Option<&[u8]>,
    input: &mut Input,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut demand = door.demand(candidate).map_err(Failure::Fatal)?;
    if let Demand::OwnUser(otherwise) = demand {
        demand = if is_own_user(candidate).await { Demand::Nothing } else { *otherwise };
    }
    if let Demand::Password { verifier, may_pass } = demand {
        let proven = exchange(verifier, may_pass, end_point, input, output).await?;
        if !proven {
            return Err(Failure::Fatal(wrong_password(candidate.user)));
        }
    } else if !matches!(demand, Demand::Nothing) {
        return Err(Failure::Fatal(SqlError::internal("a demand within a demand")));
    }
    door.admit(candidate).map_err(Failure::Fatal)?;
    output.message(b'R', |body| body.put_i32(0));
    Ok(())
}

/// The kernel's table can be long: it is read on a thread that may wait.
async fn is_own_user(candidate: &Candidate<'_>) -> bool {
    let (client, server) = (candidate.client, candidate.server);
    tokio::task::spawn_blocking(move || peer::is_own(client, server)).await.unwrap_or(false)
}

async fn exchange(
    verifier: Verifier,
    may_pass: bool,
    end_point: Option<&[u8]>,
    input: &mut Input,
    output: &mut Output,
) -> Result<bool, Failure> {
    output.message(b'R', |body| {
        body.put_i32(10);
        for mechanism in end_point.map(|_| MECHANISM_PLUS).into_iter().chain([MECHANISM]) {
            body.put_slice(mechanism.as_bytes());
            body.put_u8(0);
        }
        body.put_u8(0);
    });
    let (channel, first) = initial_response(answer(input, output).await?, end_point).map_err(Failure::Fatal)?;
    let nonce = base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; NONCE_BYTES]>());
    let (exchange, challenge) = Exchange::begin(verifier, &first, &nonce, channel).map_err(Failure::Fatal)?;
    output.message(b'R', |body| {
        body.put_i32(11);
        body.put_slice(challenge.as_bytes());
    });
    let last = answer(input, output).await?;
    let Some(outcome) = exchange.finish(&last).map_err(Failure::Fatal)?.filter(|_| may_pass) else { return Ok(false) };
    output.message(b'R', |body| {
        body.put_i32(12);
        body.put_slice(outcome.as_bytes());
    });
    Ok(true)
}

/// Sends what is ready, and waits for a password message.
async fn answer(input: &mut Input, output: &mut Output) -> Result<Bytes, Failure> {
    output.flush().await?;
    match input.next_password().await.map_err(Failure::Fatal)? {
        Some(Frontend::Password(bytes)) => Ok(bytes),
        Some(_) => Err(Failure::Fatal(violation("expected SASL response"))),
        None => Err(Failure::Gone),
    }
}

/// SASLInitialResponse: the mechanism, and the first message.
fn initial_response(mut body: Bytes, end_point: Option<&[u8]>) -> Result<(Channel<'_>, Bytes), SqlError> {
    let end = memchr::memchr(0, &body).ok_or_else(|| violation("invalid string in message"))?;
    let channel = match (&body[..end], end_point) {
        (name, Some(end_point)) if name == MECHANISM_PLUS.as_bytes() => Channel::Bound(end_point),
        (name, _) if name == MECHANISM.as_bytes() => Channel::Plain { plus_offered: end_point.is_some() },
        _ => return Err(violation("client selected an invalid SASL authentication mechanism")),
    };
    body.advance(end + 1);
    if body.len() < 4 {
        return Err(violation("insufficient data left in message"));
    }
    match usize::try_from(body.get_i32()) {
        Ok(length) if length == body.len() => Ok((channel, body)),
        _ => Err(violation("invalid message format")),
    }
}
