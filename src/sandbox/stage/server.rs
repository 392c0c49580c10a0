//! The server: first process of the outer process namespace; unpacks images and starts one keeper after the other.
//!
//! Its end is the end of every process of the sandbox, because the kernel ends a namespace with its first process.

use std::io::BufReader;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use super::tree::Tree;
use super::{Failed, Stage, Step, listen, lower, outlive, say, spawn, step, unexpected, volumes};
use crate::sandbox::message::{IdNumber, Reply, Request};
use crate::sandbox::wire::PIECE;

/// Does what it is told until kiln is gone.
pub(super) fn run(control: &UnixStream) -> Result<u8, Failed> {
    super::die_with_parent()?;
    // Modes are as the image has them.
    rustix::process::umask(rustix::fs::Mode::empty());
    let mut images = 0;
    loop {
        // Kiln is gone, or has had enough.
        let Ok(request) = listen(control) else { return Ok(0) };
        match request {
            Request::Volumes(volumes, limits, ids) => {
                volumes::make(&volumes, limits, ids)?;
                say(control, &Reply::Mounted)?;
            }
            Request::Tree(ids) => {
                unpack(&lower(images), ids, control)?;
                images += 1;
            }
            Request::Keep => {
                let own = step(Step::Spawn, "", control.as_fd().try_clone_to_owned())?;
                outlive(spawn(Stage::Keeper, own)?, control)?;
            }
            _ => return Err(unexpected()),
        }
    }
}

fn unpack(name: &str, ids: IdNumber, control: &UnixStream) -> Result<(), Failed> {
    let mut tree = Tree::create(name, ids)?;
    // Kiln says nothing after the tree's end before it has its answer: nothing of another stage's is read ahead.
    let mut input = BufReader::with_capacity(PIECE, control);
    loop {
        match listen(&mut input)? {
            Request::TreeEnd => return say(control, &Reply::Unpacked(tree.finish()?)),
            entry => tree.add(entry, &mut input)?,
        }
    }
}
