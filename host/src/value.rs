//! WIT ↔ JSON ↔ JSON Schema: what a function takes and gives, as callers write it.
//!
//! A [`Signature`] is made once, when a component is loaded. It publishes the schemas, decodes
//! arguments before a sandbox exists, and encodes results. Schema, decoder and encoder walk the
//! same [`Shape`], so they cannot disagree. This module knows JSON and component values; it does
//! not know MCP, HTTP, or where a shape's documentation came from.

mod decode;
mod encode;
mod json;
mod names;
mod rules;
mod schema;
mod shape;

pub use decode::{Mistake, NotDecoded};
pub use encode::{Encoded, NotEncoded};
pub use names::{Clash, NameCase, Scope};
pub use rules::{InvalidRule, Rules};
pub use shape::{Answer, Case, Kind, Member, Shape, Signature};
