//! Processes that sum, gather, tell and fail. Threads stand in for them, with connections over the loopback.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are no tests to clippy")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pavlov_group::{Group, GroupError, MemoryStore, Store, Wire, WireOptions};

/// Ranks 0 and 1 have the same address, as on one machine; the others one of their own where the system has
/// more than one on the loopback, as on others.
fn options(rank: usize, world_size: usize, seconds: f32) -> WireOptions {
    let machine = if cfg!(target_os = "linux") { rank.saturating_sub(1) as u8 } else { 0 };
    WireOptions {
        rank,
        world_size,
        prefix: "/worker/attempt_0".to_owned(),
        address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + machine)),
        timeout: Duration::from_secs_f32(seconds),
    }
}

/// Runs `work` as every process of a group; what each returns, in order.
fn processes<T: Send + 'static>(
    world_size: usize,
    seconds: f32,
    work: impl Fn(Wire) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let (store, work) = (MemoryStore::new(), Arc::new(work));
    let begin = |rank| {
        let (store, work) = (store.clone(), work.clone());
        thread::spawn(move || work(Wire::connect(&options(rank, world_size, seconds), &store).unwrap()))
    };
    let threads: Vec<_> = (0..world_size).map(begin).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Runs `work` as every shard of a group; what each returns, in order.
fn shards<T: Send + 'static>(
    world_size: usize,
    local: usize,
    seconds: f32,
    work: impl Fn(Group) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let work = Arc::new(work);
    let of_process = move |wire: Option<Wire>| -> Vec<T> {
        let begin = |group| {
            let work = work.clone();
            thread::spawn(move || work(group))
        };
        let threads: Vec<_> = Group::of_process(local, wire).into_iter().map(begin).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    };
    if world_size == 1 {
        return of_process(None);
    }
    processes(world_size, seconds, move |wire| of_process(Some(wire))).into_iter().flatten().collect()
}

/// Every combination of processes and shards of each that makes so many.
fn cuts(shards: usize) -> impl Iterator<Item = (usize, usize)> {
    (1..=shards).filter(move |world_size| shards.is_multiple_of(*world_size)).map(move |w| (w, shards / w))
}

/// Numbers whose sum depends on the order of its additions.
fn number(shard: usize, i: usize) -> f32 {
    let x = ((shard * 7919 + i * 104_729 + 13) % 99_991) as f32;
    (x - 50_000.0) * 1.3f32.powi((x as i32 + i as i32) % 40 - 20)
}

#[test]
fn sums_have_the_same_bits_however_shards_are_cut() {
    for count in [3, 4, 6] {
        for length in [0, 1, 2, 5, 1000, 40_007] {
            let right = bits_of_sums(1, count, length);
            for (world_size, local) in cuts(count).skip(1) {
                let bits = bits_of_sums(world_size, local, length);
                assert!(bits == right, "{world_size} processes of {local} shards, {length} numbers");
            }
        }
    }
}

/// The bits of a sum of so many numbers, in f32 and f64, which must be the same in every shard.
fn bits_of_sums(world_size: usize, local: usize, length: usize) -> (Vec<u32>, Vec<u64>) {
    let mut all = shards(world_size, local, 10.0, move |group| {
        let mut sum: Vec<f32> = (0..length).map(|i| number(group.shard(), i)).collect();
        let mut precise: Vec<f64> = sum.iter().map(|x| f64::from(*x) * 0.1).collect();
        group.sum(&mut sum).unwrap();
        group.sum_f64(&mut precise).unwrap();
        let bits = sum.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        (bits, precise.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
    });
    let first = all.pop().unwrap();
    assert!(all.iter().all(|other| *other == first));
    first
}

#[test]
fn much_and_little_in_turn_with_shards_that_come_in_any_order() {
    for (world_size, local) in [(1, 3), (2, 1), (2, 2), (3, 1)] {
        shards(world_size, local, 10.0, move |group| {
            let mut random = group.shard() as u64 + 1;
            for round in 0..300usize {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                match random >> 60 {
                    0 => thread::sleep(Duration::from_micros(random >> 55)),
                    1..8 => thread::yield_now(),
                    _ => {}
                }
                let length = [1, 700, 0, 30_000][round % 4];
                let mut numbers = vec![(group.shard() + round) as f32; length];
                group.sum(&mut numbers).unwrap();
                let count = group.shards();
                let right = (count * (count - 1) / 2 + count * round) as f32;
                assert!(numbers.iter().all(|x| *x == right), "round {round}");
                if round % 7 == 0 {
                    let all = group.gather(vec![group.shard() as u8; group.shard() * round]).unwrap();
                    for (shard, bytes) in all.iter().enumerate() {
                        assert_eq!(*bytes, vec![shard as u8; shard * round]);
                    }
                }
            }
        });
    }
}

#[test]
fn more_than_sockets_hold_goes_both_ways_at_once() {
    for world_size in [2, 3] {
        let length = 3_000_000;
        shards(world_size, 1, 10.0, move |group| {
            let mut numbers: Vec<f32> = (0..length).map(|i| (i % 1000) as f32).collect();
            group.sum(&mut numbers).unwrap();
            assert!(numbers.iter().enumerate().all(|(i, x)| *x == (i % 1000 * world_size) as f32));
            let all = group.gather(vec![7; length]).unwrap();
            assert!(all.iter().all(|bytes| bytes.len() == length && bytes.iter().all(|byte| *byte == 7)));
        });
    }
}

#[test]
fn an_only_shard_needs_nobody() {
    let group = Group::of_process(1, None).remove(0);
    let mut numbers = [1.5];
    group.sum(&mut numbers).unwrap();
    assert!(group.is_alone() && numbers == [1.5]);
    assert_eq!(group.gather(vec![1]).unwrap(), [vec![1]]);
    let wire = Wire::connect(&options(0, 1, 1.0), &MemoryStore::new()).unwrap();
    wire.tell(b"nobody").unwrap();
    assert_eq!(wire.collect(vec![3], None).unwrap(), Some(vec![vec![3]]));
}

#[test]
fn rank_0_tells_and_collects() {
    let heard = processes(3, 10.0, |wire| {
        let mut heard = Vec::new();
        for round in 0..50u8 {
            let word = if wire.rank() == 0 {
                wire.tell(&vec![round; usize::from(round)]).unwrap();
                vec![round; usize::from(round)]
            } else {
                wire.hear().unwrap()
            };
            assert_eq!(word, vec![round; usize::from(round)]);
            let limit = (round % 2 == 0).then_some(Duration::from_secs(5));
            heard.push(wire.collect(vec![wire.rank() as u8, round], limit).unwrap());
        }
        heard
    });
    assert_eq!(heard[0][49], Some(vec![vec![0, 49], vec![1, 49], vec![2, 49]]));
    assert!(heard[1..].iter().flatten().all(Option::is_none));
}

#[test]
fn processes_out_of_step_are_named() {
    let ends = processes(3, 10.0, |wire| {
        let rank = wire.rank();
        let group = Group::of_process(1, Some(wire)).remove(0);
        group.sum(&mut [0.0; 10]).unwrap();
        if rank == 2 { group.gather(vec![1]).map(|_| ()) } else { group.sum(&mut [0.0; 10]) }
    });
    for end in ends {
        let error = end.unwrap_err();
        assert!(matches!(error, GroupError::OutOfStep(_)), "{error}");
        let error = error.to_string();
        assert!(error.contains("rank 2") && error.contains("gathering") && error.contains("sum"), "{error}");
    }
    let ends = shards(2, 1, 10.0, |group| group.sum(&mut vec![0.0; group.shard() + 5]));
    for end in ends {
        let error = end.unwrap_err().to_string();
        let wrong =
            ["sent 20 bytes for a sum, rank 1 expects 24", "sent 24 bytes for a sum, rank 0 expects 20"];
        assert!(wrong.iter().any(|wrong| error.contains(wrong)), "{error}");
    }
    let ends = processes(2, 10.0, |wire| {
        let local = wire.rank() + 1;
        let groups = Group::of_process(local, Some(wire));
        let threads: Vec<_> =
            groups.into_iter().map(|group| thread::spawn(move || group.sum(&mut [1.0]))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap_err().to_string()).collect::<Vec<_>>()
    });
    for error in ends.iter().flatten() {
        assert!(error.contains("every process needs the same number"), "{error}");
    }
}

#[test]
fn shards_of_a_process_out_of_step_are_named() {
    let ends = shards(1, 3, 10.0, |group| {
        if group.shard() == 1 { group.sum(&mut [0.0; 2]) } else { group.sum(&mut [0.0; 3]) }
    });
    for end in ends {
        let error = end.unwrap_err().to_string();
        assert!(error.contains("a sum of 2 f32") && error.contains("a sum of 3 f32"), "{error}");
    }
}

#[test]
fn a_lost_peer_ends_every_call() {
    let begun = Instant::now();
    let ends = processes(3, 20.0, |wire| {
        let rank = wire.rank();
        if rank == 1 {
            return None;
        }
        let group = Group::of_process(1, Some(wire)).remove(0);
        let error = group.sum(&mut vec![1.0; 500_000]).unwrap_err();
        let again = group.sum(&mut [1.0]).unwrap_err();
        assert_eq!(error.to_string(), again.to_string());
        Some(error)
    });
    assert!(begun.elapsed() < Duration::from_secs(5));
    for end in ends.into_iter().flatten() {
        assert!(matches!(end, GroupError::Lost { rank: 1, .. }), "{end}");
    }
}

#[test]
fn who_hears_notices_that_rank_0_has_left() {
    let ends = processes(3, 1.0, |wire| {
        if wire.rank() == 0 {
            // Longer than the wire's timeout: rank 0 may be evaluating.
            thread::sleep(Duration::from_millis(1300));
            wire.tell(b"word").unwrap();
            return None;
        }
        assert_eq!(wire.hear().unwrap(), b"word");
        wire.hear().err()
    });
    for end in &ends[1..] {
        assert!(matches!(end, Some(GroupError::Lost { rank: 0, .. })), "{end:?}");
    }
}

#[test]
fn one_that_has_taken_its_leave_is_no_loss_to_those_that_want_nothing_of_it() {
    let ends = processes(3, 1.0, |wire| {
        if wire.rank() == 2 {
            thread::sleep(Duration::from_millis(1500));
        }
        wire.collect(vec![wire.rank() as u8], None)
    });
    assert_eq!(ends[0].as_ref().unwrap(), &Some(vec![vec![0], vec![1], vec![2]]));
    assert!(ends[1].is_ok() && ends[2].is_ok());
}

#[test]
fn a_failure_wakes_everybody() {
    let begun = Instant::now();
    let ends = processes(4, 20.0, |wire| match wire.rank() {
        0 => wire.collect(Vec::new(), None).map(|_| ()),
        1 => {
            let other = wire.clone();
            let waiting = thread::spawn(move || other.hear().map(|_| ()));
            thread::sleep(Duration::from_millis(300));
            wire.fail("the disk is full");
            let waiting = waiting.join().unwrap();
            assert_eq!(waiting.unwrap_err().to_string(), wire.hear().unwrap_err().to_string());
            wire.tell(b"x")
        }
        2 => wire.hear().map(|_| ()),
        // One that is not in a call at the time.
        _ => {
            thread::sleep(Duration::from_millis(700));
            wire.collect(vec![1], None).map(|_| ())
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(5));
    for end in ends {
        let error = end.unwrap_err().to_string();
        assert_eq!(error, "rank 1 has failed: the disk is full");
    }
}

#[test]
fn a_failure_in_the_middle_of_a_large_frame_arrives() {
    let ends = processes(2, 20.0, |wire| {
        if wire.rank() == 1 {
            let other = wire.clone();
            let waiting = thread::spawn(move || other.collect(vec![1; 30_000_000], None));
            thread::sleep(Duration::from_millis(200));
            wire.fail("NaN");
            return waiting.join().unwrap().unwrap_err().to_string();
        }
        // Nothing is read until the failure has been told as far as the sockets hold it.
        thread::sleep(Duration::from_millis(1500));
        wire.collect(Vec::new(), None).unwrap_err().to_string()
    });
    assert_eq!(ends[1], "rank 1 has failed: NaN");
    assert!(ends[0].contains("rank 1"), "{}", ends[0]);
}

#[test]
fn a_shard_that_fails_wakes_those_of_all_processes() {
    for (world_size, local) in [(1, 3), (2, 2), (3, 1)] {
        let begun = Instant::now();
        let ends = shards(world_size, local, 20.0, |group| {
            if group.shard() == 1 {
                thread::sleep(Duration::from_millis(200));
                group.fail("the environment is broken");
            }
            group.sum(&mut [1.0]).unwrap_err().to_string()
        });
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(ends.iter().all(|end| end == "shard 1 has failed: the environment is broken"), "{ends:?}");
    }
}

#[test]
fn a_shard_whose_thread_ends_wakes_the_others() {
    for (world_size, local) in [(1, 3), (2, 2)] {
        let begun = Instant::now();
        let ends = shards(world_size, local, 20.0, |group| {
            thread::sleep(Duration::from_millis(100 * group.shard() as u64 % 200));
            if group.shard() == 1 { Ok(()) } else { group.sum(&mut [1.0]) }
        });
        assert!(begun.elapsed() < Duration::from_secs(5));
        for (shard, end) in ends.into_iter().enumerate().filter(|(shard, _)| *shard != 1) {
            let error = end.unwrap_err().to_string();
            assert!(error.contains("shard 1 has failed"), "shard {shard}: {error}");
        }
    }
}

#[test]
fn a_shard_whose_thread_panics_wakes_those_of_all_processes() {
    let ends = processes(2, 20.0, |wire| {
        let begin = |group: Group| {
            thread::spawn(move || {
                assert!(group.shard() != 1, "for this test");
                group.sum(&mut [1.0]).unwrap_err().to_string()
            })
        };
        let threads: Vec<_> = Group::of_process(2, Some(wire)).into_iter().map(begin).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    let ends = ends.concat();
    assert!(
        ends.len() == 3 && ends.iter().all(|end| end == "shard 1 has failed: its thread panicked"),
        "{ends:?}"
    );
}

/// Connects as rank 2 of three, without a wire: to rank 0 and rank 1.
fn as_rank_2(store: &MemoryStore) -> Vec<TcpStream> {
    let key = |name: &str| format!("/worker/attempt_0/pavlov/{name}");
    let get = |name: &str| store.get(&key(name), Duration::from_secs(5)).unwrap().unwrap();
    store.add(&key("count/2"), 1).unwrap();
    store.set(&key("address/2"), b"127.0.0.1:1").unwrap();
    let secret = get("secret");
    let hello = [b"pavlov01", &2u64.to_be_bytes(), &3u64.to_be_bytes(), &secret[..32]].concat();
    let connect = |rank: usize| {
        let address = String::from_utf8(get(&format!("address/{rank}"))).unwrap();
        let mut stream = TcpStream::connect(address.split(' ').next().unwrap()).unwrap();
        stream.write_all(&hello).unwrap();
        stream.read_exact(&mut [0; 56]).unwrap();
        stream
    };
    vec![connect(0), connect(1)]
}

#[test]
fn a_process_that_is_killed_is_noticed_by_those_that_hear_of_others() {
    for garbage in [false, true] {
        let store = MemoryStore::new();
        let ends: Vec<_> = [0, 1]
            .map(|rank| {
                let store = store.clone();
                thread::spawn(move || {
                    let wire = Wire::connect(&options(rank, 3, 20.0), &store).unwrap();
                    let end = if rank == 0 {
                        wire.collect(Vec::new(), None).map(|_| ())
                    } else {
                        wire.hear().map(|_| ())
                    };
                    end.unwrap_err()
                })
            })
            .into();
        let mut killed = as_rank_2(&store);
        if garbage {
            killed
                .iter_mut()
                .for_each(|stream| stream.write_all(b"GET / HTTP/1.1 and more of that").unwrap());
        }
        drop(killed);
        let begun = Instant::now();
        for end in ends {
            let error = end.join().unwrap();
            match error {
                GroupError::OutOfStep(error) if garbage => {
                    assert!(error.contains("rank 2 sent what is no message"))
                }
                GroupError::Lost { rank, .. } if !garbage => assert_eq!(rank, 2),
                other => panic!("{other}"),
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}

#[test]
fn a_peer_that_is_slow_is_named() {
    let ends = processes(2, 1.0, |wire| {
        if wire.rank() == 1 {
            thread::sleep(Duration::from_millis(1400));
        }
        wire.collect(vec![1], Some(Duration::from_secs(1))).map(|_| ())
    });
    assert!(matches!(ends[0], Err(GroupError::TimedOut { rank: 1, seconds: 1 })), "{:?}", ends[0]);
    let ends = shards(1, 2, 1.0, |group| if group.shard() == 1 { Ok(()) } else { group.sum(&mut [1.0]) });
    assert!(ends[0].is_err());
}
