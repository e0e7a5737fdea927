//! Figures measured by the study of 2020, for comparison.

use crate::print::Table;

/// Its serverless build: both networks through a load balancer and ECS, an hour of hourly meters.
pub(super) fn serverless() -> Table {
    let mut table = Table::new("", &["devices", "180,000", "360,000", "3,600,000"]);
    table.row(["CPU of the ECS cluster", "8 %", "14 %", "160 % (one machine took all the traffic)"]);
    table.row(["function invocations", "360,000", "720,000", "7,200,000"]);
    table.row(["mean run time of a function", "150 ms", "150 ms", "150 ms"]);
    table
}

/// Its build on rented machines.
pub(super) fn cluster() -> Table {
    let mut table = Table::new("", &["devices", "180,000", "360,000", "3,600,000", "3,600,000 on larger machines"]);
    table.row(["CPU", "35.65 %", "55.40 %", "140 %", "75 %"]);
    table.row(["memory", "28 %", "33 %", "42 %", "15 %"]);
    table.row(["messages delivered", "180,000", "360,000", "1,758,356 (half lost)", "3,600,000"]);
    table
}
