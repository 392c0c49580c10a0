//! The join stage: enters a running container, to connect to a port of it, to run a command in it or to attack it.
//!
//! Keeps nothing of the machine on the way in: what a command in the container gets is what the app got.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::confine::{Confinement, drop_privileges};
use super::credentials::take_on;
use super::{Failed, Stage, Step, end_of, listen, say, spawn_connected, step, unexpected};
use crate::sandbox::message::{Errand, Reply, Request};
use crate::sandbox::wire;

/// Does what it is told in the container of the process that it is told.
pub(super) fn run(control: &UnixStream) -> Result<u8, Failed> {
    super::die_with_parent()?;
    // As the app, without the terminal of who runs kiln.
    step(Step::Session, "", rustix::process::setsid())?;
    let Request::Join(pid, credentials, errand) = listen(control)? else { return Err(unexpected()) };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(unexpected)?;
    let container = step(Step::Join, "", pidfd_open(pid, PidfdFlags::empty()))?;
    match errand {
        Errand::Connect(port) => {
            let spaces = ThreadNameSpaceType::USER | ThreadNameSpaceType::NETWORK;
            step(Step::Join, "", move_into_thread_name_spaces(container.as_fd(), spaces))?;
            connect(port, control)
        }
        Errand::Command(settings) => {
            move_into(&container)?;
            drop(container);
            take_on(credentials)?;
            // It is in the container's process namespace, which this process only leads to.
            let (mut child, near) = spawn_connected(Stage::Enter)?;
            step(Step::Talk, "", wire::send(&near, &Request::Prepare(settings, credentials.ids)))?;
            // The socket closes when the program starts.
            let failed: Option<Reply> = step(Step::Talk, "", wire::receive(&near))?;
            say(control, &failed.unwrap_or(Reply::Executed))?;
            let status = step(Step::Spawn, "", child.wait())?;
            say(control, &Reply::Ended(end_of(status)))?;
            Ok(0)
        }
        Errand::Attack(settings, attack) => {
            move_into(&container)?;
            drop(container);
            take_on(credentials)?;
            let (mut child, near) = spawn_connected(Stage::Attack)?;
            step(Step::Talk, "", wire::send(&near, &Request::Prepare(settings, credentials.ids)))?;
            step(Step::Talk, "", wire::send(&near, &Request::Attack(attack)))?;
            let told = listen(&near)?;
            step(Step::Spawn, "", child.wait())?;
            say(control, &told)?;
            Ok(0)
        }
    }
}

/// Enters all namespaces of a container.
fn move_into(container: impl AsFd) -> Result<(), Failed> {
    let spaces = ThreadNameSpaceType::USER
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::CONTROL_GROUP;
    step(Step::Join, "", move_into_thread_name_spaces(container.as_fd(), spaces))
}

/// Carries bytes between kiln and a port of the container.
fn connect(port: u16, control: &UnixStream) -> Result<u8, Failed> {
    let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .or_else(|first| TcpStream::connect((Ipv6Addr::LOCALHOST, port)).map_err(|_| first));
    let stream = step(Step::Connect, port.to_string(), connected)?;
    say(control, &Reply::Executed)?;
    let back = step(Step::Connect, port.to_string(), stream.try_clone())?;
    let to_kiln = step(Step::Talk, "", control.try_clone())?;
    // A connection that breaks ends; both ends see that.
    let answering = std::thread::spawn(move || {
        let _ = io::copy(&mut &back, &mut &to_kiln);
        let _ = to_kiln.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut &*control, &mut &stream);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = answering.join();
    Ok(0)
}

/// Becomes a command in the container that was entered.
pub(super) fn enter(control: &UnixStream) -> Result<u8, Failed> {
    super::die_with_parent()?;
    let Request::Prepare(settings, ids) = listen(control)? else { return Err(unexpected()) };
    let null = step(Step::Mount, "/dev/null", std::fs::File::open("/dev/null"))?;
    let confinement = Confinement::new(&settings, ids)?;
    drop_privileges(&settings, ids)?;
    // Who becomes another user outlives its parent again (prctl(2), `PR_SET_PDEATHSIG`).
    super::die_with_parent()?;
    step(Step::Confine, "stdin", rustix::stdio::dup2_stdin(&null))?;
    drop(null);
    let failed = confinement.become_app(&settings.process)?;
    say(control, &Reply::NotExecuted(failed))?;
    Ok(super::GAVE_UP)
}
