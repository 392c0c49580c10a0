//! A hardened image's config: the source's document with a few fields changed on purpose.
//!
//! Does not know why; every field it is not told about stays as it was, known or not.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::config::{Config, History};
use super::json::canonical_bytes;
use crate::digest::DiffId;

/// What becomes of a config. Lists are whole new values, not additions.
#[derive(Debug, Clone, Default)]
pub struct ConfigChange {
    /// Who it runs as.
    pub user: String,
    /// First words of what starts; empty removes the field.
    pub entrypoint: Vec<String>,
    /// The other words; empty removes the field.
    pub cmd: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Where it starts, if not where it did.
    pub working_dir: Option<String>,
    /// `VOLUME`s go.
    pub volumes_removed: bool,
    /// The health check goes.
    pub healthcheck_removed: bool,
    /// Labels whose key begins with this go: what they say is not true of the new image.
    pub labels_removed: Option<String>,
    /// Labels to add or replace; all others stay.
    pub labels: BTreeMap<String, String>,
    /// Every layer of the new image, base first.
    pub diff_ids: Vec<DiffId>,
    /// The step that made what is new.
    pub history_added: Option<History>,
}

impl ConfigChange {
    /// The change that changes nothing: a start for struct update syntax.
    pub fn none(config: &Config) -> Self {
        Self {
            user: config.user.clone(),
            entrypoint: config.entrypoint.clone(),
            cmd: config.cmd.clone(),
            env: config.env.clone(),
            diff_ids: config.diff_ids.clone(),
            ..Self::default()
        }
    }
}

impl Config {
    /// The new document's bytes: keys sorted, no white space, the same for the same input.
    ///
    /// The history step is added only where afterwards every layer has its step; a history that was missing or out of step
    /// stays as it is, since one step more would name the wrong layer.
    pub fn derive(&self, change: &ConfigChange) -> Vec<u8> {
        let mut raw = self.raw.clone();
        let top = object(&mut raw);
        let run = object(top.entry("config").or_insert(Value::Null));
        // A field that keeps its meaning keeps its form: `null`, absent, an entry without `=`.
        if change.user != self.user {
            run.insert("User".to_owned(), json!(change.user));
        }
        if change.entrypoint != self.entrypoint {
            set_list(run, "Entrypoint", &change.entrypoint);
        }
        if change.cmd != self.cmd {
            set_list(run, "Cmd", &change.cmd);
        }
        if change.env != self.env {
            let env: Vec<String> = change.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
            set_list(run, "Env", &env);
        }
        if let Some(working_dir) = &change.working_dir {
            run.insert("WorkingDir".to_owned(), json!(working_dir));
        }
        if change.volumes_removed {
            run.remove("Volumes");
        }
        if change.healthcheck_removed {
            run.remove("Healthcheck");
        }
        if let (Some(prefix), Some(labels)) =
            (&change.labels_removed, run.get_mut("Labels").and_then(Value::as_object_mut))
        {
            labels.retain(|key, _| !key.starts_with(prefix.as_str()));
        }
        if !change.labels.is_empty() {
            let labels = object(run.entry("Labels").or_insert(Value::Null));
            labels.extend(change.labels.iter().map(|(key, value)| (key.clone(), json!(value))));
        }
        let rootfs = object(top.entry("rootfs").or_insert(Value::Null));
        rootfs.insert("type".to_owned(), json!("layers"));
        rootfs.insert("diff_ids".to_owned(), json!(change.diff_ids));
        if let Some(step) = &change.history_added
            && self.stays_in_step(change, step)
            && let Some(steps) = top.get_mut("history").and_then(Value::as_array_mut)
        {
            steps.push(step_value(step));
        }
        canonical_bytes(&raw)
    }

    fn stays_in_step(&self, change: &ConfigChange, step: &History) -> bool {
        self.history_is_in_step()
            && change.diff_ids.len() == self.diff_ids.len() + usize::from(!step.empty_layer)
    }
}

/// The object at `value`, made where there is none; the parser has seen that nothing else is there.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("just made an object"),
    }
}

fn set_list(run: &mut Map<String, Value>, key: &str, words: &[String]) {
    if words.is_empty() {
        run.remove(key);
    } else {
        run.insert(key.to_owned(), json!(words));
    }
}

fn step_value(step: &History) -> Value {
    let texts = [
        ("created", &step.created),
        ("created_by", &step.created_by),
        ("comment", &step.comment),
        ("author", &step.author),
    ];
    let mut map: Map<String, Value> = texts
        .into_iter()
        .filter_map(|(key, text)| text.as_ref().map(|text| (key.to_owned(), json!(text))))
        .collect();
    if step.empty_layer {
        map.insert("empty_layer".to_owned(), json!(true));
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn source() -> Config {
        let text = r#"{"os":"linux","architecture":"amd64","created":"2024-01-01T00:00:00Z","x-unknown":{"b":1,"a":[2]},
            "config":{"User":"","Env":["PATH=/bin"],"Entrypoint":["/docker-entrypoint.sh"],"Cmd":["nginx"],
              "Volumes":{"/data":{}},"Healthcheck":{"Test":["CMD","curl"]},"OnBuild":["RUN x"],"ArgsEscaped":true,
              "StopSignal":"SIGQUIT","Labels":{"org.opencontainers.image.title":"app"}},
            "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},
            "history":[{"created_by":"ADD rootfs"},{"created_by":"ENV","empty_layer":true}]}"#;
        Config::parse(text.as_bytes()).unwrap()
    }

    fn own_step() -> History {
        History { created_by: Some("kiln harden".into()), ..History::default() }
    }

    fn change(source: &Config) -> ConfigChange {
        ConfigChange {
            user: "65532:65532".into(),
            entrypoint: vec!["/usr/sbin/nginx".into()],
            cmd: Vec::new(),
            volumes_removed: true,
            healthcheck_removed: true,
            labels: BTreeMap::from([("vnd.kiln.version".into(), "1".into())]),
            diff_ids: vec![DiffId::of(b"one"), DiffId::of(b"two")],
            history_added: Some(own_step()),
            ..ConfigChange::none(source)
        }
    }

    #[test]
    fn what_is_not_changed_on_purpose_survives() {
        let source = source();
        let bytes = source.derive(&change(&source));
        let pretty: Value = serde_json::from_slice(&bytes).unwrap();
        expect![[r#"
            {
              "architecture": "amd64",
              "config": {
                "ArgsEscaped": true,
                "Entrypoint": [
                  "/usr/sbin/nginx"
                ],
                "Env": [
                  "PATH=/bin"
                ],
                "Labels": {
                  "org.opencontainers.image.title": "app",
                  "vnd.kiln.version": "1"
                },
                "OnBuild": [
                  "RUN x"
                ],
                "StopSignal": "SIGQUIT",
                "User": "65532:65532"
              },
              "created": "2024-01-01T00:00:00Z",
              "history": [
                {
                  "created_by": "ADD rootfs"
                },
                {
                  "created_by": "ENV",
                  "empty_layer": true
                },
                {
                  "created_by": "kiln harden"
                }
              ],
              "os": "linux",
              "rootfs": {
                "diff_ids": [
                  "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
                  "sha256:3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
                ],
                "type": "layers"
              },
              "x-unknown": {
                "a": [
                  2
                ],
                "b": 1
              }
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&pretty).unwrap());
        assert!(Config::parse(&bytes).unwrap().history_is_in_step());
    }

    #[test]
    fn no_change_changes_no_value() {
        let source = source();
        let derived = source.derive(&ConfigChange::none(&source));
        assert_eq!(serde_json::from_slice::<Value>(&derived).unwrap(), source.raw);
    }

    #[test]
    fn numbers_beyond_what_a_double_holds_do_not_wander() {
        let text = r#"{"x": 51699999999900000000000000000000000666767908, "rootfs": {"type": "layers"}}"#;
        let config = Config::parse(text.as_bytes()).unwrap();
        let once = config.derive(&ConfigChange::none(&config));
        let again = Config::parse(&once).unwrap();
        assert_eq!(again.derive(&ConfigChange::none(&again)), once);
    }

    #[test]
    fn history_out_of_step_gets_no_step_that_names_the_wrong_layer() {
        let mut source = source();
        source.raw["history"] = json!([]);
        source.history.clear();
        let derived = Config::parse(&source.derive(&change(&source))).unwrap();
        assert!(derived.history.is_empty());
    }

    #[test]
    fn a_step_without_a_layer_needs_no_layer() {
        let source = source();
        let step = History { empty_layer: true, ..own_step() };
        let change = ConfigChange { history_added: Some(step), ..ConfigChange::none(&source) };
        let derived = Config::parse(&source.derive(&change)).unwrap();
        assert_eq!(derived.history.len(), 3);
        assert!(derived.history_is_in_step());
    }
}
