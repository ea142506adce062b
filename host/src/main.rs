fn main() { println!("{:?}", wasmtime::Engine::default().precompile_compatibility_hash().type_id()); }
use std::any::Any;
