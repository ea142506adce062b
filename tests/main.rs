//! The whole host, driven as its users drive it: real components, real HTTP, real tokens.

mod asking; // what guests tell and ask their clients, without a protocol
mod auth_service; // refreshing tokens through a tool
mod bodies; // what is kept of a request
mod cached; // compiled code that another host has left
mod callers; // whose token counts, and what belongs to whom
mod capabilities; // what a component may ask for, and what its operator grants
mod client; // a client that sees every byte of its streams
mod commands; // the binary: banner, flags, mistakes
mod concurrency; // many callers at once, while services are replaced
mod connections; // how many, how long, and who is meant
mod conversations; // the two oldest revisions, whole
mod discovery; // files that come, change and go
mod disks; // buckets whose disk is full, or whose file is gone
mod endpoint; // what is answered to those who do not know the protocol
mod failures; // tools that fail, and what callers are told
mod fetching; // tools that reach out over HTTP
mod folders; // files and folders of the machine, as granted
mod harness; // a host, a folder, callers
mod headers; // what a request of 2026-07-28 must carry
mod hostile; // tools that try what no tool may
mod identity; // who is calling, and who is turned away
mod keeping; // buckets and configuration, as granted
mod library; // prompts, resources, templates, completions, content
mod log; // what the binary writes of each call
mod outages; // an issuer that is away, and what is said of it
mod pages; // long lists
mod questions; // what a tool asks, and the client answers
mod revisions; // clients of every age
mod scopes; // who may call, of those who are known
mod secrecy; // the binary at its loudest
mod servers; // buckets on a server that hosts share
mod sessions; // what outlives a request of an older client
mod sharing; // what calls have together: places, memory, processors
mod signin; // from nothing to a protected call, as clients do it
mod stdio; // clients that start a process
mod strange; // components that others made
mod streams; // what is told on the way, cancelled, lost and read again
mod subscriptions; // who is told what changes
mod tags; // what authors say beyond types
mod tools; // what a tool looks like from outside, and calling it
mod types; // every WIT type, and what callers may make of it
mod waiting; // asynchronous functions
mod words; // texts, which of them count, and what they restrict
