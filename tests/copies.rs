//! How often a long argument is copied on its way into a guest, and how much memory hostile files and
//! results take, told by an allocator that counts. The tests have a binary to themselves, and take
//! turns: nothing else may allocate meanwhile.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloister::auth::{self, Auth, Party, system_clock};
use cloister::reload::{Contents, Inspection, inspect_contents};
use cloister::sandbox::client::{
    Announcement, Answer, Capability, Client, Level, NotAsked, Question, Unanswered,
};
use cloister::sandbox::{BucketStore, Compiler, Invocation, Limits, Sandbox, Settings, Usage};
use cloister::value::{Answer as Returned, Kind, Member, NotEncoded, Scope, Signature, Val};
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

/// What counts as long.
const LONG: usize = 1 << 20;

/// How often room for something long was made.
static LONG_ONES: AtomicUsize = AtomicUsize::new(0);

/// How much is in use, and the most that ever was.
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(size: usize) {
    if size >= LONG {
        LONG_ONES.fetch_add(1, Ordering::Relaxed);
    }
    let in_use = IN_USE.fetch_add(size, Ordering::Relaxed) + size;
    MOST.fetch_max(in_use, Ordering::Relaxed);
}

fn discount(size: usize) {
    IN_USE.fetch_sub(size, Ordering::Relaxed);
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to write; this one passes everything on"
)]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        discount(layout.size());
        count(size);
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        discount(layout.size());
        unsafe { System.dealloc(place, layout) }
    }
}

/// Takes the turn of a test.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often a function makes room for something long.
fn long_ones<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = LONG_ONES.load(Ordering::Relaxed);
    let made = run();
    (LONG_ONES.load(Ordering::Relaxed) - before, made)
}

/// How much memory a function takes at most, and how much is left in use by what it makes, in MiB.
fn mebibytes<T>(run: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = IN_USE.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let made = run();
    let most = MOST.load(Ordering::Relaxed) - before;
    let kept = IN_USE.load(Ordering::Relaxed).saturating_sub(before);
    (most >> 20, kept >> 20, made)
}

/// A client that hears nothing.
struct Deaf;

impl Client for Deaf {
    fn capabilities(&self) -> Capability {
        Capability::empty()
    }
    fn cancelled(&self) -> bool {
        false
    }
    fn progress(&self, _: f64, _: Option<f64>, _: Option<String>) {}
    fn log(&self, _: Level, _: String, _: Option<String>) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
    fn ask(
        &self,
        _: Vec<(String, Question)>,
    ) -> BoxFuture<'_, Result<Vec<Result<Answer, Unanswered>>, NotAsked>> {
        Box::pin(async { Err(NotAsked::Later) })
    }
    fn announce(&self, _: Announcement) {}
}

fn compiler() -> Compiler {
    Compiler::new(&Settings {
        calls: Some(1),
        ..Settings::default()
    })
    .expect("an engine")
}

fn inspected(
    compiler: &Compiler,
    wasm: Vec<u8>,
    text: Option<String>,
) -> Result<Inspection, String> {
    let contents = Contents::new(wasm, text.map(String::into_bytes), None);
    inspect_contents("service", &contents, compiler)
}

/// The engine makes the other of the two copies, from the value into the guest's memory.
#[test]
fn a_long_string_is_copied_once_on_its_way_to_the_engine() {
    let _turn = turn();
    let compiler = compiler();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let guest = std::fs::read(target.join("wasm32-wasip2/guest/guest_types.wasm"));
    let guest = guest.expect("`just build-guests` has made it");
    let inspection = inspected(&compiler, guest, None).expect("a service");
    let tools = &inspection.service.tools;
    let forget = tools.iter().find(|tool| tool.function.name == "forget");
    let forget = &forget.expect("a tool that takes a string").function;
    let auth = Auth::new(
        auth::Settings::new("https://issuer.example.com"),
        system_clock(),
    );
    let end = tokio::sync::watch::channel(false).1;
    let sandbox = Sandbox::new(
        &compiler,
        auth.expect("settings"),
        &BucketStore::Memory,
        end,
    )
    .expect("a sandbox");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let call = |arguments: &RawValue| {
        let arguments = forget.signature.decode(Some(arguments)).expect("a string");
        let invocation = Invocation {
            number: 0,
            service: "service".into(),
            caller: None,
            behalf: Party::Local,
            client: Arc::new(Deaf),
            limits: Limits::default(),
            usage: Usage::default(),
        };
        let called = sandbox.call(&forget.export, arguments, invocation, |results| results);
        runtime.block_on(called).expect("it returns nothing")
    };
    // What is made once for all calls is made now.
    call(&RawValue::from_string("{\"v\":\"short\"}".into()).expect("JSON"));

    let long = "x".repeat(LONG);
    let arguments = RawValue::from_string(format!("{{\"v\":\"{long}\"}}")).expect("JSON");
    let (copies, results) = long_ones(|| call(&arguments));
    assert_eq!((copies, results), (1, Vec::new()));
    // What has escapes is written without them first, and grows meanwhile.
    let escaped = RawValue::from_string(format!("{{\"v\":\"\\n{long}\"}}")).expect("JSON");
    let (copies, _) = long_ones(|| call(&escaped));
    assert!(copies <= 2, "{copies} copies");
    let (none, ()) = long_ones(|| ());
    assert_eq!(none, 0);
}

/// A component with so many functions of one type, each named by its number. The type is passed as these
/// parameters of the core function.
fn many(count: usize, types: &str, lowered: &str) -> Vec<u8> {
    let functions = (0..count).fold(String::new(), |mut functions, number| {
        writeln!(functions, r#"(export "f{number}" (func $f))"#).expect("a string grows");
        functions
    });
    wat::parse_str(format!(
        r#"(component
            (core module $m
              (memory (export "memory") 1)
              (func (export "f") (param {lowered}))
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
            (core instance $i (instantiate $m))
            {types}
            (func $f (param "v" $t)
              (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
            {functions})"#
    ))
    .expect("a component")
}

/// Types whose parts are many only when they are written out: schemas have them, memory need not.
#[test]
fn types_that_use_each_other_many_times_over_are_kept_once() {
    let _turn = turn();
    let compiler = compiler();
    let cases = (0..6_000).fold(String::new(), |mut cases, number| {
        write!(cases, "\"case-{number}\" ").expect("a string grows");
        cases
    });
    // Every function is within its limits, so all of them are served as long as there is room.
    let near = many(
        1_000,
        &format!("(type $e (enum {cases})) (import \"cases\" (type $t (eq $e)))"),
        "i32",
    );
    let (most, kept, inspection) = mebibytes(|| inspected(&compiler, near, None));
    let inspection = inspection.expect("a service");
    let served = inspection.service.tools.len();
    assert!((50..1_000).contains(&served), "{served} functions");
    assert!(
        inspection
            .notes
            .iter()
            .any(|note| note.contains("the schemas of the component take more than 16 MiB"))
    );
    assert!(
        kept < 60 && most < 400,
        "{most} MiB, of which {kept} are kept"
    );
    drop(inspection);

    // Ten thousand cases, ninety times: about as many as the engine takes.
    let cases = (0..10_000).fold(String::new(), |mut cases, number| {
        write!(cases, "\"c{number}\" ").expect("a string grows");
        cases
    });
    let fields = (0..90).fold(String::new(), |mut fields, number| {
        write!(fields, "(field \"f{number}\" $cases) ").expect("a string grows");
        fields
    });
    let beyond = many(
        200,
        &format!(
            "(type $e (enum {cases})) (import \"cases\" (type $cases (eq $e)))
             (type $r (record {fields})) (import \"fields\" (type $t (eq $r)))"
        ),
        "i32",
    );
    let (most, _, refused) = mebibytes(|| inspected(&compiler, beyond, None));
    let cause = refused.err().expect("no function is left");
    assert!(cause.contains("more than 8000 parts"), "{cause}");
    assert!(most < 400, "{most} MiB");
}

/// What a text says of a type is read once, whoever uses it.
#[test]
fn a_text_costs_what_it_is_long() {
    let _turn = turn();
    let compiler = compiler();
    let wasm = many(1_000, "(type $t string)", "i32 i32");
    let functions = |docs: &str| {
        (0..1_000).fold(String::new(), |mut functions, number| {
            writeln!(functions, "{docs} export f{number}: func(v: t);").expect("a string grows");
            functions
        })
    };
    let text = |docs: &str, function: &str| {
        format!(
            "package a:b; interface i {{ {docs} type t = string; }} world w {{ use i.{{t}}; {} }}",
            functions(function)
        )
    };
    let long = format!("/// {}\n", "words ".repeat(2_000));
    let tags = "/// @readonly nonsense\n".repeat(700);
    let patterns = "/// @pattern v ^[^a]{1,200}$\n".repeat(3);
    for (what, text) in [
        ("long words on a type", text(&long, "")),
        ("many tags on a type", text(&tags, "")),
        (
            "patterns on a type",
            text(&"/// @pattern ^.{1,200}$\n".repeat(600), ""),
        ),
        ("a pattern on each parameter", text("", &patterns)),
        (
            "defaults",
            text("", &format!("/// @default v {}\n", "x".repeat(900))),
        ),
    ] {
        let (most, kept, inspection) = mebibytes(|| inspected(&compiler, wasm.clone(), Some(text)));
        let inspection = inspection.unwrap_or_else(|cause| panic!("{what}: {cause}"));
        assert!(inspection.notes.len() <= 101, "{what}");
        assert!(inspection.work < 10_000, "{what}: {}", inspection.work);
        assert!(
            most < 400 && kept < 80,
            "{what}: {most} MiB, of which {kept} are kept"
        );
    }
}

/// A value can stand for far more JSON than it takes memory, and none of that is written.
#[test]
fn a_result_is_written_no_further_than_it_may_be_long() {
    let _turn = turn();
    let case = |wit: &str, json: String| cloister::value::Case {
        wit: wit.to_owned(),
        json,
        docs: None,
        payload: None,
    };
    let cases =
        Scope::new(vec![case("a", "x".repeat(64)), case("b", "y".repeat(64))]).expect("two names");
    let kind = Kind::List(Arc::new(Kind::Enum(Arc::new(cases)).into()));
    let signature =
        Signature::new(Scope::default(), Returned::Value(kind.into())).expect("a signature");
    let values = || vec![Val::List(vec![Val::Enum("a".to_owned()); 500_000])];
    let limit = 1 << 20;
    let (result, results) = (values(), values());
    let (most, _, encoded) = mebibytes(|| signature.encode(result, limit));
    assert_eq!(encoded.err(), Some(NotEncoded::TooLarge));
    assert!(most <= 4, "{most} MiB for a limit of 1");
    assert!(signature.encode(results, usize::MAX).is_ok());

    // Names in JSON are bounded, so what is written for one value is.
    let member = |json: String| Member {
        wit: "v".to_owned(),
        json,
        shape: Kind::Bool.into(),
    };
    let record = |json: String| {
        let fields = Scope::new(vec![member(json)]).expect("one name");
        let answer = Returned::Value(Kind::Record(Arc::new(fields)).into());
        Signature::new(Scope::default(), answer)
    };
    assert!(record("x".repeat(64)).is_ok() && record("x".repeat(65)).is_err());
}
