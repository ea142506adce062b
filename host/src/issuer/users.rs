//! The users of the development issuer. Any subject can be given a token; these have a profile and
//! can sign in on the page.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// A user with a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The id, `user_…`.
    pub id: &'static str,
    /// The primary e-mail address, verified.
    pub email: &'static str,
    /// The given name.
    pub first_name: &'static str,
    /// The family name.
    pub last_name: &'static str,
    /// The address of a picture.
    pub image_url: &'static str,
}

impl User {
    /// Whom a token is for unless somebody else is named.
    pub const ADA: Self = Self {
        id: "user_2RfWKJREkjKbHZy0Wqa5qrHeAnb",
        email: "ada@example.test",
        first_name: "Ada",
        last_name: "Lovelace",
        image_url: "https://img.example.test/ada.png",
    };

    /// Somebody else, to show that one caller's data is not another's.
    pub const GRACE: Self = Self {
        id: "user_2RfWKJREkjKbHZy0Wqa5qrHeGrc",
        email: "grace@example.test",
        first_name: "Grace",
        last_name: "Hopper",
        image_url: "https://img.example.test/grace.png",
    };

    /// A third, for whoever needs one more.
    pub const KATHERINE: Self = Self {
        id: "user_2RfWKJREkjKbHZy0Wqa5qrHeKth",
        email: "katherine@example.test",
        first_name: "Katherine",
        last_name: "Johnson",
        image_url: "https://img.example.test/katherine.png",
    };

    /// All of them.
    pub const ALL: [Self; 3] = [Self::ADA, Self::GRACE, Self::KATHERINE];

    /// The user of this id.
    pub fn find(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|user| user.id == id)
    }

    /// The id of the e-mail address, `idn_…`.
    fn email_id(self) -> String {
        self.id.replacen("user_", "idn_", 1)
    }
}

/// When the users came, in milliseconds.
const CREATED: i64 = 1_700_000_000_000;

/// The most bytes of one kind of metadata: Clerk's.
const MAX_METADATA_BYTES: usize = 8 * 1024;

/// What is kept about users besides their profiles: metadata, which can be changed.
#[derive(Default)]
pub(super) struct Directory(HashMap<&'static str, Metadata>);

/// The three kinds of metadata that a user of Clerk has.
#[derive(Clone, Default)]
struct Metadata {
    public: Map<String, Value>,
    private: Map<String, Value>,
    unsafe_: Map<String, Value>,
}

impl Directory {
    /// The user as the Backend API shows them.
    pub(super) fn shown(&self, user: User) -> Value {
        let metadata = self.0.get(user.id).cloned().unwrap_or_default();
        let email_id = user.email_id();
        json!({
            "object": "user",
            "id": user.id,
            "username": null,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "locale": null,
            "image_url": user.image_url,
            "has_image": true,
            "primary_email_address_id": email_id,
            "primary_phone_number_id": null,
            "primary_web3_wallet_id": null,
            "password_enabled": false,
            "two_factor_enabled": false,
            "totp_enabled": false,
            "backup_code_enabled": false,
            "email_addresses": [{
                "object": "email_address",
                "id": email_id,
                "email_address": user.email,
                "verification": {
                    "object": "verification_admin",
                    "status": "verified",
                    "strategy": "admin",
                    "attempts": null,
                    "expire_at": null,
                },
                "linked_to": [],
                "created_at": CREATED,
                "updated_at": CREATED,
            }],
            "phone_numbers": [],
            "web3_wallets": [],
            "passkeys": [],
            "external_accounts": [],
            "enterprise_accounts": [],
            "external_id": null,
            "public_metadata": metadata.public,
            "private_metadata": metadata.private,
            "unsafe_metadata": metadata.unsafe_,
            "banned": false,
            "locked": false,
            "last_sign_in_at": null,
            "last_active_at": null,
            "created_at": CREATED,
            "updated_at": CREATED,
        })
    }

    /// What `userinfo` says of a user to a client with these scopes.
    pub(super) fn info(&self, subject: &str, scopes: &[String]) -> Value {
        let mut info = Map::new();
        let mut add = |more: Value| {
            if let Value::Object(more) = more {
                info.extend(more);
            }
        };
        add(json!({
            "object": "oauth_user_info",
            "instance_id": "ins_development",
            "user_id": subject,
            "sub": subject,
        }));
        let has = |wanted: &str| scopes.iter().any(|scope| scope == wanted);
        if let Some(user) = User::find(subject) {
            let metadata = self.0.get(user.id).cloned().unwrap_or_default();
            if has("email") {
                add(json!({"email": user.email, "email_verified": true}));
            }
            if has("profile") {
                add(json!({
                    "given_name": user.first_name,
                    "family_name": user.last_name,
                    "name": format!("{} {}", user.first_name, user.last_name),
                    "picture": user.image_url,
                }));
            }
            if has("public_metadata") {
                add(json!({
                    "public_metadata": metadata.public,
                    "unsafe_metadata": metadata.unsafe_,
                }));
            }
            if has("private_metadata") {
                add(json!({"private_metadata": metadata.private}));
            }
        }
        Value::Object(info)
    }

    /// Merges into the metadata of a user: objects into objects, and what is `null` goes. Nothing is
    /// changed when a kind would become too long.
    pub(super) fn merge(
        &mut self,
        user: User,
        public: Map<String, Value>,
        private: Map<String, Value>,
        unsafe_: Map<String, Value>,
    ) -> Result<(), TooLong> {
        let mut metadata = self.0.get(user.id).cloned().unwrap_or_default();
        for (into, more) in [
            (&mut metadata.public, public),
            (&mut metadata.private, private),
            (&mut metadata.unsafe_, unsafe_),
        ] {
            merge(into, more);
            let length = serde_json::to_vec(into).map_or(usize::MAX, |text| text.len());
            if length > MAX_METADATA_BYTES {
                return Err(TooLong);
            }
        }
        self.0.insert(user.id, metadata);
        Ok(())
    }
}

/// The metadata of one kind would be too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata of a kind must have at most {MAX_METADATA_BYTES} bytes")]
pub(super) struct TooLong;

/// Depth is bounded by what the JSON reader lets through.
fn merge(into: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (into.get_mut(&name), value) {
            (_, Value::Null) => {
                into.remove(&name);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (_, value) => {
                into.insert(name, value);
            }
        }
    }
}
