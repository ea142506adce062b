//! `cloister inspect`: what a client will see of a component, and what is missing.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::auth::Access;
use crate::catalog::Tool;
use crate::reload;
use crate::sandbox::{Compiler, Settings};

#[derive(Args)]
pub(super) struct Inspected {
    /// The component; what lies beside it counts, as it does when it is served
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Describes a component as the host would serve it.
pub(super) fn print(inspected: &Inspected) -> Result<(), Failure> {
    let compiler = Compiler::new(&Settings {
        slots: 1,
        cache: None,
    })?;
    let place = inspected.file.display();
    let inspection = reload::inspect(&inspected.file, &compiler)
        .map_err(|cause| Failure(format!("{place}: {cause}")))?;

    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "service `{}`, sha256 {}",
        inspection.service.name, inspection.service.digest
    )?;
    if let Some(description) = &inspection.service.description {
        writeln!(out, "{description}")?;
    }
    for tool in &inspection.service.tools {
        writeln!(out, "\n{}", tool.function.name)?;
        write_tool(&mut out, tool)?;
    }
    let undescribed = inspection
        .service
        .tools
        .iter()
        .filter(|tool| tool.function.description.is_none());
    let missing = undescribed.map(|tool| format!("`{}` has no description", tool.function.origin));
    let notes: Vec<String> = inspection.notes.into_iter().chain(missing).collect();
    if !notes.is_empty() {
        writeln!(out, "\nto mend:")?;
        for note in notes {
            writeln!(out, "  {note}")?;
        }
    }
    Ok(())
}

fn write_tool(out: &mut impl Write, tool: &Tool) -> std::io::Result<()> {
    let tool = &tool.function;
    if let Some(title) = &tool.title {
        writeln!(out, "  {title}")?;
    }
    for line in tool.description.as_deref().unwrap_or_default().lines() {
        writeln!(out, "  {line}")?;
    }
    let caller = match &tool.access {
        Access::Public => "anybody".to_owned(),
        Access::Optional => "anybody; those who sign in are known to it".to_owned(),
        Access::Required => "those who sign in".to_owned(),
        Access::Restricted(requirement) => format!("those who sign in and have {requirement}"),
    };
    writeln!(out, "  callers: {caller}")?;
    writeln!(out, "  input:   {}", tool.signature.input_schema())?;
    if let Some(schema) = tool.signature.output_schema() {
        writeln!(out, "  output:  {schema}")?;
    }
    Ok(())
}
