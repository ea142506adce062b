//! What a client declares that it can be asked for.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message::object;
use super::revision::Revision;
use crate::sandbox::client::Capability;

#[derive(Deserialize)]
struct Declared<'a> {
    #[serde(borrow, default)]
    elicitation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sampling: Option<&'a RawValue>,
    #[serde(borrow, default)]
    roots: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Elicitation<'a> {
    #[serde(borrow, default)]
    form: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Sampling<'a> {
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
}

/// Reads `ClientCapabilities`, with what the revision knows of them. None if it is not an object.
pub(super) fn read(capabilities: &RawValue, revision: Revision) -> Option<Capability> {
    let declared: Declared<'_> = object(capabilities.get()).ok()?;
    let mut able = Capability::empty();
    let elicitation = declared.elicitation.filter(|_| revision.has_elicitation());
    if let Some(modes) = elicitation.and_then(|it| object::<Elicitation<'_>>(it.get()).ok()) {
        let page = modes.url.is_some() && revision.has_rich_questions();
        // An empty object means forms, and so did every object before there were modes.
        if modes.form.is_some() || !page {
            able |= Capability::FORM;
        }
        if page {
            able |= Capability::PAGE;
        }
    }
    if let Some(sampling) = declared
        .sampling
        .and_then(|it| object::<Sampling<'_>>(it.get()).ok())
    {
        able |= Capability::SAMPLING;
        if sampling.tools.is_some() && revision.has_rich_questions() {
            able |= Capability::SAMPLING_TOOLS;
        }
    }
    if declared
        .roots
        .is_some_and(|roots| roots.get().starts_with('{'))
    {
        able |= Capability::ROOTS;
    }
    Some(able)
}

/// The same as `ClientCapabilities`, to say what is missing.
pub(super) fn write(able: Capability) -> Value {
    let mut declared = json!({});
    let mut set = |path: &[&str]| {
        let mut place = &mut declared;
        for name in path {
            place = &mut place[*name];
            if place.is_null() {
                *place = json!({});
            }
        }
    };
    for (ability, path) in [
        (Capability::FORM, &["elicitation", "form"][..]),
        (Capability::PAGE, &["elicitation", "url"]),
        (Capability::SAMPLING, &["sampling"]),
        (Capability::SAMPLING_TOOLS, &["sampling", "tools"]),
        (Capability::ROOTS, &["roots"]),
    ] {
        if able.contains(ability) {
            set(path);
        }
    }
    declared
}
