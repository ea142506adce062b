//! What a token is measured against: the part of the settings that the checks need, checked
//! itself and unchanging from then on.

use super::settings::Resource;

/// The measure of a token. There is no member that turns a check off.
#[derive(Debug)]
pub(super) struct Policy {
    /// Compared with `iss` byte for byte.
    pub(super) issuer: String,
    /// The accepted values of `azp`; when empty it is not looked at.
    pub(super) authorized_parties: Vec<String>,
    /// Our address, the audience we answer to.
    pub(super) resource: Option<Resource>,
    /// The accepted audiences of id tokens; when empty id tokens are not accepted.
    pub(super) id_token_audiences: Vec<String>,
    /// How far the issuer's clock and ours may be apart, in seconds.
    pub(super) skew: i64,
}
