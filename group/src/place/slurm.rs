//! The place of a task in a Slurm step.
//!
//! Only `srun` starts one process for each task. The script of `sbatch` runs once, whatever `--ntasks` says,
//! and so does the shell of `salloc`; yet both see `SLURM_NTASKS` above 1 and `SLURM_PROCID=0`, and a
//! training there that took itself for rank 0 of many would wait for peers that nobody starts. A process is a
//! task of a group if
//!
//! * it is in a step, neither in the batch script nor in an interactive shell: `SLURM_STEP_ID` is set and
//!   below the numbers that Slurm keeps for those;
//! * the step has several tasks: `SLURM_STEP_NUM_TASKS`, which unlike `SLURM_NTASKS` is always the step's;
//!   a job that was submitted from within an `srun --pty` shell inherits the 1 of that shell.
//!
//! Rank 0 opens the store, on the first host of the step. Tasks that are to train apart, as with a seed each,
//! set `RANK=0 WORLD_SIZE=1`.

use super::{Origin, Place, Vars, address, below, number, port};
use crate::GroupError;

/// The first of the step numbers that Slurm keeps for itself (`SLURM_MAX_NORMAL_STEP_ID`): batch scripts,
/// external steps, interactive shells.
const FIRST_SPECIAL_STEP: u64 = 0xffff_fff0;

/// Stores are opened at the ports 61440 to 65535, above those that Linux gives to connections by default.
const FIRST_PORT: u64 = 61_440;
const PORTS: u64 = 4096;

/// The place of this process, if it is one task of several.
pub(super) fn place(vars: Vars<'_>) -> Result<Option<Place>, GroupError> {
    let Some(rank) = number::<usize>(vars, "SLURM_PROCID")? else { return Ok(None) };
    let step = match number::<u64>(vars, "SLURM_STEP_ID")? {
        Some(step) if step < FIRST_SPECIAL_STEP => step,
        _ => return Ok(None),
    };
    let (name, tasks) = match number(vars, "SLURM_STEP_NUM_TASKS")? {
        Some(tasks) => ("SLURM_STEP_NUM_TASKS", Some(tasks)),
        None => ("SLURM_NTASKS", number(vars, "SLURM_NTASKS")?),
    };
    let world_size: usize = match tasks {
        Some(tasks) if tasks > 1 => tasks,
        _ => return Ok(None),
    };
    below("SLURM_PROCID", rank, name, world_size)?;

    let job = required::<u64>(vars, "SLURM_JOB_ID")?;
    let host = match vars("MASTER_ADDR") {
        Some(host) => host,
        None => first_host(vars)?,
    };
    // Two jobs of one host get the same port once in 4096 times, and the second then says that it is taken.
    // Steps of one job never do, up to 4096.
    let derived = (FIRST_PORT + (job.wrapping_mul(97).wrapping_add(step)) % PORTS) as u16;
    let local_rank = required(vars, "SLURM_LOCALID")?;
    let local_world_size = tasks_here(vars, world_size)?;
    below("SLURM_LOCALID", local_rank, "the number of tasks on this machine", local_world_size)?;
    Ok(Some(Place {
        rank,
        world_size,
        local_rank,
        local_world_size,
        master: Some((host, port(vars)?.unwrap_or(derived))),
        uses_agent_store: false,
        attempt: number(vars, "SLURM_RESTART_COUNT")?.unwrap_or(0),
        run_id: format!("slurm-{job}.{step}"),
        origin: Origin::Slurm,
        address: address(vars)?,
    }))
}

/// The number in a variable that every task has.
fn required<T: std::str::FromStr>(vars: Vars<'_>, name: &str) -> Result<T, GroupError> {
    number(vars, name)?.ok_or_else(|| missing(name))
}

fn missing(names: &str) -> GroupError {
    GroupError::Place(format!(
        "this process is a task of a Slurm step with several tasks, but {names} is not set: start it with \
         srun, or set RANK=0 and WORLD_SIZE=1 to train in this process alone"
    ))
}

/// The first host of the step.
fn first_host(vars: Vars<'_>) -> Result<String, GroupError> {
    for name in ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"] {
        if let Some(list) = vars(name) {
            return first_of(&list).ok_or_else(|| {
                GroupError::Place(format!(
                    "{name} is {list:?}, which is no list of hosts as in node[003-007,010],gpu1: set \
                     MASTER_ADDR to the host of rank 0"
                ))
            });
        }
    }
    Err(missing("SLURM_STEP_NODELIST"))
}

/// The first host of a list as Slurm writes it: `node[003-007,010],gpu1` begins with `node003`.
pub(super) fn first_of(list: &str) -> Option<String> {
    let mut host = String::new();
    let mut rest = list;
    loop {
        let end = rest.find(['[', ',', ']']).unwrap_or(rest.len());
        host.push_str(&rest[..end]);
        rest = &rest[end..];
        let Some(inside) = rest.strip_prefix('[') else { break };
        let (ranges, after) = inside.split_once(']')?;
        // The first range, and its first number, leading zeros included.
        let first = ranges.split([',', '-']).next()?;
        if first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        host.push_str(first);
        rest = after;
    }
    let fits = !host.is_empty() && !rest.starts_with(']') && !host.contains(char::is_whitespace);
    fits.then_some(host)
}

/// The number of the step's tasks on this machine.
fn tasks_here(vars: Vars<'_>, world_size: usize) -> Result<usize, GroupError> {
    let lists = ["SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE"];
    let Some((name, list)) = lists.into_iter().find_map(|name| Some((name, vars(name)?))) else {
        return match number::<usize>(vars, "SLURM_STEP_NUM_NODES")? {
            Some(1) => Ok(world_size),
            _ => Err(missing("SLURM_STEP_TASKS_PER_NODE")),
        };
    };
    let counts = counts_of(&list).ok_or_else(|| {
        GroupError::Place(format!(
            "{name} is {list:?}, which is no list of numbers as in 2(x3),1: set RANK, WORLD_SIZE, \
             LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT instead"
        ))
    })?;
    if let [(count, _)] = counts[..] {
        return Ok(count);
    }
    let mut node: usize = required(vars, "SLURM_NODEID")?;
    for (count, nodes) in counts {
        if node < nodes {
            return Ok(count);
        }
        node -= nodes;
    }
    Err(GroupError::Place(format!(
        "SLURM_NODEID is beyond the machines of {name}, which is {list:?}: start the tasks with srun"
    )))
}

/// Slurm's list of counts: `2(x3),1` is 2 on three machines and 1 on a fourth. Pairs of tasks and machines.
pub(super) fn counts_of(list: &str) -> Option<Vec<(usize, usize)>> {
    list.split(',')
        .map(|part| match part.split_once("(x") {
            None => Some((part.parse().ok()?, 1)),
            Some((count, times)) => Some((count.parse().ok()?, times.strip_suffix(')')?.parse().ok()?)),
        })
        .collect()
}
