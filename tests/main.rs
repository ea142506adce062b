//! The whole host, driven as its users drive it: real components, real HTTP, real tokens.

mod asking; // what guests tell and ask their clients, without a protocol
mod auth_service; // refreshing tokens through a tool
mod commands; // the binary: banner, flags, mistakes
mod concurrency; // many callers at once, while services are replaced
mod discovery; // files that come, change and go
mod endpoint; // what is answered to those who do not know the protocol
mod failures; // tools that fail, and what callers are told
mod harness; // a host, a folder, callers
mod identity; // who is calling, and who is turned away
mod library; // prompts, resources, templates, completions, content
mod revisions; // clients of every age
mod scopes; // who may call, of those who are known
mod signin; // from nothing to a protected call, as clients do it
mod strange; // components that others made
mod tags; // what authors say beyond types
mod tools; // what a tool looks like from outside, and calling it
mod types; // every WIT type, and what callers may make of it
