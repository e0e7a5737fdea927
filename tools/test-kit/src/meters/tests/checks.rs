//! The limits of a spec, and the parser of a mix.

use super::*;

fn refused(spec: Spec) -> String {
    Fleet::new(spec).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_fleet_of_which_nothing_is_said_is_one() {
    for devices in [1, 2, 100_000_000] {
        let fleet = Fleet::new(spec(devices)).unwrap();
        assert_eq!((fleet.hours(), fleet.sessions(0)), (1, devices));
    }
}

#[test]
fn numbers_that_cannot_be_are_named() {
    for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(refused(Spec { sigfox_share: wrong, ..spec(9) }).starts_with("the Sigfox share must be from 0 to 1"));
        assert!(refused(Spec { rollover_share: wrong, ..spec(9) }).starts_with("the rollover share must be"));
        assert!(refused(Spec { reset_share: wrong, ..spec(9) }).starts_with("the reset share must be"));
    }
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
        assert!(refused(Spec { hours: wrong, ..spec(9) }).starts_with("hours must be more than 0 and at most"));
    }
    for wrong in [0.0, -1.0, 0.000_9, 1e-300, f64::NAN, f64::INFINITY, 1e9] {
        assert!(refused(Spec { speed_up: wrong, ..spec(9) }).starts_with("the speed-up must be from 0.001 to 1000000"));
    }
    for wrong in [-1.0, 601.0, f64::NAN] {
        assert!(
            refused(Spec { clock_drift: wrong, ..spec(9) }).starts_with("the clock drift, in seconds a day, must be")
        );
    }
    assert!(refused(spec(0)).contains("1 to 100000000 devices, not 0"));
    assert!(refused(Spec { rollover_share: 0.6, reset_share: 0.6, ..spec(9) }).contains("more than 1 together"));
    for start in ["1970-01-01T00:00:00Z", "2020-01-01T23:59:59Z", "2037-12-31T23:30:00Z", "9999-12-30T20:00:00Z"] {
        let reason = refused(Spec { start: start.parse().unwrap(), ..spec(9) });
        assert!(
            reason.contains("between 2020-01-02T00:00:00Z and 2038-01-01T00:00:00Z") && reason.contains(start),
            "{reason}"
        );
    }
}

#[test]
fn a_mix_that_cannot_be_is_named() {
    let mix = |text: &str| Spec { mix: Spec::parse_mix(text).unwrap(), ..spec(10) };
    let reason = refused(mix("adeunis-pulse-v4"));
    assert!(reason.starts_with("5 meters are to be on NB-IoT, and the mix has no profile of that network"), "{reason}");
    assert!(Fleet::new(Spec { sigfox_share: 1.0, ..mix("adeunis-pulse-v4") }).is_ok());
    assert!(
        refused(mix("adeunis-pulse-v4=1,senml-cbor,adeunis-pulse-v4=2"))
            .contains("\"adeunis-pulse-v4\" is in the mix twice")
    );
    let of = |profile: &str, weight| Spec { mix: vec![Weighted { profile: profile.to_owned(), weight }], ..spec(10) };
    assert!(
        refused(of("acme", 1)).contains("no meter is known of the profile \"acme\" (profiles: adeunis-pulse-v4-1h, ")
    );
    assert!(refused(of("senml-json", u32::MAX)).contains("the weight of senml-json is 4294967295"));
    assert!(refused(of("senml-json", 0)).contains("the mix has no profile"));
}

#[test]
fn a_mix_is_read_as_it_is_written() {
    let of = |profile: &str, weight| Weighted { profile: profile.to_owned(), weight };
    let read = Spec::parse_mix("adeunis-pulse-v4-1h=6, adeunis-pulse-v2-10min=1 ,efento").unwrap();
    assert_eq!(read, [of("adeunis-pulse-v4-1h", 6), of("adeunis-pulse-v2-10min", 1), of("efento", 1)]);
    for (text, reason) in [
        ("", "no meter is known of the profile \"\" (profiles: adeunis"),
        ("acme=1", "no meter is known of the profile \"acme\""),
        ("efento=", "\"\" is not the weight of a profile: a whole number from 1 to 1000000, as in efento=3"),
        ("efento=0", "\"0\" is not the weight"),
        ("efento=1.5", "\"1.5\" is not the weight"),
        ("efento=1=2", "\"1=2\" is not the weight"),
        ("efento,", "no meter is known of the profile \"\""),
    ] {
        let found = Spec::parse_mix(text).unwrap_err().to_string();
        assert!(found.starts_with(reason), "{text}: {found}");
    }
}

#[test]
fn a_spec_is_read_back_as_it_was_written() {
    let written = serde_json::to_string(&spec(9)).unwrap();
    assert_eq!(serde_json::from_str::<Spec>(&written).unwrap(), spec(9));
}
