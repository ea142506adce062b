//! WIT ↔ JSON ↔ JSON Schema: what a function takes and gives, as callers write it.
//!
//! A [`Signature`] is made once, when a component is loaded. It publishes the schemas, decodes
//! arguments before a sandbox exists, and encodes results. Schema, decoder and encoder walk the
//! same [`Shape`], so they cannot disagree. This module knows JSON and component values; it does
//! not know MCP, HTTP, or where a shape's documentation came from.

mod authored;
pub mod content;
mod decode;
mod encode;
mod json;
mod mirror;
mod mistakes;
mod names;
mod pointer;
mod rules;
mod schema;
mod shape;
mod signature;
#[cfg(test)]
mod tests;
mod words;

pub use content::Native;
pub use encode::{Encoded, NotEncoded};
pub use mirror::Mirrored;
pub use mistakes::{Mistake, NotDecoded};
pub use names::{Clash, LONGEST as LONGEST_NAME, NameCase, Named, Scope, is_key, is_label};
pub use rules::{InvalidRule, Rules};
pub use shape::{Answer, Case, Kind, Member, Shape};
pub use signature::{NotPublishable, Signature, is_media_type};

/// A component's value, as the engine has it. It is only carried from here to the sandbox and back.
pub use wasmtime::component::Val;
