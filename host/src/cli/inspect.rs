//! `cloister inspect`: what a client will see of a component, and what is missing.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::auth::Access;
use crate::catalog::{Address, Completion, Function, Service};
use crate::reload;
use crate::sandbox::Compiler;

#[derive(Args)]
pub(super) struct Inspected {
    /// The component; what lies beside it counts, as it does when it is served
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Describes a component as the host would serve it.
pub(super) fn print(inspected: &Inspected) -> Result<(), Failure> {
    let compiler = Compiler::for_inspection()?;
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
    let Service {
        tools,
        prompts,
        resources,
        ..
    } = &inspection.service;
    for tool in tools {
        writeln!(out, "\ntool {}", tool.function.name)?;
        write_function(&mut out, &tool.function)?;
        let signature = &tool.function.signature;
        writeln!(out, "  input:   {}", signature.input_schema())?;
        if let Some(schema) = signature.output_schema() {
            writeln!(out, "  output:  {schema}")?;
        }
    }
    for prompt in prompts {
        writeln!(out, "\nprompt {}", prompt.function.name)?;
        write_function(&mut out, &prompt.function)?;
        for argument in prompt.arguments() {
            let need = if argument.required {
                "required"
            } else {
                "optional"
            };
            let completion = prompt.completion(argument.name);
            write_argument(&mut out, argument.name, need, completion)?;
        }
    }
    for resource in resources {
        let kind = match resource.address {
            Address::Fixed(_) => "resource",
            Address::Template(_) => "template",
        };
        writeln!(out, "\n{kind} {}", resource.address)?;
        write_function(&mut out, &resource.function)?;
        writeln!(out, "  name:    {}", resource.function.name)?;
        if let Some(mime_type) = &resource.mime_type {
            writeln!(out, "  holds:   {mime_type}")?;
        }
        for variable in resource.function.signature.params() {
            let completion = resource.completion(&variable.json);
            write_argument(&mut out, &variable.json, "variable", completion)?;
        }
    }
    let functions = (tools.iter().map(|tool| &tool.function))
        .chain(prompts.iter().map(|prompt| &prompt.function))
        .chain(resources.iter().map(|resource| &resource.function));
    let missing = functions
        .filter(|function| function.description.is_none())
        .map(|function| format!("`{}` has no description", function.origin));
    let notes: Vec<String> = inspection.notes.into_iter().chain(missing).collect();
    if !notes.is_empty() {
        writeln!(out, "\nto mend:")?;
        for note in notes {
            writeln!(out, "  {note}")?;
        }
    }
    Ok(())
}

/// What all functions have.
fn write_function(out: &mut impl Write, function: &Function) -> std::io::Result<()> {
    if let Some(title) = &function.title {
        writeln!(out, "  {title}")?;
    }
    for line in function.description.as_deref().unwrap_or_default().lines() {
        writeln!(out, "  {line}")?;
    }
    let caller = match &function.access {
        Access::Public => "anybody".to_owned(),
        Access::Optional => "anybody; those who sign in are known to it".to_owned(),
        Access::Required => "those who sign in".to_owned(),
        Access::Restricted(requirement) => format!("those who sign in and have {requirement}"),
    };
    writeln!(out, "  callers: {caller}")
}

fn write_argument(
    out: &mut impl Write,
    name: &str,
    need: &str,
    completion: Option<Completion>,
) -> std::io::Result<()> {
    write!(out, "  {need} {name}")?;
    match completion {
        Some(Completion::Fixed(values)) => writeln!(out, ", one of: {}", values.join(", ")),
        Some(Completion::By(function)) => writeln!(out, ", completed by `{}`", function.origin),
        None => writeln!(out),
    }
}
