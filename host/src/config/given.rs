//! What was typed, and where: flags, environment, `.env` and `cloister.toml`, by one table.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use toml::de::{DeTable, DeValue};

/// One setting, in each of the places where it can be made.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key in `cloister.toml`, with its table.
    pub key: &'static str,
    /// The environment variable.
    pub variable: &'static str,
}

/// All settings.
pub const SETTINGS: [Setting; 57] = [
    of("listen", "CLOISTER_LISTEN"),
    of("port", "PORT"),
    of("mcp_dir", "CLOISTER_MCP_DIR"),
    of("cache_dir", "CLOISTER_CACHE_DIR"),
    of("state_dir", "CLOISTER_STATE_DIR"),
    of("store", "CLOISTER_STORE"),
    of("production", "CLOISTER_PRODUCTION"),
    of("public_url", "CLOISTER_PUBLIC_URL"),
    of("allowed_origins", "CLOISTER_ALLOWED_ORIGINS"),
    of("grace", "CLOISTER_GRACE"),
    of("require_auth", "CLOISTER_REQUIRE_AUTH"),
    of("lists", "CLOISTER_LISTS"),
    of("state_keys", "CLOISTER_STATE_KEYS"),
    of("async", "CLOISTER_ASYNC"),
    of("token", "CLOISTER_TOKEN"),
    of("log", "CLOISTER_LOG"),
    of("log_format", "CLOISTER_LOG_FORMAT"),
    of("clerk.issuer", "CLERK_ISSUER"),
    of("clerk.frontend_api", "CLERK_FRONTEND_API"),
    of("clerk.publishable_key", "CLERK_PUBLISHABLE_KEY"),
    of("clerk.secret_key", "CLERK_SECRET_KEY"),
    of("clerk.api_url", "CLERK_API_URL"),
    of("clerk.opaque_tokens", "CLERK_OPAQUE_TOKENS"),
    of("clerk.oauth_client_id", "CLERK_OAUTH_CLIENT_ID"),
    of("clerk.oauth_client_secret", "CLERK_OAUTH_CLIENT_SECRET"),
    of("clerk.authorized_parties", "CLERK_AUTHORIZED_PARTIES"),
    of("clerk.id_token_audiences", "CLERK_ID_TOKEN_AUDIENCES"),
    of("limits.timeout", "CLOISTER_TIMEOUT"),
    of("limits.memory", "CLOISTER_MEMORY"),
    of("limits.cpu", "CLOISTER_CPU"),
    of("limits.output", "CLOISTER_OUTPUT"),
    of("limits.http", "CLOISTER_HTTP"),
    of("limits.tables", "CLOISTER_TABLES"),
    of("limits.stack", "CLOISTER_STACK"),
    of("limits.log", "CLOISTER_LOG_BYTES"),
    of("limits.handles", "CLOISTER_HANDLES"),
    of("limits.total_memory", "CLOISTER_TOTAL_MEMORY"),
    of("limits.concurrency", "CLOISTER_CONCURRENCY"),
    of("limits.calls", "CLOISTER_CALLS"),
    of("limits.body", "CLOISTER_BODY"),
    of("limits.body_timeout", "CLOISTER_BODY_TIMEOUT"),
    of("limits.header_timeout", "CLOISTER_HEADER_TIMEOUT"),
    of("limits.idle_timeout", "CLOISTER_IDLE_TIMEOUT"),
    of("limits.connections", "CLOISTER_CONNECTIONS"),
    of("limits.sessions", "CLOISTER_SESSIONS"),
    of("limits.sessions_each", "CLOISTER_SESSIONS_EACH"),
    of("limits.session_idle", "CLOISTER_SESSION_IDLE"),
    of("limits.streams", "CLOISTER_STREAMS"),
    of("limits.streams_each", "CLOISTER_STREAMS_EACH"),
    of("ceilings.timeout", "CLOISTER_TIMEOUT_CEILING"),
    of("ceilings.cpu", "CLOISTER_CPU_CEILING"),
    of("ceilings.memory", "CLOISTER_MEMORY_CEILING"),
    of("ceilings.output", "CLOISTER_OUTPUT_CEILING"),
    of("ceilings.http", "CLOISTER_HTTP_CEILING"),
    of("ceilings.tables", "CLOISTER_TABLES_CEILING"),
    of("ceilings.log", "CLOISTER_LOG_BYTES_CEILING"),
    of("ceilings.handles", "CLOISTER_HANDLES_CEILING"),
];

const fn of(key: &'static str, variable: &'static str) -> Setting {
    Setting { key, variable }
}

/// A setting that was made on the command line.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The key of the setting.
    pub key: &'static str,
    /// The flag as it is typed.
    pub flag: &'static str,
    /// What was typed.
    pub text: String,
}

/// A value, and where it stands.
#[derive(Clone)]
pub struct Value {
    /// What was typed. It may be a secret, so it is wiped.
    pub text: Zeroizing<String>,
    /// Where, for messages.
    pub place: String,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value from {}", self.place)
    }
}

/// A mistake in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is.
    pub place: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// All that was typed.
#[derive(Clone, Debug, Default)]
pub struct Given {
    values: BTreeMap<&'static str, Value>,
    mistakes: Vec<Mistake>,
}

impl Given {
    /// Collects the settings of all places. `file` is the `cloister.toml` that was asked for; without
    /// one, that of the present folder is read if it is there.
    pub fn collect(
        flags: &[Flag],
        environment: &BTreeMap<String, String>,
        dotenv: &Path,
        file: Option<&Path>,
    ) -> Self {
        let mut given = Self::default();
        for flag in flags {
            given.set(flag.key, &flag.text, || format!("`{}`", flag.flag));
        }
        given.environment(environment, "environment");
        given.dotenv(dotenv);
        given.file(file);
        given
    }

    /// The value of a setting.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// What is wrong with the places themselves.
    pub(super) fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The first place that makes a setting counts. An empty value makes none.
    fn set(&mut self, key: &'static str, text: &str, place: impl FnOnce() -> String) {
        if !text.is_empty() {
            self.values.entry(key).or_insert_with(|| Value {
                text: Zeroizing::new(text.to_owned()),
                place: place(),
            });
        }
    }

    fn mistake(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.mistakes.push(Mistake {
            place: place.into(),
            problem: problem.into(),
        });
    }

    fn environment(&mut self, variables: &BTreeMap<String, String>, place: &str) {
        for setting in &SETTINGS {
            if let Some(text) = variables.get(setting.variable) {
                self.set(setting.key, text, || {
                    format!("{} ({place})", setting.variable)
                });
            }
        }
        // A misspelled variable of ours would otherwise be a setting silently not made.
        for name in variables.keys() {
            if name.starts_with("CLOISTER_")
                && !SETTINGS.iter().any(|setting| setting.variable == name)
                && !OWN_VARIABLES.contains(&&**name)
            {
                let known = SETTINGS.iter().map(|setting| setting.variable);
                self.mistake(
                    format!("{name} ({place})"),
                    format!("unknown variable{}", suggestion(name, known)),
                );
            }
        }
    }

    fn dotenv(&mut self, path: &Path) {
        let lines = match dotenvy::from_path_iter(path) {
            Ok(lines) => lines,
            Err(dotenvy::Error::Io(cause)) if cause.kind() == io::ErrorKind::NotFound => return,
            Err(cause) => {
                self.mistake(path.display().to_string(), cause.to_string());
                return;
            }
        };
        let mut variables = BTreeMap::new();
        for line in lines {
            match line {
                Ok((name, text)) => {
                    variables.insert(name, text);
                }
                // The message of the parser quotes the line, which may hold a secret.
                Err(_quoted) => self.mistake(
                    path.display().to_string(),
                    "a line is not of the form `NAME=value`; quote values that have spaces",
                ),
            }
        }
        self.environment(&variables, &path.display().to_string());
        // Some are secrets.
        for text in variables.into_values() {
            drop(Zeroizing::new(text));
        }
    }

    fn file(&mut self, asked_for: Option<&Path>) {
        let path = asked_for.unwrap_or(Path::new("cloister.toml"));
        let place = path.display().to_string();
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && asked_for.is_none() => return,
            Err(cause) => {
                self.mistake(place, cause.to_string());
                return;
            }
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let line = error.span().map_or(0, |span| line(&text, span.start));
            self.mistake(format!("{place}:{line}"), error.message());
        }
        self.table(&place, &text, "", table.get_ref());
    }

    fn table(&mut self, place: &str, text: &str, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let place_of = format!("{place}:{}", line(text, name.span().start));
            if let DeValue::Table(inner) = value.get_ref()
                && SETTINGS
                    .iter()
                    .any(|setting| setting.key.starts_with(&format!("{key}.")))
            {
                self.table(place, text, &format!("{key}."), inner);
                continue;
            }
            let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
                let known = SETTINGS.iter().map(|setting| setting.key);
                self.mistake(
                    place_of,
                    format!("unknown key `{key}`{}", suggestion(&key, known)),
                );
                continue;
            };
            match written(value.get_ref()).map(Zeroizing::new) {
                Some(text) => self.set(setting.key, &text, || format!("{place_of}: `{key}`")),
                None => self.mistake(
                    place_of,
                    format!("`{key}` must be a text, a number, true or false, or a list of texts"),
                ),
            }
        }
    }
}

/// Variables of ours that are no settings.
const OWN_VARIABLES: [&str; 1] = ["CLOISTER_CONFIG"];

/// A value as it would be typed on a command line.
fn written(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Array(items) => items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) if !text.contains(',') => Some(text.to_string()),
                DeValue::String(_)
                | DeValue::Boolean(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(|items| items.join(",")),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// What was probably meant.
fn suggestion<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|known| (strsim::damerau_levenshtein(typed, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| format!(", did you mean `{known}`?"))
        .unwrap_or_default()
}
