//! Tests from outside: the house rules, the library through its public interface, the binary as a user runs it.
//!
//! Needs no tool and no network; what does is in the scripts next to this directory.

#![allow(clippy::disallowed_methods, reason = "tests touch the world")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

mod architecture;
mod cache;
mod cli;
mod corners;
mod corpus;
mod daemon;
mod documents;
mod findings;
mod fixes;
mod fixture;
mod generated;
mod hostile;
mod images;
mod layers;
mod layout;
mod logs;
mod measured;
mod pipes;
mod plan;
mod platforms;
mod policy;
mod recipes;
mod record;
mod registry;
mod seeds;
mod sound;
mod sources;
mod verify;
