//! The callback function in the test's process, over fakes.

use pulsegate_pipeline::fakes::{FakeDownlinks, FakeQueue, FakeSecret};
use sigfox_callback::Callback;
use sigfox_callback::auth::Rules;
use sigfox_callback::cached::Cached;
use sigfox_callback::refusals::Refusals;

/// Builds the function with this secret and this next stage; its other fakes do not fail.
pub async fn function(secret: &FakeSecret, raw: FakeQueue) -> Callback<&FakeSecret, FakeQueue, FakeDownlinks> {
    Callback {
        secrets: Cached::read(secret).await.unwrap_or_else(|e| panic!("{e}")),
        rules: Rules::default(),
        refusals: Refusals::default(),
        raw,
        quarantine: FakeQueue::default(),
        downlinks: FakeDownlinks::default(),
    }
}
