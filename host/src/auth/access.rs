//! Who may call: what an operation asks of its callers, and whether a caller has it.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::broader::Scopes;
use super::denied::{Denied, Reason, Via};
use super::principal::Principal;

/// What an operation asks of its callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It does not ask who is calling, and is not told.
    Public,
    /// It serves everybody and is told who is calling, where that is known.
    Optional,
    /// It serves callers who are known.
    Required,
    /// It serves callers who are known and have what it demands.
    Restricted(Arc<Requirement>),
}

impl Access {
    /// The same, for nobody but callers who meet the requirement.
    #[must_use]
    pub fn restricted_to(self, requirement: Requirement) -> Self {
        if requirement.is_empty() {
            self
        } else {
            Self::Restricted(Arc::new(requirement))
        }
    }

    /// Whether whoever is passed on by this is passed on by the other, too.
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Public | Self::Optional)
            | (Self::Required | Self::Restricted(_), Self::Required) => true,
            (Self::Public | Self::Optional, Self::Required | Self::Restricted(_))
            | (Self::Required, Self::Restricted(_)) => false,
            (Self::Restricted(this), Self::Restricted(other)) => this.is_within(other),
        }
    }

    /// The OAuth scopes that a caller needs.
    pub fn scopes(&self) -> &[String] {
        match self {
            Self::Public | Self::Optional | Self::Required => &[],
            Self::Restricted(requirement) => requirement.scopes.names(),
        }
    }

    /// Whom to pass on, or why nobody: without a token, or with one that does not grant enough.
    pub fn admit(&self, who: Option<Arc<Principal>>) -> Result<Option<Arc<Principal>>, Denied> {
        match (self, who) {
            (Self::Public, _) => Ok(None),
            (Self::Required, None) => Err(Denied::missing(Via::Header)),
            (Self::Optional | Self::Required, who) => Ok(who),
            (Self::Restricted(requirement), None) => {
                Err(Denied::missing(Via::Header).needing(requirement))
            }
            (Self::Restricted(requirement), Some(who)) => match requirement.lacked_by(&who) {
                None => Ok(Some(who)),
                Some(reason) => Err(Denied::new(who.via(), reason).needing(requirement)),
            },
        }
    }
}

/// What a caller must have been granted, besides a good token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// OAuth scopes, all of them.
    pub scopes: Grants,
    /// Which other scopes are as good.
    pub broader: Arc<Scopes>,
    /// Permissions in the active organization, all of them.
    pub permissions: Grants,
    /// Roles in the active organization, any one of them.
    pub roles: Grants,
}

impl Requirement {
    fn is_empty(&self) -> bool {
        [&self.scopes, &self.permissions, &self.roles]
            .iter()
            .all(|grants| grants.names().is_empty())
    }

    /// Whether whoever meets this meets the other, too.
    fn is_within(&self, other: &Self) -> bool {
        let has_all = |this: &Grants, other: &Grants| {
            let mut wanted = other.names().iter();
            wanted.all(|name| this.names().contains(name))
        };
        let roles = other.roles.names();
        let has_role = roles.is_empty()
            || (!self.roles.names().is_empty() && has_all(&other.roles, &self.roles));
        has_all(&self.scopes, &other.scopes)
            && has_all(&self.permissions, &other.permissions)
            && has_role
            && (self.broader == other.broader || *self.broader == Scopes::default())
    }

    /// What a caller lacks first. Scopes come first because a client can ask for more of them.
    fn lacked_by(&self, who: &Principal) -> Option<Reason> {
        let organization = who.organization();
        let permits = |permission: &String| {
            organization.is_some_and(|organization| organization.permissions.contains(permission))
        };
        let role = organization.and_then(|organization| organization.role.as_ref());
        let roles = self.roles.names();
        let grants = |scope: &String| self.broader.grant(who, scope);
        if !self.scopes.names().iter().all(grants) {
            Some(Reason::Scope)
        } else if !self.permissions.names().iter().all(permits) {
            Some(Reason::Permission)
        } else if !roles.is_empty() && !role.is_some_and(|role| roles.contains(role)) {
            Some(Reason::Role)
        } else {
            None
        }
    }
}

/// For the operator: `the scopes a and b; the role c`.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (grants, one, several, and) in [
            (&self.scopes, "the scope", "the scopes", " and "),
            (
                &self.permissions,
                "the permission",
                "the permissions",
                " and ",
            ),
            (&self.roles, "the role", "one of the roles", " or "),
        ] {
            let names: Vec<String> = grants
                .names()
                .iter()
                .map(|name| format!("`{name}`"))
                .collect();
            let noun = match names.len() {
                0 => continue,
                1 => one,
                _ => several,
            };
            write!(f, "{separator}{noun} {}", names.join(and))?;
            separator = "; ";
        }
        Ok(())
    }
}

/// Names of scopes, permissions or roles, as they appear in tokens and challenges, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Grants(Vec<String>);

/// The most names of one kind that an operation may demand: all scopes go into one header.
const MOST_GRANTS: usize = 32;

/// The longest such name, in bytes.
const LONGEST_GRANT: usize = 128;

/// Why names are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGrants {
    /// One is no name that a token can carry.
    #[error(
        "{0:?} is no name of a scope, permission or role: use 1 to {LONGEST_GRANT} visible ASCII characters without `\"` and `\\`"
    )]
    Malformed(String),
    /// One is no business of an operation.
    #[error("`offline_access` is between a client and its issuer: no tool can demand it")]
    OfflineAccess,
    /// There are too many.
    #[error("there are {0} names; at most {MOST_GRANTS} can be demanded")]
    TooMany(usize),
}

impl Grants {
    /// The names, in the order in which they were given.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Grants {
    type Error = NotGrants;

    fn try_from(names: Vec<String>) -> Result<Self, NotGrants> {
        if names.len() > MOST_GRANTS {
            return Err(NotGrants::TooMany(names.len()));
        }
        let mut grants: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            if !(1..=LONGEST_GRANT).contains(&name.len()) || !name.bytes().all(is_scope_byte) {
                let beginning = name.chars().take(LONGEST_GRANT).collect();
                return Err(NotGrants::Malformed(beginning));
            }
            // MCP 2026-07-28, authorization: neither in a challenge nor in the metadata.
            if name == "offline_access" {
                return Err(NotGrants::OfflineAccess);
            }
            if !grants.contains(&name) {
                grants.push(name);
            }
        }
        Ok(Self(grants))
    }
}

/// A character of a `scope-token` (RFC 6749 §3.3). Clerk's permissions and roles are made of fewer.
fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::auth::claims::Claims;
    use crate::auth::denied::Class;
    use crate::auth::json::Object;
    use crate::auth::kind::Kind;
    use crate::auth::policy::Policy;

    fn grants(names: &[&str]) -> Grants {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Grants::try_from(names).unwrap()
    }

    fn requirement(scopes: &[&str], permissions: &[&str], roles: &[&str]) -> Requirement {
        Requirement {
            scopes: grants(scopes),
            permissions: grants(permissions),
            roles: grants(roles),
            ..Requirement::default()
        }
    }

    #[test]
    fn one_is_within_another_if_nobody_is_passed_on_who_was_not() {
        let restricted = |scopes: &[&str], permissions: &[&str], roles: &[&str]| {
            Access::Required.restricted_to(requirement(scopes, permissions, roles))
        };
        let both = restricted(&["a", "b"], &["p"], &["r", "s"]);
        for (access, is_within) in [
            (Access::Public, false),
            (Access::Optional, false),
            (Access::Required, false),
            (restricted(&["b", "a", "c"], &["p"], &["r"]), true),
            (restricted(&["a"], &["p"], &["r"]), false),
            (restricted(&["a", "b"], &[], &["r"]), false),
            (restricted(&["a", "b"], &["p"], &[]), false),
            (restricted(&["a", "b"], &["p"], &["r", "t"]), false),
        ] {
            assert_eq!(access.is_within(&both), is_within, "{access:?}");
            assert!(access.is_within(&Access::Public) && access.is_within(&access));
        }
        assert!(both.is_within(&Access::Required) && !Access::Public.is_within(&Access::Required));
        let broader = BTreeMap::from([("all".to_owned(), grants(&["a"]))]);
        let wider = Requirement {
            broader: Arc::new(broader.try_into().unwrap()),
            ..requirement(&["a"], &[], &[])
        };
        let wider = Access::Required.restricted_to(wider);
        let plain = restricted(&["a"], &[], &[]);
        assert!(plain.is_within(&wider) && !wider.is_within(&plain));
    }

    /// A caller whose token has these claims besides the usual ones.
    fn caller(kind: Kind, claims: &str) -> Arc<Principal> {
        let policy = Policy {
            issuer: "https://issuer.example".to_owned(),
            authorized_parties: Vec::new(),
            resource: None,
            id_token_audiences: Vec::new(),
            skew: 0,
        };
        let text = format!(
            r#"{{"iss":"{}","sub":"user_1","exp":9{claims}}}"#,
            policy.issuer
        );
        let all = Object::read(&text).unwrap();
        let claims = Claims::check(&all, &policy, 0, 0).unwrap();
        Arc::new(Principal::describe(kind, &claims).presented(Via::Meta))
    }

    #[test]
    fn callers_are_admitted_who_have_all_that_is_demanded() {
        let reader = r#","scope":"mail:read profile""#;
        let member = r#","org_id":"org_1","org_role":"org:member","org_permissions":["org:mail:read","org:mail:send"]"#;
        let both = &format!("{reader}{member}");
        let read = requirement(&["mail:read"], &[], &[]);
        let all_scopes = requirement(&["profile", "mail:read"], &[], &[]);
        let more_scopes = requirement(&["mail:read", "mail:send"], &[], &[]);
        let send = requirement(&[], &["org:mail:read", "org:mail:send"], &[]);
        let delete = requirement(&[], &["org:mail:read", "org:mail:delete"], &[]);
        let any_role = requirement(&[], &[], &["org:admin", "org:member"]);
        let admin = requirement(&[], &[], &["org:admin"]);
        let everything = requirement(&["mail:read"], &["org:mail:read"], &["org:member"]);
        for (demanded, kind, claims, lacks) in [
            (&read, Kind::OAuth, reader, None),
            (&all_scopes, Kind::OAuth, reader, None),
            (&more_scopes, Kind::OAuth, reader, Some(Reason::Scope)),
            // Only OAuth tokens grant scopes; a template may write what it likes.
            (&read, Kind::Template, reader, Some(Reason::Scope)),
            (&read, Kind::Session, "", Some(Reason::Scope)),
            (&send, Kind::Session, member, None),
            (&delete, Kind::Session, member, Some(Reason::Permission)),
            (&send, Kind::Session, "", Some(Reason::Permission)),
            (&any_role, Kind::Session, member, None),
            (&admin, Kind::Session, member, Some(Reason::Role)),
            (&admin, Kind::Session, "", Some(Reason::Role)),
            (&everything, Kind::OAuth, both, None),
            (&everything, Kind::OAuth, reader, Some(Reason::Permission)),
            (&everything, Kind::Session, member, Some(Reason::Scope)),
        ] {
            let access = Access::Public.restricted_to(demanded.clone());
            let admitted = access.admit(Some(caller(kind, claims)));
            match (admitted, lacks) {
                (Ok(Some(who)), None) => assert_eq!(who.id(), "user_1"),
                (Err(denied), Some(reason)) => {
                    assert_eq!(denied.reason, reason, "{demanded} {claims}");
                    assert_eq!(denied.via, Via::Meta);
                    assert_eq!(denied.scopes(), demanded.scopes.names());
                }
                (other, _) => panic!("{demanded}: {claims}: {other:?}"),
            }
            let denied = access.admit(None).unwrap_err();
            assert_eq!(denied.class, Class::Missing);
            assert_eq!(denied.scopes(), demanded.scopes.names());
        }
    }

    #[test]
    fn a_broader_scope_is_as_good_where_the_operator_says_so() {
        let includes = [("mail".to_owned(), grants(&["mail:read", "mail:send"]))];
        let broader = Arc::new(Scopes::try_from(BTreeMap::from(includes)).unwrap());
        let demanded = requirement(&["mail:read", "profile"], &[], &[]);
        let with = Access::Public.restricted_to(Requirement {
            broader,
            ..demanded.clone()
        });
        let without = Access::Public.restricted_to(demanded);
        for (scope, both) in [
            ("mail profile", true),
            ("mail:read profile", true),
            ("mail", false),
            ("mail:send profile", false),
            ("mail:read:all profile", false),
        ] {
            let claims = format!(r#","scope":"{scope}""#);
            let who = caller(Kind::OAuth, &claims);
            assert_eq!(with.admit(Some(Arc::clone(&who))).is_ok(), both, "{scope}");
            let exact = both && scope.contains(':');
            assert_eq!(without.admit(Some(who)).is_ok(), exact, "{scope}");
        }
        // What others hold is asked of nobody: the challenge names the narrower one.
        let denied = with.admit(None).unwrap_err();
        assert_eq!(denied.scopes(), ["mail:read", "profile"]);
    }

    #[test]
    fn no_requirement_changes_nothing() {
        for access in [Access::Public, Access::Optional, Access::Required] {
            let same = access.clone().restricted_to(Requirement::default());
            assert_eq!(same, access);
        }
    }

    #[test]
    fn names_are_those_that_a_challenge_can_carry() {
        let read = |names: &[&str]| {
            Grants::try_from(
                names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(read(&["a", "b", "a"]).unwrap().names(), ["a", "b"]);
        assert!(read(&[&"x".repeat(LONGEST_GRANT)]).is_ok());
        for wrong in [
            "", "a b", "a\"", "a\\b", "a\u{e9}", "a\tb", "a\r\nb", "\u{7f}",
        ] {
            let refused = Err(NotGrants::Malformed(wrong.to_owned()));
            assert_eq!(read(&[wrong]), refused, "{wrong:?}");
        }
        assert!(read(&[&"x".repeat(LONGEST_GRANT + 1)]).is_err());
        assert_eq!(read(&["offline_access"]), Err(NotGrants::OfflineAccess));
        let many: Vec<String> = (0..=MOST_GRANTS).map(|each| each.to_string()).collect();
        assert_eq!(
            Grants::try_from(many),
            Err(NotGrants::TooMany(MOST_GRANTS + 1))
        );
    }

    #[test]
    fn a_requirement_reads_as_a_sentence() {
        assert_eq!(
            requirement(&["a", "b"], &["c"], &["d", "e"]).to_string(),
            "the scopes `a` and `b`; the permission `c`; one of the roles `d` or `e`"
        );
    }
}
