//! Ledger of outstanding sessions and their outcomes.

use std::collections::HashMap;

use crate::run::Sessions;

/// An uplink of a session, with all that is needed to make its bytes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Message {
    /// Meter.
    pub(super) meter: u32,
    /// Hour of the session.
    pub(super) hour: u32,
    /// Counter of the meter at that time.
    pub(super) counted: u32,
    /// Position of the uplink in the session.
    pub(super) position: u8,
    /// Number of uplinks in the session.
    pub(super) of: u8,
}

/// Outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    /// The message.
    pub(super) message: Message,
    /// Acknowledged, or else given up.
    pub(super) acknowledged: bool,
}

/// Counts sessions and their messages. A session of one message needs only its two bits.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The bits.
    pub(super) sessions: Sessions,
    /// Sessions of several messages that are not yet settled.
    open: HashMap<(u32, u32), Open>,
    /// Messages that are not yet settled.
    pub(super) outstanding: u64,
    /// Sessions that were settled since the start or `--resume`.
    pub(super) settled: u64,
    /// Acknowledged messages of sessions that are not fully acknowledged.
    in_part: u64,
    /// Messages that were given up.
    pub(super) given_up: u64,
}

#[derive(Debug, Default)]
struct Open {
    acknowledged: u8,
    given_up: u8,
}

impl Ledger {
    /// Starts from these bits.
    pub(super) fn new(sessions: Sessions) -> Self {
        Self { sessions, open: HashMap::new(), outstanding: 0, settled: 0, in_part: 0, given_up: 0 }
    }

    /// Records that the first message of a session is sent.
    pub(super) fn send(&mut self, message: Message) {
        let Message { meter, hour, of, .. } = message;
        // A session that was sent before `--resume` counts once.
        if !self.sessions.is_sent(meter, hour) {
            self.sessions.send(meter, hour);
            self.sessions.progress.sent += u64::from(of);
        }
        self.outstanding += u64::from(of);
    }

    /// Records the outcome of a message.
    pub(super) fn settle(&mut self, Settled { message, acknowledged }: Settled) {
        self.outstanding = self.outstanding.saturating_sub(1);
        let Message { meter, hour, of, .. } = message;
        let mut session = self.open.remove(&(meter, hour)).unwrap_or_default();
        if acknowledged {
            session.acknowledged += 1;
            self.in_part += 1;
        } else {
            session.given_up += 1;
            self.given_up += 1;
        }
        if session.acknowledged + session.given_up < of {
            self.open.insert((meter, hour), session);
            return;
        }
        self.settled += 1;
        if session.given_up == 0 {
            self.sessions.acknowledge(meter, hour);
            self.sessions.progress.acknowledged += u64::from(of);
            self.in_part -= u64::from(of);
        }
    }

    /// Messages sent, including those before `--resume`.
    pub(super) fn sent(&self) -> u64 {
        self.sessions.progress.sent
    }

    /// Messages acknowledged, including those before `--resume`.
    pub(super) fn acknowledged(&self) -> u64 {
        self.sessions.progress.acknowledged + self.in_part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(position: u8, of: u8) -> Message {
        Message { meter: 1, hour: 0, counted: 0, position, of }
    }

    fn settled(position: u8, of: u8, acknowledged: bool) -> Settled {
        Settled { message: message(position, of), acknowledged }
    }

    #[test]
    fn a_session_is_acknowledged_once_all_of_its_messages_are() {
        let mut ledger = Ledger::new(Sessions::new(2, 1));
        ledger.send(message(0, 3));
        for position in [2, 0] {
            ledger.settle(settled(position, 3, true));
            assert!(!ledger.sessions.is_acknowledged(1, 0));
        }
        assert_eq!((ledger.sent(), ledger.acknowledged(), ledger.sessions.progress.acknowledged), (3, 2, 0));
        ledger.settle(settled(1, 3, true));
        assert!(ledger.sessions.is_acknowledged(1, 0) && !ledger.sessions.is_acknowledged(0, 0));
        assert_eq!((ledger.acknowledged(), ledger.outstanding, ledger.settled), (3, 0, 1));
        assert!(ledger.open.is_empty());
    }

    #[test]
    fn a_session_of_which_a_message_is_given_up_is_not_acknowledged() {
        let mut ledger = Ledger::new(Sessions::new(2, 1));
        ledger.send(message(0, 2));
        ledger.settle(settled(0, 2, false));
        ledger.settle(settled(1, 2, true));
        assert!(ledger.sessions.is_sent(1, 0) && !ledger.sessions.is_acknowledged(1, 0));
        assert_eq!((ledger.sent(), ledger.acknowledged(), ledger.given_up, ledger.outstanding), (2, 1, 1, 0));
    }

    #[test]
    fn what_is_sent_again_after_a_kill_is_counted_once() {
        let mut ledger = Ledger::new(Sessions::new(2, 1));
        ledger.send(message(0, 2));
        ledger.settle(settled(0, 2, true));
        let mut again = Ledger::new(ledger.sessions);
        again.send(message(0, 2));
        again.settle(settled(0, 2, true));
        again.settle(settled(1, 2, true));
        assert_eq!((again.sent(), again.acknowledged(), again.given_up), (2, 2, 0));
    }
}
