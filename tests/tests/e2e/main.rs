//! Sends real messages through the real template, deployed to a local cloud of its own.
//!
//! Needs the output of `make build`. With the addresses of a running stack in its environment (`set -a; . .local/env`)
//! it uses that stack instead; the last test breaks it.

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};
use pulsegate_tests::repository;
use pulsegate_tests::sigfox::api::{Api, DEVICE_TYPE};
use pulsegate_tests::stack::Stack;

mod archive;
mod chaos;
mod cloud;
mod erase;
mod fleet;
mod outage;
mod replay;
mod sigfox;
mod tests;

use cloud::Cloud;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    if std::env::var_os("API_URL").is_none() && !arguments.list {
        return in_a_stack_of_its_own();
    }
    // All tests share one stack, and the last one breaks it.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials()).exit_code()
}

/// Runs this program again with the addresses in its environment, where the AWS SDK looks for them.
fn in_a_stack_of_its_own() -> ExitCode {
    let directory = repository(&format!("target/e2e-{}", std::process::id()));
    let api = Api::start();
    // Listed before the start, because every run of the recovery fails for an unknown device type.
    api.list(DEVICE_TYPE, []);
    let stack = Stack::start(&directory, api.url(), &[]);
    let program = std::env::current_exe().unwrap_or_else(|e| panic!("{e}"));
    let status = Command::new(program).args(std::env::args_os().skip(1)).envs(stack.addresses()).status();
    drop(stack);
    match status {
        Ok(status) if status.success() => {
            let _ = std::fs::remove_dir_all(&directory);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("the logs of the stack are in {}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Vec<Trial> {
    macro_rules! trials {
        ($($module:ident::$name:ident),* $(,)?) => { vec![$(trial(stringify!($name), $module::$name)),*] };
    }
    let trials = trials![
        tests::real_messages_of_both_networks_arrive_as_the_published_indexes,
        tests::the_same_messages_again_leave_archive_and_table_identical,
        tests::strangers_are_answered_401_and_nothing_is_enqueued,
        tests::an_unknown_profile_and_an_unknown_route_are_answered_404,
        tests::a_path_with_extra_slashes_is_the_callbacks_and_another_one_is_not,
        tests::a_megabyte_of_noise_is_answered_at_once,
        tests::a_callback_that_cannot_be_understood_is_quarantined_whole,
        sigfox::a_callback_of_every_kind_by_every_method_is_stored_under_its_natural_key,
        sigfox::of_a_batch_of_500_lines_with_3_bad_ones_497_are_stored_once_and_3_quarantined,
        sigfox::a_downlink_asked_for_twice_is_the_same_and_consumes_nothing_else_and_its_end_is_told,
        tests::of_a_batch_of_ten_the_undecodable_one_is_quarantined_and_none_is_retried,
        tests::the_real_adapters_keep_the_contracts,
        archive::the_archives_bucket_keeps_the_contract,
        archive::the_schedule_moves_what_is_new_to_the_files_and_nothing_is_lost,
        archive::days_are_made_of_settled_uplinks_a_partition_in_each_message_of_the_queue,
        replay::quarantined_records_of_every_stage_are_sent_again_and_end_in_the_table,
        replay::history_is_decoded_again_by_a_run_that_is_killed_and_continued,
        erase::an_erased_device_is_nowhere_and_does_not_come_back,
        fleet::every_pulse_of_a_fleet_on_a_bad_day_is_accounted_for,
        chaos::whatever_process_is_killed_every_acknowledged_pulse_is_accounted_for,
        tests::every_event_is_answered_by_its_function_under_the_runtime_interface_emulator,
        tests::every_event_is_answered_by_its_function_in_docker,
        tests::every_datagram_acknowledged_before_a_sigterm_is_in_the_archive,
        tests::every_datagram_acknowledged_before_a_kill_is_in_the_archive,
        tests::a_second_sigterm_ends_the_bridge_at_once,
        archive::without_the_table_of_pulses_every_message_is_in_the_archive_and_noise_in_quarantine,
        outage::what_an_outage_refused_is_there_once_whether_sigfox_repeated_it_or_it_was_fetched,
        tests::a_queue_that_is_gone_is_answered_503,
    ];
    let has_docker = docker_is_present();
    let ignore = |trial: Trial| {
        let needs_docker = trial.name().ends_with("_in_docker");
        trial.with_ignored_flag(needs_docker && !has_docker)
    };
    trials.into_iter().map(ignore).collect()
}

/// Returns whether a Docker engine answers, and the stack has a relay at the engine's bridge.
fn docker_is_present() -> bool {
    let present = std::env::var_os("DOCKER_ENDPOINT_URL").is_some()
        && Command::new("docker").arg("info").output().is_ok_and(|answer| answer.status.success());
    if !present {
        eprintln!("the tests in Docker are ignored: no engine answers `docker info`, or the stack started before it");
    }
    present
}

fn trial<F>(name: &str, test: fn(Cloud) -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { test(Cloud::from_environment().await).await });
        Ok(())
    })
}
