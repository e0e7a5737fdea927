//! Any datagrams at any listener: what is in the packs afterwards, and what is counted.

use proptest::prelude::*;
use pulsegate_model::aggregate;
use pulsegate_model::codec::{Acknowledgement, Codec, CodecSettings, Head, Identify, Undecodable};
use pulsegate_model::device::Network;
use pulsegate_model::profile::{self, Callbacks, PROFILES, Profile};
use pulsegate_model::quarantine::QuarantinedRecord;
use pulsegate_model::record;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::kernel::Kernel;
use crate::protocol::Trust;
use crate::quarantine::{Limit, PERIOD};
use crate::socket::MAX_DATAGRAM;

/// An intake whose datagrams come from a test, in a time that stands still.
struct Door {
    intake: Intake,
    packs: UnboundedReceiver<Pack>,
    filling: Filling,
    scratch: Encoded,
    meter: Socket,
    runtime: Runtime,
}

/// The content of the packs of some datagrams.
#[derive(Debug, Default)]
struct Kept {
    uplinks: Vec<Uplink>,
    rejected: Vec<QuarantinedRecord>,
}

impl Door {
    fn of(protocol: Protocol) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let bound = || Socket::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().pop().unwrap();
        let socket = Arc::new(bound());
        let hold = Arc::new(MemoryBudget::new(usize::MAX));
        let (packs, waiting) = unbounded_channel();
        let intake = Intake {
            quarantine: Quarantine::new(&protocol, socket.local_addr().unwrap(), &Arc::<Limit>::default()),
            protocol,
            socket: Arc::clone(&socket),
            clock: now,
            arrivals: Arc::new(Mutex::new(FirstSeen::new(now()))),
            linger: Duration::ZERO,
            packs,
            counters: Arc::new(Counters::new(Arc::clone(&hold), Kernel::default())),
            hold,
            separate: Arc::new(Separate::new(runtime.handle().clone())),
            runtime: runtime.handle().clone(),
        };
        let (filling, scratch) = (Filling::new(socket), Encoded::default());
        Self { intake, packs: waiting, filling, scratch, meter: bound(), runtime }
    }

    fn take(&mut self, datagram: &[u8]) {
        let _time = self.runtime.enter();
        let sender = self.meter.local_addr().ok();
        self.intake.process(datagram, sender, &mut self.filling, &mut self.scratch);
    }

    /// Closes the last pack, and returns all of them.
    fn packs(&mut self) -> Vec<Pack> {
        let _time = self.runtime.enter();
        self.intake.flush(&mut self.filling);
        std::iter::from_fn(|| self.packs.try_recv().ok()).collect()
    }

    fn kept(&mut self) -> Kept {
        let mut kept = Kept::default();
        for pack in self.packs() {
            let records = aggregate::user_records(&pack.record.data).unwrap();
            let (json, uplinks): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.starts_with(b"{"));
            assert_eq!((pack.uplinks, pack.rejected), (uplinks.len(), json.len()));
            kept.uplinks.extend(uplinks.iter().map(|uplink| record::decode(uplink).unwrap()));
            let rejected = json.iter().map(|json| std::str::from_utf8(json).unwrap());
            kept.rejected.extend(rejected.map(|json| QuarantinedRecord::from_message(json).unwrap()));
        }
        kept
    }

    fn answered(&self) -> bool {
        let mut answers = ReceiveBuffers::new();
        self.meter.receive(&mut answers).unwrap();
        !answers.is_empty()
    }

    /// Authenticated, settled, asked and refused datagrams. Their sum is the number received.
    fn outcomes(&self) -> [u64; 4] {
        let Counters { authenticated, settled, asked, .. } = &*self.intake.counters;
        [authenticated.get(), settled.get(), asked.get(), self.intake.counters.refused()]
    }
}

fn trusted() -> Vec<Protocol> {
    let identified = PROFILES.iter().filter(|profile| profile.codec.identify.is_some());
    let listeners = identified.map(|profile| Protocol::in_the_clear(profile, true));
    listeners.chain([Protocol::Coap(Trust::InTheClear)]).collect()
}

fn sealed() -> [Protocol; 2] {
    let keys = r#"{"1": "correct horse battery staple, and then some"}"#.parse().unwrap();
    let profile = profile::find(Network::Nbiot, "senml-json").unwrap();
    let trust = Trust::Sealed(keys);
    [Protocol::Datagram { profile, trust: trust.clone(), acknowledge: true }, Protocol::Coap(trust)]
}

/// Datagrams of meters, in every maker's form, in CoAP too.
const GOOD: [&[u8]; 6] = [
    b"\x11\x22\x33\x44\x55\x66\x77\x88\x03\x00\x00\x00\x26\x46\x80\x00\x00\x00\x9f\x00\x00\x00\x02",
    b"f86778705021331701790c78170000010001c200015c4f6315537b00015c3163154ecb",
    br#"[{"bn":"urn:imei:490154203237518:","bt":1795176000,"n":"A","u":"count","v":7}]"#,
    b"\x81\xa2\x21\x78\x19urn:imei:490154203237518:\x02\x07",
    b"\x40\x02\x12\x34\xbasenml-json\xff[{\"bn\":\"urn:imei:490154203237518:\",\"n\":\"A\",\"u\":\"count\",\"v\":7}]",
    b"\x40\x02\x12\x34\xb1m\xff\x0a\x06\x28\x2c\x02\x40\xaa\x01\x10\x01",
];

/// Any bytes, and good datagrams that are changed, cut off or followed by something.
fn any_datagram() -> impl Strategy<Value = Vec<u8>> {
    let changed = (prop::sample::select(GOOD.to_vec()), any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    let changed = changed.prop_map(|(good, at, byte, cut)| {
        let mut datagram = good.to_vec();
        let at = at.index(datagram.len());
        datagram[at] = byte;
        datagram.truncate(if cut { at } else { datagram.len() });
        datagram
    });
    let followed =
        (prop::sample::select(GOOD.to_vec()), any::<Vec<u8>>()).prop_map(|(good, behind)| [good, &behind].concat());
    let long = proptest::collection::vec(any::<u8>(), 2_000..=MAX_DATAGRAM + 1);
    prop_oneof![any::<Vec<u8>>(), long, changed, followed]
}

proptest! {
    #[test]
    fn any_datagram_at_a_trusted_listener_is_stored_or_quarantined_whole_or_beyond_the_limit_counted(
        protocol in prop::sample::select(trusted()),
        datagram in any_datagram(),
        beyond: bool,
    ) {
        let mut door = Door::of(protocol.clone());
        if beyond {
            (0..10).for_each(|_| door.take(&[0xFF; MAX_DATAGRAM + 1]));
            prop_assert_eq!(door.kept().rejected.len(), 10);
        }
        let before = door.outcomes();
        door.take(&datagram);
        let mut outcome = door.outcomes();
        outcome.iter_mut().zip(before).for_each(|(now, before)| *now -= before);
        let kept = door.kept();
        let stored = kept.uplinks.iter().all(|uplink| datagram.ends_with(uplink.payload.bytes()));
        prop_assert!(stored && kept.uplinks.len() as u64 == door.intake.counters.uplinks.get());
        prop_assert_eq!(door.intake.counters.beyond_limit.get(), u64::from(beyond) * outcome[3]);
        match outcome {
            [1, 0, 0, 0] => prop_assert!(!kept.uplinks.is_empty() && kept.rejected.is_empty()),
            [0, 0, 0, 1] if !beyond => {
                prop_assert!(kept.uplinks.is_empty() && kept.rejected.len() == 1);
                let record = &kept.rejected[0];
                prop_assert_eq!(record.record()?, datagram);
                prop_assert_eq!(record.sender.clone(), door.meter.local_addr().ok().map(|at| at.to_string()));
                prop_assert_eq!(record.profile.as_deref(), protocol.profile().map(|profile| profile.name));
                let addr = door.intake.socket.local_addr()?;
                prop_assert_eq!(record.listener.clone(), Some(format!("{}://{addr}", protocol.name())));
                prop_assert!(record.received.is_some() && !record.reason.is_empty());
            }
            [0, 0, 0, 1] | [0, 1, 0, 0] | [0, 0, 1, 0] => {
                prop_assert!(kept.uplinks.is_empty() && kept.rejected.is_empty());
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn any_bytes_without_proof_at_a_sealed_listener_are_counted_only(
        protocol in prop::sample::select(sealed().to_vec()),
        datagram in any_datagram(),
    ) {
        let mut door = Door::of(protocol);
        door.take(&datagram);
        let [authenticated, settled, asked, refused] = door.outcomes();
        prop_assert_eq!((authenticated, asked, settled + refused), (0, 0, 1));
        prop_assert_eq!((door.packs().len(), door.answered(), door.intake.counters.beyond_limit.get()), (0, false, 0));
    }

    #[test]
    fn the_uplinks_of_a_datagram_are_in_one_pack_and_a_datagram_with_too_many_is_quarantined(
        datagrams in proptest::collection::vec((1..=40_u8, 2..=MAX_DATAGRAM), 1..30),
    ) {
        let mut door = Door::of(of_several_meters());
        for (number, (meters, len)) in datagrams.iter().enumerate() {
            let mut datagram = vec![u8::try_from(number).unwrap(); *len];
            datagram[0] = *meters;
            door.take(&datagram);
        }
        let (mut stored, mut rejected, mut answers) = (0, 0, 0);
        for pack in door.packs() {
            prop_assert!(pack.record.data.len() <= aggregate::MAX_BYTES);
            let records = aggregate::user_records(&pack.record.data).unwrap();
            let uplinks: Vec<Uplink> = records.iter().filter_map(|record| record::decode(record).ok()).collect();
            for uplink in &uplinks {
                let of_same = uplinks.iter().filter(|other| other.payload == uplink.payload).count();
                prop_assert_eq!(of_same, usize::from(uplink.payload.bytes()[0]));
            }
            stored += uplinks.len();
            rejected += pack.rejected;
            answers += pack.replies.len();
        }
        let fits = |&&(meters, len): &&(u8, usize)| usize::from(meters) * (len + 128) <= 25 * 1024 - 128;
        let meters: usize = datagrams.iter().filter(fits).map(|&(meters, _)| usize::from(meters)).sum();
        let good = datagrams.iter().filter(fits).count();
        prop_assert_eq!((stored, answers), (meters, good));
        prop_assert_eq!(door.intake.counters.uplinks.get(), meters as u64);
        let beyond = door.intake.counters.beyond_limit.get();
        prop_assert_eq!(door.outcomes(), [good as u64, 0, 0, rejected as u64 + beyond]);
    }
}

#[test]
fn a_flood_from_one_sender_puts_ten_datagrams_a_minute_into_quarantine() {
    let mut door = Door::of(Protocol::in_the_clear(profile::find(Network::Nbiot, "senml-json").unwrap(), true));
    for minute in 1..=2 {
        for number in 0..10_000_u32 {
            door.take(&number.to_be_bytes());
        }
        assert_eq!((door.kept().rejected.len(), door.answered()), (10, false));
        assert_eq!(door.outcomes(), [0, 0, 0, minute * 10_000]);
        assert_eq!(door.intake.counters.beyond_limit.get(), minute * 9_990);
        door.runtime.block_on(tokio::time::advance(PERIOD));
    }
}

#[test]
fn a_repeated_datagram_is_quarantined_with_the_time_of_its_first_arrival() {
    let mut door = Door::of(Protocol::Coap(Trust::InTheClear));
    (0..3).for_each(|_| door.take(b"noise"));
    let received: Vec<_> = door.kept().rejected.into_iter().map(|record| record.received).collect();
    assert_eq!(received, [received[0]; 3]);
    assert!(received[0].is_some());
}

/// Datagrams whose first byte is the number of their meters.
fn of_several_meters() -> Protocol {
    static CODEC: Codec = Codec {
        name: "several",
        version: 1,
        counter_bits: None,
        identify: Some(Identify::Pack(heads)),
        decode: |_, _| Err(Undecodable::Form("not decoded here")),
    };
    let profile: &Profile = Box::leak(Box::new(Profile {
        name: "a-profile-with-a-name-as-long-as-a-name-of-a-profile-may-ever-be",
        network: Network::Nbiot,
        codec: &CODEC,
        settings: CodecSettings::default(),
        callbacks: Callbacks::default(),
    }));
    Protocol::Datagram { profile, trust: Trust::InTheClear, acknowledge: true }
}

fn heads(datagram: &[u8]) -> Result<Vec<Head>, Undecodable> {
    let meters = *datagram.first().ok_or(Undecodable::TooShort(0))?;
    let head = |meter| Head {
        device: DeviceId::Nbiot(u64::from(meter).try_into().unwrap()),
        clock: None,
        sequence: u32::MAX,
        signal_quality: Some(u8::MAX),
        acknowledgement: Acknowledgement::Echo(1),
    };
    Ok((1..=meters).map(head).collect())
}
