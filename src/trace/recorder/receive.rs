//! Sockets of watched processes: from where on they receive, and where.
//!
//! Does not read arguments of calls.

use std::os::fd::OwnedFd;

use nix::unistd::Pid;

use super::Recorder;
use crate::profile::{Act, Bind, Protocol};
use crate::trace::live::Listening;
use crate::trace::proc;
use crate::trace::sockets::{self, Address};

impl Recorder {
    /// A socket was given an address.
    pub(super) fn was_bound(&mut self, tid: Pid, number: u32, descriptor: i32, address: Option<&Address>) {
        let Some(Address::Net(_, port)) = address else { return };
        let Some(socket) = proc::lend(self.process_of(tid), descriptor) else { return };
        if *port != 0 {
            self.chosen.extend(sockets::inode(&socket));
        }
        // Datagrams arrive from here on.
        if let Some(bind) = self.bound(&socket).filter(|bind| bind.protocol == Protocol::Udp) {
            self.listens(tid, number, bind);
        }
    }

    /// A socket accepts from now on.
    pub(super) fn accepts(&mut self, tid: Pid, number: u32, descriptor: i32) {
        let socket = proc::lend(self.process_of(tid), descriptor);
        if let Some(bind) = socket.and_then(|socket| self.bound(&socket)) {
            self.listens(tid, number, bind);
        }
    }

    /// Where a socket receives; its port is 0 where the program left the choice to the kernel.
    fn bound(&self, socket: &OwnedFd) -> Option<Bind> {
        let bind = sockets::bound(socket)?;
        let chosen = sockets::inode(socket).is_some_and(|inode| self.chosen.contains(&inode));
        Some(Bind { port: if chosen { bind.port } else { 0 }, ..bind })
    }

    fn listens(&mut self, tid: Pid, number: u32, bind: Bind) {
        self.live.listens(Listening { bind: bind.clone(), pid: self.process_of(tid) });
        self.tell(number, Act::Listens(bind));
    }

    fn process_of(&self, tid: Pid) -> i32 {
        self.tasks.get(&tid.as_raw()).map_or(tid.as_raw(), |task| task.process)
    }
}
