//! The keys and values by which processes find one another: libtorch's `TCPStore`.

use std::ffi::{CString, c_char, c_void};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pavlov_group::{GroupError, Store};

use super::check;
use crate::NnError;

unsafe extern "C" {
    fn pavlov_store_open(
        host: *const c_char,
        port: u16,
        serve: bool,
        milliseconds: i64,
        out: *mut *mut c_void,
        port_out: *mut u16,
    ) -> *mut c_char;
    fn pavlov_store_free(store: *mut c_void);
    fn pavlov_store_set(
        store: *mut c_void,
        key: *const c_char,
        bytes: *const u8,
        count: usize,
    ) -> *mut c_char;
    fn pavlov_store_has(store: *mut c_void, key: *const c_char, out: *mut bool) -> *mut c_char;
    fn pavlov_store_get(
        store: *mut c_void,
        key: *const c_char,
        out: *mut *mut u8,
        count: *mut usize,
    ) -> *mut c_char;
    fn pavlov_store_free_value(value: *mut u8);
    fn pavlov_store_add(store: *mut c_void, key: *const c_char, amount: i64, out: *mut i64) -> *mut c_char;
}

/// From one look at the store to the next, while a key is waited for.
const PAUSE: Duration = Duration::from_millis(5);

/// A `TCPStore` of c10d: the server, which lives as long as this, or a client.
#[derive(Debug)]
pub struct TcpStore {
    store: *mut c_void,
    port: u16,
}

// SAFETY: the store belongs to no thread; c10d locks it for each call.
unsafe impl Send for TcpStore {}

impl TcpStore {
    /// A store on this machine, at a port or, with 0, a free one.
    ///
    /// # Errors
    /// [`GroupError::Rendezvous`] when the port is in use, or libtorch has no c10d.
    pub fn serve(port: u16, timeout: Duration) -> Result<Self, GroupError> {
        Self::open("localhost", port, true, timeout).map_err(|error| {
            let text = error.to_string();
            GroupError::Rendezvous(match text.contains("EADDRINUSE") || text.contains("in use") {
                true => format!(
                    "port {port} is in use: another training has it, or another process calls itself rank 0 too; set \
                     MASTER_PORT to a free one"
                ),
                false => format!("no store can be opened at port {port}: {text}"),
            })
        })
    }

    /// A client of the store at another place, which may still be starting.
    ///
    /// # Errors
    /// [`GroupError::Rendezvous`] when it does not answer in time.
    pub fn connect(host: &str, port: u16, timeout: Duration) -> Result<Self, GroupError> {
        Self::open(host, port, false, timeout).map_err(|error| {
            GroupError::Rendezvous(format!(
                "no store answers at {host}, port {port} (MASTER_ADDR, MASTER_PORT), within {} s: is rank 0 running, \
                 and can this machine reach it? {error}",
                timeout.as_secs()
            ))
        })
    }

    fn open(host: &str, port: u16, serve: bool, timeout: Duration) -> Result<Self, NnError> {
        let host =
            CString::new(host).map_err(|_| NnError::Config("a host's name has no zero byte".into()))?;
        let (mut store, mut port_out) = (std::ptr::null_mut(), 0);
        let milliseconds = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        // SAFETY: `host` lives through the call; what it writes is read after a success only, and is then ours.
        unsafe {
            check(pavlov_store_open(host.as_ptr(), port, serve, milliseconds, &mut store, &mut port_out))?;
        }
        Ok(Self { store, port: port_out })
    }

    /// The store's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn has(&self, key: &CString) -> Result<bool, GroupError> {
        let mut there = false;
        // SAFETY: the store is ours, and `key` lives through the call.
        unsafe { check(pavlov_store_has(self.store, key.as_ptr(), &mut there)) }.map_err(gone)?;
        Ok(there)
    }
}

impl Store for TcpStore {
    fn set(&self, key: &str, value: &[u8]) -> Result<(), GroupError> {
        let key = plain(key)?;
        // SAFETY: the store is ours; `key` and `value` live through the call, which copies them.
        unsafe { check(pavlov_store_set(self.store, key.as_ptr(), value.as_ptr(), value.len())) }
            .map_err(gone)
    }

    fn get(&self, key: &str, timeout: Duration) -> Result<Option<Vec<u8>>, GroupError> {
        let (key, begun) = (plain(key)?, Instant::now());
        while !self.has(&key)? {
            if begun.elapsed() >= timeout {
                return Ok(None);
            }
            sleep(PAUSE);
        }
        let (mut value, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: the store is ours, and `key` lives through the call. After a success `value` points to so many
        // bytes, which are freed once.
        unsafe {
            check(pavlov_store_get(self.store, key.as_ptr(), &mut value, &mut count)).map_err(gone)?;
            let copy = std::slice::from_raw_parts(value, count).to_vec();
            pavlov_store_free_value(value);
            Ok(Some(copy))
        }
    }

    fn add(&self, key: &str, amount: i64) -> Result<i64, GroupError> {
        let (key, mut sum) = (plain(key)?, 0);
        // SAFETY: the store is ours, and `key` lives through the call.
        unsafe { check(pavlov_store_add(self.store, key.as_ptr(), amount, &mut sum)) }.map_err(gone)?;
        Ok(sum)
    }
}

impl Drop for TcpStore {
    fn drop(&mut self) {
        // SAFETY: the store is ours, and nobody can use it any more.
        unsafe { pavlov_store_free(self.store) }
    }
}

fn plain(key: &str) -> Result<CString, GroupError> {
    CString::new(key).map_err(|_| GroupError::Rendezvous(format!("{key:?} is no key: it has a zero byte")))
}

fn gone(error: NnError) -> GroupError {
    GroupError::Rendezvous(format!("the store at MASTER_ADDR no longer answers: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn clients_see_what_others_have_set() {
        let server = TcpStore::serve(0, SOON).unwrap();
        let client = TcpStore::connect("localhost", server.port(), SOON).unwrap();
        client.set("key", b"\0value").unwrap();
        assert_eq!(server.get("key", SOON).unwrap().as_deref(), Some(&b"\0value"[..]));
        assert_eq!(server.get("other", Duration::from_millis(20)).unwrap(), None);
        assert_eq!((client.add("count", 2).unwrap(), server.add("count", 1).unwrap()), (2, 3));
        client.set("empty", b"").unwrap();
        assert_eq!(server.get("empty", SOON).unwrap().as_deref(), Some(&b""[..]));
    }

    #[test]
    fn a_port_in_use_and_a_store_that_is_not_there_are_told() {
        let server = TcpStore::serve(0, SOON).unwrap();
        let port = server.port();
        let error = TcpStore::serve(port, SOON).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} is in use")), "{error}");
        drop(server);
        let error = TcpStore::connect("localhost", port, Duration::from_millis(300)).unwrap_err().to_string();
        assert!(error.contains("no store answers at localhost"), "{error}");
        assert!(TcpStore::connect("local\0host", port, SOON).is_err());
    }
}
