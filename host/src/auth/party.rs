//! For whom a share of the host is kept: of places for calls, of sessions, of streams, and of how often
//! the issuer is asked.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::Principal;

/// Who is asking, with or without a token. It says whose share something is taken from, and proves
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A caller whose token was verified, by their id.
    User(Arc<str>),
    /// Whoever has no token and connects from this address. Of an IPv6 address it is the first half:
    /// whoever has one has all that begin like it (RFC 6177 §2).
    Peer(IpAddr),
    /// The process that started this one.
    Local,
}

impl Party {
    /// Who is asking, by the verified token, or else by the address that the connection comes from.
    /// What proxies say of addresses is not asked for: anybody can say it.
    pub fn of(caller: Option<&Principal>, peer: Option<IpAddr>) -> Self {
        match (caller, peer) {
            (Some(caller), _) => Self::User(caller.id().into()),
            (None, Some(peer)) => Self::peer(peer),
            (None, None) => Self::Local,
        }
    }

    /// Whoever connects from this address.
    pub fn peer(address: IpAddr) -> Self {
        Self::Peer(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }

    /// The id of a caller who is known.
    pub fn user(&self) -> Option<&Arc<str>> {
        match self {
            Self::User(id) => Some(id),
            Self::Peer(_) | Self::Local => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shares_an_address_or_a_network_shares_a_share() {
        let peer = |text: &str| Party::of(None, Some(text.parse().unwrap()));
        assert_eq!(peer("203.0.113.7"), peer("::ffff:203.0.113.7"));
        assert_ne!(peer("203.0.113.7"), peer("203.0.113.8"));
        assert_eq!(peer("2001:db8:1:2::1"), peer("2001:db8:1:2:ffff::9"));
        assert_ne!(peer("2001:db8:1:2::1"), peer("2001:db8:1:3::1"));
        assert_ne!(peer("::1"), peer("127.0.0.1"));
        assert_eq!(Party::of(None, None), Party::Local);
        assert_eq!(peer("203.0.113.7").user(), None);
    }
}
