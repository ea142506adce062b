//! What answers of the Backend API say, as far as the host wants to know it. What it does not want is not
//! kept.

use secrecy::SecretString;

use crate::auth::json::{Json, Object};

/// A user's names and addresses.
pub(in crate::auth) struct Profile {
    pub(in crate::auth) email: Option<String>,
    pub(in crate::auth) email_verified: Option<bool>,
    pub(in crate::auth) first_name: Option<String>,
    pub(in crate::auth) last_name: Option<String>,
    pub(in crate::auth) image_url: Option<String>,
}

impl Profile {
    pub(super) fn read(user: &Object<'_>) -> Self {
        let own = |name: &str| {
            user.text(name)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let primary = user.text("primary_email_address_id");
        let addresses = user.get("email_addresses").and_then(Json::as_list);
        let address = addresses
            .unwrap_or_default()
            .iter()
            .filter_map(Json::as_object)
            .find(|address| primary.is_some() && address.text("id") == primary);
        let email = address
            .and_then(|address| address.text("email_address"))
            .map(str::to_owned);
        let status = address
            .and_then(|address| address.get("verification")?.as_object())
            .and_then(|verification| verification.text("status"));
        Self {
            email_verified: email.is_some().then_some(status == Some("verified")),
            email,
            first_name: own("first_name"),
            last_name: own("last_name"),
            image_url: own("image_url"),
        }
    }
}

/// Texts of a user's private metadata, by the names of its members: those that were asked for.
pub(in crate::auth) struct Secrets(Vec<(String, SecretString)>);

impl Secrets {
    pub(super) fn read(user: &Object<'_>, members: &[String]) -> Self {
        let metadata = user.get("private_metadata").and_then(Json::as_object);
        let secret = |member: &String| {
            let text = metadata?.text(member)?;
            Some((member.clone(), SecretString::from(text)))
        };
        Self(members.iter().filter_map(secret).collect())
    }

    pub(in crate::auth) fn get(&self, member: &str) -> Option<&SecretString> {
        self.0
            .iter()
            .find_map(|(named, secret)| (named == member).then_some(secret))
    }
}

/// A sign-in of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSession {
    /// Its id, `sess_…`.
    pub id: String,
    pub(in crate::auth) user_id: String,
    pub(in crate::auth) is_active: bool,
    /// When the user signed in, in seconds since 1970.
    pub created_at: Option<u64>,
    /// When the user was last seen, in seconds since 1970.
    pub last_active_at: Option<u64>,
    /// When it ends by itself, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// The kind of device.
    pub device: Option<String>,
    /// The name of the browser.
    pub browser: Option<String>,
    /// The city.
    pub city: Option<String>,
    /// The country.
    pub country: Option<String>,
}

impl UserSession {
    pub(super) fn read(row: &Object<'_>) -> Option<Self> {
        let latest = row.get("latest_activity").and_then(Json::as_object);
        let activity = |name: &str| latest?.text(name).map(str::to_owned);
        Some(Self {
            id: row.text("id")?.to_owned(),
            user_id: row.text("user_id")?.to_owned(),
            is_active: row.text("status") == Some("active"),
            created_at: seconds(row, "created_at"),
            last_active_at: seconds(row, "last_active_at"),
            expires_at: seconds(row, "expire_at"),
            device: activity("device_type"),
            browser: activity("browser_name"),
            city: activity("city"),
            country: activity("country"),
        })
    }
}

/// A point in time. Clerk writes milliseconds without saying so; in seconds such a number would lie
/// thousands of years ahead.
fn seconds(row: &Object<'_>, name: &str) -> Option<u64> {
    let at = u64::try_from(row.get(name)?.as_seconds()?).ok()?;
    Some(if at >= 100_000_000_000 {
        at / 1_000
    } else {
        at
    })
}
