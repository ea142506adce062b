//! What a component may ask for, and what its manifest says of it.

use std::io::{Result, Write};

use crate::reload::{Granted, Inspection};
use crate::sandbox::{Capability, no_sockets};

/// A capability in plain words.
fn words(capability: Capability) -> &'static str {
    match capability {
        Capability::Sessions => "the sign-ins of its callers",
        Capability::Http => "requests over HTTP",
        Capability::Env => "variables of its environment",
        Capability::Secrets => "secrets of its callers' own",
        Capability::Config => "configuration",
        Capability::Files => "folders",
        Capability::Store => "buckets of values by key",
    }
}

/// What is said of what may come from a toolchain alone, so that nobody is alarmed by it.
const UNASKED: &str = " (some toolchains have every program ask)";

/// Tells what it may ask for, whether that is granted, and what is granted in vain.
pub(super) fn write(out: &mut impl Write, inspection: &Inspection) -> Result<()> {
    let service = &inspection.service.name;
    let asks = &inspection.asks;
    let mut asked = Vec::new();
    let mut in_vain = Vec::new();
    for (capability, granted) in &inspection.granted.capabilities {
        let (capability, words) = (*capability, words(*capability));
        let is_asked = asks.capabilities.contains(&capability);
        match (is_asked, granted) {
            (true, Granted::These(names)) => {
                asked.push(format!("{words}: granted {}", grant(capability, names)));
            }
            (true, Granted::Nothing) => {
                asked.push(format!("{words}: none, which the manifest says"));
            }
            (true, Granted::Unsaid) => {
                let whose = if capability.comes_with_toolchains() {
                    UNASKED
                } else {
                    ""
                };
                let place = capability.place(service);
                asked.push(format!(
                    "{words}{whose}: not granted; the operator grants it {place}"
                ));
            }
            (false, Granted::These(names)) => {
                in_vain.push(format!("{words}, {}", grant(capability, names)));
            }
            (false, Granted::Nothing | Granted::Unsaid) => {}
        }
    }
    let idle = &inspection.granted.idle_secrets;
    if !idle.is_empty() {
        in_vain.push(format!(
            "secrets that no value of the manifest names, under `[secrets]`: {}",
            idle.join(", ")
        ));
    }
    if asks.sockets {
        asked.push(format!("sockets{UNASKED}: {}", no_sockets(service)));
    }
    if asks.answers {
        asked.push("answers of its callers and their models: theirs to give".to_owned());
    }
    if asked.is_empty() {
        asked.push("nothing but what every service has".to_owned());
    }
    write_list(out, "may ask for", &asked)?;
    if !in_vain.is_empty() {
        write_list(out, "granted, and never asked for", &in_vain)?;
    }
    Ok(())
}

fn write_list(out: &mut impl Write, heading: &str, lines: &[String]) -> Result<()> {
    writeln!(out, "\n{heading}:")?;
    for line in lines {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// What grants it, and what that is.
fn grant(capability: Capability, names: &[String]) -> String {
    match capability.table() {
        Some(table) => format!("under `[{table}]`: {}", names.join(", ")),
        None => format!("by `{}`", capability.line()),
    }
}

/// What it may ask for and its manifest does not speak of, as the lines that would grant it. They are
/// comments, so that whoever keeps them grants nothing. True if there are any.
pub(super) fn write_stub(out: &mut impl Write, inspection: &Inspection) -> Result<bool> {
    let unsaid = inspection
        .granted
        .capabilities
        .iter()
        .filter(|(capability, granted)| {
            *granted == Granted::Unsaid && inspection.asks.capabilities.contains(capability)
        });
    let mut is_any = false;
    for (capability, _) in unsaid {
        if std::mem::replace(&mut is_any, true) {
            writeln!(out)?;
        } else {
            writeln!(
                out,
                "# It may ask for what stands in comments, and is not granted it."
            )?;
        }
        if let Some(table) = capability.table() {
            writeln!(out, "# [{table}]")?;
        }
        writeln!(out, "# {}", capability.line())?;
    }
    Ok(is_any)
}
