//! The binary: hands this process to the command line.
//!
//! Knows nothing else.

fn main() -> std::process::ExitCode {
    kiln::cli::main()
}
