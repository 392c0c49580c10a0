//! The summary for people: what went, what stays and why, and what that makes of the image.
//!
//! Says which sections there are and in which order; how one looks is in `sections`.

use super::document::Report;
use super::index::ReportIndex;
use super::inspection::Inspection;
use super::sections::{Detail, Text};
use super::size::count;
use super::style::Style;
use crate::finding::Code;

/// What was done to an image.
pub fn render_hardened(report: &Report, style: Style, detail: Detail) -> String {
    let mut text = Text::new(style, detail);
    text.head(&report.source, &report.platform, &report.destinations);
    text.setting(report.level.name(), &report.recipes, &report.options);
    text.totals(&report.before, &report.after);
    match report.findings.iter().find(|finding| finding.code == Code::AlreadyHardened.doc().id) {
        Some(finding) => text.already_hardened(&finding.message),
        None => text.gone("gone", &report.totals),
    }
    let stays: Vec<_> = report
        .residual
        .iter()
        .map(|r| (r.path.as_str(), r.class, r.why.as_str(), r.remedy.as_deref()))
        .collect();
    text.stays("stays", &stays);
    text.start(&report.entrypoint, &report.user, &report.ports);
    text.writable(&report.writable);
    if detail == Detail::Full {
        text.packages(report);
    }
    text.findings(&report.findings);
    let mut out = text.finish();
    if let Some(trial) = &report.trial {
        out.push('\n');
        out.push_str(&trial.render(style, detail));
    }
    out
}

/// What was done to an image for several platforms: a line for each, all of each where everything is asked for.
pub fn render_hardened_index(report: &ReportIndex, style: Style, detail: Detail) -> String {
    let mut text = Text::new(style, detail);
    let platforms = count(report.platforms.len() as u64, "platform", "platforms");
    text.head(&report.source, &platforms, &report.destinations);
    if let Some(first) = report.platforms.first() {
        text.setting(first.level.name(), &[], &report.options);
    }
    text.platforms(&report.platforms);
    text.findings(&report.all_findings());
    let mut out = text.finish();
    if detail == Detail::Full {
        for platform in &report.platforms {
            out.push('\n');
            out.push_str(&render_hardened(platform, style, detail));
        }
    }
    out
}

/// What is in an image, and what would be done to it.
pub fn render_inspected(inspection: &Inspection, style: Style, detail: Detail) -> String {
    let mut text = Text::new(style, detail);
    text.head(&inspection.source, &inspection.platform, &[]);
    text.setting(inspection.level.name(), &inspection.recipes, &inspection.options);
    text.config(inspection);
    text.totals(&inspection.before, &inspection.after);
    text.programs(inspection);
    text.names("setuid, setgid, capabilities", &inspection.privileged);
    text.names("writable by everybody", &inspection.world_writable);
    text.gone("would go", &inspection.goes);
    let stays: Vec<_> = inspection
        .programs
        .iter()
        .filter(|program| program.stays)
        .map(|p| (p.path.as_str(), p.class, p.why.as_deref().unwrap_or_default(), p.remedy.as_deref()))
        .collect();
    text.stays("would stay", &stays);
    text.start(&inspection.entrypoint, &inspection.user, &inspection.ports);
    text.writable(&inspection.writable);
    text.findings(&inspection.findings);
    text.finish()
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;

    use super::super::sections::REASONS;
    use super::super::{ImageFacts, fixture};
    use super::*;

    fn hardened(detail: Detail) -> String {
        render_hardened(&Report::of(&fixture::plan(), &fixture::context()), Style::Plain, detail)
    }

    #[test]
    fn summary_of_a_hardened_image() {
        expect![[r#"
            oci:demo:web sha256:203c12be4d5d506b0d86d0f3fc630f4918d0e2364ebe01ae7dcdfc2f2d94a002 (linux/amd64)
            → oci:out:web sha256:b70eb577039c0df7589a32bf8efbbfc5d8ebc4d8c8bc7ef8be1e52c13d81fe29
            level distroless; recipes: nginx; options: --keep=/usr/bin/perl

                                 before     after
              files                6012       512
              bytes             123 MiB  20.0 MiB
              executables           412         3
              setuid or setgid       12         0
              with a write bit     5000         1
              catalogued tools      118         1
              packages               95        21

            gone: 12 entries, 8.78 MiB
              shells                     1   122 KiB
              package managers           1  18.3 KiB
              packages nothing leads to  2  70.3 KiB
              scripts of what went       1      44 B
              links and leftovers        4       0 B
              package manager state      1  8.58 MiB
              replaced by upper layers   1     100 B
              `--strip`                  1       7 B

            stays
              /usr/bin/perl  interpreter  `--keep /usr/bin/perl`; to lose it: drop that option

            starts
              /usr/sbin/nginx -g 'daemon off;'
              in place of /entry.sh nginx -g 'daemon off;': recipe `nginx`: the script only runs its arguments
              as 33:33 (www-data), groups 4: recipe `nginx`
              on 80/TCP

            writable
              /run  run  1.00 MiB memory  proven  /etc/nginx/nginx.conf:3: pid /run/nginx.pid (+1)

            findings: 1 high, 1 medium, 1 low, 1 info
              high   KN017 /var/lib/x: 3 files would be hidden by a mount
              medium KN005 /usr/bin/perl: kept by `--keep`
              low    KN006 /usr/sbin/nginx: imports `system`
              `kiln explain CODE` tells more
        "#]]
        .assert_eq(&hardened(Detail::Short));
    }

    #[test]
    fn summary_of_an_inspected_image() {
        let config = ImageFacts {
            user: String::new(),
            workdir: "/srv".into(),
            exposed: vec!["80/tcp".into()],
            volumes: vec!["/data".into()],
        };
        let mut context = fixture::context();
        context.destinations.clear();
        let inspection = Inspection::of(&fixture::plan(), &fixture::rootfs(), &config, &context);
        expect![[r#"
            oci:demo:web sha256:203c12be4d5d506b0d86d0f3fc630f4918d0e2364ebe01ae7dcdfc2f2d94a002 (linux/amd64)
            level distroless; recipes: nginx; options: --keep=/usr/bin/perl
            config: user root, in /srv, exposes 80/tcp, volumes /data
            config: starts /entry.sh nginx -g 'daemon off;'

                                 before     after
              files                6012       512
              bytes             123 MiB  20.0 MiB
              executables           412         3
              setuid or setgid       12         0
              with a write bit     5000         1
              catalogued tools      118         1
              packages               95        21

            catalogued programs
              shells            1  dash
              package managers  1  apt
              interpreters      1  perl
            setuid, setgid, capabilities: 1, /usr/bin/su
            writable by everybody: 1, /tmp

            would go: 12 entries, 8.78 MiB
              shells                     1   122 KiB
              package managers           1  18.3 KiB
              packages nothing leads to  2  70.3 KiB
              scripts of what went       1      44 B
              links and leftovers        4       0 B
              package manager state      1  8.58 MiB
              replaced by upper layers   1     100 B
              `--strip`                  1       7 B

            would stay
              /usr/bin/perl  interpreter  `--keep /usr/bin/perl`; to lose it: drop that option

            starts
              /usr/sbin/nginx -g 'daemon off;'
              in place of /entry.sh nginx -g 'daemon off;': recipe `nginx`: the script only runs its arguments
              as 33:33 (www-data), groups 4: recipe `nginx`
              on 80/TCP

            writable
              /run  run  1.00 MiB memory  proven  /etc/nginx/nginx.conf:3: pid /run/nginx.pid (+1)

            findings: 1 high, 1 medium, 1 low, 1 info
              high   KN017 /var/lib/x: 3 files would be hidden by a mount
              medium KN005 /usr/bin/perl: kept by `--keep`
              low    KN006 /usr/sbin/nginx: imports `system`
              `kiln explain CODE` tells more
        "#]]
        .assert_eq(&render_inspected(&inspection, Style::Plain, Detail::Short));
    }

    #[test]
    fn every_removed_byte_is_in_a_line_of_the_summary() {
        let reasons: std::collections::BTreeSet<_> =
            Report::of(&fixture::plan(), &fixture::context()).totals.by_reason.into_keys().collect();
        for reason in reasons {
            let known = reason == "catalogued" || REASONS.iter().any(|(known, _)| *known == reason);
            assert!(known, "{reason}");
        }
    }

    #[test]
    fn many_findings_of_one_code_are_told_once() {
        let mut plan = fixture::plan();
        let finding = |n: u32| crate::finding::Finding::new(Code::CallsShell, n, "imports");
        plan.findings = (0..100).map(finding).collect();
        let report = Report::of(&plan, &fixture::context());
        let short = render_hardened(&report, Style::Plain, Detail::Short);
        assert!(short.contains("… and 98 more"), "{short}");
        assert!(short.lines().count() <= 40, "{short}");
        let full = render_hardened(&report, Style::Plain, Detail::Full);
        assert_eq!(full.matches("KN006").count(), 100);
    }

    #[test]
    fn names_of_the_image_cannot_reach_the_terminal_raw() {
        let mut plan = fixture::plan();
        plan.entrypoint.argv = vec!["/x\x1b]0;owned\x07".into()];
        plan.packages[0].name = "\x1b[2J".into();
        plan.user.name = Some("\u{202e}toor".into());
        let report = Report::of(&plan, &fixture::context());
        let text = render_hardened(&report, Style::Plain, Detail::Full);
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text}");
    }

    #[test]
    fn plain_text_is_the_coloured_text_without_its_colours() {
        let report = Report::of(&fixture::plan(), &fixture::context());
        let colour = render_hardened(&report, Style::Colour, Detail::Short);
        assert!(colour.contains("\x1b["));
        let mut plain = String::new();
        for (index, part) in colour.split("\x1b[").enumerate() {
            plain.push_str(if index == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        assert_eq!(plain, hardened(Detail::Short));
    }
}
