//! The bindings of `wit/`, generated: the only place where they are.

#![expect(
    clippy::pedantic,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "host",
    imports: {
        "cloister:mcp/session.refresh": async | trappable,
        default: trappable,
    },
    with: {
        "cloister:mcp/auth.auth-user": super::imports::auth::AuthUser,
    },
});
