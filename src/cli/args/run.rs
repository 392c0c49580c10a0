//! Arguments of what starts an app: how it is run, watched and driven.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs};

use super::values::{bytes, exercise, mount, platform, user, variable};
use super::{LimitArgs, RegistryArgs, TalkArgs};
use crate::observe::{Exercise, parse_probe};
use crate::path::ImagePath;
use crate::profile::Probe;

/// How an app is watched before its image is hardened, and tried afterwards.
#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("start").multiple(true))]
pub(in crate::cli) struct WatchArgs {
    /// Watch the app start twice, as `kiln trace` does, and harden with what that showed
    #[arg(long, group = "start", conflicts_with = "profile", help_heading = "Watching and trying the app")]
    pub(in crate::cli) trace: bool,
    /// Try the hardened image under its pod, as `kiln verify --run` does, and harden again with what it lacked, until it holds; if
    /// it does not, write nothing and exit with 1
    #[arg(long, group = "start", help_heading = "Watching and trying the app")]
    pub(in crate::cli) verify: bool,
    /// Harden and try it so often at the most, until it holds; what turns out not to be needed is taken back after that
    #[arg(
        long,
        value_name = "N",
        default_value = "5",
        requires = "verify",
        help_heading = "Watching and trying the app"
    )]
    pub(in crate::cli) rounds: NonZeroU32,
    /// What says that it is ready, as for `kiln trace`
    #[arg(long, value_name = "PROBE", value_parser = parse_probe, requires = "start", help_heading = "Watching and trying the app")]
    pub(in crate::cli) probe: Option<Probe>,
    /// What drives it, as for `kiln trace`; may be given several times
    #[arg(long, value_name = "URL|PROGRAM", value_parser = exercise, requires = "start", help_heading = "Watching and trying the app")]
    pub(in crate::cli) exercise: Vec<Exercise>,
    /// Watch on for so many seconds after that
    #[arg(
        long = "for",
        value_name = "SECONDS",
        default_value_t = 2,
        requires = "trace",
        help_heading = "Watching and trying the app"
    )]
    pub(in crate::cli) duration: u32,
    /// Set this in the environment of the app that is watched and tried; it is not in the hardened image, nor in its pod. May be
    /// given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, requires = "start", help_heading = "Watching and trying the app")]
    pub(in crate::cli) trace_env: Vec<(String, String)>,
    /// Write the profile there: `kiln verify --against` needs it. It holds the values of the app's environment, those of
    /// `--trace-env` too, and only its owner may read it
    #[arg(long, value_name = "FILE", requires = "trace", help_heading = "Watching and trying the app")]
    pub(in crate::cli) save_profile: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Without --user and arguments the image starts as its author wrote it: user, environment, working directory, \
    entrypoint and command. It has no network but itself, no privilege, and nothing of this machine's files.\n\n\
    Exit status: the app's own, or 128 and the number of the signal that ended it; 125 if it could not be run or used \
    more than its limits; 2 usage."
)]
pub(in crate::cli) struct RunArgs {
    /// The image to run
    pub(in crate::cli) image: String,
    #[command(flatten)]
    pub(in crate::cli) app: AppArgs,
    /// Make the image's files read-only
    #[arg(long)]
    pub(in crate::cli) read_only: bool,
    /// Send it its stop signal after so many seconds, and kill it 10 seconds later
    #[arg(long = "for", value_name = "SECONDS")]
    pub(in crate::cli) duration: Option<NonZeroU32>,
    /// Most memory of all its processes together, with K, M, G or T for powers of 1024 [default: 4G]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Limits")]
    pub(in crate::cli) memory: Option<u64>,
    /// Most threads of all its processes together [default: 2048]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(in crate::cli) processes: Option<NonZeroU32>,
    /// Most bytes that it may write, which are kept in memory [default: 2G]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Limits")]
    pub(in crate::cli) disk: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) start: StartArgs,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "The app starts in the sandbox of `kiln run`. When it is ready it is driven by the exercises, watched on for a \
    while, and sent its stop signal. Without --probe it is ready when a port that it listens on accepts, twice with a \
    second between; where it listens on none, when for 3 seconds nothing was executed and nothing made.\n\n\
    A program given to --exercise runs on this machine, not in the sandbox: KILN_PORT is a port on 127.0.0.1 that leads \
    to the first that the app listens on, KILN_PORT_80 one that leads to its port 80. With -v the app's words go to stderr.\n\n\
    Exit status: 0 it was ready, served, and ended; 1 it did not, or an exercise failed, and the profile is that of what \
    happened; 2 usage; 3 bad input or output; 4 network or registry, worth a retry; 6 refused, for it is not known what an image needs; 70 a bug of kiln."
)]
pub(in crate::cli) struct TraceArgs {
    /// The image to watch
    pub(in crate::cli) image: String,
    /// Write the profile there, JSON; - is stdout. It holds the values of the app's environment, those of `--env` too, and
    /// only its owner may read it
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// What says that it is ready: `tcp:PORT`, `http:PORT/PATH`, `exec:COMMAND` (words between blanks) or `log:TEXT`
    #[arg(long, value_name = "PROBE", value_parser = parse_probe)]
    pub(in crate::cli) probe: Option<Probe>,
    /// Fetch this page when it is ready (`http://HOST[:PORT][/PATH]`, always the app's own), or run this program;
    /// may be given several times
    #[arg(long, value_name = "URL|PROGRAM", value_parser = exercise)]
    pub(in crate::cli) exercise: Vec<Exercise>,
    /// Watch on for so many seconds after that
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 2)]
    pub(in crate::cli) duration: u32,
    /// Start it so many times, one after the other, and tell of all in one profile
    #[arg(long, value_name = "N", default_value = "1")]
    pub(in crate::cli) runs: NonZeroU32,
    /// Leave out times, sizes and counts: two profiles of one image are then the same bytes
    #[arg(long)]
    pub(in crate::cli) no_times: bool,
    /// Tell also which system calls are made; slow, for every single one stops the app twice
    #[arg(long)]
    pub(in crate::cli) syscalls: bool,
    #[command(flatten)]
    pub(in crate::cli) app: AppArgs,
    #[command(flatten)]
    pub(in crate::cli) start: StartArgs,
}

/// Which image is started, how it is fetched and told of, and with which words.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct StartArgs {
    /// Which image of an index: OS/ARCH[/VARIANT] [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub(in crate::cli) platform: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) limits: LimitArgs,
    #[command(flatten)]
    pub(in crate::cli) registry: RegistryArgs,
    #[command(flatten)]
    pub(in crate::cli) talk: TalkArgs,
    /// Instead of the image's command: what its entrypoint gets, or what starts if it has none
    #[arg(last = true, value_name = "ARG")]
    pub(in crate::cli) args: Vec<String>,
}

/// What differs from how an image's author starts it.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct AppArgs {
    /// Run as this user and group: names of the image, or numbers
    #[arg(long, value_name = "USER[:GROUP]", value_parser = user)]
    pub(in crate::cli) user: Option<String>,
    /// Set this in its environment; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(in crate::cli) env: Vec<(String, String)>,
    /// Mount an empty directory there that anybody can write to; may be given several times
    #[arg(long, value_name = "PATH[:SIZE]", value_parser = mount)]
    pub(in crate::cli) mount: Vec<(ImagePath, Option<u64>)>,
}
