//! A process of a group: it finds its peers, and agrees with them on what they do.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pavlov_group::{Group, GroupError, Place, Store, TIMEOUT, Wire, WireOptions};
use pavlov_nn::TcpStore;
use serde::{Deserialize, Serialize};
use toml::Table;

use crate::run::differences;

/// The time that processes wait for one another, unless the environment says another.
const PATIENCE: Duration = Duration::from_secs(300);
/// The most differing settings that a message names.
const SHOWN: usize = 4;

/// A process of a group.
pub(crate) struct Member {
    /// The place among all processes.
    pub place: Place,
    /// The way to the others; none in a group of one.
    wire: Option<Wire>,
    /// Kept open for as long as the process lives: others may look into it.
    store: Option<TcpStore>,
}

/// The work that a process is about to do.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    /// The program and its version.
    program: String,
    /// The command's name.
    command: String,
    /// The configuration as TOML; none where rank 0 alone knows it.
    config: Option<String>,
}

/// The verdict of rank 0.
#[derive(Debug, Serialize, Deserialize)]
enum Verdict {
    Agreed { config: String },
    Refused { cause: String },
}

/// The error of processes that want different things. Starting them again does not help.
#[derive(Clone, Debug)]
pub(crate) struct Disagreement(pub String);

impl std::error::Error for Disagreement {}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Member {
    /// Joins the group that this process's environment names; `None` if it names none.
    ///
    /// # Errors
    /// When the environment makes no sense, or the peers do not come in time.
    pub(crate) fn join() -> Result<Option<Self>> {
        let Some(place) = Place::from_env()? else { return Ok(None) };
        let timeout = patience()?;
        let Some((host, port)) =
            place.master.clone().filter(|_| place.world_size > 1 || place.uses_agent_store)
        else {
            return Ok(Some(Self { place, wire: None, store: None }));
        };
        let store = match place.rank == 0 && !place.uses_agent_store {
            true => TcpStore::serve(port, timeout)?,
            false => TcpStore::connect(&host, port, timeout)?,
        };
        let wire = (place.world_size > 1).then(|| connect(&place, &store, timeout)).transpose()?;
        Ok(Some(Self { place, wire, store: Some(store) }))
    }

    /// True for the process that writes the run.
    pub(crate) fn leads(&self) -> bool {
        self.place.rank == 0
    }

    /// The way to the others.
    pub(crate) fn wire(&self) -> Option<&Wire> {
        self.wire.as_ref()
    }

    /// Checks that the processes can share out so many shards evenly.
    ///
    /// # Errors
    /// When they cannot.
    pub(crate) fn check_shards(&self, shards: usize) -> Result<()> {
        let world = self.place.world_size;
        if !shards.is_multiple_of(world) {
            bail!(Disagreement(format!(
                "shards is {shards}, which {world} processes cannot share out evenly: start a number of processes that \
                 divides it, or set shards to a multiple of {world}"
            )));
        }
        Ok(())
    }

    /// The handles of this process's shards, of so many in all.
    ///
    /// # Errors
    /// When the processes cannot share them out evenly.
    pub(crate) fn shards(&self, shards: usize) -> Result<Vec<Group>> {
        self.check_shards(shards)?;
        Ok(Group::of_process(shards / self.place.world_size, self.wire.clone()))
    }

    /// Checks that all processes are about to do the same, and gives the configuration of all: that which `decide`
    /// makes of rank 0's own.
    ///
    /// # Errors
    /// [`Disagreement`] in every process when one has another program or other settings; those of `decide` too.
    pub(crate) fn agree(
        &self,
        command: &str,
        config: Option<String>,
        decide: impl FnOnce() -> Result<String>,
    ) -> Result<String> {
        let Some(wire) = &self.wire else { return decide() };
        let program = format!("{} {}", program(), env!("CARGO_PKG_VERSION"));
        let claim = Claim { program, command: command.into(), config };
        let claims = wire.collect(serde_json::to_vec(&claim)?, Some(wire.timeout()))?;
        let verdict = match claims {
            None => serde_json::from_slice(&wire.hear()?)?,
            Some(claims) => {
                let claims = claims.iter().map(|bytes| Ok(serde_json::from_slice(bytes)?));
                let claims: Vec<Claim> = claims.collect::<Result<_>>()?;
                let verdict = match disagreement(&claims)? {
                    None => Verdict::Agreed { config: decide()? },
                    Some(cause) => Verdict::Refused { cause },
                };
                wire.tell(&serde_json::to_vec(&verdict)?)?;
                verdict
            }
        };
        match verdict {
            Verdict::Agreed { config } => Ok(config),
            Verdict::Refused { cause } => bail!(Disagreement(cause)),
        }
    }

    /// Tells the peers that this process fails.
    pub(crate) fn fail(&self, cause: &anyhow::Error) {
        if let Some(wire) = &self.wire {
            wire.fail(&format!("{cause:#}"));
        }
    }

    /// The folder of the run that this group works on, from before it was started anew: the store of a launcher
    /// outlives the processes.
    ///
    /// # Errors
    /// When the store no longer answers.
    pub(crate) fn known_run(&self) -> Result<Option<PathBuf>> {
        let Some(store) = self.store.as_ref().filter(|_| self.place.uses_agent_store) else {
            return Ok(None);
        };
        let bytes = store.get(&self.run_key(), Duration::ZERO)?;
        Ok(bytes.map(|bytes| PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())))
    }

    /// Notes the folder of the run for [`Member::known_run`].
    ///
    /// # Errors
    /// When the store no longer answers.
    pub(crate) fn note_run(&self, run: &std::path::Path) -> Result<()> {
        let run = std::path::absolute(run)?;
        if let Some(store) = &self.store {
            store.set(&self.run_key(), run.to_string_lossy().as_bytes())?;
        }
        Ok(())
    }

    fn run_key(&self) -> String {
        format!("/pavlov/run/{}", self.place.run_id)
    }
}

/// Connects to all peers.
///
/// A launcher's store keeps the keys of processes that have ended. On one machine the launcher numbers its attempts;
/// the launchers of several machines count them each for itself, so that rank 0 numbers them, and a process that
/// has come before the new number tries again.
fn connect(place: &Place, store: &TcpStore, timeout: Duration) -> Result<Wire> {
    let begun = Instant::now();
    let address = place.own_address()?;
    let options = |prefix: String, timeout: Duration| WireOptions {
        rank: place.rank,
        world_size: place.world_size,
        prefix,
        address,
        timeout,
    };
    if !place.uses_agent_store || place.is_one_machine() {
        return Ok(Wire::connect(&options(place.prefix(), timeout), store)?);
    }
    let (count, current) =
        (format!("/pavlov/meetings/{}", place.run_id), format!("/pavlov/meeting/{}", place.run_id));
    let named =
        |meeting: &[u8]| format!("/pavlov/meeting/{}/{}", place.run_id, String::from_utf8_lossy(meeting));
    if place.rank == 0 {
        let meeting = store.add(&count, 1)?.to_string();
        store.set(&current, meeting.as_bytes())?;
        return Ok(Wire::connect(&options(named(meeting.as_bytes()), timeout), store)?);
    }
    let mut tried = None;
    let mut error = GroupError::Rendezvous("rank 0 has not come".into());
    loop {
        let left = timeout.saturating_sub(begun.elapsed());
        match store.get(&current, left)? {
            Some(meeting) if tried.as_ref() != Some(&meeting) => {
                match Wire::connect(&options(named(&meeting), left), store) {
                    Ok(wire) => return Ok(wire),
                    Err(failed) => error = failed,
                }
                tried = Some(meeting);
            }
            _ if left.is_zero() => return Err(error.into()),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn patience() -> Result<Duration> {
    let Some(text) = std::env::var_os(TIMEOUT) else { return Ok(PATIENCE) };
    let seconds = text.to_str().and_then(|text| text.parse::<u64>().ok()).filter(|seconds| *seconds > 0);
    let wrong = || GroupError::Place(format!("{TIMEOUT} is {text:?}: give whole seconds, at least 1"));
    Ok(Duration::from_secs(seconds.ok_or_else(wrong)?))
}

fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The disagreement of the processes, in words that name the ranks; `None` if they agree.
fn disagreement(claims: &[Claim]) -> Result<Option<String>> {
    let first = &claims[0];
    for (rank, claim) in claims.iter().enumerate().skip(1) {
        for (what, one, other) in
            [("program", &first.program, &claim.program), ("command", &first.command, &claim.command)]
        {
            if one != other {
                return Ok(Some(format!(
                    "rank 0 and rank {rank} have another {what}: `{one}` and `{other}`; start all processes alike"
                )));
            }
        }
        let (Some(one), Some(other)) = (&first.config, &claim.config) else { continue };
        if let Some(differing) = differing(one, other)? {
            return Ok(Some(format!(
                "rank 0 and rank {rank} have other settings: {differing}; start all processes with the same arguments"
            )));
        }
    }
    Ok(None)
}

/// The settings that two configurations have differently, in words; `None` if there are none.
///
/// # Errors
/// When one is no TOML.
pub(crate) fn differing(one: &str, other: &str) -> Result<Option<String>> {
    let parsed = |text: &str| text.parse::<Table>().context("a configuration is no TOML");
    let (one, other) = (parsed(one)?, parsed(other)?);
    let all = differences(&one, &other);
    let value = |value: Option<&toml::Value>| value.map_or_else(|| "not there".into(), ToString::to_string);
    let shown = all.iter().take(SHOWN).map(|difference| {
        format!("{} is {} and {}", difference.key, value(difference.one), value(difference.other))
    });
    let more = if all.len() > SHOWN { format!(", and {} more", all.len() - SHOWN) } else { String::new() };
    let shown = shown.collect::<Vec<_>>().join("; ");
    Ok((!all.is_empty()).then(|| format!("{shown}{more}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(program: &str, config: &str) -> Claim {
        Claim { program: program.into(), command: "train".into(), config: Some(config.into()) }
    }

    #[test]
    fn what_processes_disagree_on_is_named_with_the_rank() {
        let config = "seed = 1\n[hyperparameters]\ndiscount = 0.9\n";
        let other = "seed = 2\n[hyperparameters]\ndiscount = 0.99\n";
        let told = |claims: &[Claim]| disagreement(claims).unwrap();
        assert_eq!(told(&[claim("a 1", config), claim("a 1", config)]), None);
        let text = told(&[claim("a 1", config), claim("a 1", config), claim("a 1", other)]).unwrap();
        for part in ["rank 2", "discount is 0.9 and 0.99", "seed is 1 and 2"] {
            assert!(text.contains(part), "{text}");
        }
        let text = told(&[claim("a 1", config), claim("a 2", config)]).unwrap();
        assert!(text.contains("rank 1") && text.contains("`a 1` and `a 2`"), "{text}");
    }
}
