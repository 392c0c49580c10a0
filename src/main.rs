//! The binary: hands this process to the command line, and memory to an allocator that threads need not wait for.
//!
//! Knows nothing else.

/// Manifests and indexes are many small values: with musl's own allocator they take twice as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    kiln::cli::main()
}
