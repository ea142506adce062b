//! The operator's word on one service, `mcp/<service>.toml`.

mod files;
mod granted;
mod http;
mod secrets;
mod stores;
mod wrong;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde::Deserialize;

use self::files::GivenFolder;
pub use self::granted::{Granted, Granting};
use self::http::GivenHttp;
use self::secrets::{Secrets, Source};
use self::stores::GivenBucket;
pub(super) use self::wrong::Wrong;
use super::requirement::Stated;
use crate::auth::Scopes;
use crate::sandbox::{Files, Grants, Limits};
use crate::units::{Bytes, Duration};
use crate::value::NameCase;

/// What the operator says of a service. Without a file, nothing is said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Manifest {
    /// How the service spells its names in JSON.
    pub(super) case: NameCase,
    /// What it says of the WIT text, without which no function that asks who calls is served in production.
    pub(super) wit: Option<Wit>,
    /// Whether its functions serve no caller whose session has ended. Each session is asked about at the
    /// issuer every few seconds; tokens that belong to no session are served as ever.
    pub(super) active_session: bool,
    /// Whether it may refresh tokens, and see and end the sessions of its callers. That is what the `auth`
    /// service of the box is for, and nobody else's business.
    sessions: bool,
    /// What one call of it may use.
    limits: GivenLimits,
    /// What becomes of its errors.
    errors: GivenErrors,
    /// The variables of its environment. `${secret.NAME}` in a value is that secret.
    env: BTreeMap<String, String>,
    /// Where it may send requests.
    http: GivenHttp,
    /// The values that it finds by name in `wasi:config`. `${secret.NAME}` in one is that secret.
    config: Option<BTreeMap<String, String>>,
    /// The folders that it has, by their paths for the guest.
    files: Option<BTreeMap<String, GivenFolder>>,
    /// The buckets that it has, by their names.
    store: BTreeMap<String, GivenBucket>,
    /// Where the host finds the secrets that other values name, and those that each caller has for themselves.
    secrets: BTreeMap<String, Source>,
    /// Which scopes include others: by the broader ones, the narrower that who has them has, too.
    pub(super) scopes: Scopes,
    /// What it demands of the callers of its functions, by their names in WIT or JSON.
    pub(super) tools: BTreeMap<String, Stated>,
    /// What was read, for the places of mistakes.
    #[serde(skip)]
    text: String,
}

/// What an operator knows of the WIT text of a service.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Wit {
    /// There is none, and nothing is missing.
    None,
}

/// What one call may use; what is not given is as for all services.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
struct GivenLimits {
    timeout: Option<Duration>,
    cpu: Option<Duration>,
    memory: Option<Bytes>,
    tables: Option<NonZero<usize>>,
    output: Option<Bytes>,
    log: Option<Bytes>,
    http: Option<Bytes>,
    handles: Option<NonZero<usize>>,
    concurrency: Option<NonZero<usize>>,
}

impl GivenLimits {
    /// The limits of the service. What is above a ceiling is an error: an operator who grants it should
    /// learn that it is not granted.
    fn over(self, common: Limits, ceiling: &Limits) -> Result<Limits, Wrong> {
        let limits = Limits {
            timeout: self.timeout.map_or(common.timeout, |it| it.0),
            cpu: self.cpu.map_or(common.cpu, |it| it.0),
            memory: self.memory.map_or(common.memory, |it| it.0),
            tables: self.tables.map_or(common.tables, NonZero::get),
            output: self.output.map_or(common.output, |it| it.0),
            log: self.log.map_or(common.log, |it| it.0),
            http: self.http.map_or(common.http, |it| it.0),
            handles: self.handles.map_or(common.handles, NonZero::get),
            concurrency: self.concurrency.map(NonZero::get).or(common.concurrency),
        };
        if let Some(limit) = limits.above(ceiling).first() {
            let cause = format!(
                "it is above the ceiling of this host; lower it, or raise `ceilings.{limit}` in `cloister.toml`"
            );
            return Err(Wrong::new(&["limits", limit], cause));
        }
        if let (Some(wanted), Some(most)) = (limits.concurrency, ceiling.concurrency)
            && wanted > most
        {
            let cause = format!(
                "it is above {most}, the calls that this host runs at once; lower it, or raise `limits.calls` in `cloister.toml`"
            );
            return Err(Wrong::new(&["limits", "concurrency"], cause));
        }
        Ok(limits)
    }
}

/// What becomes of the errors of a service.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
struct GivenErrors {
    /// Whether callers are told what it said last when it fails: the message of a panic, the last line of
    /// a traceback.
    detail: bool,
}

impl Manifest {
    /// Reads a manifest. What is wrong with it is said with its line and column.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        // A file that is being written is empty at first, and would lift what it restricts.
        if bytes.is_empty() {
            return Err("it is empty: write into it, or remove it".into());
        }
        let text =
            std::str::from_utf8(bytes).map_err(|cause| format!("it is not UTF-8: {cause}"))?;
        let mut manifest: Self = toml::from_str(text).map_err(|cause| cause.to_string())?;
        text.clone_into(&mut manifest.text);
        Ok(manifest)
    }

    /// What is wrong with one of its values, with the place.
    pub(super) fn placed(&self, wrong: &Wrong) -> String {
        wrong.placed(&self.text)
    }

    /// What one call may use, where it says so, and otherwise what is common to all services.
    pub(super) fn limits(&self, common: Limits, ceiling: &Limits) -> Result<Limits, String> {
        let limits = self.limits.over(common, ceiling);
        limits.map_err(|wrong| self.placed(&wrong))
    }

    /// What it grants. Secrets are read now, so a manifest that names one that is not there changes
    /// nothing. Folders that lead to what is the host's `own` are not granted.
    pub(super) fn grants(&self, own: &[PathBuf]) -> Result<Grants, String> {
        self.granted(own).map_err(|wrong| self.placed(&wrong))
    }

    fn granted(&self, own: &[PathBuf]) -> Result<Grants, Wrong> {
        let secrets = Secrets::find(&self.secrets)?;
        let env = self.env.iter().map(|(name, value)| {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Wrong::new(
                    &["env", name],
                    "it is no variable of an environment",
                ));
            }
            let value = secrets
                .fill(value)
                .map_err(|cause| Wrong::new(&["env", name], cause))?;
            Ok((name.clone(), value.expose_secret().to_owned()))
        });
        let filled = |(name, value): (&String, &String)| {
            let value = secrets
                .fill(value)
                .map_err(|cause| Wrong::new(&["config", name], cause))?;
            Ok((name.clone(), value.expose_secret().to_owned()))
        };
        let config = self.config.as_ref();
        let config = config.map(|values| values.iter().map(filled).collect());
        Ok(Grants {
            env: env.collect::<Result<_, _>>()?,
            user_secrets: secrets::of_users(&self.secrets),
            sessions: self.sessions,
            scopes: self.scopes.clone(),
            http: self.http.grant(&secrets)?,
            config: config.transpose()?.unwrap_or_default(),
            files: match &self.files {
                Some(folders) => files::granted(folders, own)?,
                None => Files::default(),
            },
            stores: stores::granted(&self.store)?,
            tells_errors: self.errors.detail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_and_not_be_granted_is_refused_with_its_place() {
        for (text, cause) in [
            (
                "[limits]\n\nmemory = \"1GiB\"",
                "`limits.memory`: it is above the ceiling",
            ),
            (
                "[limits]\n\nconcurrency = 8",
                "`limits.concurrency`: it is above 7",
            ),
            (
                "[env]\n\n\"A=B\" = \"\"",
                "`env.\"A=B\"`: it is no variable",
            ),
            (
                "[config]\n\na = \"${secret.B}\"",
                "`config.a`: there is no `B`",
            ),
            (
                "[secrets]\n\nA = { env = \"CLOISTER_TEST_NO_SUCH_VARIABLE\" }",
                "`secrets.A`: the host's environment has no variable",
            ),
            (
                "[files]\n\n\"data\" = { path = \"/\" }",
                "`files.data`: the path for the guest",
            ),
            (
                "[files]\n\n\"/data\" = { path = \"no/such\" }",
                "`files.\"/data\"`: `no/such` cannot be used",
            ),
            (
                "[store]\n\n\"\" = { scope = \"user\" }",
                "`store.\"\"`: the name of a bucket",
            ),
            (
                "[http]\nallow = [\"https://a.example\"]\nheaders.\"https://a.example\" = { host = \"a\" }",
                "`http.headers.\"https://a.example\".host`: the host makes this header itself",
            ),
        ] {
            let manifest = Manifest::read(text.as_bytes()).unwrap();
            let ceiling = Limits {
                concurrency: Some(7),
                ..Limits::CEILING
            };
            let limits = manifest.limits(Limits::default(), &ceiling);
            let granted = limits.and_then(|_| manifest.grants(&[]).map(|_| ()));
            let refused = granted.unwrap_err();
            assert!(refused.starts_with("line 3, column "), "{refused}");
            assert!(refused.contains(cause), "{refused}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_with_its_place() {
        let read = |text: &str| Manifest::read(text.as_bytes());
        assert_eq!(read("# yet").map(|it| it.case), Ok(NameCase::Camel));
        assert!(read("").is_err());
        assert_eq!(
            read("case = \"snake_case\"").map(|it| it.case),
            Ok(NameCase::Snake)
        );
        for wrong in [
            "\n\ncsae = \"snake_case\"",
            "\n\ncase = \"Snake\"",
            "\n\nwit = \"nothing\"",
            "\n\ncase",
            "\n\ntool.get.scopes = []",
            "[limits]\n\ntimeout = 10",
            "[limits]\n\ntime = \"10s\"",
            "[limits]\n\nconcurrency = 0",
            "[limits]\n\nhttp = 5",
            "[limits]\n\nhandles = 0",
            "[errors]\n\ndetail = \"yes\"",
            "[http]\n\nallowed = []",
            "[http]\n\nallow = [\"api.example.com\"]",
            "[http]\n\nheaders.\"https://*.example.com\" = {}",
            "[config]\n\nunits = 5",
            "[files]\n\n\"/data\" = \"data\"",
            "[files]\n\n\"/data\" = { path = \"data\", writable = true }",
            "[store]\n\ndefault = { scope = \"everybody\" }",
            "[store]\n\ndefault = { scope = \"user\", quota = \"16MB\" }",
            "[tools.get]\n\nscope = [\"a\"]",
            "[tools.get]\n\nscopes = \"a\"",
            "[tools.get]\n\nscopes = [\"a b\"]",
            "[tools.get]\n\nroles = [\"\"]",
            "[scopes]\n\nmail = \"mail:read\"",
            "[scopes]\n\nmail = [\"a b\"]",
            "\n\nactive_session = \"yes\"",
            "\n\nsessions = \"yes\"",
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("line 3"), "{error}");
        }
    }
}
