//! Faults of the archive: their kinds and their rates.

crate::simulation::faults::faults! {
    /// A kind of fault of the archive, or a consequence of one.
    ArchiveFault {
        CallerGoneBefore 0.0 "a request's sender ends before the request's effect",
        CallerGoneBetween 0.0 "a request's sender ends between effect and answer",
        ReadThrottled 0.02 "S3: a read or a list is answered with 503",
        ReadUnanswered 0.02 "S3: the answer to a read or a list is lost",
        ReadWhileDown 0.0 "S3: a read or a list while the store is down",
        WriteThrottled 0.03 "S3: a put or a deletion is answered with 503",
        WriteUnanswered 0.05 "S3: a put or a deletion succeeds, but its answer is lost",
        WriteLate 0.06 "S3: a put or a deletion takes effect after its time-out",
        WriteWhileDown 0.0 "S3: a put or a deletion while the store is down",
        SwapRefused 0.0 "S3: a conditional put is answered with 412",
        SwapInterfered 0.05 "S3: a conditional put is answered with 409",
        SwapRepeated 0.0 "S3: a conditional put is answered with 412, because it has been done already",
        DeletionRefused 0.1 "S3: a deletion leaves some objects",
        ListTruncated 0.0 "S3: a list has several pages",
        WriterKilled 0.1 "raw stage: killed at an await",
        Redelivered 0.2 "raw stage: succeeds, but its batch is delivered again",
        SettleKilled 0.2 "settle: killed at an await",
        SettleFailed 0.0 "settle: ends early, because a request failed",
        SettleOutOfTime 0.4 "settle: has no time left, and puts the rest back",
        SettlesOverlap 0.0 "settle: two runs at once",
        EraseKilled 0.3 "erase: killed at an await",
        EraseFailed 0.0 "erase: ends early, because a request failed",
        ErasedDropped 0.0 "raw stage: drops uplinks of an erased device",
        ObjectGone 0.0 "reader: an object of the list is gone, and it begins anew",
        FileChanged 0.0 "reader: a file changed between its footer and its rows, and it begins anew",
        ReadFailed 0.0 "reader: fails, because a request failed",
    }
}
