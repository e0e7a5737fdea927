//! Addresses and secrets of a stack. Only those that the fleet's meters need are required.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs as _};
use std::sync::Arc;

use pulsegate_aws::{DynamoReader, SecretStore};

use super::http::Api;
use super::nbiot::{Addresses, Link, Retransmission};
use super::prepare::SendOptions;
use super::sealed::MasterKey;
use super::sockets::{Groups, Sockets};
use crate::Problem;
use crate::meters::{Fleet, Transport};
use crate::stack::Stack;

/// Connections to a stack.
pub(super) struct Connections<E> {
    /// For callbacks.
    pub(super) callbacks: E,
    /// For datagrams, if the fleet has NB-IoT meters.
    pub(super) nbiot: Option<Link>,
    /// To look up samples, if requested.
    pub(super) pulses: Option<DynamoReader>,
}

/// Number of meters by transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ways {
    sigfox: u32,
    sealed: u32,
    coap: u32,
    efento: u32,
}

impl Ways {
    /// Counts the meters of a fleet, which takes a second for millions.
    fn of(fleet: &Fleet) -> Self {
        let mut ways = Self::default();
        for number in 0..fleet.spec().devices {
            match fleet.meter(number).transport {
                Transport::Sigfox => ways.sigfox += 1,
                Transport::Sealed => ways.sealed += 1,
                Transport::SealedCoap => ways.coap += 1,
                Transport::Efento => ways.efento += 1,
            }
        }
        ways
    }

    /// The variables with the addresses that these meters need, and those to look up samples. The secret of callbacks is
    /// not among them, because either of two variables has it.
    fn variables(self, probe: u16) -> Vec<&'static str> {
        let needed = [
            (self.sigfox > 0, "API_URL"),
            (self.nbiot() > 0, "MASTER_KEYS_SECRET_ID"),
            (self.sealed > 0, "NBIOT_SEALED_ADDR"),
            (self.coap > 0, "NBIOT_COAP_ADDR"),
            (self.efento > 0, "NBIOT_EFENTO_ADDR"),
            (probe > 0, "PULSE_TABLE"),
        ];
        needed.into_iter().filter_map(|(is_needed, name)| is_needed.then_some(name)).collect()
    }

    fn nbiot(self) -> u32 {
        self.sealed + self.coap + self.efento
    }
}

impl Connections<Option<Api>> {
    /// Connects to the stack.
    ///
    /// # Errors
    /// [`Problem`] if an address or a secret is missing or invalid.
    pub(super) async fn to(stack: &Stack, fleet: &Arc<Fleet>, how: &SendOptions, probe: u16) -> Result<Self, Problem> {
        let ways = Ways::of(fleet);
        stack.require(&ways.variables(probe))?;
        let nbiot = if ways.nbiot() > 0 {
            let key = master_key(stack, how).await?;
            let to = Addresses {
                sealed: addresses(stack, "NBIOT_SEALED_ADDR", ways.sealed)?,
                coap: addresses(stack, "NBIOT_COAP_ADDR", ways.coap)?,
                efento: addresses(stack, "NBIOT_EFENTO_ADDR", ways.efento)?,
            };
            Some(link(fleet, how, key, to, ways.nbiot())?)
        } else {
            None
        };
        let callbacks = match ways.sigfox {
            0 => None,
            _ => Some(Api::new(stack.required("API_URL")?, &callback_secret(stack).await?, how.connections.into())?),
        };
        let pulses = match probe {
            0 => None,
            _ => Some(DynamoReader::new(&stack.sdk_config().await, stack.required("PULSE_TABLE")?)),
        };
        Ok(Self { callbacks, nbiot, pulses })
    }
}

/// Opens the sockets.
pub(super) fn link(
    fleet: &Arc<Fleet>,
    how: &SendOptions,
    key: MasterKey,
    to: Addresses,
    meters: u32,
) -> Result<Link, Problem> {
    let on = if to.all().all(|to| to.ip().is_loopback()) { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let sockets = Sockets::open(Groups::new(meters, how.shared_nat)?, on)
        .map_err(|e| Problem::Cause("sockets cannot be opened (see `ulimit -n`)".to_owned(), e.into()))?;
    let retransmission = Retransmission { first: how.first_pause(), repetitions: how.repetitions };
    let injector = how.faults.injector(fleet.spec().seed, "nbiot");
    Ok(Link { key, to, sockets, retransmission, injector })
}

async fn master_key(stack: &Stack, how: &SendOptions) -> Result<MasterKey, Problem> {
    let text = secret(stack, stack.required("MASTER_KEYS_SECRET_ID")?).await?;
    MasterKey::from_secret(&text, how.master_key_id)
}

/// The callbacks' secret: its value, as `make up` writes it, or else the secret with the stack's ID.
async fn callback_secret(stack: &Stack) -> Result<String, Problem> {
    match (stack.optional("CALLBACK_SECRET"), stack.optional("CALLBACK_SECRET_ID")) {
        (None, Some(id)) => secret(stack, id).await,
        _ => stack.required("CALLBACK_SECRET").map(str::to_owned),
    }
}

async fn secret(stack: &Stack, id: &str) -> Result<String, Problem> {
    let store = SecretStore::new(&stack.sdk_config().await);
    store.read(id).await.map_err(|e| Problem::Cause("a secret of the stack".to_owned(), e.into()))
}

/// All IPv4 addresses of a name. Skips the lookup if no meter needs it.
fn addresses(stack: &Stack, variable: &str, meters: u32) -> Result<Vec<SocketAddrV4>, Problem> {
    if meters == 0 {
        return Ok(vec![]);
    }
    let name = stack.required(variable)?;
    let found =
        name.to_socket_addrs().map_err(|e| Problem::Cause(format!("{variable}, {name:?}, is no address"), e.into()))?;
    let found: Vec<SocketAddrV4> = found
        .filter_map(|address| match address {
            SocketAddr::V4(address) => Some(address),
            SocketAddr::V6(_) => None,
        })
        .collect();
    if found.is_empty() {
        return Err(Problem::Wrong(format!("{variable}, {name:?}, has no IPv4 address")));
    }
    Ok(found)
}
