//! Meters whose counts are known: uplinks with real payloads over some months, of which some are lost on purpose, late or
//! repeated, from counters that wrap or start again, at meters that are changed.

use fastrand::Rng;
use pulsegate_model::assignment::{Assignment, PulseVolume, Zone};
use pulsegate_model::at::At;
use pulsegate_model::codec::Channel;
use pulsegate_model::device::{DeviceId, Network};
use pulsegate_model::uplink::{Kind, Payload, Radio, TimeSource, Uplink};

use super::messages::{DAY, DEVICES, at};

/// 2026-10-23T00:00:00Z, before clocks are set back.
const START: i64 = 1_792_713_600;

const HOUR: i64 = 3_600;

/// An uplink is at most so much later than the first of its logs.
const LOGS: i64 = 3 * HOUR;

/// Uplinks are at least so far apart.
const SLOT: i64 = 4 * HOUR;

/// Sigfox numbers uplinks modulo this.
const SIGFOX: u32 = 4_096;

/// Pulses at the beginning: many, so that a reset is no small fall, or so many that a counter of 32 bits wraps soon.
const MANY: u64 = 50_000;
const NEARLY_ALL: u64 = (1 << 32) - 300;

/// Days between two days with uplinks.
const GAPS: [i64; 10] = [1, 1, 1, 1, 2, 3, 4, 9, 28, 33];

const ZONES: [&str; 5] = ["UTC", "Europe/Brussels", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"];

/// The meters of a run.
#[derive(Debug)]
pub struct Fleet {
    /// One for each device.
    pub meters: Vec<Meter>,
}

/// A device with one or two channels.
#[derive(Debug)]
pub struct Meter {
    /// The device.
    pub device: DeviceId,
    /// All that it has sent, in order of time.
    pub sent: Vec<Sent>,
    /// Its assignments: from each time on these, until the next time.
    pub assigned: Vec<(At, Vec<Assignment>)>,
    /// The change of the meter at its first channel.
    pub swap: Option<Swap>,
}

/// The change of a meter.
#[derive(Debug, Clone, Copy)]
pub struct Swap {
    /// The time.
    pub at: At,
    /// The counts of the old meter at its end and of the new one at its beginning.
    pub counts: [Count; 2],
    /// The assignments have both.
    pub is_told: bool,
}

/// An uplink, or an event that uses a number.
#[derive(Debug)]
pub struct Sent {
    /// Its time.
    pub at: At,
    /// The numbering that its number is of. It begins anew when a device is restarted.
    pub life: u32,
    /// The times at which it arrives, and in which form. None: it is lost.
    pub arrives: Vec<(At, Uplink)>,
    /// The counts that it reports.
    pub logs: Vec<Log>,
}

/// The truth about a channel at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The channel.
    pub channel: Channel,
    /// The time.
    pub at: At,
    /// The pulses counted.
    pub count: Count,
}

/// The pulses that a counter has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// The number of times it has started again.
    pub life: u32,
    /// Pulses since then. It does not wrap.
    pub total: u64,
}

impl Fleet {
    /// Draws meters.
    pub fn drawn(rng: &mut Rng) -> Self {
        let days = days(rng);
        let count = rng.usize(1..=2);
        let devices = rng.choose_multiple(DEVICES, count);
        Self { meters: devices.into_iter().map(|device| Simulated::new(rng, device).run(rng, &days)).collect() }
    }

    /// The uplinks that arrive, each with the time from which on it does.
    pub fn arrivals(&self) -> Vec<(At, Uplink)> {
        let sent = self.meters.iter().flat_map(|meter| &meter.sent);
        sent.flat_map(|sent| sent.arrives.iter().cloned()).collect()
    }
}

impl Meter {
    /// The assignments in the end.
    pub fn assignments(&self) -> &[Assignment] {
        self.assigned.last().map_or(&[], |(_, assignments)| assignments)
    }
}

/// Draws the days with uplinks. Many are at the ends of months.
fn days(rng: &mut Rng) -> Vec<i64> {
    let mut day = START / DAY + rng.i64(0..9);
    let mut days = Vec::new();
    for _ in 0..rng.usize(4..9) {
        days.push(day);
        day += GAPS[rng.usize(..GAPS.len())];
        if rng.u8(..3) == 0 {
            while !is_last_of_month(day) {
                day += 1;
            }
        }
    }
    days
}

fn is_last_of_month(day: i64) -> bool {
    at((day + 1) * DAY).to_string().contains("-01T")
}

/// A meter while it counts.
struct Simulated {
    device: DeviceId,
    /// Seconds after the full hour.
    offset: i64,
    /// Uplinks in a hundred that are lost.
    lost: u8,
    channels: Vec<(Channel, Count)>,
    number: u32,
    life: u32,
    sent: Vec<Sent>,
    zone: Zone,
    assigned: Vec<(At, Vec<Assignment>)>,
    swap: Option<Swap>,
}

impl Simulated {
    fn new(rng: &mut Rng, device: &str) -> Self {
        let device: DeviceId = device.parse().unwrap_or_else(|e| panic!("{device}: {e}"));
        let is_sigfox = device.network() == Network::Sigfox;
        let total = if is_sigfox && rng.u8(..3) == 0 { NEARLY_ALL } else { MANY };
        let count = Count { life: 0, total: total + rng.u64(0..250) };
        let channels: &[Channel] = if is_sigfox { &[Channel::A, Channel::B] } else { &[Channel::A] };
        let zone = ZONES[rng.usize(..ZONES.len())];
        Self {
            device,
            offset: rng.i64(0..1_800),
            lost: [0, 10, 40][rng.usize(..3)],
            channels: channels.iter().map(|channel| (channel.clone(), count)).collect(),
            number: if is_sigfox { rng.u32(..SIGFOX) } else { rng.u32(2_000..5_000) },
            life: 0,
            sent: Vec::new(),
            zone: zone.parse().unwrap_or_else(|e| panic!("{zone}: {e}")),
            assigned: Vec::new(),
            swap: None,
        }
    }

    fn run(mut self, rng: &mut Rng, days: &[i64]) -> Meter {
        let mut times: Vec<i64> = Vec::new();
        for day in days {
            let mut slots = rng.choose_multiple(0..DAY / SLOT, 2);
            slots.truncate(rng.usize(1..=2));
            slots.sort_unstable();
            times.extend(slots.into_iter().map(|slot| day * DAY + slot * SLOT + self.offset));
        }
        self.assign(rng, times[0]);
        let [swap, reset] = [rng.usize(..2 * times.len()), rng.usize(..3 * times.len())];
        for (nth, &time) in times.iter().enumerate() {
            let before = time - LOGS - HOUR / 2;
            if nth > 0 && nth == reset {
                self.count(rng, 100);
                self.reset(rng);
            }
            if nth > 0 && nth == swap {
                self.count(rng, 100);
                self.swap(rng, before);
            }
            self.count(rng, 100);
            self.lose(rng, before);
            self.send(rng, time);
        }
        let Self { device, sent, assigned, swap, .. } = self;
        Meter { device, sent, assigned, swap }
    }

    fn count(&mut self, rng: &mut Rng, most: u64) {
        for (_, count) in &mut self.channels {
            count.total += if rng.u8(..4) == 0 { 0 } else { rng.u64(..=most) };
        }
    }

    /// Starts all counters again, unless one has counted so little that its fall would be none.
    fn reset(&mut self, rng: &mut Rng) {
        if self.channels.iter().any(|(_, count)| !(5_000..NEARLY_ALL).contains(&count.total)) {
            return;
        }
        for (_, count) in &mut self.channels {
            *count = Count { life: count.life + 1, total: rng.u64(..50) };
        }
        // An NB-IoT device counts its uplinks in memory.
        if self.device.network() == Network::Nbiot && rng.bool() {
            (self.life, self.number) = (self.life + 1, 0);
        }
    }

    /// Assigns channels at about the time of the first uplink, or later, or never.
    fn assign(&mut self, rng: &mut Rng, first: i64) {
        if rng.u8(..4) == 0 {
            return;
        }
        let Self { device, ref zone, .. } = *self;
        let assignment = |channel: &Channel, litres| steady(device, channel, litres, zone);
        let right = vec![assignment(&Channel::A, 10)];
        let later = first + rng.i64(0..40) * DAY;
        if rng.bool() {
            // A wrong one, which is corrected.
            self.assigned.push((at(first), vec![steady(device, &Channel::A, 1, &Zone::UTC)]));
        }
        if self.channels.len() > 1 && rng.bool() {
            self.assigned.push((at(later), [right, vec![assignment(&Channel::B, 1)]].concat()));
        } else {
            self.assigned.push((at(later), right));
        }
    }

    /// Changes the meter at the first channel, if it has an assignment. The counter may start again at that moment.
    fn swap(&mut self, rng: &mut Rng, time: i64) {
        let Some((_, last)) = self.assigned.last() else { return };
        let mut assignments = last.clone();
        let count = &mut self.channels[0].1;
        let before = *count;
        let is_told = rng.u8(..3) > 0;
        let index = |count: Count| Some(count.total % (1 << 32)).filter(|_| is_told);
        let old = &mut assignments[0];
        (old.to, old.last_index) = (Some(at(time)), index(before));
        let mut new = Assignment { from: Some(at(time)), to: None, last_index: None, ..old.clone() };
        if is_told && rng.bool() {
            *count = Count { life: count.life + 1, total: rng.u64(20_000..21_000) };
        }
        self.swap = Some(Swap { at: at(time), counts: [before, *count], is_told });
        new.first_index = index(*count);
        new.litres_per_pulse = litres([1, 10, 100][rng.usize(..3)]);
        if rng.u8(..4) == 0 {
            let zone = ZONES[rng.usize(..ZONES.len())];
            new.time_zone = zone.parse().unwrap_or_else(|e| panic!("{zone}: {e}"));
        }
        assignments.insert(1, new);
        // It is entered on the same day or weeks later.
        let entered = time + [0, 1, 35][rng.usize(..3)] * DAY;
        let entered = self.assigned.last().map_or(at(entered), |(then, _)| (*then).max(at(entered)));
        self.assigned.push((entered, assignments));
    }

    /// Uses numbers that never arrive, and those of events, of which some arrive.
    fn lose(&mut self, rng: &mut Rng, time: i64) {
        let lost = if rng.u8(..100) < self.lost { rng.u32(0..20) } else { 0 };
        for _ in 0..lost {
            self.number += 1;
            self.sent.push(Sent { at: at(time), life: self.life, arrives: Vec::new(), logs: Vec::new() });
        }
        if self.device.network() == Network::Sigfox && rng.u8(..8) == 0 {
            let event = self.uplink(Kind::Event, time, &[]);
            self.put(rng, event, Vec::new());
        }
    }

    fn send(&mut self, rng: &mut Rng, time: i64) {
        let (payload, logs) = match self.device.network() {
            _ if !self.sent.is_empty() && rng.u8(..20) == 0 => (vec![0], Vec::new()),
            Network::Sigfox if rng.bool() => self.both(time),
            Network::Sigfox => self.history(rng, time),
            Network::Nbiot => self.pack(rng, time),
        };
        let uplink = self.uplink(Kind::Data, time, &payload);
        self.put(rng, uplink, logs);
    }

    /// Both counters.
    fn both(&self, time: i64) -> (Vec<u8>, Vec<Log>) {
        let logs = self.channels.iter().map(|(channel, count)| log(channel, time, *count));
        let indexes = self.channels.iter().flat_map(|(_, count)| wrapped(count.total).to_be_bytes());
        ([0x46, 0].into_iter().chain(indexes).collect(), logs.collect())
    }

    /// The first counter, now and in the three hours before.
    fn history(&mut self, rng: &mut Rng, time: i64) -> (Vec<u8>, Vec<Log>) {
        let (channel, count) = &mut self.channels[0];
        let mut logs = vec![log(channel, time - LOGS, *count)];
        let steps = [(); 3].map(|()| if rng.bool() { 0 } else { rng.u16(0..40) });
        for (step, hour) in steps.iter().zip(1..) {
            count.total += u64::from(*step);
            logs.push(log(channel, time - LOGS + hour * HOUR, *count));
        }
        let now = wrapped(count.total).to_be_bytes();
        let steps = steps.iter().rev().flat_map(|step| step.to_be_bytes());
        ([0x5A, 0].into_iter().chain(now).chain(steps).collect(), logs)
    }

    /// The counter at some times with their own dates.
    fn pack(&mut self, rng: &mut Rng, time: i64) -> (Vec<u8>, Vec<Log>) {
        let (channel, count) = &mut self.channels[0];
        let (mut logs, mut records) = (Vec::new(), Vec::new());
        for hour in (0..=rng.i64(0..=LOGS / HOUR)).rev() {
            count.total += rng.u64(0..40);
            let time = time - hour * HOUR;
            logs.push(log(channel, time, *count));
            records.push(format!(r#"{{"n":"A","u":"count","v":{},"t":{time}}}"#, count.total));
        }
        (format!("[{}]", records.join(",")).into_bytes(), logs)
    }

    /// The next uplink.
    fn uplink(&mut self, kind: Kind, time: i64, payload: &[u8]) -> Uplink {
        let is_sigfox = self.device.network() == Network::Sigfox;
        let number = if is_sigfox { self.number % SIGFOX } else { self.number };
        self.number += 1;
        let profile = if is_sigfox { "adeunis-pulse-v3-1h" } else { "senml-json" };
        Uplink {
            device: self.device,
            kind,
            at: at(time),
            time_source: if is_sigfox { TimeSource::Network } else { TimeSource::Device },
            sequence: Some(number),
            profile: profile.parse().unwrap_or_else(|e| panic!("{e}")),
            payload: Payload::from_bytes(payload).unwrap_or_else(|e| panic!("{e}")),
            radio: Radio::default(),
        }
    }

    /// Loses an uplink, or lets it arrive: at once or later, once or in two forms.
    fn put(&mut self, rng: &mut Rng, uplink: Uplink, logs: Vec<Log>) {
        let (at_once, life) = (uplink.at, self.life);
        let mut arrives = Vec::new();
        if rng.u8(..100) >= self.lost {
            let days = if rng.u8(..5) == 0 { rng.i64(1..40) } else { 0 };
            let due = at(at_once.unix() + days * DAY);
            if uplink.kind == Kind::Data && uplink.device.network() == Network::Sigfox && rng.u8(..8) == 0 {
                arrives.push((due, Uplink { kind: Kind::DataAdvanced, ..uplink.clone() }));
            }
            arrives.push((due, uplink));
        }
        self.sent.push(Sent { at: at_once, life, arrives, logs });
    }
}

fn log(channel: &Channel, time: i64, count: Count) -> Log {
    Log { channel: channel.clone(), at: at(time), count }
}

#[expect(clippy::cast_possible_truncation, reason = "that is the wrap")]
fn wrapped(total: u64) -> u32 {
    total as u32
}

fn litres(litres: u64) -> PulseVolume {
    PulseVolume::from_thousandths(litres * 1_000).unwrap_or_else(|e| panic!("{e}"))
}

/// An assignment without a beginning or an end.
fn steady(device: DeviceId, channel: &Channel, pulse: u64, zone: &Zone) -> Assignment {
    Assignment {
        device,
        channel: channel.clone(),
        from: None,
        to: None,
        litres_per_pulse: litres(pulse),
        serial: None,
        first_index: None,
        last_index: None,
        time_zone: zone.clone(),
        q3: None,
        max_per_hour: None,
        can_reverse: false,
        label: None,
        site: None,
    }
}
