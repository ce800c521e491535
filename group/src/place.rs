//! The place of this process among those that learn together.
//!
//! The environment says it, in the variables of torchrun (which `pavlov launch` sets too) or in those of a
//! Slurm step:
//!
//! | variable | meaning |
//! |---|---|
//! | `RANK`, `WORLD_SIZE` | the number of this process, from 0, and that of all processes |
//! | `LOCAL_RANK`, `LOCAL_WORLD_SIZE` | the same among the processes of this machine |
//! | `MASTER_ADDR`, `MASTER_PORT` | where the store is by which the processes find one another |
//! | `TORCHELASTIC_USE_AGENT_STORE` | `True`: the launcher holds the store; else rank 0 opens it |
//! | `TORCHELASTIC_RESTART_COUNT` | how often the launcher has started the processes anew |
//! | `TORCHELASTIC_RUN_ID` | the name of the job |
//! | `PAVLOV_ADDRESS` | this machine's IP address for its peers, where it is not found by itself |
//!
//! A process without `RANK` and `WORLD_SIZE` is in a group if Slurm's `srun` has started it as one task of
//! several (the module `slurm` has the rules). `RANK=0 WORLD_SIZE=1` makes a process a group of its own
//! there.

mod slurm;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::str::FromStr;

use crate::GroupError;

/// The environment variable with this machine's IP address for its peers.
pub const ADDRESS: &str = "PAVLOV_ADDRESS";

/// The environment variables of a process by name.
type Vars<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The program that started the process and told it its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// torchrun, `pavlov launch`, or a person that set torchrun's variables.
    Torchrun,
    /// Slurm's `srun`.
    Slurm,
}

/// The place of a process among those that learn together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of this process, from 0.
    pub rank: usize,
    /// The number of processes.
    pub world_size: usize,
    /// The number of this process among those of its machine, from 0.
    pub local_rank: usize,
    /// The number of processes on this machine.
    pub local_world_size: usize,
    /// Host and port of the store; always there if `world_size` is above 1.
    pub master: Option<(String, u16)>,
    /// True: the launcher holds the store, and every rank, 0 included, is a client of it. False: rank 0 opens
    /// it.
    pub uses_agent_store: bool,
    /// The number of times that the processes were started anew.
    pub attempt: u64,
    /// The name of the job, the same in all its processes.
    pub run_id: String,
    /// The program that told the place.
    pub origin: Origin,
    /// `PAVLOV_ADDRESS`, if it is set.
    pub address: Option<IpAddr>,
}

impl Place {
    /// The place that this process's environment tells; `None` if it is in no group.
    ///
    /// # Errors
    /// When variables are missing, malformed, or contradict one another.
    pub fn from_env() -> Result<Option<Self>, GroupError> {
        // A value that is no UTF-8 is no number and no address either, and is named as such.
        Self::from_vars(&|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// The place that these environment variables tell. A variable that is empty counts as one that is not
    /// set.
    ///
    /// # Errors
    /// As [`Place::from_env`].
    pub fn from_vars(vars: Vars<'_>) -> Result<Option<Self>, GroupError> {
        let vars =
            &|name: &str| vars(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty());
        match (number(vars, "RANK")?, number(vars, "WORLD_SIZE")?) {
            (Some(rank), Some(world_size)) => Self::of_torchrun(vars, rank, world_size).map(Some),
            (Some(rank), None) => Err(GroupError::Place(format!(
                "RANK is {rank}, but WORLD_SIZE is not set: set WORLD_SIZE to the number of processes, or \
                 unset RANK to train in this process alone"
            ))),
            (None, Some(world_size)) => Err(GroupError::Place(format!(
                "WORLD_SIZE is {world_size}, but RANK is not set: give each process its own RANK, from 0 to \
                 WORLD_SIZE - 1 (in a Slurm step RANK=$SLURM_PROCID), or unset WORLD_SIZE to train in this \
                 process alone"
            ))),
            (None, None) => slurm::place(vars),
        }
    }

    fn of_torchrun(vars: Vars<'_>, rank: usize, world_size: usize) -> Result<Self, GroupError> {
        below("RANK", rank, "WORLD_SIZE", world_size)?;
        let master = master(vars, world_size)?;
        let (local_rank, local_world_size) =
            match (number(vars, "LOCAL_RANK")?, number(vars, "LOCAL_WORLD_SIZE")?) {
                (Some(rank), Some(size)) => (rank, size),
                // Processes that a person started: all of one machine if the store is at a loopback address,
                // else one on each machine.
                (None, None) => match &master {
                    Some((host, _)) if is_loopback(host) => (rank, world_size),
                    _ => (0, 1),
                },
                (Some(rank), None) => {
                    return Err(GroupError::Place(format!(
                        "LOCAL_RANK is {rank}, but LOCAL_WORLD_SIZE is not set: set it to the number of \
                         processes on this machine, or unset LOCAL_RANK if each machine has one"
                    )));
                }
                (None, Some(size)) => {
                    return Err(GroupError::Place(format!(
                        "LOCAL_WORLD_SIZE is {size}, but LOCAL_RANK is not set: give each process of this \
                         machine its own, from 0 to LOCAL_WORLD_SIZE - 1"
                    )));
                }
            };
        below("LOCAL_RANK", local_rank, "LOCAL_WORLD_SIZE", local_world_size)?;
        if local_world_size > world_size {
            return Err(GroupError::Place(format!(
                "LOCAL_WORLD_SIZE is {local_world_size}, more than WORLD_SIZE, which is {world_size}: the \
                 first counts the processes of this machine, the second those of all machines"
            )));
        }
        Ok(Self {
            rank,
            world_size,
            local_rank,
            local_world_size,
            master,
            uses_agent_store: uses_agent_store(vars)?,
            attempt: number(vars, "TORCHELASTIC_RESTART_COUNT")?.unwrap_or(0),
            run_id: vars("TORCHELASTIC_RUN_ID").unwrap_or_else(|| "none".into()),
            origin: Origin::Torchrun,
            address: address(vars)?,
        })
    }

    /// The beginning of all keys of this attempt, so that it does not read what an earlier one wrote to a
    /// store that outlives the processes. It is the prefix of PyTorch's `env://` rendezvous up to 2.5; later
    /// versions have none there.
    ///
    /// Each agent of torchrun counts the restarts of its own machine. With one agent the count is the same in
    /// all processes; with several it differs after a restart that began on one machine.
    pub fn prefix(&self) -> String {
        format!("/worker/attempt_{}", self.attempt)
    }

    /// True if all processes are on this machine.
    pub fn is_one_machine(&self) -> bool {
        self.local_world_size == self.world_size
    }

    /// This machine's address for its peers: `PAVLOV_ADDRESS`; else the loopback address if all processes are
    /// on this machine; else the address from which this machine reaches the store. Nothing is sent for it.
    ///
    /// # Errors
    /// When the host of the store cannot be resolved or has no route, or when only a loopback address is
    /// found.
    pub fn own_address(&self) -> Result<IpAddr, GroupError> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let Some((host, port)) = &self.master else { return Ok(loopback) };
        if self.is_one_machine() || is_loopback(host) {
            return Ok(loopback);
        }
        let failed = |cause: String| {
            GroupError::Rendezvous(format!(
                "rank {}: this machine's address for its peers is not known, since {cause}: set {ADDRESS} to \
                 it, on each machine to its own",
                self.rank
            ))
        };
        let hosts = (host.as_str(), *port).to_socket_addrs().map_err(|error| {
            failed(format!("the host of the store, {host}, cannot be resolved ({error})"))
        })?;
        let mut cause = format!("the host of the store, {host}, has no address");
        for to in hosts {
            let from: IpAddr =
                if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            // Connecting a UDP socket sends nothing, it only looks up the route.
            let found = UdpSocket::bind((from, 0)).and_then(|socket| {
                socket.connect(to)?;
                socket.local_addr()
            });
            match found {
                // Debian names a machine in its own /etc/hosts as 127.0.1.1.
                Ok(address) if address.ip().is_loopback() => {
                    cause =
                        format!("the host of the store, {host}, is a loopback address here ({})", to.ip());
                }
                Ok(address) => return Ok(address.ip()),
                Err(error) => cause = format!("there is no way to the host of the store, {to} ({error})"),
            }
        }
        Err(failed(cause))
    }
}

/// The number in a variable.
fn number<T: FromStr>(vars: Vars<'_>, name: &str) -> Result<Option<T>, GroupError> {
    let Some(value) = vars(name) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| {
        GroupError::Place(format!(
            "{name} is {value:?}, which is no number of a process or of processes: set it to a whole number \
             from 0, or start the processes with `pavlov launch` or torchrun, which set it"
        ))
    })
}

/// Refuses a number of a process that is not below the number of processes.
fn below(name: &str, rank: usize, size_name: &str, size: usize) -> Result<(), GroupError> {
    if size == 0 {
        return Err(GroupError::Place(format!(
            "{size_name} is 0: set it to the number of processes, at least 1"
        )));
    }
    if rank >= size {
        return Err(GroupError::Place(format!(
            "{name} is {rank}, but {size_name} is {size}: {name} counts from 0 to {}",
            size - 1
        )));
    }
    Ok(())
}

/// The host and port of the store.
fn master(vars: Vars<'_>, world_size: usize) -> Result<Option<(String, u16)>, GroupError> {
    let port = port(vars)?;
    match (vars("MASTER_ADDR"), port) {
        (Some(host), Some(port)) => Ok(Some((host, port))),
        // A process alone needs no store.
        _ if world_size == 1 => Ok(None),
        (host, _) => {
            let missing = if host.is_none() { "MASTER_ADDR" } else { "MASTER_PORT" };
            Err(GroupError::Place(format!(
                "WORLD_SIZE is {world_size}, but {missing} is not set: set MASTER_ADDR to the host of rank 0 \
                 and MASTER_PORT to a free port there, the same in all processes, or start them with `pavlov \
                 launch` or torchrun"
            )))
        }
    }
}

/// The port of the store.
fn port(vars: Vars<'_>) -> Result<Option<u16>, GroupError> {
    let Some(value) = vars("MASTER_PORT") else { return Ok(None) };
    match value.parse() {
        Ok(port) if port != 0 => Ok(Some(port)),
        _ => Err(GroupError::Place(format!(
            "MASTER_PORT is {value:?}: set it to a free port of the host MASTER_ADDR, from 1 to 65535, the \
             same in all processes"
        ))),
    }
}

/// True if the launcher holds the store.
fn uses_agent_store(vars: Vars<'_>) -> Result<bool, GroupError> {
    match vars("TORCHELASTIC_USE_AGENT_STORE").as_deref() {
        Some("True") => Ok(true),
        None | Some("False") => Ok(false),
        // PyTorch takes all else for False, and rank 0 would wait at a port that the launcher has.
        Some(value) => Err(GroupError::Place(format!(
            "TORCHELASTIC_USE_AGENT_STORE is {value:?}: set it to True if the launcher holds the store, to \
             False if rank 0 opens it"
        ))),
    }
}

/// `PAVLOV_ADDRESS`.
fn address(vars: Vars<'_>) -> Result<Option<IpAddr>, GroupError> {
    let Some(value) = vars(ADDRESS) else { return Ok(None) };
    match value.parse::<IpAddr>() {
        Ok(address) if !address.is_unspecified() => Ok(Some(address)),
        _ => Err(GroupError::Place(format!(
            "{ADDRESS} is {value:?}, which is no IP address of a machine: set it to this machine's address \
             in the network of its peers, as in 10.0.0.7, or unset it"
        ))),
    }
}

/// True if a host is this machine, whoever asks.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
