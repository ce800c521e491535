//! The rendezvous of processes: each puts its address into the store, connects to the ranks below it, and
//! lets in those above that know the group's secret.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};

use super::WireOptions;
use super::door::{Door, Hello, Secret};
use crate::place::ADDRESS;
use crate::{GroupError, Store};

/// The longest time that one try to connect takes.
const CONNECTING: Duration = Duration::from_secs(10);

/// The time for which a connection that is refused is tried again: the peer listens before it tells its address.
const REFUSED: Duration = Duration::from_secs(1);

/// The time between two looks of a process that waits for a failure of another.
const LOOK: Duration = Duration::from_millis(500);

/// Connects to all peers: their ranks and sockets, in order. The sockets do not block.
///
/// # Errors
/// See [`Wire::connect`](super::Wire::connect).
pub fn meet(options: &WireOptions, store: &dyn Store) -> Result<Vec<(usize, OwnedFd)>, GroupError> {
    let meeting = Meeting { options, store, begun: Instant::now() };
    meeting.run().inspect_err(|error| {
        // The others need not wait until their time is over.
        let told = store.set(&meeting.key("failure"), error.to_string().as_bytes());
        let _ = told.and_then(|()| store.add(&meeting.key("failures"), 1));
    })
}

struct Meeting<'a> {
    options: &'a WireOptions,
    store: &'a dyn Store,
    begun: Instant,
}

impl Meeting<'_> {
    fn run(&self) -> Result<Vec<(usize, OwnedFd)>, GroupError> {
        let WireOptions { rank, world_size, address, .. } = *self.options;
        if self.store.add(&self.key(&format!("count/{rank}")), 1)? != 1 {
            return Err(GroupError::Rendezvous(format!(
                "two processes call themselves rank {rank} of {world_size}: give each its own RANK"
            )));
        }
        let secret = self.secret()?;
        let (listeners, at) = listen(address).map_err(|error| cannot_listen(address, &error))?;
        self.store.set(&self.address_of(rank), at.as_bytes())?;

        let hello = Hello { rank, world_size, secret };
        let mut below = Vec::with_capacity(rank);
        for peer in 0..rank {
            below.push(self.connect(peer, &hello)?);
        }
        let mut peers = self.let_in(&listeners, &hello)?;
        for (peer, (stream, at)) in below.into_iter().enumerate() {
            self.answer(peer, &stream, at, &hello)?;
            peers.push((peer, stream));
        }
        peers.sort_by_key(|(peer, _)| *peer);
        peers
            .into_iter()
            .map(|(peer, stream)| {
                prepare(&stream).map_err(|error| {
                    GroupError::Rendezvous(format!("the connection to rank {peer}: {error}"))
                })?;
                Ok((peer, stream.into()))
            })
            .collect()
    }

    fn key(&self, name: &str) -> String {
        let prefix = self.options.prefix.trim_end_matches('/');
        format!("{prefix}/pavlov/{name}")
    }

    fn address_of(&self, rank: usize) -> String {
        self.key(&format!("address/{rank}"))
    }

    /// The rest of the time that all of the rendezvous has.
    fn rest(&self) -> Duration {
        self.options.timeout.saturating_sub(self.begun.elapsed())
    }

    /// The group's secret, which rank 0 makes, and the number of processes as rank 0 sees it.
    fn secret(&self) -> Result<Secret, GroupError> {
        let key = self.key("secret");
        let WireOptions { rank, world_size, .. } = *self.options;
        if rank == 0 {
            let secret: Secret = rand::random();
            let mut value = secret.to_vec();
            value.extend((world_size as u64).to_be_bytes());
            self.store.set(&key, &value)?;
            return Ok(secret);
        }
        let value = self.wait_for(&key)?;
        let parts = value.split_first_chunk().and_then(|(secret, size)| Some((*secret, size.first_chunk()?)));
        let Some((secret, size)) = parts else {
            return Err(GroupError::Rendezvous("rank 0 runs another version of the program".into()));
        };
        let size = u64::from_be_bytes(*size);
        if size != world_size as u64 {
            return Err(GroupError::Rendezvous(format!(
                "rank {rank} has WORLD_SIZE={world_size}, but rank 0 has WORLD_SIZE={size}: give both the \
                 same"
            )));
        }
        Ok(secret)
    }

    /// The value of a key, as soon as it is there.
    fn wait_for(&self, key: &str) -> Result<Vec<u8>, GroupError> {
        loop {
            // The time that is left is looked at first, so that a last look is taken when it is over.
            let rest = self.rest();
            if let Some(value) = self.store.get(key, rest.min(LOOK))? {
                return Ok(value);
            }
            self.look(rest.is_zero())?;
        }
    }

    /// The failure of another process that came to the store; when the time is over, the ranks that are
    /// missing.
    fn look(&self, over: bool) -> Result<(), GroupError> {
        if self.store.add(&self.key("failures"), 0)? > 0 {
            let cause = self.store.get(&self.key("failure"), LOOK)?.unwrap_or_default();
            return Err(GroupError::Rendezvous(String::from_utf8_lossy(&cause).into_owned()));
        }
        if over { Err(self.missing(&[])) } else { Ok(()) }
    }

    /// The error of a rendezvous whose time is over, while these ranks have not connected.
    fn missing(&self, silent: &[usize]) -> GroupError {
        let WireOptions { world_size, timeout, .. } = *self.options;
        // No rank's key is waited for: whoever comes now is too late.
        let has_come =
            |rank: usize| matches!(self.store.add(&self.key(&format!("count/{rank}")), 0), Ok(1..));
        let mut absent = (0..world_size).filter(|rank| !has_come(*rank)).peekable();
        let seconds = timeout.as_secs_f32().round();
        GroupError::Rendezvous(if absent.peek().is_some() {
            format!(
                "of {world_size} processes {} did not come within {seconds} s: start them, or look at \
                 their output",
                ranks(absent)
            )
        } else if silent.is_empty() {
            format!(
                "the {world_size} processes have come, but did not all connect to one another within \
                 {seconds} s"
            )
        } else {
            format!(
                "{} came, but did not connect to rank {} at {} within {seconds} s: is that address of this \
                 machine reachable from theirs? Set {ADDRESS} to one that is",
                ranks(silent.iter().copied()),
                self.options.rank,
                self.options.address
            )
        })
    }

    /// A connection to a peer with a lower rank, with this process's hello on its way.
    fn connect(&self, peer: usize, hello: &Hello) -> Result<(Socket, SocketAddr), GroupError> {
        let value = self.wait_for(&self.address_of(peer))?;
        let value = String::from_utf8_lossy(&value);
        let (address, name) = value.split_once(' ').unwrap_or((&value, ""));
        let Ok(address) = address.parse::<SocketAddr>() else {
            return Err(GroupError::Rendezvous(format!(
                "rank {peer} is at \"{address}\", which is no address"
            )));
        };
        if address.ip() == self.options.address
            && let Ok(stream) = connect_within_machine(name, hello)
        {
            return Ok((stream, address));
        }
        let begun = Instant::now();
        loop {
            let most = self.rest().min(CONNECTING).max(Duration::from_millis(1));
            let connected =
                Socket::new(Domain::for_address(address), Type::STREAM, None).and_then(|stream| {
                    stream.connect_timeout(&address.into(), most)?;
                    hello.send(&stream)?;
                    Ok(stream)
                });
            match connected {
                Ok(stream) => return Ok((stream, address)),
                Err(error)
                    if error.kind() == io::ErrorKind::ConnectionRefused && begun.elapsed() < REFUSED =>
                {
                    self.look(self.rest().is_zero())?;
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(self.unreachable(peer, address, &error.to_string())),
            }
        }
    }

    fn unreachable(&self, peer: usize, address: SocketAddr, cause: &str) -> GroupError {
        GroupError::Rendezvous(format!(
            "rank {} cannot connect to rank {peer} at {address} ({cause}): if rank {peer} runs, set \
             {ADDRESS} on its machine to an address that the others reach",
            self.options.rank
        ))
    }

    /// The connections of all peers with higher ranks.
    fn let_in(&self, listeners: &[Socket], hello: &Hello) -> Result<Vec<(usize, Socket)>, GroupError> {
        let mut door = Door::new(listeners, hello);
        loop {
            let rest = self.rest();
            if door.wait(rest.min(LOOK)).map_err(|error| cannot_listen(self.options.address, &error))? {
                return Ok(door.guests());
            }
            self.look(false)?;
            if rest.is_zero() {
                return Err(self.missing(&door.missing()));
            }
        }
    }

    /// Waits for the hello of a peer that was connected to.
    fn answer(
        &self,
        peer: usize,
        mut stream: &Socket,
        at: SocketAddr,
        own: &Hello,
    ) -> Result<(), GroupError> {
        let mut buffer = Vec::new();
        loop {
            let rest = self.rest();
            match Hello::receive(&mut stream, &mut buffer, rest.min(LOOK)) {
                Ok(Some(hello)) if own.knows(&hello) && hello.rank == peer => return Ok(()),
                Ok(Some(_)) => return Err(self.unreachable(peer, at, "something else answers there")),
                // Its failure, if it told one, says more.
                Err(error) => {
                    self.look(false)?;
                    return Err(self.unreachable(peer, at, &error.to_string()));
                }
                Ok(None) => self.look(rest.is_zero())?,
            }
        }
    }
}

/// Listens at an address, at a port that the system chooses, and for processes of this machine at a Unix
/// socket, over which small messages take a third of the time. Also returns what the store tells of both.
fn listen(address: IpAddr) -> io::Result<(Vec<Socket>, String)> {
    let begin = |domain, address: &SockAddr| {
        let socket = Socket::new(domain, Type::STREAM, None)?;
        socket.bind(address)?;
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        Ok::<_, io::Error>(socket)
    };
    let any_port = SocketAddr::new(address, 0);
    let socket = begin(Domain::for_address(any_port), &any_port.into())?;
    let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
    let mut at = SocketAddr::new(address, port).to_string();
    let mut listeners = vec![socket];
    // A name that no other machine has: one with the same private address is not mistaken for this one.
    let name = format!("pavlov-{:032x}", rand::random::<u128>());
    if let Ok(within) = within_machine(&name).and_then(|address| begin(Domain::UNIX, &address)) {
        listeners.push(within);
        at = format!("{at} {name}");
    }
    Ok((listeners, at))
}

/// The address of a Unix socket that has a name, but no file.
fn within_machine(name: &str) -> io::Result<SockAddr> {
    if !cfg!(any(target_os = "linux", target_os = "android")) || name.is_empty() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    SockAddr::unix(format!("\0{name}"))
}

/// Connects to a process of the same machine. Any error is a reason to take the network.
fn connect_within_machine(name: &str, hello: &Hello) -> io::Result<Socket> {
    let stream = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A blocking socket would wait without limit for a listener with many guests.
    stream.set_nonblocking(true)?;
    stream.connect(&within_machine(name)?)?;
    hello.send(&stream)?;
    Ok(stream)
}

fn cannot_listen(address: IpAddr, error: &io::Error) -> GroupError {
    GroupError::Rendezvous(format!(
        "this process cannot listen at {address} ({error}): set {ADDRESS} to an address of this machine that \
         the others reach"
    ))
}

/// The names of ranks in a message.
fn ranks(ranks: impl Iterator<Item = usize>) -> String {
    const MOST: usize = 16;
    let ranks: Vec<usize> = ranks.collect();
    let names: Vec<String> = ranks.iter().take(MOST).map(usize::to_string).collect();
    let more = if ranks.len() > MOST { format!(" and {} more", ranks.len() - MOST) } else { String::new() };
    format!("rank{} {}{more}", if ranks.len() == 1 { "" } else { "s" }, names.join(", "))
}

/// Makes a socket ready for exchanges: small messages leave at once, and a machine that is gone is noticed
/// within about a minute, whether something was being sent or not.
fn prepare(socket: &Socket) -> io::Result<()> {
    if !socket.local_addr()?.is_unix() {
        socket.set_tcp_nodelay(true)?;
        let alive =
            TcpKeepalive::new().with_time(Duration::from_secs(20)).with_interval(Duration::from_secs(10));
        socket.set_tcp_keepalive(&alive.with_retries(3))?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(Duration::from_secs(50)))?;
    }
    socket.set_nonblocking(true)
}
