//! What a manifest grants, as it is told to people: names, and no values.

use std::collections::BTreeMap;

use super::{Manifest, files, secrets, stores};
use crate::sandbox::Capability;

/// What a manifest says of a capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// Nothing.
    Unsaid,
    /// That the service is granted none.
    Nothing,
    /// That it is granted what has these names, in quotes. What has no name is granted as a whole.
    These(Vec<String>),
}

impl Granted {
    /// What a table says that is there, if only to be empty.
    fn of_table(names: Option<Vec<String>>) -> Self {
        names.map_or(Self::Unsaid, |names| {
            if names.is_empty() {
                Self::Nothing
            } else {
                Self::These(names)
            }
        })
    }

    /// What one says that cannot be told from one that is not there.
    fn of_names(names: Vec<String>) -> Self {
        Self::of_table((!names.is_empty()).then_some(names))
    }
}

/// What a manifest says of all that a service may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granting {
    /// Of each capability, in the order of a manifest.
    pub capabilities: Vec<(Capability, Granted)>,
    /// The secrets of the host that it names, and puts nowhere.
    pub idle_secrets: Vec<String>,
}

impl Manifest {
    /// What it grants, as it is told to people.
    pub(in crate::reload) fn told(&self) -> Granting {
        let said = |capability| (capability, self.said_of(capability));
        Granting {
            capabilities: Capability::ALL.into_iter().map(said).collect(),
            idle_secrets: self.idle_secrets(),
        }
    }

    fn idle_secrets(&self) -> Vec<String> {
        let texts = self
            .env
            .values()
            .chain(self.config.iter().flat_map(BTreeMap::values));
        let texts: Vec<&String> = texts.chain(self.http.texts()).collect();
        let idle = secrets::of_host(&self.secrets)
            .filter(|name| !texts.iter().any(|text| secrets::names(text, name)));
        names(idle)
    }

    fn said_of(&self, capability: Capability) -> Granted {
        match capability {
            Capability::Sessions if self.sessions => Granted::These(Vec::new()),
            Capability::Sessions => Granted::Unsaid,
            Capability::Http => Granted::of_names(self.http.told()),
            Capability::Env => Granted::of_names(names(self.env.keys())),
            Capability::Secrets => {
                Granted::of_names(names(secrets::of_users(&self.secrets).keys()))
            }
            Capability::Config => {
                Granted::of_table(self.config.as_ref().map(|values| names(values.keys())))
            }
            Capability::Files => Granted::of_table(self.files.as_ref().map(files::told)),
            Capability::Store => Granted::of_names(stores::told(&self.store)),
        }
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.map(|name| format!("{name:?}")).collect()
}
