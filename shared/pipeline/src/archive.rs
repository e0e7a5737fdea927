//! The archive: every uplink as it came, in an object store. It is the system of record; everything behind it can be made
//! again from it.
//!
//! ```text
//! new/SHA256                    the uplinks of one batch, named after its content
//! new/rest-00000001-SHA256      uplinks for which a run of `settle` had no time
//! day/2026-11-20/2a.parquet     the uplinks of a UTC day and of a partition of the devices
//! day/odd/00.parquet            uplinks whose own time is no date
//! points/day=2026-11-20/2a.parquet
//!                               their counts of that day, decoded and merged; it can be made again at any time
//! reports/day=2026-11-20/2a.parquet
//!                               one row for each uplink of that day, without its counts; likewise
//! days/month=2026-11/2a.parquet their consumption and completeness of each local day of a month; likewise
//! assignments/2a.parquet        the meters at the channels of a partition of the devices
//! erased                        the devices that were erased
//! ```
//!
//! Each but the last is a **set of rows**. A row of `new/` and `day/` is everything that an uplink says, and nothing else.
//!
//! - [`writer`], [`object`]: what the raw stage writes, before it answers.
//! - [`settle`]: merges `new/` into the files. A swap replaces a file by a superset of exactly that file; an object is
//!   deleted only when each of its rows is in another one. So the set of all rows never loses one, whatever crashes,
//!   overlaps or is delivered again.
//! - [`reader`]: the uplinks of a device between two times, settled or not.
//! - [`decoded`]: their pulse items, by today's codecs.
//! - [`scan`]: the uplinks of all devices, file by file.
//! - [`points`]: makes the files of points from the files of uplinks, and with them the files of [`reports`].
//! - [`days`]: makes the files of days from those of points and reports.
//! - [`assignments`]: loads and changes the assignments, which people make.
//! - [`row`], [`file`]: rows, and their one encoding in Parquet, of [`columns`]. [`place`]: the file of an uplink.
//! - [`stream`]: a file device by device, a row group at a time.
//! - [`store`]: the port. [`versions`]: the port of a bucket with older versions.
//! - [`tombstones`], [`erase`]: removes a device. Of the rows of an erased device, and only of these, the set may lose some.
//!
//! Once `new/` is empty, each file is, to the byte, the encoding of the set of delivered uplinks of its day and
//! partition: union does not depend on order, grouping or repetition.

pub mod assignments;
pub mod columns;
pub mod days;
pub mod decoded;
pub mod erase;
pub mod file;
pub mod object;
pub mod place;
pub mod points;
pub mod reader;
pub mod reports;
pub mod row;
pub mod scan;
pub mod settle;
pub mod store;
pub mod stream;
#[cfg(test)]
mod tests;
pub mod tombstones;
pub mod versions;
pub mod writer;
