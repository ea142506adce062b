//! What callers send and what becomes of it. [`hostile`] is the manual: one row for each awkward
//! input. [`laws`] says what holds for all values of all shapes.

mod author;
mod content;
mod documents;
mod hostile;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a law is about the kinds that it names"
)]
mod laws;
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not named means nothing"
)]
mod meaning;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;
use wasmtime::component::Val;

use super::{Answer, Case, Encoded, Kind, Member, NameCase, NotDecoded, Scope, Shape, Signature};

fn member(wit: &str, kind: Kind) -> Member {
    Member {
        wit: wit.to_owned(),
        json: NameCase::Camel.of(wit),
        shape: kind.into(),
    }
}

fn case(wit: &str, payload: Option<Kind>) -> Case {
    Case {
        wit: wit.to_owned(),
        json: NameCase::Camel.of(wit),
        docs: None,
        payload: payload.map(Shape::from),
    }
}

fn scope<T: super::Named>(items: impl IntoIterator<Item = T>) -> Scope<T> {
    Scope::new(items.into_iter().collect()).unwrap()
}

fn shared<T: super::Named>(items: impl IntoIterator<Item = T>) -> Arc<Scope<T>> {
    Arc::new(scope(items))
}

fn names(wits: &[&str]) -> Arc<Scope<Case>> {
    shared(wits.iter().map(|wit| case(wit, None)))
}

fn record<const N: usize>(fields: [(&str, Kind); N]) -> Kind {
    Kind::Record(shared(fields.map(|(wit, kind)| member(wit, kind))))
}

fn option(kind: Kind) -> Kind {
    Shape::from(kind).optional().kind
}

fn list(kind: Kind) -> Kind {
    Kind::List(Arc::new(kind.into()))
}

fn map(key: Kind, value: Kind) -> Kind {
    Kind::Map(Arc::new(key.into()), Arc::new(value.into()))
}

fn result(ok: Option<Kind>, err: Option<Kind>) -> Kind {
    let side = |kind: Option<Kind>| kind.map(|kind| Arc::new(kind.into()));
    Kind::Result {
        ok: side(ok),
        err: side(err),
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn json(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap()
}

/// A function with one parameter `v` of a type, which returns it.
fn echo(shape: impl Into<Shape>) -> Signature {
    let shape = shape.into();
    let param = Member {
        wit: "v".to_owned(),
        json: "v".to_owned(),
        shape: shape.clone(),
    };
    Signature::new(scope([param]), Answer::Value(shape)).unwrap()
}

fn decode(signature: &Signature, arguments: &str) -> Result<Vec<Val>, NotDecoded> {
    signature.decode(Some(&raw(arguments)))
}

/// The JSON of what a signature's function returns, which must keep to its output schema.
fn emitted(signature: &Signature, results: Vec<Val>) -> String {
    let Encoded::Value { structured, .. } = signature.encode(results, usize::MAX).unwrap() else {
        panic!("a value")
    };
    let schema = json(signature.output_schema().unwrap());
    if let Err(error) = jsonschema::draft202012::new(&schema)
        .unwrap()
        .validate(&json(&structured))
    {
        panic!("{structured} against {schema}: {error}");
    }
    match signature.answer() {
        Answer::Value(Shape {
            kind: Kind::Record(_),
            ..
        }) => structured.get().to_owned(),
        Answer::Nothing | Answer::Value(_) | Answer::Fallible { .. } => {
            let inner = structured
                .get()
                .strip_prefix("{\"result\":")
                .and_then(|rest| rest.strip_suffix('}'));
            inner.unwrap().to_owned()
        }
    }
}
