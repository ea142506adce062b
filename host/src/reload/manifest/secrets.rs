//! Secrets: named in the manifest, kept elsewhere, and put by the host where the manifest says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Wrong;

/// The longest secret.
const LONGEST: u64 = 64 << 10;

/// Where the host finds a secret.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Source {
    /// In its own environment.
    Env {
        /// The name of the variable.
        env: String,
    },
    /// In a file, without the line break at its end.
    File {
        /// Its path, relative to the working directory of the host.
        file: PathBuf,
    },
    /// At the issuer, for each caller another: in their private metadata.
    User {
        /// The name of the member that holds it.
        user: String,
    },
}

/// The secrets that callers have for themselves, by their names, and the members that hold them.
pub(super) fn of_users(sources: &BTreeMap<String, Source>) -> BTreeMap<String, String> {
    sources
        .iter()
        .filter_map(|(name, source)| match source {
            Source::User { user } => Some((name.clone(), user.clone())),
            Source::Env { .. } | Source::File { .. } => None,
        })
        .collect()
}

/// The names of the secrets that are the same for every caller.
pub(super) fn of_host(sources: &BTreeMap<String, Source>) -> impl Iterator<Item = &String> {
    let sources = sources.iter();
    let of_host = sources.filter(|(_, source)| !matches!(source, Source::User { .. }));
    of_host.map(|(name, _)| name)
}

/// Whether a value names a secret.
pub(super) fn names(text: &str, name: &str) -> bool {
    text.contains(&format!("${{secret.{name}}}"))
}

/// Secrets that were found, by their names.
#[derive(Debug, Default)]
pub(super) struct Secrets(BTreeMap<String, SecretString>);

impl Secrets {
    /// Finds them all. The error names the first that is not there.
    pub(super) fn find(sources: &BTreeMap<String, Source>) -> Result<Self, Wrong> {
        sources
            .iter()
            .filter(|(_, source)| !matches!(source, Source::User { .. }))
            .map(|(name, source)| {
                let secret = source
                    .read()
                    .map_err(|cause| Wrong::new(&["secrets", name], cause))?;
                Ok((name.clone(), secret))
            })
            .collect::<Result<_, Wrong>>()
            .map(Self)
    }

    /// A text in which each `${secret.NAME}` is the secret.
    pub(super) fn fill(&self, text: &str) -> Result<SecretString, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${secret.") {
            let (name, after) = after
                .split_once('}')
                .ok_or("`${secret.` is not closed with `}`")?;
            let secret = self.0.get(name).ok_or_else(|| {
                format!("there is no `{name}` in `[secrets]` that is the same for every caller; add it, or mend the name")
            })?;
            filled.push_str(before);
            filled.push_str(secret.expose_secret());
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled.into())
    }
}

impl Source {
    fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::Env { env } => std::env::var(env).map(SecretString::from).map_err(|_unset| {
                format!("the host's environment has no variable `{env}`, or it is not UTF-8; set it and start the host again")
            }),
            // There is one for each caller, and none at load.
            Self::User { .. } => Ok(SecretString::default()),
            Self::File { file } => {
                let mut text = String::new();
                let read = File::open(file)
                    .and_then(|opened| opened.take(LONGEST.saturating_add(1)).read_to_string(&mut text));
                match read {
                    Ok(_) if u64::try_from(text.len()).is_ok_and(|length| length <= LONGEST) => {
                        let end = text.trim_end_matches(['\r', '\n']).len();
                        text.truncate(end);
                        Ok(text.into())
                    }
                    Ok(_) => Err(format!("`{}` has more than {LONGEST} bytes", file.display())),
                    Err(cause) => Err(format!("`{}` cannot be read: {cause}", file.display())),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_put_where_the_manifest_says() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "s3cret\n").unwrap();
        let sources = BTreeMap::from([(
            "KEY".to_owned(),
            Source::File {
                file: file.path().to_owned(),
            },
        )]);
        let secrets = Secrets::find(&sources).unwrap();
        let filled = |text| secrets.fill(text).map(|it| it.expose_secret().to_owned());
        assert_eq!(filled("Bearer ${secret.KEY}!"), Ok("Bearer s3cret!".into()));
        assert_eq!(
            filled("${secret.KEY}${secret.KEY}"),
            Ok("s3crets3cret".into())
        );
        assert_eq!(filled("plain"), Ok("plain".into()));
        assert!(filled("${secret.OTHER}").is_err_and(|error| error.contains("OTHER")));
        assert!(filled("${secret.KEY").is_err());
        assert!(!format!("{secrets:?}").contains("s3cret"));

        let missing = BTreeMap::from([(
            "KEY".to_owned(),
            Source::Env {
                env: "CLOISTER_TEST_NO_SUCH_VARIABLE".into(),
            },
        )]);
        assert!(Secrets::find(&missing).is_err());
    }
}
