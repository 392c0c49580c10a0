//! CEL as the API server, Kyverno and Gatekeeper evaluate it: variables in order, then validations, each with its message.
//!
//! Knows no policy; the functions are the language's own and those of its string library, and no others.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::common::types::{CelStruct, Type};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, StructType, Value as CelValue, extensions, to_value};
use serde_json::{Map, Value};

/// What an expression sees.
#[derive(Default, Clone)]
pub(super) struct Scope {
    pub(super) names: Map<String, Value>,
}

impl Scope {
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.names.insert(name.to_owned(), value);
        self
    }

    /// The scope of a request to make `object`.
    pub(super) fn of_pod(object: &Value) -> Self {
        let request = serde_json::json!({ "operation": "CREATE", "resource": { "resource": "pods" } });
        Self::default().with("object", object.clone()).with("oldObject", Value::Null).with("request", request)
    }

    /// The scope of an `AdmissionReview`.
    pub(super) fn of_review(review: &Value) -> Self {
        let request = review["request"].clone();
        let part = |name: &str| request.get(name).cloned().unwrap_or(Value::Null);
        Self::default()
            .with("object", part("object"))
            .with("oldObject", part("oldObject"))
            .with("request", request)
    }

    /// What `expression` is.
    pub(super) fn evaluate(&self, expression: &str) -> Value {
        let value = self.run(expression, Env::stdlib());
        value.json().unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// As [`Self::evaluate`], for what makes objects of types.
    pub(super) fn construct(&self, expression: &str) -> Value {
        let mut env = Env::stdlib();
        for name in types_of(expression) {
            env.add_type(Open(Type::new_struct(name))).unwrap();
        }
        plain(&self.run(expression, env))
    }

    fn run(&self, expression: &str, mut env: Env) -> CelValue {
        env.add_extension(extensions::strings).unwrap();
        let program = env.compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        let mut context = Context::with_env(Arc::new(env));
        for (name, value) in &self.names {
            context.add_variable_from_value(name.clone(), to_value(value).unwrap());
        }
        program.execute(&context).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Adds `variables`, each computed with those before it.
    pub(super) fn with_variables(mut self, variables: &[Value]) -> Self {
        let mut known = self.names.get("variables").and_then(Value::as_object).cloned().unwrap_or_default();
        self.names.insert("variables".to_owned(), known.clone().into());
        for variable in variables {
            let value = self.evaluate(super::text(variable, "/expression"));
            known.insert(super::text(variable, "/name").to_owned(), value);
            self.names.insert("variables".to_owned(), known.clone().into());
        }
        self
    }

    /// Whether every condition holds.
    pub(super) fn matches(&self, conditions: &[Value]) -> bool {
        conditions
            .iter()
            .all(|condition| self.evaluate(super::text(condition, "/expression")) == Value::Bool(true))
    }

    /// The messages of the validations that fail.
    pub(super) fn failures(&self, validations: &[Value]) -> Vec<String> {
        let mut messages = Vec::new();
        for validation in validations {
            match self.evaluate(super::text(validation, "/expression")) {
                Value::Bool(true) => {}
                Value::Bool(false) => {
                    assert!(!super::text(validation, "/message").is_empty());
                    let message = self.evaluate(super::text(validation, "/messageExpression"));
                    let message = message.as_str().expect("a message is text").to_owned();
                    // What is longer, or has lines, the API server replaces by the message that stands beside it.
                    assert!(message.len() < 5 << 10 && !message.contains('\n') && !message.trim().is_empty());
                    messages.push(message);
                }
                other => panic!("{validation}: {other}"),
            }
        }
        messages
    }
}

/// A type that has whatever field is set: which ones there are is for the schema that the result is held against.
struct Open(Type);

impl StructType for Open {
    fn get_type(&self) -> &Type {
        &self.0
    }

    fn new_value<'b, 'v>(
        &self,
        fields: BTreeMap<String, CowVal<'b, 'v>>,
    ) -> Result<Box<dyn Val + 'v>, ExecutionError> {
        let mut object = CelStruct::new(self.0.name().to_owned());
        for (name, value) in fields {
            object.add_field_value(name, value);
        }
        Ok(Box::new(object))
    }
}

/// The types that `expression` makes objects of.
fn types_of(expression: &str) -> Vec<String> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let mut names: Vec<String> = expression
        .match_indices('{')
        .filter_map(|(at, _)| {
            let before = &expression[..at];
            let start = before.rfind(|c: char| !is_path(c)).map_or(0, |at| at + 1);
            ["Object", "JSONPatch"]
                .iter()
                .any(|root| before[start..].starts_with(root))
                .then(|| before[start..].to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn plain(value: &CelValue) -> Value {
    match value {
        CelValue::Struct(object) => object
            .field_values()
            .iter()
            .map(|(name, value)| (name.clone(), plain(&CelValue::try_from(value.as_ref()).unwrap())))
            .collect::<Map<_, _>>()
            .into(),
        CelValue::List(items) => items.iter().map(plain).collect(),
        other => other.json().unwrap(),
    }
}
