//! Tests of every interleaving of a few steps, by the model checker.
#![cfg(feature = "model")]

use std::convert::Infallible;

use loom::thread;
use pavlov_runtime::{Publisher, Slot};

fn publish(publisher: &mut Publisher<Vec<u64>>, number: u64) {
    let Ok(_) = publisher.publish(|value| {
        // Two writes: a reader in between would see them differ.
        value.clear();
        value.push(number);
        value.push(number);
        Ok::<(), Infallible>(())
    });
}

#[test]
fn a_snapshot_is_whole_and_versions_only_grow() {
    loom::model(|| {
        let (slot, mut publisher) = Slot::new(vec![0, 0], 0);
        let reader = thread::spawn(move || {
            let mut version = 0;
            for _ in 0..2 {
                if let Some(snapshot) = slot.newer_than(version) {
                    assert!(snapshot.version > version);
                    version = snapshot.version;
                    assert_eq!(snapshot.value, [version, version]);
                }
            }
        });
        publish(&mut publisher, 1);
        publish(&mut publisher, 2);
        publish(&mut publisher, 3);
        reader.join().unwrap();
        let latest = publisher.slot().latest();
        assert_eq!((latest.version, latest.value.as_slice()), (3, &[3, 3][..]));
    });
}

#[test]
fn a_waiting_reader_always_wakes() {
    loom::model(|| {
        let (slot, mut publisher) = Slot::new(vec![], 0);
        let other = slot.clone();
        let waits = thread::spawn(move || slot.wait_for(1).map(|snapshot| snapshot.version));
        let in_vain = thread::spawn(move || other.wait_for(2).is_none());
        publish(&mut publisher, 1);
        publisher.slot().close();
        assert_eq!(waits.join().unwrap(), Some(1));
        assert!(in_vain.join().unwrap());
    });
}
