use std::net::IpAddr;

use super::slurm::{counts_of, first_of};
use super::*;

fn place(vars: &[(&str, &str)]) -> Result<Option<Place>, GroupError> {
    Place::from_vars(&|name| {
        vars.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
    })
}

fn there(vars: &[(&str, &str)]) -> Place {
    place(vars).unwrap().unwrap()
}

/// The error holds all of these.
fn refused(vars: &[(&str, &str)], parts: &[&str]) {
    let error = place(vars).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
}

fn with<'a>(vars: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [vars, more].concat()
}

const TORCHRUN: [(&str, &str); 9] = [
    ("RANK", "5"),
    ("WORLD_SIZE", "8"),
    ("LOCAL_RANK", "1"),
    ("LOCAL_WORLD_SIZE", "4"),
    ("MASTER_ADDR", "node7"),
    ("MASTER_PORT", "29500"),
    ("TORCHELASTIC_USE_AGENT_STORE", "True"),
    ("TORCHELASTIC_RESTART_COUNT", "2"),
    ("TORCHELASTIC_RUN_ID", "walker"),
];

const SLURM: [(&str, &str); 11] = [
    ("SLURM_JOB_ID", "4711"),
    ("SLURM_STEP_ID", "3"),
    ("SLURM_STEP_NUM_TASKS", "7"),
    ("SLURM_NTASKS", "7"),
    ("SLURM_PROCID", "6"),
    ("SLURM_LOCALID", "0"),
    ("SLURM_NODEID", "3"),
    ("SLURM_STEP_TASKS_PER_NODE", "2(x3),1"),
    ("SLURM_STEP_NODELIST", "node[003-005],gpu1"),
    ("SLURM_JOB_NODELIST", "node[001-005],gpu1"),
    ("SLURM_RESTART_COUNT", "1"),
];

#[test]
fn an_empty_environment_is_no_group() {
    assert_eq!(place(&[]).unwrap(), None);
    assert_eq!(place(&[("RANK", ""), ("WORLD_SIZE", " ")]).unwrap(), None);
    assert_eq!(place(&[("MASTER_PORT", "nonsense")]).unwrap(), None);
}

#[test]
fn torchruns_variables_are_read() {
    let place = there(&TORCHRUN);
    let expected = Place {
        rank: 5,
        world_size: 8,
        local_rank: 1,
        local_world_size: 4,
        master: Some(("node7".into(), 29500)),
        uses_agent_store: true,
        attempt: 2,
        run_id: "walker".into(),
        origin: Origin::Torchrun,
        address: None,
    };
    assert_eq!(place, expected);
    assert_eq!(place.prefix(), "/worker/attempt_2");
    assert!(!place.is_one_machine());
}

#[test]
fn torchrun_comes_before_slurm() {
    assert_eq!(there(&with(&SLURM, &TORCHRUN)).origin, Origin::Torchrun);
    let alone = there(&with(&SLURM, &[("RANK", "0"), ("WORLD_SIZE", "1")]));
    assert_eq!((alone.world_size, alone.local_world_size, alone.master), (1, 1, None));
}

#[test]
fn a_group_of_one_needs_no_store() {
    let alone = there(&[("RANK", "0"), ("WORLD_SIZE", "1")]);
    assert_eq!((alone.rank, alone.world_size, alone.uses_agent_store), (0, 1, false));
    assert_eq!(alone.own_address().unwrap(), "127.0.0.1".parse::<IpAddr>().unwrap());
}

#[test]
fn places_set_by_hand_need_no_local_ranks() {
    let by_hand = [("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_PORT", "29500")];
    let one = there(&with(&by_hand, &[("MASTER_ADDR", "127.0.0.1")]));
    assert_eq!((one.local_rank, one.local_world_size), (1, 2));
    let several = there(&with(&by_hand, &[("MASTER_ADDR", "node7")]));
    assert_eq!((several.local_rank, several.local_world_size), (0, 1));
}

#[test]
fn contradictions_are_refused() {
    refused(&[("RANK", "3")], &["RANK is 3", "WORLD_SIZE is not set"]);
    refused(&[("WORLD_SIZE", "2")], &["WORLD_SIZE is 2", "RANK is not set"]);
    refused(&[("RANK", "0"), ("WORLD_SIZE", "0")], &["WORLD_SIZE is 0"]);
    refused(&[("RANK", "two"), ("WORLD_SIZE", "4")], &["RANK is \"two\"", "whole number"]);
    refused(&[("RANK", "0"), ("WORLD_SIZE", "-1")], &["WORLD_SIZE is \"-1\""]);
    for (name, value, part) in [
        ("RANK", "8", "RANK is 8, but WORLD_SIZE is 8: RANK counts from 0 to 7"),
        ("LOCAL_RANK", "4", "LOCAL_RANK counts from 0 to 3"),
        ("LOCAL_WORLD_SIZE", "9", "more than WORLD_SIZE"),
        ("LOCAL_RANK", "", "LOCAL_RANK is not set"),
        ("LOCAL_WORLD_SIZE", "", "LOCAL_WORLD_SIZE is not set"),
        ("MASTER_ADDR", "", "MASTER_ADDR is not set"),
        ("MASTER_ADDR", "", "pavlov launch"),
        ("MASTER_PORT", "", "MASTER_PORT is not set"),
        ("MASTER_PORT", "0", "MASTER_PORT is \"0\""),
        ("MASTER_PORT", "70000", "MASTER_PORT is \"70000\""),
        ("TORCHELASTIC_USE_AGENT_STORE", "1", "set it to True"),
        ("TORCHELASTIC_RESTART_COUNT", "x", "TORCHELASTIC_RESTART_COUNT"),
        ("PAVLOV_ADDRESS", "eth0", "PAVLOV_ADDRESS is \"eth0\""),
        ("PAVLOV_ADDRESS", "0.0.0.0", "no IP address of a machine"),
    ] {
        refused(&with(&TORCHRUN, &[(name, value)]), &[part]);
    }
}

#[test]
fn a_slurm_task_is_a_rank() {
    let place = there(&SLURM);
    assert_eq!((place.rank, place.world_size, place.local_rank, place.local_world_size), (6, 7, 0, 1));
    let (host, port) = place.master.clone().unwrap();
    assert_eq!(host, "node003");
    assert!(port >= 61440);
    assert_eq!((place.attempt, place.run_id.as_str(), place.origin), (1, "slurm-4711.3", Origin::Slurm));
    assert!(!place.uses_agent_store);
    // The same in every task of the step, and another in the next step.
    let other = there(&with(&SLURM, &[("SLURM_PROCID", "0"), ("SLURM_NODEID", "0")]));
    assert_eq!((other.master, other.local_world_size), (place.master.clone(), 2));
    assert_ne!(there(&with(&SLURM, &[("SLURM_STEP_ID", "4")])).master, place.master);
    let given = there(&with(&SLURM, &[("MASTER_ADDR", "head"), ("MASTER_PORT", "29501")]));
    assert_eq!(given.master, Some(("head".into(), 29501)));
}

#[test]
fn a_batch_script_is_no_group() {
    for no_task in [
        ("SLURM_PROCID", ""),
        ("SLURM_STEP_ID", ""),
        // The batch script's and the interactive shell's own steps.
        ("SLURM_STEP_ID", "4294967291"),
        ("SLURM_STEP_ID", "4294967290"),
        // A step of one task, or a job submitted from a shell that is one.
        ("SLURM_STEP_NUM_TASKS", "1"),
    ] {
        assert_eq!(place(&with(&SLURM, &[no_task])).unwrap(), None, "{no_task:?}");
    }
}

#[test]
fn slurms_contradictions_are_refused() {
    for (name, value, part) in [
        ("SLURM_PROCID", "7", "SLURM_PROCID is 7, but SLURM_STEP_NUM_TASKS is 7"),
        ("SLURM_LOCALID", "", "SLURM_LOCALID is not set"),
        ("SLURM_LOCALID", "1", "SLURM_LOCALID is 1, but the number of tasks on this machine is 1"),
        ("SLURM_NODEID", "", "SLURM_NODEID is not set"),
        ("SLURM_NODEID", "4", "beyond the machines"),
        ("SLURM_JOB_ID", "x", "SLURM_JOB_ID is \"x\""),
        ("SLURM_STEP_NODELIST", "node[1", "no list of hosts"),
        ("SLURM_STEP_TASKS_PER_NODE", "2(3)", "no list of numbers"),
        ("MASTER_PORT", "0", "MASTER_PORT"),
        ("SLURM_STEP_ID", "first", "SLURM_STEP_ID is \"first\""),
    ] {
        refused(&with(&SLURM, &[(name, value)]), &[part]);
    }
    let no_hosts = [("SLURM_STEP_NODELIST", ""), ("SLURM_JOB_NODELIST", "")];
    refused(&with(&SLURM, &no_hosts), &["SLURM_STEP_NODELIST is not set"]);
}

#[test]
fn lists_of_hosts_are_read() {
    for (list, first) in [
        ("node7", "node7"),
        ("gpu1,node[003-007]", "gpu1"),
        ("node[003-007,010],gpu1", "node003"),
        ("node[12]", "node12"),
        ("rack[2-3]node[08,09]", "rack2node08"),
        ("rack[2-3]-ib.cluster", "rack2-ib.cluster"),
    ] {
        assert_eq!(first_of(list).as_deref(), Some(first));
    }
    for list in ["", ",a", "node[", "node[]", "node[a-b]", "node]", "no de"] {
        assert_eq!(first_of(list), None, "{list:?}");
    }
}

#[test]
fn lists_of_counts_are_read() {
    assert_eq!(counts_of("4"), Some(vec![(4, 1)]));
    assert_eq!(counts_of("2(x3),1"), Some(vec![(2, 3), (1, 1)]));
    for list in ["", "x", "2(x", "2(x3", "2,", "(x2)"] {
        assert_eq!(counts_of(list), None, "{list:?}");
    }
}

#[test]
fn the_own_address_is_one_that_peers_reach() {
    let on = |more: &[(&'static str, &'static str)]| there(&with(&TORCHRUN, more)).own_address();
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(on(&[("PAVLOV_ADDRESS", "10.1.2.3")]).unwrap(), address("10.1.2.3"));
    assert_eq!(on(&[("LOCAL_WORLD_SIZE", "8")]).unwrap(), address("127.0.0.1"));
    // Two agents of torchrun on one machine.
    assert_eq!(on(&[("MASTER_ADDR", "127.0.0.1")]).unwrap(), address("127.0.0.1"));
    let error = on(&[("MASTER_ADDR", "no.such.host.invalid")]).unwrap_err().to_string();
    assert!(error.contains("no.such.host.invalid") && error.contains("PAVLOV_ADDRESS"), "{error}");
}
