//! The command line: arguments in, text and an exit status out.
//!
//! The only module that knows of terminals, and the only one with `anyhow`. Decides nothing about images:
//! everything of weight goes through [`Pipeline`].

mod analysis;
mod args;
mod audit;
mod cache;
mod connect;
mod debug_profile;
mod explain;
mod fix;
mod generate;
mod harden;
mod hardened;
mod inspect;
mod krm;
mod manifest;
mod manifests;
mod naming;
mod output;
mod pipeline;
mod policy;
mod progress;
mod recipe;
mod run;
mod stage;
mod status;
mod trace;
mod verify;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::report::Style;
use args::{Args, Command, Document};
use output::World;
pub use pipeline::{
    BuiltinRecipe, HardenRequest, Hardened, HardenedPlatforms, Inspected, Pipeline, Referrers, RunRequest,
    Said, Settled, TraceRequest, Traced, TrialRequest, VerifiedImage, VerifyRequest,
};
pub use status::{Failure, Outcome, Status};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let style = |terminal: bool| if terminal && !plain { Style::Colour } else { Style::Plain };
    let mut world = World {
        out_style: style(stdout.is_terminal()),
        err_style: style(stderr.is_terminal()),
        progress: stderr.is_terminal(),
        // Neither is locked: an image may go to stdout from another thread, progress and bugs to stderr.
        out: Box::new(stdout),
        err: Box::new(stderr),
    };
    std::panic::set_hook(Box::new(status::tell_bug));
    status::guarded(|| run(std::env::args_os(), &connect::Kiln::default(), &mut world)).into()
}

/// Runs `arguments`, the program's name first.
fn run(
    arguments: impl IntoIterator<Item = OsString>,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Status {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return answer(&error, world),
    };
    let result = dispatch(args.command, pipeline, world);
    if let Err(failure) = &result {
        // Nobody reads stderr: nothing is left to say it with.
        let _ = write!(world.err, "{}", failure.render(world.err_style));
    }
    Status::of(&result)
}

fn dispatch(command: Command, pipeline: &dyn Pipeline, world: &mut World<'_>) -> Result<Outcome, Failure> {
    match command {
        Command::Harden(args) => harden::run(*args, pipeline, world),
        Command::Inspect(args) => inspect::run(args, pipeline, world),
        Command::Manifest(args) => manifest::run(args.action, pipeline, world),
        Command::Policy(args) => policy::run(&args, pipeline, world),
        Command::Generate(args) => generate::run(*args, pipeline, world),
        Command::DebugProfile(args) => debug_profile::run(&args, pipeline, world),
        Command::Verify(args) => verify::run(args, pipeline, world),
        Command::Run(args) => run::run(args, pipeline, world),
        Command::Trace(args) => trace::run(args, pipeline, world),
        Command::SandboxStage(args) => stage::run(&args),
        Command::Krm => krm::run(pipeline, world),
        Command::Fix(args) => fix::run(&args, pipeline, world),
        Command::Audit(args) => audit::run(&args, pipeline, world),
        Command::Cache(args) => cache::run(args.action, world),
        Command::Recipe(args) => recipe::run(args.action, pipeline, world),
        Command::Explain(args) => explain::run(&args, world),
        Command::Schema(args) => {
            let text = match args.document {
                Document::Manifest => pipeline.manifest_schema(),
                Document::Report => crate::report::schema(),
                Document::ManifestIndex => crate::manifest::index_schema(),
                Document::ReportIndex => crate::report::index_schema(),
                Document::Verification => crate::report::verification_schema(),
                Document::Profile => crate::profile::schema(),
                Document::Run => crate::run::schema(),
                Document::Audit => crate::audit::render::schema(),
                Document::LogPaths => crate::audit::logs::schema(),
            };
            world.say(&text)?;
            Ok(Outcome::Clean)
        }
        Command::Completion(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Args::command(), "kiln", &mut script);
            world.say_bytes(&script)?;
            Ok(Outcome::Clean)
        }
    }
}

/// Says what clap has to say: help and version on stdout, a usage error on stderr.
fn answer(error: &clap::Error, world: &mut World<'_>) -> Status {
    let text = error.render();
    let (style, out) = if error.use_stderr() {
        (world.err_style, &mut world.err)
    } else {
        (world.out_style, &mut world.out)
    };
    let _ = match style {
        Style::Colour => write!(out, "{}", text.ansi()),
        Style::Plain => write!(out, "{text}"),
    };
    if error.use_stderr() { Status::Usage } else { Status::Done }
}

#[cfg(test)]
mod tests;
