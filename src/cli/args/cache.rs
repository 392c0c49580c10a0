//! Arguments about what is kept of layers for the next run.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::values::bytes;

/// Where what was made of images is kept for the next run.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct CacheArgs {
    /// Keep what was made of images there, for the next run; changes no byte of the result [default: `kiln` in `$XDG_CACHE_HOME` or
    /// `~/.cache`]
    #[arg(long, value_name = "DIR", help_heading = "Cache")]
    pub(in crate::cli) cache_dir: Option<PathBuf>,
    /// Most bytes kept, with K, M, G or T for powers of 1024; what was not used for the longest time goes [default: 10G]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Cache")]
    pub(in crate::cli) cache_size: Option<u64>,
    /// Keep nothing, and use nothing that was kept
    #[arg(long, conflicts_with_all = ["cache_dir", "cache_size"], help_heading = "Cache")]
    pub(in crate::cli) no_cache: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct KeptArgs {
    #[command(subcommand)]
    pub(in crate::cli) action: KeptAction,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeptAction {
    /// Say what the cache holds
    Size {
        /// The cache's directory [default: `kiln` in `$XDG_CACHE_HOME` or `~/.cache`]
        #[arg(long, value_name = "DIR")]
        cache_dir: Option<PathBuf>,
    },
    /// Empty the cache
    Prune {
        /// The cache's directory [default: `kiln` in `$XDG_CACHE_HOME` or `~/.cache`]
        #[arg(long, value_name = "DIR")]
        cache_dir: Option<PathBuf>,
        /// Leave so many bytes of what was used last, with K, M, G or T for powers of 1024
        #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "0")]
        keep: u64,
    },
}
