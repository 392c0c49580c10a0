//! `kiln debug-profile`: a hardened image in, what `kubectl debug` wants to look into its pods out.
//!
//! Does not make it: that is `kube::generate`'s.

use std::path::Path;

use super::args::{DebugFormat, DebugProfileArgs};
use super::generate::tell;
use super::hardened::know;
use super::output::{Target, World};
use super::{Failure, Outcome, Pipeline};
use crate::kube::generate;

pub(super) fn run(
    args: &DebugProfileArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let target = Target::prepare(args.output.as_deref().unwrap_or(Path::new("-")))?;
    let mut known = know(args.from.as_deref(), &args.subject, args.name.as_deref(), pipeline)?;
    let profile = generate::debug_profile(&known.manifest, known.run_as, args.platform.into());
    let text = match args.format {
        DebugFormat::Yaml => profile.yaml(),
        DebugFormat::Json => profile.json(),
    };
    target.write(&text, world)?;
    if !args.quiet {
        let file = args.output.as_ref().filter(|file| file.as_os_str() != "-");
        let file = file.map_or_else(|| "FILE".to_owned(), |file| file.display().to_string());
        world.tell(&format!(
            "kubectl debug -it POD --target={} --image=IMAGE --profile=restricted --custom={}\n",
            known.name,
            crate::report::safe(&file)
        ));
        let advice =
            "IMAGE is one of yours with a shell; named by its digest, it passes where images must be pinned";
        known.notes.push(advice.to_owned());
        tell(&known.notes, world);
    }
    Ok(Outcome::Clean)
}
