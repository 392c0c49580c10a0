//! Commands in probes and hooks, as what Kubernetes does without a program of the image.
//!
//! Which question a command asks is told apart from it; one that asks another than Kubernetes can stays.

mod ask;

use ask::{action, is_own};
use serde_json::{Value, json};

use super::identity::left_to_a_person;
use super::mend::Mender;
use super::security::{remove, remove_unsafe};
use crate::audit::ValueFinding;
use crate::audit::rules::usual;
use crate::catalog::{Catalog, Class};
use crate::kube::field;
use crate::plan::command::{Invocation, invocation, simple_command};

/// Takes out a probe or hook that takes away files of the image; what else changes files may be what the app needs.
pub(super) fn mutating(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(of) = handler(finding) else { return };
    let container = mender.container(finding);
    let takes = command(container, &of).is_some_and(|words| takes_of_image(container, &words));
    // The server has its last requests to answer.
    if of == "lifecycle.preStop" || !(takes || mender.is_unsafe()) {
        return mender.leaves("FS022", format!("{name}{}: a person has to decide", finding.message));
    }
    let Some(container) = mender.container_mut(finding) else { return };
    match of.strip_prefix("lifecycle.") {
        Some(hook) => {
            let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) else {
                return;
            };
            lifecycle.remove(hook);
            if lifecycle.is_empty() {
                container.remove("lifecycle");
            }
        }
        None => drop(container.remove(&of)),
    }
    mender.did("FS022", format!("{name}the {of} is taken out: {}", finding.message));
}

/// Whether a command takes files away, all of them the image's: none lies in a volume, and no volume below it.
fn takes_of_image(container: &Value, words: &[String]) -> bool {
    const TAKES: [&str; 4] = ["rm", "rmdir", "shred", "unlink"];
    let words = match words.split_first() {
        Some((name, rest)) if base(name) == "busybox" => rest,
        _ => words,
    };
    let Some((name, rest)) = words.split_first() else { return false };
    let mut paths = rest.iter().filter(|word| !word.starts_with('-')).peekable();
    let is_within = |path: &str, of: &str| {
        path.strip_prefix(of.trim_end_matches('/'))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_of_image = |path: &str| {
        let path = usual(path.trim_end_matches('/'));
        let mut mounts = field::list(container, "volumeMounts")
            .filter_map(|(_, mount)| field::text(mount, "mountPath"))
            .map(|mount| usual(mount.trim_end_matches('/')));
        let is_plain = path.starts_with('/') && !path.split('/').any(|part| part == "..");
        is_plain && !mounts.any(|mount| is_within(&path, &mount) || is_within(&mount, &path))
    };
    TAKES.contains(&base(name)) && paths.peek().is_some() && paths.all(|path| is_of_image(path))
}

/// The last part of a path.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Lets a probe ask the pod instead of the address that the kubelet takes for the node.
pub(super) fn host(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let said = mender.value.pointer(&finding.pointer).and_then(Value::as_str).unwrap_or_default();
    let is_node = field::truth(mender.spec(), "hostNetwork") == Some(true);
    let is_hook = finding.field.contains(".lifecycle.");
    match (is_own(said), is_node) {
        // There it listens, and nowhere else.
        (true, true) => left_to_a_person(mender, finding),
        (true, false) if !is_hook => remove(mender, finding),
        _ => remove_unsafe(mender, finding),
    }
}

/// `startupProbe` or `lifecycle.preStop` of `spec.containers[0].startupProbe.exec.command`.
fn handler(finding: &ValueFinding) -> Option<String> {
    let (before, _) = finding.field.rsplit_once(".exec.command")?;
    let (_, of) = before.rsplit_once("].")?;
    Some(of.to_owned())
}

/// Asks without a program what a probe's command asks.
pub(super) fn convert(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(of) = handler(finding) else { return };
    let container = mender.container(finding);
    let said = argv(container, &of).join(" ");
    if said.is_empty() {
        // It was taken out a moment ago.
        return;
    }
    let words = command(container, &of);
    let Some((action, ask)) = words.as_deref().and_then(action) else {
        return mender.leaves("CF001", format!("{name}the {of} asks `{said}`, which Kubernetes cannot"));
    };
    let Some(probe) = mender.container_mut(finding).and_then(|of_it| of_it.get_mut(&of)?.as_object_mut())
    else {
        return;
    };
    probe.remove("exec");
    probe.insert(action.to_owned(), ask);
    let said = words.unwrap_or_default().join(" ");
    mender.did("CF001", format!("{name}the {of} asks by `{action}` what `{said}` asked"));
}

/// Waits without a program.
pub(super) fn hook(mender: &mut Mender<'_>, finding: &ValueFinding) {
    /// The first version that has the action by default.
    const SINCE: u32 = 30;
    /// Seconds that a pod has to end where it does not say.
    const GRACE: u64 = 30;
    let name = mender.name(finding);
    let Some(of) = handler(finding) else { return };
    let container = mender.container(finding);
    let said = argv(container, &of).join(" ");
    if said.is_empty() {
        return;
    }
    let seconds = match command(container, &of).as_deref() {
        Some([program, time]) if base(program) == "sleep" => seconds(time),
        _ => None,
    };
    let Some(seconds) = seconds.filter(|_| mender.options.version.0 >= SINCE) else {
        let message = format!("{name}the {of} runs `{said}`, which the image does not have");
        return mender.leaves("CF002", message);
    };
    let grace = mender.spec().get("terminationGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(GRACE);
    // The API server refuses it.
    if seconds > grace {
        let message = format!("{name}the {of} waits {seconds} s, and the pod has {grace} s to end");
        return mender.leaves("CF002", message);
    }
    let hook = of.strip_prefix("lifecycle.").unwrap_or(&of).to_owned();
    let container = mender.container_mut(finding);
    let handler = container.and_then(|of_it| of_it.get_mut("lifecycle")?.get_mut(&hook)?.as_object_mut());
    let Some(handler) = handler else { return };
    handler.remove("exec");
    handler.insert("sleep".to_owned(), json!({"seconds": seconds}));
    mender.did("CF002", format!("{name}the {of} waits {seconds} s by `sleep`, without a program"));
}

/// `10`, `10s`, `1m`.
fn seconds(text: &str) -> Option<u64> {
    let (number, factor) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|seconds| *seconds > 0)
}

/// The words of a handler.
fn argv<'v>(container: &'v Value, of: &str) -> Vec<&'v str> {
    let words = field::list(container, &format!("{of}.exec.command")).collect::<Vec<_>>();
    words.into_iter().filter_map(|(_, word)| word.as_str()).collect()
}

/// The one command of a handler, and of a shell's text; `None` where a shell does more than run it.
fn command(container: &Value, of: &str) -> Option<Vec<String>> {
    let words: Vec<String> = argv(container, of).into_iter().map(str::to_owned).collect();
    let (name, rest) = words.split_first()?;
    if Catalog::builtin().program(base(name).as_bytes()) != Some(Class::Shell) {
        return Some(words);
    }
    match invocation(rest) {
        Invocation::Text { text, plain: true } => simple_command(without_end(text)),
        _ => None,
    }
}

/// A shell's text without what only says once more that the command failed, and without what throws away its output.
fn without_end(text: &str) -> &str {
    const SILENT: [&str; 6] =
        ["> /dev/null", ">/dev/null", "2>/dev/null", "2>&1", "1>/dev/null", "&>/dev/null"];
    let trimmed = text.trim();
    let failing = ["exit 1", "false"].into_iter().find_map(|end| trimmed.strip_suffix(end));
    let mut text = failing.and_then(|text| text.trim_end().strip_suffix("||")).unwrap_or(trimmed).trim_end();
    while let Some(rest) = SILENT.into_iter().find_map(|end| text.strip_suffix(end)?.strip_suffix(' ')) {
        text = rest.trim_end();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_shell_is_one_command_or_none() {
        let of = |text: &str| {
            let probe = json!({"exec": {"command": ["sh", "-c", text]}});
            command(&json!({"livenessProbe": probe}), "livenessProbe").map(|words| words.join(" "))
        };
        let ask = "curl -f localhost/";
        for end in ["", " || exit 1", "||false", " >/dev/null 2>&1 || exit 1", " > /dev/null"] {
            assert_eq!(of(&format!("{ask}{end}")).as_deref(), Some(ask), "{end}");
        }
        for (start, end) in [
            ("! ", ""),
            ("", " || exit 0"),
            ("", " && exit 1"),
            ("", " || true"),
            ("", " | grep ok"),
            ("", " > /tmp/x"),
            ("x=y ", ""),
            ("sleep 1; ", ""),
        ] {
            assert_eq!(of(&format!("{start}{ask}{end}")), None, "{start}{end}");
        }
    }

    #[test]
    fn only_what_takes_away_files_of_the_image_goes() {
        let mounts = json!([{"mountPath": "/data/"}, {"mountPath": "/var/run"}]);
        let container = json!({"volumeMounts": mounts});
        let takes = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            takes_of_image(&container, &words)
        };
        for text in ["rm /bin/bash", "/bin/rm -f /usr/bin/touch /bin/sh", "busybox rm /x", "rm /database"] {
            assert!(takes(text), "{text}");
        }
        for text in [
            "rm",
            "rm -f",
            "rm x",
            "rm /data/x",
            "rm -r /",
            "rm /bin/../data/x",
            "rm /run/x",
            "ln -sf /config/a /etc/a",
            "mv /a /b",
            "chmod +x /a",
            "apt-get remove curl",
        ] {
            assert!(!takes(text), "{text}");
        }
    }

    #[test]
    fn times_are_read_as_sleep_reads_them() {
        for (text, expect) in
            [("10", Some(10)), ("5s", Some(5)), ("2m", Some(120)), ("0", None), ("x", None), ("1.5", None)]
        {
            assert_eq!(seconds(text), expect, "{text}");
        }
    }
}
