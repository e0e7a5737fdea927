//! Any bytes as a frame of each of the maker's devices.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pulsegate_fuzz::frame("adeunis", bytes));
