//! A port of this machine's loopback that leads to a port of the container.
//!
//! Only while somebody holds it: whoever else is on this machine may connect as long.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::sandbox::Door;

/// A port that leads to another.
pub(super) struct Forward {
    near: u16,
    far: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Forward {
    /// Opens one that leads to `far`.
    pub(super) fn open(door: &Door, far: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let near = listener.local_addr()?.port();
        let over = Arc::new(AtomicBool::new(false));
        let (door, stop) = (door.clone(), Arc::clone(&over));
        let accept = move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    let door = door.clone();
                    std::thread::spawn(move || carry(&door, far, &stream));
                }
            }
        };
        let thread = std::thread::Builder::new().name("forward".to_owned()).spawn(accept)?;
        Ok(Self { near, far, over, thread: Some(thread) })
    }

    /// The port on this machine.
    pub(super) fn near(&self) -> u16 {
        self.near
    }

    /// The port of the container.
    pub(super) fn far(&self) -> u16 {
        self.far
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes who waits for a connection.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.near));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Carries bytes both ways until both ends have said all.
fn carry(door: &Door, far: u16, near: &TcpStream) {
    let Ok(connection) = door.connect(far) else { return };
    let (Ok(to_app), Ok(from_near)) = (connection.stream(), near.try_clone()) else { return };
    let sending = std::thread::spawn(move || {
        // A connection that breaks ends; both ends see that.
        let _ = io::copy(&mut &from_near, &mut &to_app);
        let _ = to_app.shutdown(Shutdown::Write);
    });
    if let Ok(from_app) = connection.stream() {
        let _ = io::copy(&mut &from_app, &mut &*near);
    }
    let _ = near.shutdown(Shutdown::Both);
    let _ = sending.join();
}
