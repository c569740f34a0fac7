//! COPY over the wire: CopyData from and to the client.

use super::backend::Backend;
use super::connection::Connection;
use super::frame::Frontend;
use super::message::CHUNK_BYTES;
use super::stop::{Failure, violation};
use crate::copy::CopyEncoder;
use crate::error::{SqlError, SqlState};
use crate::session::{CopyFormat, CopyIn, CopyKind};
use crate::types::SqlType;
use arrow::datatypes::Schema;
use bytes::{BufMut, BytesMut};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

/// Kind and length before a message's body.
const FRAME_HEAD_BYTES: usize = 5;

impl<B: Backend> Connection<B> {
    /// Takes the client's rows; answers the tag. While the other end is busy, nothing more is read than a bound.
    pub(super) async fn copy_in(&mut self, mut copy: Box<dyn CopyIn>, extended: bool) -> Result<String, Failure> {
        self.output.copy_response(b'G', copy.binary(), copy.columns());
        match self.receive(copy.as_mut(), extended).await {
            Ok(()) => {
                let rows = self.stop.run(&mut self.input, self.backend.finish_copy(copy)).await??;
                Ok(format!("COPY {rows}"))
            }
            Err(failure) => {
                self.backend.abort_copy(copy).await;
                Err(failure)
            }
        }
    }
    async fn receive(&mut self, copy: &mut dyn CopyIn, extended: bool) -> Result<(), Failure> {
        self.stop.run(&mut self.input, self.output.flush()).await??;
        loop {
            let message = tokio::select! {
                biased;
                failure = self.stop.signal() => return Err(failure),
                message = self.input.next() => message.map_err(Failure::Fatal)?,
            };
            match message {
                Some(Frontend::CopyData(bytes)) => self.stop.run(&mut self.input, copy.push(bytes)).await??,
                Some(Frontend::CopyDone) => return Ok(()),
                Some(Frontend::CopyFail(reason)) => {
                    return Err(SqlError::new(SqlState::QUERY_CANCELED, format!("COPY from stdin failed: {reason}")).into());
                }
                // Clients pipeline a Sync behind the Execute that starts a COPY.
                Some(Frontend::Flush | Frontend::Sync) => {}
                None | Some(Frontend::Terminate) => return Err(Failure::Gone),
                // It cannot be said where the copied data ends, and in a simple query nothing would resynchronize.
                Some(_) if extended => return Err(violation("unexpected message type during COPY from stdin").into()),
                Some(_) => return Err(Failure::Fatal(violation("unexpected message type during COPY from stdin"))),
            }
        }
    }
    /// Sends rows as COPY data, one message for each; answers the tag.
    pub(super) async fn copy_out(
        &mut self,
        schema: &Schema,
        mut batches: SendableRecordBatchStream,
        format: &CopyFormat,
    ) -> Result<String, Failure> {
        let columns = schema.fields().iter().map(|field| (field.name().clone(), SqlType::of_field(field))).collect::<Vec<_>>();
        self.output.copy_response(b'H', format.kind == CopyKind::Binary, columns.len());
        let encoder = CopyEncoder::new(format, columns, &self.backend.value_forms());
        let mut start = BytesMut::new();
        encoder.start(&mut start);
        // A line of names has a message of its own; the signature of the binary form stands in the first row's.
        if format.kind != CopyKind::Binary {
            let names = start.split();
            self.copy_data(|out| out.put_slice(&names));
        }
        let mut rows = 0;
        while let Some(batch) = self.stop.run(&mut self.input, batches.next()).await? {
            let mut batch = batch?;
            rows += batch.num_rows();
            if !start.is_empty() && batch.num_rows() > 0 {
                let mut first = BytesMut::new();
                encoder.fill(&mut encoder.bind(&batch.slice(0, 1))?, CHUNK_BYTES, &mut first)?;
                let signature = start.split();
                self.output.message(b'd', |body| body.put_slice(&[&signature[..], &first[FRAME_HEAD_BYTES..]].concat()));
                batch = batch.slice(1, batch.num_rows() - 1);
            }
            let mut bound = encoder.bind(&batch)?;
            while !encoder.fill(&mut bound, CHUNK_BYTES, &mut self.output.buffer)? {
                self.output.commit();
                self.stop.run(&mut self.input, self.output.flush()).await??;
            }
            self.output.commit();
        }
        self.copy_data(|out| {
            out.put_slice(&start);
            encoder.end(out);
        });
        self.output.empty(b'c');
        Ok(format!("COPY {rows}"))
    }
    /// Sends what an encoder has to say apart from rows, if anything.
    fn copy_data(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut data = BytesMut::new();
        write(&mut data);
        if !data.is_empty() {
            self.output.message(b'd', |body| body.put_slice(&data));
        }
    }
}
