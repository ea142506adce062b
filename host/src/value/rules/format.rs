//! `@format`: the formats of JSON Schema that are checked here. A format that is not checked is not
//! accepted either, so that a schema promises nothing that does not hold.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A format of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Email,
    Uri,
    Date,
    Time,
    DateTime,
    Uuid,
    Ipv4,
    Ipv6,
    Hostname,
}

const ALL: [Format; 9] = [
    Format::Email,
    Format::Uri,
    Format::Date,
    Format::Time,
    Format::DateTime,
    Format::Uuid,
    Format::Ipv4,
    Format::Ipv6,
    Format::Hostname,
];

impl Format {
    /// The format of this name, as JSON Schema has it.
    pub(super) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|format| format.name() == name)
    }

    /// The name in JSON Schema.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Uri => "uri",
            Self::Date => "date",
            Self::Time => "time",
            Self::DateTime => "date-time",
            Self::Uuid => "uuid",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Hostname => "hostname",
        }
    }

    /// What there is to choose from.
    pub(super) fn choice() -> String {
        format!(
            "expected one of {}",
            ALL.map(|format| format!("`{}`", format.name())).join(", ")
        )
    }

    /// Whether a text has this format.
    pub(super) fn matches(self, text: &str) -> bool {
        match self {
            Self::Email => is_email(text),
            Self::Uri => is_uri(text),
            Self::Date => is_date(text),
            Self::Time => is_time(text),
            Self::DateTime => text
                .split_once(['T', 't'])
                .is_some_and(|(date, time)| is_date(date) && is_time(time)),
            Self::Uuid => is_uuid(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Hostname => is_hostname(text),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Email => "an e-mail address",
            Self::Uri => "an absolute URI, such as https://example.com/",
            Self::Date => "a date, such as 2026-07-28",
            Self::Time => "a time with an offset, such as 17:20:00Z",
            Self::DateTime => "a date and time with an offset, such as 2026-07-28T17:20:00Z",
            Self::Uuid => "a UUID, such as 123e4567-e89b-12d3-a456-426614174000",
            Self::Ipv4 => "an IPv4 address, such as 192.0.2.1",
            Self::Ipv6 => "an IPv6 address, such as 2001:db8::1",
            Self::Hostname => "a host name, such as example.com",
        })
    }
}

/// RFC 5321 §4.1.2, without quoted local parts, which nobody has and many systems mishandle.
fn is_email(text: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.chars().all(|letter| {
                letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter)
            })
    };
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let literal = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_domain = match literal {
        Some(address) => match address.strip_prefix("IPv6:") {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => address.parse::<Ipv4Addr>().is_ok(),
        },
        None => is_hostname(domain),
    };
    local.len() <= 64 && local.split('.').all(is_atom) && is_domain
}

/// RFC 3986, absolute: a scheme, then only characters a URI may have, and an authority that parses.
fn is_uri(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    let is_scheme = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    let may_stand =
        |letter: char| letter.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(letter);
    let is_escape = |rest: &str| {
        let mut digits = rest.chars();
        (0..2).all(|_| digits.next().is_some_and(|digit| digit.is_ascii_hexdigit()))
    };
    is_scheme
        && text.chars().all(may_stand)
        && text.split('%').skip(1).all(is_escape)
        && text.matches('#').count() <= 1
        && url::Url::parse(text).is_ok()
}

/// RFC 3339 `full-date`.
fn is_date(text: &str) -> bool {
    let [year, month, day] = fields(text, '-');
    let (Some(year), Some(month), Some(day)) = (digits(year, 4), digits(month, 2), digits(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// RFC 3339 `full-time`: the offset is not optional.
fn is_time(text: &str) -> bool {
    let zone = text.find(['Z', 'z', '+', '-']);
    let Some((clock, offset)) = zone.and_then(|zone| text.split_at_checked(zone)) else {
        return false;
    };
    let offset = match offset {
        "Z" | "z" => Some(0),
        _ => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = offset
                .get(1..)
                .and_then(|offset| offset.split_once(':'))
                .unwrap_or_default();
            below(hours, 24)
                .zip(below(minutes, 60))
                .map(|(hours, minutes)| sign * (hours * 60 + minutes))
        }
    };
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (clock, None),
    };
    let is_fraction =
        |text: &str| !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
    let [hours, minutes, seconds] = fields(clock, ':');
    let (Some(hours), Some(minutes), Some(seconds), Some(offset)) = (
        below(hours, 24),
        below(minutes, 60),
        below(seconds, 61),
        offset,
    ) else {
        return false;
    };
    // Leap seconds come only at the end of a day of UTC.
    let last_minute = (hours * 60 + minutes - offset).rem_euclid(24 * 60) == 24 * 60 - 1;
    fraction.is_none_or(is_fraction) && (seconds < 60 || last_minute)
}

/// Three parts, or three empty ones when there are more.
fn fields(text: &str, separator: char) -> [&str; 3] {
    let mut parts = text.split(separator);
    let found = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    if parts.next().is_none() {
        found
    } else {
        [""; 3]
    }
}

fn digits(text: &str, length: usize) -> Option<i32> {
    let sound = text.len() == length && text.bytes().all(|digit| digit.is_ascii_digit());
    if sound { text.parse().ok() } else { None }
}

fn below(text: &str, limit: i32) -> Option<i32> {
    digits(text, 2).filter(|number| *number < limit)
}

/// RFC 9562 §4.
fn is_uuid(text: &str) -> bool {
    let mut parts = text.split('-');
    [8, 4, 4, 4, 12].into_iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == length && part.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
    }) && parts.next().is_none()
}

/// RFC 1123 §2.1.
fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_takes_what_its_standard_takes() {
        for (name, good, bad) in [
            (
                "email",
                vec![
                    "a@example.com",
                    "first.last+tag@sub.example.org",
                    "a@[192.0.2.1]",
                    "a@[IPv6:2001:db8::1]",
                ],
                vec![
                    "", "a", "@b", "a@", "a b@c", ".a@b", "a..b@c", "a@b@c", "a@-b", "é@b",
                    "a@[::1]",
                ],
            ),
            (
                "uri",
                vec![
                    "https://example.com/a?b=c#d",
                    "urn:isbn:0451450523",
                    "mailto:a@b.c",
                    "http://[::1]:80/%20",
                ],
                vec![
                    "",
                    "/a",
                    "example.com",
                    "http://",
                    "http://a b",
                    "http://a/%zz",
                    "http://a/%2",
                    "http://é/",
                    "1a:b",
                    "http://a:99999/",
                    "x:#a#b",
                ],
            ),
            (
                "date",
                vec!["2026-07-28", "2024-02-29", "2000-02-29"],
                vec![
                    "",
                    "2026-7-28",
                    "2026-02-29",
                    "1900-02-29",
                    "2026-13-01",
                    "2026-00-01",
                    "2026-01-00",
                    "2026-04-31",
                    "2026-01-01-01",
                    "20260101",
                    "+026-01-01",
                ],
            ),
            (
                "time",
                vec![
                    "17:20:00Z",
                    "00:00:00.123+05:30",
                    "23:59:60Z",
                    "01:29:60+01:30",
                    "08:59:59z",
                ],
                vec![
                    "",
                    "17:20:00",
                    "24:00:00Z",
                    "17:60:00Z",
                    "17:20:61Z",
                    "12:00:60Z",
                    "17:20Z",
                    "17:20:00.Z",
                    "17:20:00+5",
                    "17:20:00+24:00",
                    "17:20:00+01:00:00",
                    "17:20:00+01:00:",
                    "17:20:00+0100",
                    "Z",
                ],
            ),
            (
                "date-time",
                vec!["2026-07-28T17:20:00Z", "2026-07-28t17:20:00.5-01:00"],
                vec![
                    "",
                    "2026-07-28",
                    "2026-07-28 17:20:00Z",
                    "2026-07-28T17:20:00",
                    "T",
                    "2026-02-30T00:00:00Z",
                ],
            ),
            (
                "uuid",
                vec![
                    "123e4567-e89b-12d3-a456-426614174000",
                    "00000000-0000-0000-0000-000000000000",
                ],
                vec![
                    "",
                    "123e4567e89b12d3a456426614174000",
                    "123e4567-e89b-12d3-a456-42661417400g",
                    "123e4567-e89b-12d3-a456-426614174000-",
                ],
            ),
            (
                "ipv4",
                vec!["192.0.2.1", "0.0.0.0"],
                vec!["", "192.0.2", "256.0.0.1", "01.2.3.4", "::1", " 1.2.3.4"],
            ),
            (
                "ipv6",
                vec!["::1", "2001:db8::1", "::ffff:192.0.2.1"],
                vec!["", "1.2.3.4", "fe80::1%eth0", "[::1]", ":::"],
            ),
            (
                "hostname",
                vec!["example.com", "a", "xn--bcher-kva.example", "3com.net"],
                vec!["", "-a", "a-", "a..b", "a_b", "a.", "é.example"],
            ),
        ] {
            let format = Format::named(name).unwrap();
            for text in good {
                assert!(format.matches(text), "{name}: {text}");
            }
            for text in bad {
                assert!(!format.matches(text), "{name}: {text}");
            }
        }
        assert_eq!(Format::named("phone"), None);
    }
}
