//! The organization that is active for the caller, from either of the two layouts that Clerk's
//! tokens have. What does not parse grants nothing and refuses nobody.

use super::json::{Json, Object};

/// The organization that is active for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The organization's id, `org_…`.
    pub id: String,
    /// The organization's short name in URLs.
    pub slug: Option<String>,
    /// The caller's role in it, for example `org:admin`.
    pub role: Option<String>,
    /// The caller's permissions in it, for example `org:invoices:read`.
    pub permissions: Vec<String>,
}

impl Organization {
    /// Version 1 has `org_…` claims and no `v`; every other version is read as version 2, `o`.
    pub(super) fn read(claims: &Object<'_>) -> Option<Self> {
        if claims.has("v") {
            Self::read_v2(claims)
        } else {
            Self::read_v1(claims)
        }
    }

    fn read_v1(claims: &Object<'_>) -> Option<Self> {
        let permissions = match claims.get("org_permissions") {
            Some(Json::List(items)) => items
                .iter()
                .filter_map(Json::as_str)
                .map(str::to_owned)
                .collect(),
            None
            | Some(
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Object(_),
            ) => Vec::new(),
        };
        Some(Self {
            id: named(claims, "org_id")?,
            slug: named(claims, "org_slug"),
            role: named(claims, "org_role"),
            permissions,
        })
    }

    fn read_v2(claims: &Object<'_>) -> Option<Self> {
        let Some(Json::Object(active)) = claims.get("o") else {
            return None;
        };
        // The prefix was left out to save space.
        let role = named(active, "rol").map(|role| {
            if role.starts_with("org:") {
                role
            } else {
                format!("org:{role}")
            }
        });
        Some(Self {
            id: named(active, "id")?,
            slug: named(active, "slg"),
            role,
            permissions: permissions(claims.text("fea"), active.text("per"), active.text("fpm"))
                .unwrap_or_default(),
        })
    }
}

/// A member that is a text and not empty.
fn named(object: &Object<'_>, name: &str) -> Option<String> {
    object
        .text(name)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// Unfolds the permissions of version 2. Bit *i* of a number in `fpm` grants the `per` at
/// position *i* on the feature that the number stands for; features come as `scope:name`, and only
/// those of the organization (a scope with an `o` in it) count.
///
/// The numbers stand for all features or for those of the organization alone, which their count
/// tells apart; any other count grants nothing.
fn permissions(fea: Option<&str>, per: Option<&str>, fpm: Option<&str>) -> Option<Vec<String>> {
    let names: Vec<&str> = listed(per?).collect();
    if names.contains(&"") {
        return None;
    }
    let masks: Vec<u64> = listed(fpm?)
        .map(|mask| mask.parse().ok())
        .collect::<Option<_>>()?;
    let all: Vec<(&str, &str)> = listed(fea?)
        .map(|feature| feature.split_once(':'))
        .collect::<Option<_>>()?;
    let own = |(scope, _): &(&str, &str)| scope.contains('o');

    let of_each: Vec<(&str, u64)> = if masks.len() == all.len() {
        let with_masks = all.into_iter().zip(masks);
        with_masks
            .filter(|(feature, _)| own(feature))
            .map(|((_, name), mask)| (name, mask))
            .collect()
    } else {
        let ours: Vec<(&str, &str)> = all.into_iter().filter(own).collect();
        if masks.len() != ours.len() {
            return None;
        }
        let with_masks = ours.into_iter().zip(masks);
        with_masks.map(|((_, name), mask)| (name, mask)).collect()
    };

    let mut granted = Vec::new();
    for (feature, mask) in of_each {
        if u64::BITS - mask.leading_zeros() > u32::try_from(names.len()).ok()? {
            return None;
        }
        for (position, name) in (0_u32..).zip(&names) {
            if mask.checked_shr(position).is_some_and(|rest| rest & 1 == 1) {
                granted.push(format!("org:{feature}:{name}"));
            }
        }
    }
    Some(granted)
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Organization> {
        Organization::read(&Object::read(text).unwrap())
    }

    fn permissions_of(fea: &str, per: &str, fpm: &str) -> Vec<String> {
        let text =
            format!(r#"{{"v":2,"fea":"{fea}","o":{{"id":"org_1","per":"{per}","fpm":"{fpm}"}}}}"#);
        read(&text).unwrap().permissions
    }

    #[test]
    fn version_1_is_taken_as_it_is() {
        let organization = read(
            r#"{"org_id":"org_1","org_slug":"acme","org_role":"org:admin","org_permissions":["org:a:b",7]}"#,
        );
        assert_eq!(
            organization,
            Some(Organization {
                id: "org_1".to_owned(),
                slug: Some("acme".to_owned()),
                role: Some("org:admin".to_owned()),
                permissions: vec!["org:a:b".to_owned()],
            })
        );
    }

    #[test]
    fn version_2_gets_its_prefix_back_and_its_permissions_unfolded() {
        let organization = read(
            r#"{"v":2,"fea":"o:articles,o:billing","o":{"id":"org_1","slg":"acme","rol":"admin","per":"read,write","fpm":"3,1"}}"#,
        )
        .unwrap();
        assert_eq!(organization.role.as_deref(), Some("org:admin"));
        assert_eq!(organization.slug.as_deref(), Some("acme"));
        assert_eq!(
            organization.permissions,
            [
                "org:articles:read",
                "org:articles:write",
                "org:billing:read"
            ]
        );
    }

    #[test]
    fn a_users_own_features_are_not_the_organizations() {
        assert_eq!(
            permissions_of("o:a,u:b,o:c", "x,y", "1,3,2"),
            ["org:a:x", "org:c:y"]
        );
        assert_eq!(
            permissions_of("o:a,u:b,o:c", "x,y", "1,2"),
            ["org:a:x", "org:c:y"]
        );
        assert_eq!(permissions_of("uo:a", "x", "1"), ["org:a:x"]);
    }

    #[test]
    fn what_does_not_parse_grants_nothing() {
        for (fea, per, fpm) in [
            ("o:a", "x", "1,1"),
            ("o:a,o:b", "x", "1"),
            ("o:a", "x", "one"),
            ("o:a", "x", "-1"),
            ("o:a", "x", "2"),
            ("o:a", "x", "18446744073709551616"),
            ("a", "x", "1"),
            ("", "", ""),
        ] {
            assert!(
                permissions_of(fea, per, fpm).is_empty(),
                "{fea} {per} {fpm}"
            );
        }
        assert_eq!(read(r#"{"v":2,"org_id":"org_1"}"#), None);
        assert_eq!(read(r#"{"v":2,"o":{"id":7}}"#), None);
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"v":3,"o":{"id":"org_1"}}"#).unwrap().id, "org_1");
    }
}
