//! What clients get: messages -> bytes, gathered and written together.

use crate::error::SqlError;
use crate::query::origin;
use crate::session::{Notice, TransactionStatus};
use crate::types::SqlType;
use arrow::datatypes::Schema;
use bytes::{BufMut, BytesMut};
use std::io;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Written when so much is gathered, in bytes.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// The writing half of a connection.
pub(super) struct Output {
    half: Box<dyn AsyncWrite + Send + Unpin>,
    /// Messages; what stands beyond `whole` is part of one that is not finished.
    pub(super) buffer: BytesMut,
    whole: usize,
}

impl Output {
    pub(super) fn new(half: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self { half, buffer: BytesMut::with_capacity(CHUNK_BYTES + (8 << 10)), whole: 0 }
    }
    /// All that stands in the buffer is whole messages.
    pub(super) fn commit(&mut self) {
        self.whole = self.buffer.len();
    }
    /// Forgets what was begun and not committed.
    pub(super) fn roll_back(&mut self) {
        self.buffer.truncate(self.whole);
    }
    /// Writes everything; if this is dropped while it waits, what is left goes with the next.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            let written = self.half.write_buf(&mut self.buffer).await?;
            self.whole = self.whole.saturating_sub(written);
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.half.flush().await
    }
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= CHUNK_BYTES
    }
    /// Appends one message.
    pub(super) fn message(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) {
        write_message(&mut self.buffer, kind, body);
        self.commit();
    }
    pub(super) fn empty(&mut self, kind: u8) {
        self.message(kind, |_| {});
    }
    pub(super) fn byte(&mut self, byte: u8) {
        self.buffer.put_u8(byte);
        self.commit();
    }
    pub(super) fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |body| {
            put_text(body, name);
            put_text(body, value);
        });
    }
    pub(super) fn error(&mut self, severity: &str, error: &SqlError) {
        self.message(b'E', |body| put_error(body, severity, error));
    }
    pub(super) fn notice(&mut self, notice: &Notice) {
        self.message(b'N', |body| put_error(body, notice.severity, &notice.error));
    }
    pub(super) fn command_complete(&mut self, tag: &str) {
        self.message(b'C', |body| put_text(body, tag));
    }
    pub(super) fn ready(&mut self, status: TransactionStatus) {
        self.message(b'Z', |body| {
            body.put_u8(match status {
                TransactionStatus::Idle => b'I',
                TransactionStatus::InBlock => b'T',
                TransactionStatus::Failed => b'E',
            });
        });
    }
    pub(super) fn parameter_description(&mut self, types: &[SqlType]) {
        self.message(b't', |body| {
            body.put_u16(types.len() as u16);
            types.iter().for_each(|sql_type| body.put_u32(sql_type.oid()));
        });
    }
    pub(super) fn row_description(&mut self, schema: &Schema, formats: &[i16]) {
        self.message(b'T', |body| {
            body.put_u16(schema.fields().len() as u16);
            for (index, field) in schema.fields().iter().enumerate() {
                let sql_type = SqlType::of_field(field);
                put_text(body, field.name());
                let (table, column) = origin::of_field(field);
                body.put_u32(table);
                body.put_i16(column);
                body.put_u32(sql_type.oid());
                body.put_i16(sql_type.width_bytes());
                body.put_i32(origin::type_modifier(field));
                body.put_i16(format_of(formats, index));
            }
        });
    }
    /// CopyInResponse (`G`) or CopyOutResponse (`H`).
    pub(super) fn copy_response(&mut self, kind: u8, binary: bool, columns: usize) {
        self.message(kind, |body| {
            body.put_u8(binary.into());
            body.put_u16(columns as u16);
            (0..columns).for_each(|_| body.put_i16(binary.into()));
        });
    }
}

/// The format of a column: one for each, one for all, or text.
pub(super) fn format_of(formats: &[i16], index: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(index).copied().unwrap_or(0),
    }
}

pub(super) fn write_message(out: &mut BytesMut, kind: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    let at = out.len();
    out.put_u32(0);
    body(out);
    let length = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn put_text(out: &mut BytesMut, text: &str) {
    // A zero byte would end the text early, and with it the message.
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.put_u8(0);
}

fn put_error(out: &mut BytesMut, severity: &str, error: &SqlError) {
    let position = error.position.map(|position| position.to_string());
    let subject = error.subject.as_deref();
    let fields = [
        (b'S', Some(severity)),
        (b'V', Some(severity)),
        (b'C', Some(error.state.0)),
        (b'M', Some(error.message.as_ref())),
        (b'D', error.detail.as_deref()),
        (b'H', error.hint.as_deref()),
        (b'P', position.as_deref()),
        (b'W', error.context.as_deref()),
        (b's', subject.and_then(|subject| subject.schema.as_deref())),
        (b't', subject.and_then(|subject| subject.table.as_deref())),
        (b'c', subject.and_then(|subject| subject.column.as_deref())),
        (b'n', subject.and_then(|subject| subject.constraint.as_deref())),
    ];
    for (kind, value) in fields {
        if let Some(value) = value {
            out.put_u8(kind);
            put_text(out, value);
        }
    }
    out.put_u8(0);
}
