use proptest::prelude::*;

use super::*;

fn assignment(from: Option<&str>, to: Option<&str>) -> Assignment {
    let at = |text: &str| text.parse().unwrap();
    Assignment {
        device: "sigfox:1A2345".parse().unwrap(),
        channel: Channel::A,
        from: from.map(at),
        to: to.map(at),
        litres_per_pulse: PulseVolume::LITRE,
        serial: None,
        first_index: None,
        last_index: None,
        time_zone: Zone::UTC,
        q3: None,
        max_per_hour: None,
        can_reverse: false,
        label: None,
        site: None,
    }
}

const MAY: Option<&str> = Some("2026-05-01T00:00:00Z");
const JUNE: Option<&str> = Some("2026-06-01T00:00:00Z");
const JULY: Option<&str> = Some("2026-07-01T00:00:00Z");

#[test]
fn an_overlap_is_refused_and_names_the_other_assignment() {
    let mut assignments = Assignments::default();
    assignments.add(assignment(MAY, JULY)).unwrap();
    for (from, to) in [(None, None), (MAY, None), (None, JUNE), (JUNE, None), (JUNE, JULY), (MAY, JULY)] {
        let overlap = assignments.add(assignment(from, to)).unwrap_err();
        assert_eq!(*overlap.existing, assignment(MAY, JULY));
    }
    assignments.add(assignment(JULY, None)).unwrap();
    assignments.add(assignment(None, MAY)).unwrap();
    let of_channel = assignments.of("sigfox:1A2345".parse().unwrap(), &Channel::A);
    assert_eq!(of_channel, [assignment(None, MAY), assignment(MAY, JULY), assignment(JULY, None)]);
    assert_eq!(assignments.of("sigfox:1A2345".parse().unwrap(), &Channel::B), []);
}

#[test]
fn the_assignments_of_a_device_are_found_by_channel() {
    let mut assignments = Assignments::default();
    for channel in [Channel::A, Channel::B, "!".parse().unwrap()] {
        for device in ["sigfox:1A2345", "sigfox:1A2346"] {
            let device = device.parse().unwrap();
            assignments.add(Assignment { device, channel: channel.clone(), ..assignment(MAY, None) }).unwrap();
        }
    }
    let of_device = assignments.of_device("sigfox:1A2345".parse().unwrap());
    assert_eq!(of_device.keys().map(|channel| channel.as_str()).collect::<Vec<_>>(), ["!", "A", "B"]);
}

#[test]
fn an_index_without_its_time_and_an_empty_span_are_refused() {
    let first = Assignment { first_index: Some(5), ..assignment(None, JUNE) };
    let last = Assignment { last_index: Some(5), ..assignment(MAY, None) };
    assert_eq!(first.check(), Err(AssignmentError::FirstIndex));
    assert_eq!(last.check(), Err(AssignmentError::LastIndex));
    assert!(matches!(assignment(JUNE, JUNE).check(), Err(AssignmentError::Span { .. })));
    assert_eq!(assignment(MAY, JUNE).check(), Ok(()));
}

#[test]
fn the_limit_of_a_q3_of_2500_litres_is_312_and_a_half_pulses_of_10_litres_rounded_up() {
    let of = |q3, max_per_hour| {
        let litres_per_pulse = "10".parse().unwrap();
        Assignment { litres_per_pulse, q3, max_per_hour, ..assignment(None, None) }.most_per_hour()
    };
    assert_eq!((of(Some(2_500), None), of(Some(2_500), Some(7)), of(None, None)), (Some(313), Some(7), None));
}

#[test]
fn zones_are_known_by_their_names_only() {
    assert_eq!("Europe/Brussels".parse::<Zone>().unwrap().name(), "Europe/Brussels");
    assert_eq!("UTC".parse::<Zone>(), Ok(Zone::UTC));
    for text in ["", "Europe/Brussel", "+01:00", "local"] {
        assert!(text.parse::<Zone>().is_err(), "{text}");
    }
}

#[test]
fn what_is_no_volume_of_a_pulse_is_refused() {
    for text in ["", "0", "0.0001", "-1", "1e3", "1000000.001", ".5", "1,5", "99999999999999999999"] {
        assert!(text.parse::<PulseVolume>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_volume_is_read_back_as_it_was_written(thousandths in 1..=1_000_000_000_u64) {
        let volume = PulseVolume::from_thousandths(thousandths).unwrap();
        prop_assert_eq!(volume.to_string().parse(), Ok(volume));
        let json = serde_json::to_string(&volume).unwrap();
        prop_assert_eq!(serde_json::from_str::<PulseVolume>(&json).unwrap(), volume);
    }
}
