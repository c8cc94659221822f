//! The emulator on a socket, for tests that run the program against it and
//! reach into it.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::runtime::Runtime;
use whop_sync::emulator::serve::Server;
use whop_sync::emulator::{Emulator, Settings};

/// An emulated Whop, served for as long as this lives.
pub(super) struct Whop {
    pub(super) emulator: Emulator,
    /// The URL for `--server`.
    pub(super) base: String,
    /// Serves it.
    _runtime: Runtime,
}

impl Whop {
    pub(super) fn new(settings: Settings) -> Self {
        let emulator = Emulator::open(settings).unwrap();
        let runtime = Runtime::new().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime.block_on(Server::bind(emulator.clone(), address)).unwrap();
        let base = server.base();
        runtime.spawn(server.run(pending()));
        Self {
            emulator,
            base,
            _runtime: runtime,
        }
    }
}
