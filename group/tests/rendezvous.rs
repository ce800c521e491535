//! The rendezvous of processes, and what may go wrong at it.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are no tests to clippy")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use pavlov_group::{MemoryStore, Store, Wire, WireOptions};

fn options(rank: usize, world_size: usize, seconds: f32) -> WireOptions {
    WireOptions {
        rank,
        world_size,
        prefix: "/worker/attempt_0".to_owned(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        timeout: Duration::from_secs_f32(seconds),
    }
}

#[test]
fn two_processes_of_the_same_rank_are_refused() {
    let store = MemoryStore::new();
    let ends: Vec<_> = [0, 1, 1]
        .map(|rank| {
            let store = store.clone();
            thread::spawn(move || Wire::connect(&options(rank, 3, 10.0), &store).map(|_| ()))
        })
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    for end in ends {
        let error = end.unwrap_err().to_string();
        assert!(error.contains("two processes call themselves rank 1 of 3"), "{error}");
    }
}

#[test]
fn missing_ranks_are_named() {
    let store = MemoryStore::new();
    let begun = Instant::now();
    let ends: Vec<_> = [1, 3]
        .map(|rank| {
            let store = store.clone();
            thread::spawn(move || Wire::connect(&options(rank, 5, 1.0), &store).map(|_| ()))
        })
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    for end in ends {
        let error = end.unwrap_err().to_string();
        assert!(error.contains("ranks 0, 2, 4 did not come within 1 s"), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(3));
    let error = Wire::connect(&options(0, 2, 0.5), &MemoryStore::new()).unwrap_err().to_string();
    assert!(error.contains("rank 1 did not come"), "{error}");
}

#[test]
fn ranks_of_another_world_size_are_refused() {
    let store = MemoryStore::new();
    let other = store.clone();
    let first = thread::spawn(move || Wire::connect(&options(0, 2, 5.0), &other).map(|_| ()));
    let error = Wire::connect(&options(1, 3, 5.0), &store).unwrap_err().to_string();
    assert!(error.contains("WORLD_SIZE=3") && error.contains("WORLD_SIZE=2"), "{error}");
    assert!(first.join().unwrap().is_err());
}

#[test]
fn strangers_do_not_disturb() {
    let store = MemoryStore::new();
    let other = store.clone();
    let first = thread::spawn(move || Wire::connect(&options(0, 2, 10.0), &other));
    let address = store.get("/worker/attempt_0/pavlov/address/0", Duration::from_secs(5)).unwrap().unwrap();
    let address = String::from_utf8(address).unwrap();
    let address = address.split(' ').next().unwrap();
    let silent: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut scanner = TcpStream::connect(address).unwrap();
    scanner.write_all(&[b'x'; 200]).unwrap();
    drop(TcpStream::connect(address).unwrap());
    // One that guesses: everything but the secret.
    let mut guess = TcpStream::connect(address).unwrap();
    let mut hello = b"pavlov01".to_vec();
    hello.extend(1u64.to_be_bytes());
    hello.extend(2u64.to_be_bytes());
    hello.extend([0; 32]);
    guess.write_all(&hello).unwrap();
    guess.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(matches!(guess.read(&mut [0; 8]), Ok(0) | Err(_)), "a guess is not answered");
    let second = Wire::connect(&options(1, 2, 10.0), &store).unwrap();
    let first = first.join().unwrap().unwrap();
    first.tell(b"hello").unwrap();
    assert_eq!(second.hear().unwrap(), b"hello");
    drop(silent);
}

#[test]
fn an_address_that_nobody_reaches_is_named() {
    let store = MemoryStore::new();
    store
        .set("/worker/attempt_0/pavlov/secret", &[[1; 32].as_slice(), &2u64.to_be_bytes()].concat())
        .unwrap();
    // Port 1 refuses.
    store.set("/worker/attempt_0/pavlov/address/0", b"127.0.0.1:1").unwrap();
    let error = Wire::connect(&options(1, 2, 10.0), &store).unwrap_err().to_string();
    assert!(error.contains("rank 0 at 127.0.0.1:1") && error.contains("PAVLOV_ADDRESS"), "{error}");
    let elsewhere = WireOptions { address: "203.0.113.7".parse().unwrap(), ..options(0, 2, 2.0) };
    let error = Wire::connect(&elsewhere, &MemoryStore::new()).unwrap_err().to_string();
    assert!(error.contains("cannot listen at 203.0.113.7") && error.contains("PAVLOV_ADDRESS"), "{error}");
}
