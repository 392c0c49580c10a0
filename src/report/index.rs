//! The report of an image for several platforms: what they share, and a whole report of each.
//!
//! Sums over platforms are not made: no machine runs two of them.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::ImageName;
use super::document::{Finding, Image, Report};
use crate::json;

/// What this document is; a later version that reads differently gets another number.
pub const MEDIA_TYPE: &str = "application/vnd.kiln.report-index.v1+json";

/// Everything kiln did to an image for several platforms.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportIndex {
    /// `application/vnd.kiln.report-index.v1+json`.
    pub media_type: &'static str,
    /// Version of kiln.
    pub kiln: String,
    /// The index that was read, or the only image where there was none.
    pub source: Image,
    /// Where the new index went.
    pub destinations: Vec<Image>,
    /// Options that decide the bytes, as words of a shell; empty for the defaults.
    pub options: String,
    /// What a person should know of the index: what was left out, where platforms disagree; heaviest first.
    pub findings: Vec<Finding>,
    /// One for each platform, in the order of the index.
    pub platforms: Vec<Report>,
}

/// What the report of an index says besides the reports of its platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexContext {
    /// kiln's version.
    pub version: String,
    /// The index that was read.
    pub source: ImageName,
    /// Where the new index went.
    pub destinations: Vec<ImageName>,
    /// [`crate::options::Options::canonical`].
    pub options: String,
}

impl ReportIndex {
    /// The report of `platforms` with what is to be known of all together.
    pub fn of(context: &IndexContext, findings: &[crate::finding::Finding], platforms: Vec<Report>) -> Self {
        Self {
            media_type: MEDIA_TYPE,
            kiln: context.version.clone(),
            source: Image::of(&context.source),
            destinations: context.destinations.iter().map(Image::of).collect(),
            options: context.options.clone(),
            findings: Finding::all(findings),
            platforms,
        }
    }

    /// Writes the document: two blanks of indentation, a newline at the end.
    pub fn write_to(&self, mut out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")
    }

    /// Every finding once, heaviest first; one that not all platforms have names those that do.
    pub(super) fn all_findings(&self) -> Vec<Finding> {
        let mut all = self.findings.clone();
        for report in &self.platforms {
            for finding in &report.findings {
                let have: Vec<&str> = self
                    .platforms
                    .iter()
                    .filter(|other| other.findings.contains(finding))
                    .map(|other| other.platform.as_str())
                    .collect();
                let mut finding = finding.clone();
                if have.len() < self.platforms.len() {
                    finding.message = format!("{} ({})", finding.message, have.join(", "));
                }
                if !all.contains(&finding) {
                    all.push(finding);
                }
            }
        }
        all.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| (&a.code, &a.subject, &a.message).cmp(&(&b.code, &b.subject, &b.message)))
        });
        all
    }
}

/// The JSON Schema of the report of an index.
pub fn index_schema() -> String {
    json::render_schema::<ReportIndex>()
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;

    use super::super::{Detail, Style, fixture, render_hardened_index};
    use super::*;
    use crate::finding::Code;

    fn report() -> ReportIndex {
        let mut other = fixture::context();
        other.platform = "linux/arm/v7".into();
        let mut plan = fixture::plan();
        plan.findings.retain(|finding| finding.code != Code::CallsShell);
        let context = IndexContext {
            version: "1.2.3".into(),
            source: fixture::context().source,
            destinations: fixture::context().destinations,
            options: String::new(),
        };
        let findings =
            [crate::finding::Finding::new(Code::PlatformLeftOut, "windows/amd64", "not for Linux")];
        let reports = vec![Report::of(&fixture::plan(), &fixture::context()), Report::of(&plan, &other)];
        ReportIndex::of(&context, &findings, reports)
    }

    #[test]
    fn document_is_valid_under_its_own_schema() {
        let schema: serde_json::Value = serde_json::from_str(&index_schema()).unwrap();
        let mut text = Vec::new();
        report().write_to(&mut text).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let problems: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert_eq!(problems, Vec::<String>::new());
        assert!(!validator.is_valid(&serde_json::json!({ "mediaType": MEDIA_TYPE })));
    }

    #[test]
    fn summary_of_several_platforms() {
        expect![[r#"
            oci:demo:web sha256:203c12be4d5d506b0d86d0f3fc630f4918d0e2364ebe01ae7dcdfc2f2d94a002 (2 platforms)
            → oci:out:web sha256:b70eb577039c0df7589a32bf8efbbfc5d8ebc4d8c8bc7ef8be1e52c13d81fe29
            level distroless

                                 files               bytes    tools  setuid  packages   user  writable
              linux/amd64   6012 → 512  123 MiB → 20.0 MiB  118 → 1  12 → 0   95 → 21  33:33    1 path
              linux/arm/v7  6012 → 512  123 MiB → 20.0 MiB  118 → 1  12 → 0   95 → 21  33:33    1 path

            findings: 1 high, 1 medium, 2 low, 1 info
              high   KN017 /var/lib/x: 3 files would be hidden by a mount
              medium KN005 /usr/bin/perl: kept by `--keep`
              low    KN006 /usr/sbin/nginx: imports `system` (linux/amd64)
              low    KN061 windows/amd64: not for Linux
              `kiln explain CODE` tells more
        "#]]
        .assert_eq(&render_hardened_index(&report(), Style::Plain, Detail::Short));
    }

    #[test]
    fn all_that_is_said_of_one_platform_is_said_of_each_in_full() {
        let report = report();
        let full = render_hardened_index(&report, Style::Plain, Detail::Full);
        for platform in &report.platforms {
            assert!(full.contains(&super::super::render_hardened(platform, Style::Plain, Detail::Full)));
        }
    }
}
