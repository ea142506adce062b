//! Write a Cloister service in Rust.
//!
//! A service is a crate of type `cdylib` with a folder `wit/` that says what it offers:
//!
//! ```wit
//! package acme:weather@0.1.0;
//!
//! /// Weather by place.
//! interface weather {
//!   use cloister:mcp/auth@0.1.0.{auth-user};
//!
//!   /// The forecast for the caller's home town.
//!   /// @param days How many days to look ahead.
//!   forecast: func(user: borrow<auth-user>, days: u8) -> result<string, string>;
//! }
//!
//! world service {
//!   export weather;
//! }
//! ```
//!
//! and of code that does it:
//!
//! ```ignore
//! cloister_sdk::service!();
//!
//! use cloister::mcp::auth::AuthUser;
//! use exports::acme::weather::weather::Guest;
//!
//! struct Weather;
//! export!(Weather);
//!
//! impl Guest for Weather {
//!     fn forecast(user: &AuthUser, days: u8) -> Result<String, String> {
//!         if days > 14 {
//!             return Err("at most 14 days".into());
//!         }
//!         Ok(format!("sunny for {days} days, {}", user.get().id))
//!     }
//! }
//! ```
//!
//! A tool that takes `borrow<auth-user>` is called for signed-in callers only. A `result` that is
//! an `Err` is a failed call with that text; a panic is one, too, but its text goes to the
//! operator's log. The package `cloister:mcp` need not lie in `wit/`: it comes with this crate.

/// Makes the bindings of the crate's WIT in the place where it stands, and puts the WIT text into
/// the component, so that the doc comments become the descriptions of the tools.
///
/// `service!()` reads the folder `wit/` beside `Cargo.toml`, and `service!("path")` another one. The
/// package in it has one world, or one named `service`. There is one `service!` in a crate.
///
/// In a world that imports `cloister:mcp/client`, its types have a few functions more, by which
/// questions are written in a line or two: `Form::new("Where to?").with(Field::text("address"))`,
/// `response.text("address")`, `Sampling::new("What is the capital of France?", 100)`.
///
/// What it makes is what `wit_bindgen::generate!` makes: a module for each interface, a trait
/// `Guest` to implement, and the macro `export!` to name who implements it.
pub use cloister_sdk_macros::service;

#[doc(hidden)]
pub use wit_bindgen;
