//! The bindings of `wit/`, generated: the only place where they are.

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
