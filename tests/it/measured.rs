//! What the README says that hardening costs is what the benchmark's last whole run measured.

use serde_json::Value;

/// What was measured of `image` in the case `case`.
fn measured(run: &Value, image: &str, case: &str, what: &str) -> f64 {
    let of = |row: &&Value| row["image"] == image && row["case"] == case;
    let row = run["results"].as_array().unwrap().iter().find(of);
    row.unwrap_or_else(|| panic!("`{image}`, `{case}` is not in the run"))[what].as_f64().unwrap()
}

#[test]
fn the_readme_has_the_figures_of_the_last_run() {
    let run: Value = serde_json::from_str(include_str!("../../testdata/bench/harden.json")).unwrap();
    let of = |image, case, what| measured(&run, image, case, what);
    let share = |image, case, of_case, what| of(image, case, what) / of(image, of_case, what);
    let (cold, changed) = ("cold", "one small layer changed");
    let told = format!(
        "took {:.1} times the processor time of inflating and hashing it by the fastest tools at hand (igzip, openssl), \
         {:.2} of `pigz -dc | pigz -6`, {:.2} of the same work by umoci and {:.2} of that by buildah. 2.5 GB in ten layers \
         took {:.2} times as long as `pigz -dc | pigz -6`, {:.2} times as long as `gzip -dc | sha256sum`, and {:.0} MiB at \
         the peak, 5 GB {:.0} MiB; again with a full cache {:.2} of that, and {:.2} ({:.2} of the processor time) where one \
         small layer changed.",
        share("one", "kiln", "floor", "cpu"),
        share("one", "kiln", "pigz -dc | pigz -6", "cpu"),
        share("one", "kiln", "umoci", "cpu"),
        share("one", "kiln", "buildah", "cpu"),
        share("large", "kiln", "pigz -dc | pigz -6", "wall"),
        share("large", "kiln", "gzip -dc | sha256sum", "wall"),
        of("large", "kiln", "peak_mib"),
        of("grown to 5 GB", "kiln", "peak_mib"),
        share("large, cache", "nothing changed", cold, "wall"),
        share("large, cache", changed, cold, "wall"),
        share("large, cache", changed, cold, "cpu"),
    );
    let readme = include_str!("../../README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(readme.contains(&told), "the README does not say: {told}");
}
