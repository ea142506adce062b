//! The bindings of `wit/`, generated: the only place where they are.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "host",
    imports: {
        "cloister:mcp/client.ask": async | trappable,
        "cloister:mcp/client.elicit": async | trappable,
        "cloister:mcp/client.list-roots": async | trappable,
        "cloister:mcp/client.log": async | trappable,
        "cloister:mcp/client.sample": async | trappable,
        "cloister:mcp/client.visit": async | trappable,
        "cloister:mcp/auth.[method]auth-user.get": async | trappable,
        "cloister:mcp/auth.[method]auth-user.secret": async | trappable,
        "cloister:mcp/session.refresh": async | trappable,
        "cloister:mcp/session.refresh-session": async | trappable,
        "cloister:mcp/session.revoke": async | trappable,
        "cloister:mcp/session.revoke-others": async | trappable,
        "cloister:mcp/session.sessions": async | trappable,
        default: trappable,
    },
    with: {
        "cloister:mcp/auth.auth-user": super::imports::auth::AuthUser,
    },
});

/// The bindings of `wasi:keyvalue`, which is no part of what authors are given.
pub(super) mod keyvalue {
    wasmtime::component::bindgen!({
        path: "wit/keyvalue.wit",
        world: "imports",
        imports: {
            default: async | trappable,
        },
        with: {
            "wasi:keyvalue/store.bucket": crate::sandbox::imports::keyvalue::Bucket,
        },
    });
}

/// The bindings of its second draft.
pub(super) mod keyvalue2 {
    wasmtime::component::bindgen!({
        path: "wit/keyvalue2.wit",
        world: "imports",
        imports: {
            default: async | trappable,
        },
        with: {
            "wasi:keyvalue/store.bucket": crate::sandbox::imports::keyvalue::Bucket,
            "wasi:keyvalue/atomics.cas": crate::sandbox::imports::keyvalue::Cas,
        },
    });
}
