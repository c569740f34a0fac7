//! The threads that plan and run queries, apart from those that serve connections: whatever a query computes without a pause, a connection
//! is served meanwhile, and hears of a request to cancel.
//!
//! What is cancelled is dropped as soon as it pauses; nobody waits for that.

use crate::error::{Result, SqlError};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result as BatchResult;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::block_in_place;
use tokio_util::sync::DropGuard;
use tokio_util::task::AbortOnDropHandle;

/// Deeply nested SQL recurses in the parser and the planner; this is what their guards are measured for.
pub const STACK_BYTES: usize = 128 << 20;

/// Threads that stand in for those that compute without a pause, or wait within a step of a query: for a lock, or the answer of a subquery. They
/// are started when needed.
const STAND_INS_MAX: usize = 4096;

/// Batches made ahead of who takes them.
const BATCHES_AHEAD: usize = 1;

/// The threads.
#[derive(Debug)]
pub struct QueryThreads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl QueryThreads {
    /// Starts them; 0 is one per core.
    pub fn start(threads: usize) -> Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(if threads == 0 { cores() } else { threads }).thread_name("query").thread_stack_size(STACK_BYTES);
        let runtime = builder.max_blocking_threads(STAND_INS_MAX).enable_all().build();
        let runtime = runtime.map_err(|error| SqlError::internal(format!("could not start the threads of queries: {error}")))?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Runs a future on these threads: planning, which may compute for long without a pause, so that other tasks go on elsewhere meanwhile. It ends
    /// early when the caller stops waiting; a panic in it is the caller's.
    pub async fn run<T: Send + 'static>(&self, future: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        let elsewhere = async move {
            let mut future = pin!(future);
            poll_fn(|context| block_in_place(|| future.as_mut().poll(context))).await
        };
        match AbortOnDropHandle::new(self.handle.spawn(elsewhere)).await {
            Ok(result) => result,
            Err(error) => Err(ended(error)),
        }
    }

    /// A stream whose batches are made on these threads, hardly ahead of who takes them, and no longer than somebody does: then `guard` is
    /// dropped, too.
    pub fn drive(&self, mut stream: SendableRecordBatchStream, guard: DropGuard) -> SendableRecordBatchStream {
        let schema = stream.schema();
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let task = self.handle.spawn(async move {
            while let Some(batch) = stream.next().await {
                let failed = batch.is_err();
                if sender.send(batch).await.is_err() || failed {
                    break;
                }
            }
        });
        Box::pin(Driven { schema, batches, task: Some(AbortOnDropHandle::new(task)), _guard: guard })
    }
}

impl Drop for QueryThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Why a task has no result.
fn ended(error: tokio::task::JoinError) -> SqlError {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => SqlError::new(crate::error::SqlState::ADMIN_SHUTDOWN, "the query was ended because the server stops"),
    }
}

/// The taking end of a driven stream.
struct Driven {
    schema: SchemaRef,
    batches: mpsc::Receiver<BatchResult<RecordBatch>>,
    /// Until it has been seen how the task ended.
    task: Option<AbortOnDropHandle<()>>,
    /// Tells what never pauses that nobody waits.
    _guard: DropGuard,
}

impl Stream for Driven {
    type Item = BatchResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(batch) = ready!(self.batches.poll_recv(context)) {
            return Poll::Ready(Some(batch));
        }
        let Some(task) = &mut self.task else { return Poll::Ready(None) };
        let finished = ready!(Pin::new(task).poll(context));
        self.task = None;
        Poll::Ready(finished.err().map(|error| Err(ended(error).into())))
    }
}

impl RecordBatchStream for Driven {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::datatypes::Schema;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::oneshot;

    fn empty() -> RecordBatch {
        RecordBatch::new_empty(Arc::new(Schema::empty()))
    }

    fn guard() -> DropGuard {
        tokio_util::sync::CancellationToken::new().drop_guard()
    }

    fn stream_of(batches: impl Stream<Item = BatchResult<RecordBatch>> + Send + 'static) -> SendableRecordBatchStream {
        Box::pin(RecordBatchStreamAdapter::new(Arc::new(Schema::empty()), batches))
    }

    #[tokio::test]
    async fn a_stream_is_made_hardly_ahead_and_dropped_with_its_taker() {
        let threads = QueryThreads::start(1).unwrap();
        let made = Arc::new(AtomicUsize::new(0));
        let (dropped, wait_for_drop) = oneshot::channel::<()>();
        let count = made.clone();
        let source = futures::stream::repeat_with(move || {
            let _until_dropped = &dropped;
            count.fetch_add(1, Ordering::SeqCst);
            Ok(empty())
        });
        let mut driven = threads.drive(stream_of(source), guard());
        for _ in 0..100 {
            driven.next().await.unwrap().unwrap();
        }
        assert!(made.load(Ordering::SeqCst) <= 100 + BATCHES_AHEAD + 1);
        drop(driven);
        assert!(wait_for_drop.await.is_err());
    }

    #[tokio::test]
    async fn what_never_pauses_does_not_hold_up_the_caller() {
        let threads = QueryThreads::start(1).unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let busy = threads.run(async move {
            let _ = begun.send(());
            let _ = released.recv();
            Ok(())
        });
        tokio::select! {
            _ = busy => panic!("it has not been released"),
            begun = has_begun => begun.unwrap(),
        }
        release.send(()).unwrap();
    }

    #[tokio::test]
    async fn what_never_pauses_does_not_hold_up_others() {
        let threads = QueryThreads::start(1).unwrap();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let busy = threads.run(async move {
            let _ = begun.send(());
            let _ = released.recv();
            Ok(1)
        });
        let others = async {
            has_begun.await.unwrap();
            let other = threads.run(async { Ok(2) }).await.unwrap();
            release.send(()).unwrap();
            other
        };
        let (busy, other) = tokio::join!(busy, others);
        assert_eq!((busy.unwrap(), other), (1, 2));
    }

    #[tokio::test]
    async fn a_panic_is_the_callers() {
        let threads = QueryThreads::start(1).unwrap();
        let mut driven = threads.drive(stream_of(futures::stream::once(async { panic!("a defect") })), guard());
        let taken = std::panic::AssertUnwindSafe(driven.next());
        assert!(futures::FutureExt::catch_unwind(taken).await.is_err());
    }
}
