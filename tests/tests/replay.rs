//! Holds `docs/replay.md` to the code.

use pulsegate_aws::{DynamoTable, KinesisStream, SqsQueue, SqsReceiver};

fn page() -> String {
    pulsegate_tests::read("docs/replay.md")
}

#[test]
fn the_page_names_every_action_that_is_needed() {
    let archive_and_lookups = ["s3:ListBucket", "s3:GetObject", "dynamodb:BatchGetItem"];
    let actions =
        [SqsReceiver::ACTIONS, SqsQueue::ACTIONS, KinesisStream::ACTIONS, &archive_and_lookups, DynamoTable::ACTIONS];
    for action in actions.concat() {
        assert!(page().contains(&format!("`{action}`")), "{action}");
    }
}

#[test]
fn the_page_names_every_stage() {
    for stage in [raw_sigfox::STAGE, raw_nbiot::STAGE, sigfox_recovery::STAGE, "pulse", "sigfox-callback"] {
        assert!(page().contains(&format!("| `{stage}`")) || page().contains(&format!("`, `{stage}`")), "{stage}");
    }
}
