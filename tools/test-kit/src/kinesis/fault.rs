//! The faults of the stand-in.

use std::time::Duration;

/// How the stand-in fails. A record that it keeps is in the stream, whatever the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// No fault.
    #[default]
    None,
    /// Every record is refused, with two codes in turn.
    RefuseAll,
    /// Each record is refused with a probability of one half.
    RefuseHalf,
    /// Every nth record of a request is refused.
    RefuseEvery(usize),
    /// The request as a whole is answered 500.
    InternalError,
    /// The request as a whole is answered 400: `ThrottlingException`.
    Throttled,
    /// The answer comes this much later.
    Slow(Duration),
    /// Every record is kept, and the connection closes without an answer.
    KeepAndHangUp,
    /// The connection closes before the request is read.
    CloseUnread,
    /// The port is closed, and every connection is cut.
    Absent,
    /// No record is kept, and the answer is 200 with a malformed body, of two kinds in turn.
    Nonsense,
    /// Every record is kept, and the answer has one result less than the request has records.
    ShortAnswer,
    /// Every nth record is reported as kept and is not, which a stream must never do: a check for loss has to find it.
    Forget(u64),
}

impl Fault {
    pub(super) fn slowness(self) -> Duration {
        if let Self::Slow(slowness) = self { slowness } else { Duration::ZERO }
    }
}
