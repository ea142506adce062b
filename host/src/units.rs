//! Lengths of time and numbers of bytes, as people write them in settings and manifests.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// A length of time: `250ms`, `10s`, `5m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => 0,
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(milliseconds))
            .filter(|milliseconds| (1..=86_400_000).contains(milliseconds))
            .map(|milliseconds| Self(std::time::Duration::from_millis(milliseconds)))
            .ok_or_else(|| {
                format!(
                    "expected a length of time from `1ms` to `24h`, such as `10s`, got `{text}`"
                )
            })
    }
}

/// A number of bytes: `65536`, `512KiB`, `64MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        number
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .filter(|bytes| (1..=1 << 32).contains(bytes))
            .map(Self)
            .ok_or_else(|| {
                format!("expected a number of bytes up to `4GiB`, such as `64MiB`, got `{text}`")
            })
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

/// Reads a value from the text that stands for it.
fn written<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    String::deserialize(input)?
        .parse()
        .map_err(de::Error::custom)
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        written(input)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        written(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_and_sizes() {
        let time = |text: &str| text.parse::<Duration>().ok().map(|d| d.0.as_millis());
        assert_eq!(time("250ms"), Some(250));
        assert_eq!(time("10 s"), Some(10_000));
        assert_eq!(time("24h"), Some(86_400_000));
        for wrong in [
            "",
            "10",
            "0s",
            "25h",
            "-1s",
            "1.5s",
            "99999999999999999999s",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        let size = |text: &str| text.parse::<Bytes>().ok().map(|b| b.0);
        assert_eq!(size("65536"), Some(65_536));
        assert_eq!(size("64MiB"), Some(64 << 20));
        for wrong in ["", "0", "MiB", "64MB", "5GiB", "1e3"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
