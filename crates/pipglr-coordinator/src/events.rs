//! What a caller can watch.

use crate::pipeline::{JobState, PipelineId};
use pipglr_protocol::payload::JobId;

/// A change, in the order it happened. A receiver that lags reads the records again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The pipeline's composite state changed.
    PipelineChanged { pipeline: PipelineId, state: JobState },
    /// A job changed its state.
    JobChanged {
        pipeline: PipelineId,
        job: JobId,
        state: JobState,
    },
    /// A bridge started a pipeline of its own.
    PipelineCreated { pipeline: PipelineId, parent: JobId },
    /// A job that failed is tried again, under a new number.
    JobRetried {
        pipeline: PipelineId,
        old: JobId,
        new: JobId,
    },
    /// The stored trace has `size` bytes now. It shrinks to 0 when the runner is asked to resend it.
    TraceChanged { job: JobId, size: u64 },
}
