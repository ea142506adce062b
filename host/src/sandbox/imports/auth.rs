//! `cloister:mcp/auth`: the verified caller, lent to the tool for one call.

use std::sync::Arc;

use secrecy::ExposeSecret;
use wasmtime::component::Resource;
use wasmtime::{Result, format_err};

use crate::auth::{Kind, NoSecret, Principal};
use crate::sandbox::bindings::cloister::mcp::auth;
use crate::sandbox::capability::Capability;
use crate::sandbox::refusal::quoted;
use crate::sandbox::store::Call;

/// What stands behind `auth-user`. It holds nothing: a store has one caller, and the identity lies
/// in the store's data, so no handle that a guest could make up leads to another.
#[expect(
    unreachable_pub,
    reason = "generated code re-exports it within the sandbox"
)]
pub struct AuthUser;

impl auth::Host for Call {}

impl auth::HostAuthUser for Call {
    async fn get(&mut self, _user: Resource<AuthUser>) -> Result<auth::User> {
        let caller = self.caller()?;
        Ok(record(&*self.auth.complete(caller).await))
    }

    fn claim(&mut self, _user: Resource<AuthUser>, name: String) -> Result<Option<String>> {
        Ok(self.caller()?.claim(&name))
    }

    fn has_scope(&mut self, _user: Resource<AuthUser>, scope: String) -> Result<bool> {
        Ok(self.grants.scopes.grant(self.caller()?, &scope))
    }

    async fn secret(
        &mut self,
        _user: Resource<AuthUser>,
        name: String,
    ) -> Result<std::result::Result<String, auth::NoSecret>> {
        let caller = self.caller()?;
        let granted = &self.grants.user_secrets;
        let secret = self.auth.secret(caller, granted, &name).await;
        if let Err(NoSecret::NotGranted) = secret {
            self.refuse(|service| {
                let shown = quoted(&name);
                format!(
                    "the secret {shown} of its callers is not granted; the operator grants it {}",
                    Capability::Secrets.place_for(service, &shown)
                )
            });
        }
        Ok(secret
            .map(|secret| secret.expose_secret().to_owned())
            .map_err(|none| match none {
                NoSecret::NotGranted => auth::NoSecret::NotGranted,
                NoSecret::NotSet => auth::NoSecret::NotSet,
                NoSecret::Unavailable => auth::NoSecret::Unavailable,
            }))
    }

    fn drop(&mut self, _user: Resource<AuthUser>) -> Result<()> {
        Ok(())
    }
}

impl Call {
    /// The caller. A guest without one has no handle to ask with, so this fails only if the host
    /// itself lent a handle that it should not have.
    pub(super) fn caller(&self) -> Result<&Arc<Principal>> {
        self.caller
            .as_ref()
            .ok_or_else(|| format_err!("there is no signed-in caller in this call"))
    }
}

fn record(caller: &Principal) -> auth::User {
    let own = |text: Option<&str>| text.map(str::to_owned);
    auth::User {
        id: caller.id().to_owned(),
        kind: match caller.kind() {
            Kind::Session => auth::TokenKind::Session,
            Kind::Template => auth::TokenKind::Template,
            Kind::OAuth => auth::TokenKind::Oauth,
            Kind::IdToken => auth::TokenKind::IdToken,
            Kind::ApiKey => auth::TokenKind::ApiKey,
        },
        email: own(caller.email()),
        email_verified: caller.email_verified(),
        first_name: own(caller.first_name()),
        last_name: own(caller.last_name()),
        name: own(caller.name()),
        image_url: own(caller.image_url()),
        session_id: own(caller.session_id()),
        client_id: own(caller.client_id()),
        organization: caller
            .organization()
            .map(|organization| auth::Organization {
                id: organization.id.clone(),
                slug: organization.slug.clone(),
                role: organization.role.clone(),
                permissions: organization.permissions.clone(),
            }),
        scopes: caller.scopes().to_vec(),
        actor: own(caller.actor()),
        issued_at: caller.issued_at(),
        expires_at: caller.expires_at(),
    }
}
