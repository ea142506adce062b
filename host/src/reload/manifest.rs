//! The operator's word on one service, `mcp/<service>.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::requirement::Stated;
use crate::value::NameCase;

/// What the operator says of a service. Without a file, nothing is said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Manifest {
    /// How the service spells its names in JSON.
    pub(super) case: NameCase,
    /// What it demands of the callers of its functions, by their names in WIT or JSON.
    pub(super) tools: BTreeMap<String, Stated>,
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
        toml::from_str(text).map_err(|cause| cause.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "\n\ncase",
            "\n\ntool.get.scopes = []",
            "[tools.get]\n\nscope = [\"a\"]",
            "[tools.get]\n\nscopes = \"a\"",
            "[tools.get]\n\nscopes = [\"a b\"]",
            "[tools.get]\n\nroles = [\"\"]",
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains("line 3"), "{error}");
        }
    }
}
