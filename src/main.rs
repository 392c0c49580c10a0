//! The binary: hands this process to the command line, and memory to an allocator that threads need not wait for.
//!
//! Knows nothing else.

/// Manifests and indexes are many small values, and musl's own allocator has one lock for all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    kiln::cli::main()
}
