//! What can be wrong with a stream.

use std::time::Duration;

/// How the stand-in fails. Whatever it keeps is in the stream, whatever it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// All is well.
    #[default]
    None,
    /// Every record is refused, by two codes in turn.
    RefuseAll,
    /// Every second record is refused, by chance.
    RefuseHalf,
    /// Every record at such a position is refused.
    RefuseEvery(usize),
    /// The request as a whole is answered 500.
    InternalError,
    /// The request as a whole is answered 400, for too many of them.
    Throttled,
    /// The answer takes longer.
    Slow(Duration),
    /// Everything is kept, and the connection closed without an answer.
    KeepAndHangUp,
    /// The connection is closed before the request is read.
    CloseUnread,
    /// Nobody listens, and every connection is cut.
    Absent,
    /// Nothing is kept, and the answer has 200 and makes no sense: of two kinds in turn.
    Nonsense,
    /// The request is kept, and answered for fewer records than it had.
    ShortAnswer,
    /// One record in so many is answered as if it were kept, and is not: what a stream must never do. Who looks for that has
    /// to find it.
    Forget(u64),
}

impl Fault {
    pub(super) fn slowness(self) -> Duration {
        if let Self::Slow(slowness) = self { slowness } else { Duration::ZERO }
    }
}
