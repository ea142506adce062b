//! How often a long argument is copied on its way to the sandbox, told by an allocator that counts.
//! The test has a binary to itself: no other test may allocate meanwhile.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use cloister::value::{Answer, Kind, Member, Scope, Signature, Val};
use serde_json::value::RawValue;

/// What counts as long.
const LONG: usize = 1 << 20;

/// How often room for something long was made.
static LONG_ONES: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(size: usize) {
    if size >= LONG {
        LONG_ONES.fetch_add(1, Ordering::Relaxed);
    }
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
        count(size);
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }
}

/// How often a function makes room for something long.
fn long_ones<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = LONG_ONES.load(Ordering::Relaxed);
    let made = run();
    (LONG_ONES.load(Ordering::Relaxed) - before, made)
}

/// The engine makes the other of the two copies, from the value into the guest's memory.
#[test]
fn a_long_string_is_copied_once_while_it_is_decoded() {
    let param = Member {
        wit: "v".to_owned(),
        json: "v".to_owned(),
        shape: Kind::String.into(),
    };
    let params = Scope::new(vec![param]).expect("one name");
    let signature = Signature::new(params, Answer::Nothing).expect("a signature");

    let long = "x".repeat(LONG);
    let arguments = RawValue::from_string(format!("{{\"v\":\"{long}\"}}")).expect("JSON");
    let (copies, decoded) = long_ones(|| signature.decode(Some(&arguments)));
    assert_eq!(decoded, Ok(vec![Val::String(long.clone())]));
    assert_eq!(copies, 1);

    // The parser has to take escapes out, and does not know beforehand how much will be left.
    let escaped = RawValue::from_string(format!("{{\"v\":\"\\n{long}\"}}")).expect("JSON");
    let (copies, decoded) = long_ones(|| signature.decode(Some(&escaped)));
    assert_eq!(decoded, Ok(vec![Val::String(format!("\n{long}"))]));
    assert!(copies <= 2, "{copies} copies");

    let (none, ()) = long_ones(|| ());
    assert_eq!(none, 0);
}
