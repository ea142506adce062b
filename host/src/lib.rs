#![doc = include_str!("../ARCHITECTURE.md")]

pub mod auth;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod digest;
pub mod host;
pub mod http;
pub mod issuer;
pub mod protocol;
pub mod reload;
pub mod runtime;
pub mod sandbox;
pub mod stdio;
pub mod telemetry;
pub mod units;
pub mod value;
