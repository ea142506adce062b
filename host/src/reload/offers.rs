//! What the functions of a component are to callers: tools, prompts, resources, or what completes
//! the arguments of one of these.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::notes::Notes;
use crate::auth::Access;
use crate::catalog::{self, Address, Completers, Function, Held, Prompt, Resource, Tool};
use crate::value::NameCase;
use crate::value::content::{Annotations, Role as Reader};

/// What a function is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Tool,
    Prompt,
    Resource,
    Completer,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tool => "a tool",
            Self::Prompt => "a prompt",
            Self::Resource => "a resource",
            Self::Completer => "what completes an argument",
        })
    }
}

/// A function that is served, and what is said of it for its role.
pub(super) struct Offer {
    /// The name of its interface in WIT; none of a function of the world itself.
    pub(super) interface: Option<String>,
    pub(super) function: Function,
    pub(super) purpose: Purpose,
}

/// The role of a function, with what goes with it.
pub(super) enum Purpose {
    Tool {
        annotations: catalog::Annotations,
        ui: Option<String>,
    },
    Prompt {
        /// Short names of its parameters, by their names in WIT.
        titles: HashMap<String, String>,
    },
    Resource {
        /// Where its author wants it.
        address: Option<Address>,
        fallback: Address,
        mime_type: Option<String>,
        /// In bytes.
        size: Option<u64>,
        /// Whom it is meant for; nobody named means everybody.
        audience: Vec<Reader>,
        /// How much it matters, from 0 to 1.
        priority: Option<f64>,
    },
    /// What it completes, each `prompt/argument`.
    Completer(Vec<String>),
}

impl Offer {
    /// Whether an author means this function by a name.
    fn is_called(&self, name: &str) -> bool {
        let wit = &self.function.wit;
        name == wit
            || name == self.function.name
            || [NameCase::Camel, NameCase::Snake]
                .iter()
                .any(|case| case.of(wit) == name)
    }

    /// Whether it is lent the identity of its caller.
    pub(super) fn asks_who_calls(&self) -> bool {
        !matches!(self.function.access, Access::Public)
    }

    /// The parameter that an author means, if arguments of this function are completed at all.
    fn argument(&self, name: &str) -> Option<&str> {
        match self.purpose {
            Purpose::Prompt { .. } | Purpose::Resource { .. } => {}
            Purpose::Tool { .. } | Purpose::Completer(_) => return None,
        }
        let param = self.function.signature.params().get(name)?;
        Some(&param.wit)
    }
}

/// What a component offers, each in the order of the WIT.
#[derive(Default)]
pub(super) struct Offers {
    pub(super) tools: Vec<Arc<Tool>>,
    pub(super) prompts: Vec<Arc<Prompt>>,
    pub(super) resources: Vec<Arc<Resource>>,
}

impl Offers {
    /// Sorts the functions by what they are for, and gives arguments the functions that complete
    /// them.
    pub(super) fn of(found: Vec<Offer>, notes: &mut Notes) -> Self {
        let mut served: Vec<(Offer, Completers)> = Vec::new();
        let mut completing = Vec::new();
        for offer in found {
            match offer.purpose {
                Purpose::Completer(targets) => completing.push((Arc::new(offer.function), targets)),
                Purpose::Tool { .. } | Purpose::Prompt { .. } | Purpose::Resource { .. } => {
                    served.push((offer, Completers::default()));
                }
            }
        }
        for (function, targets) in completing {
            for target in targets {
                if let Err(cause) = complete(&mut served, &target, &function) {
                    notes.add(|| format!("`{}`: `@completes {target}` {cause}", function.origin));
                }
            }
        }

        let mut offers = Self::default();
        for (
            Offer {
                function, purpose, ..
            },
            completers,
        ) in served
        {
            match purpose {
                Purpose::Tool { annotations, ui } => {
                    let tool = Tool::new(function, annotations, ui);
                    offers.tools.push(Arc::new(tool));
                }
                Purpose::Prompt { titles } => {
                    let prompt = Prompt::new(function, completers, titles);
                    offers.prompts.push(Arc::new(prompt));
                }
                Purpose::Resource {
                    address,
                    fallback,
                    mime_type,
                    size,
                    audience,
                    priority,
                } => {
                    let annotations = Annotations {
                        audience,
                        priority,
                        last_modified: None,
                    };
                    let held = Held {
                        mime_type,
                        size,
                        annotations,
                    };
                    let address = address.unwrap_or_else(|| fallback.clone());
                    let resource = Resource::new(function, address, fallback, held, completers);
                    offers.resources.push(Arc::new(resource));
                }
                Purpose::Completer(_) => {}
            }
        }
        offers
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.prompts.is_empty() && self.resources.is_empty()
    }
}

/// Lets a function complete an argument of one that is served.
fn complete(
    served: &mut [(Offer, Completers)],
    target: &str,
    completer: &Arc<Function>,
) -> Result<(), &'static str> {
    let (name, argument) = target
        .split_once('/')
        .ok_or("must be the name of a prompt or resource, `/`, and one of its arguments")?;
    let mut is_found = false;
    for (offer, completers) in served {
        if !offer.is_called(name) {
            continue;
        }
        let Some(argument) = offer.argument(argument) else {
            continue;
        };
        is_found = true;
        if !completers.add(argument, completer) {
            return Err("names an argument that is completed already");
        }
    }
    if is_found {
        Ok(())
    } else {
        Err("names no argument of a prompt or resource")
    }
}
