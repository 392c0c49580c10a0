//! What the README says that hardening costs is what the benchmark's last whole run measured, and no more than it may.

use serde_json::Value;

/// The last whole run.
struct Run(Value);

impl Run {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("../../testdata/bench/harden.json")).unwrap())
    }

    /// What was measured of `image` in the case `case`.
    fn of(&self, image: &str, case: &str, what: &str) -> f64 {
        let is_it = |row: &&Value| row["image"] == image && row["case"] == case;
        let row = self.0["results"].as_array().unwrap().iter().find(is_it);
        row.unwrap_or_else(|| panic!("`{image}`, `{case}` is not in the run"))[what].as_f64().unwrap()
    }

    /// What `case` took of what `other` took.
    fn share(&self, image: &str, case: &str, other: &str, what: &str) -> f64 {
        self.of(image, case, what) / self.of(image, other, what)
    }
}

const PIGZ: &str = "pigz -dc | pigz -6";
const GZIP: &str = "gzip -dc | sha256sum";
const CHANGED: &str = "one small layer changed";

#[test]
fn the_readme_has_the_figures_of_the_last_run() {
    let run = Run::read();
    let (one, large) = (&run.0["sections"]["one"], &run.0["sections"]["large"]);
    assert_eq!((&large["image"]["layers"], &run.0["processors"]), (&Value::from(10), &Value::from(2)));
    let told = format!(
        "Hardening a gzip layer of {:.0} MB took {:.1} times the processor time of inflating and hashing it by the fastest \
         tools at hand ({}), {:.1} times at level `strip`, at which more stays; {:.2} of `{PIGZ}`, {:.2} of the same work by \
         umoci and {:.2} of that by buildah. {:.1} GB in ten layers took {:.2} times as long as `{PIGZ}`, {:.2} times as \
         long as `{GZIP}`, and {:.0} MiB at the peak, 5 GB {:.0} MiB; again with a full cache {:.2} of that, and {:.2} \
         ({:.2} of the processor time) where one small layer changed.",
        one["tar"].as_f64().unwrap() / 1e6,
        run.share("one", "kiln", "floor", "cpu"),
        one["floor"].as_str().unwrap(),
        run.share("one", "kiln, strip", "floor", "cpu"),
        run.share("one", "kiln", PIGZ, "cpu"),
        run.share("one", "kiln", "umoci", "cpu"),
        run.share("one", "kiln", "buildah", "cpu"),
        large["tar"].as_f64().unwrap() / 1e9,
        run.share("large", "kiln", PIGZ, "wall"),
        run.share("large", "kiln", GZIP, "wall"),
        run.of("large", "kiln", "peak_mib"),
        run.of("grown to 5 GB", "kiln", "peak_mib"),
        run.share("large, cache", "nothing changed", "cold", "wall"),
        run.share("large, cache", CHANGED, "cold", "wall"),
        run.share("large, cache", CHANGED, "cold", "cpu"),
    );
    let readme = include_str!("../../README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(readme.contains(&told), "the README does not say: {told}");
}

#[test]
fn the_chart_is_of_the_same_run() {
    let run = Run::read();
    let chart = include_str!("../../testdata/bench/harden.svg");
    for (image, what) in [("one", "cpu"), ("large", "wall")] {
        for case in ["floor", "kiln", "skopeo copy", GZIP, PIGZ, "umoci", "buildah"] {
            let bar = format!(">{:.2} s<", run.of(image, case, what));
            assert!(chart.contains(&bar), "{image}, {case}: {bar} is not in the chart");
        }
    }
}

#[test]
fn hardening_costs_no_more_than_it_may() {
    let run = Run::read();
    let cpu = |other| run.share("one", "kiln", other, "cpu");
    let wall = |image, case, other| run.share(image, case, other, "wall");
    let peak = |image| run.of(image, "kiln", "peak_mib");
    for (what, found, most) in [
        ("the floor", cpu("floor"), 2.2),
        ("umoci", cpu("umoci"), 1.0 / 4.0),
        ("buildah", cpu("buildah"), 1.0 / 4.0),
        (PIGZ, cpu(PIGZ), 1.0 / 6.0),
        ("size by gzip:6", run.share("one", "kiln", "kiln, gzip:6", "made"), 1.01),
        ("ten layers, pigz", wall("large", "kiln", PIGZ), 0.25),
        ("ten layers, gzip", wall("large", "kiln", GZIP), 1.0),
        ("peak", peak("large"), 150.0),
        ("peak at 5 GB", peak("grown to 5 GB"), 150.0),
        ("nothing changed", wall("large, cache", "nothing changed", "cold"), 0.05),
        (CHANGED, wall("large, cache", CHANGED, "cold"), 0.1),
    ] {
        assert!(found <= most, "{what}: {found}");
    }
}
