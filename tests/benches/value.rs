//! What it costs to read arguments and to write results, beside `serde_json` reading the same bytes
//! to a tree. Rounds alternate, so that a busy moment of the machine meets all three, and the best
//! round of each counts: what is compared is work, not luck.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloister::value::{Answer, Kind, Member, NameCase, Scope, Shape, Signature};
use serde_json::Value;
use serde_json::value::RawValue;

/// How many rounds are measured.
const ROUNDS: usize = 60;

/// How much text is read in one round; a clock read in between would be measured, too.
const ROUND: usize = 2 << 20;

/// A document, and the type that it has.
struct Document {
    name: &'static str,
    kind: Kind,
    json: String,
}

fn main() {
    println!("                            serde_json         decode               encode");
    println!("document              KiB     ns/KiB     ns/KiB   ratio       ns/KiB   ratio");
    for document in documents() {
        measure(&document);
    }
}

fn measure(document: &Document) {
    let signature = echo(&document.kind);
    let arguments = RawValue::from_string(format!("{{\"v\":{}}}", document.json)).expect("JSON");
    let text = arguments.get();
    let values = signature
        .decode(Some(&arguments))
        .expect("a value of the type");
    let runs = (ROUND / text.len()).max(1);

    let [mut tree, mut decode, mut encode] = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        tree = tree.min(timed(runs, || {
            drop(black_box(serde_json::from_str::<Value>(black_box(text))));
        }));
        decode = decode.min(timed(runs, || {
            drop(black_box(signature.decode(black_box(Some(&*arguments)))));
        }));
        // Encoding takes the values, so there is a copy for each run.
        let mut copies = vec![values.clone(); runs];
        encode = encode.min(timed(runs, || {
            let values = copies.pop().unwrap_or_default();
            drop(black_box(signature.encode(black_box(values), usize::MAX)));
        }));
    }

    let kib = as_f64(text.len()) / 1024.0;
    let per_kib = |time: Duration| time.as_secs_f64() * 1e9 / (as_f64(runs) * kib);
    let [tree, decode, encode] = [tree, decode, encode].map(per_kib);
    println!(
        "{:18} {kib:>6.1} {tree:>10.0} {decode:>10.0} {:>7.2} {encode:>12.0} {:>7.2}",
        document.name,
        decode / tree,
        encode / tree
    );
}

fn timed(runs: usize, mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..runs {
        run();
    }
    start.elapsed()
}

fn as_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

fn documents() -> Vec<Document> {
    let list = |kind: Kind| Kind::List(Arc::new(kind.into()));
    let record = Kind::Record(Arc::new(members([
        ("id", Kind::U32),
        ("display-name", Kind::String),
        ("is-active", Kind::Bool),
        ("score", Kind::F64),
        ("tags", list(Kind::String)),
    ])));
    vec![
        Document {
            name: "records",
            kind: list(record),
            json: filled(1 << 10, |number| {
                format!(
                    "{{\"id\":{number},\"displayName\":\"Person {number}\",\"isActive\":true,\"score\":{}.25,\"tags\":[\"one\",\"two\"]}}",
                    number * 7
                )
            }),
        },
        Document {
            name: "strings",
            kind: list(Kind::String),
            json: filled(64 << 10, |number| {
                format!("\"line {number} of a text that has about as many letters as lines have\"")
            }),
        },
        Document {
            name: "one string",
            kind: Kind::String,
            json: format!("\"{}\"", "lorem ipsum dolor ".repeat((1 << 20) / 18)),
        },
        Document {
            name: "escaped string",
            kind: Kind::String,
            json: format!("\"{}\"", "a line of a text\\n".repeat((1 << 20) / 18)),
        },
        Document {
            name: "integers",
            kind: list(Kind::S32),
            json: filled(16 << 10, |number| (number * 7919).to_string()),
        },
        Document {
            name: "floats",
            kind: list(Kind::F64),
            json: filled(16 << 10, |number| format!("{number}.{}", 1234 + number)),
        },
        Document {
            name: "bytes in base64",
            kind: Kind::Bytes,
            json: format!("\"{}\"", "QUJD".repeat((64 << 10) / 4)),
        },
    ]
}

/// A JSON array of about so many bytes.
fn filled(size: usize, item: impl Fn(u32) -> String) -> String {
    let mut json = "[".to_owned();
    for number in 0.. {
        if json.len() >= size {
            break;
        }
        let comma = if number == 0 { "" } else { "," };
        write!(json, "{comma}{}", item(number)).expect("a string grows");
    }
    json + "]"
}

fn members<const N: usize>(members: [(&str, Kind); N]) -> Scope<Member> {
    let member = |(wit, kind): (&str, Kind)| Member {
        wit: wit.to_owned(),
        json: NameCase::Camel.of(wit),
        shape: kind.into(),
    };
    Scope::new(members.map(member).into()).expect("different names")
}

/// A function with one parameter `v` of a type, which returns it.
fn echo(kind: &Kind) -> Signature {
    let answer = Answer::Value(Shape::from(kind.clone()));
    Signature::new(members([("v", kind.clone())]), answer).expect("a signature")
}
