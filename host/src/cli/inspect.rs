//! `cloister inspect`: what a client will see of a component, what it may ask for, and what is missing.

mod capabilities;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::auth::{Access, Requirement};
use crate::catalog::{Address, Annotations, Completers, Completion, Function, Service};
use crate::reload::{self, Inspection};
use crate::sandbox::Compiler;

#[derive(Args)]
pub(super) struct Inspected {
    /// The component; what lies beside it counts, as it does when it is served
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print, instead, a manifest to begin with: what restricts its functions, and in comments what it may
    /// ask for and is not granted
    #[arg(long)]
    stub: bool,
}

/// Describes a component as the host would serve it.
pub(super) fn print(inspected: &Inspected) -> Result<(), Failure> {
    let compiler = Compiler::for_inspection()?;
    let place = inspected.file.display();
    let inspection = reload::inspect(&inspected.file, &compiler)
        .map_err(|cause| Failure(format!("{place}: {cause}")))?;

    let mut out = std::io::stdout().lock();
    if inspected.stub {
        return Ok(write_stub(&mut out, &inspection)?);
    }
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
        write_hints(&mut out, tool.annotations)?;
        if let Some(ui) = &tool.ui {
            writeln!(out, "  ui:      {ui}")?;
        }
        let signature = &tool.function.signature;
        if let Some(media) = signature.media() {
            writeln!(out, "  returns: {media}")?;
        }
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
        if let Some(mime_type) = &resource.held.mime_type {
            writeln!(out, "  holds:   {mime_type}")?;
        }
        for variable in resource.function.signature.params() {
            let completion = resource.completion(&variable.json);
            write_argument(&mut out, &variable.json, "variable", completion)?;
        }
    }
    capabilities::write(&mut out, &inspection)?;
    let missing = functions(&inspection.service)
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

/// Everything that is served, in the order of the WIT.
fn functions(service: &Service) -> impl Iterator<Item = &Function> {
    let tools = service.tools.iter().map(|tool| &tool.function);
    let prompts = service.prompts.iter().map(|prompt| &prompt.function);
    let resources = service.resources.iter().map(|resource| &resource.function);
    tools.chain(prompts).chain(resources)
}

/// What restricts functions, as a manifest says it: there it holds whatever becomes of the text. Before that,
/// what the operator may wish to grant.
fn write_stub(out: &mut impl Write, inspection: &Inspection) -> std::io::Result<()> {
    let service = &inspection.service;
    if capabilities::write_stub(out, inspection)? {
        writeln!(out)?;
    }
    let prompts = service.prompts.iter().map(|it| it.completers());
    let resources = service.resources.iter().map(|it| it.completers());
    let completers = prompts.chain(resources).flat_map(Completers::iter);
    let all: BTreeMap<&str, &Function> = functions(service)
        .chain(completers.map(|(_, function)| &**function))
        .map(|function| (&*function.origin, function))
        .collect();
    let mut is_first = true;
    for (origin, function) in &all {
        let Access::Restricted(requirement) = &function.access else {
            continue;
        };
        if !std::mem::take(&mut is_first) {
            writeln!(out)?;
        }
        if all.values().filter(|it| it.wit == function.wit).count() == 1 {
            writeln!(out, "[tools.{}]", function.wit)?;
        } else {
            writeln!(out, "[tools.\"{origin}\"]")?;
        }
        let Requirement {
            scopes,
            permissions,
            roles,
            // The manifest says it already, and nothing else can.
            broader: _,
        } = &**requirement;
        let lists = [
            ("scopes", scopes),
            ("permissions", permissions),
            ("roles", roles),
        ];
        for (key, grants) in lists {
            // Names have neither quotes nor backslashes.
            let names = grants.names().iter().map(|name| format!("\"{name}\""));
            let names: Vec<String> = names.collect();
            if !names.is_empty() {
                writeln!(out, "{key} = [{}]", names.join(", "))?;
            }
        }
    }
    if is_first {
        writeln!(
            out,
            "# nothing restricts the functions of `{}`",
            service.name
        )?;
    }
    Ok(())
}

/// What a tool does to the world, in the words of MCP.
fn write_hints(out: &mut impl Write, annotations: Annotations) -> std::io::Result<()> {
    let Annotations {
        read_only,
        destructive,
        idempotent,
        open_world,
    } = annotations;
    let hints = [
        ("readOnlyHint", read_only),
        ("destructiveHint", destructive),
        ("idempotentHint", idempotent),
        ("openWorldHint", open_world),
    ];
    let said = hints.iter().filter(|(_, said)| *said == Some(true));
    let said: Vec<&str> = said.map(|(hint, _)| *hint).collect();
    if said.is_empty() {
        return Ok(());
    }
    writeln!(out, "  hints:   {}", said.join(", "))
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
    writeln!(out, "  callers: {caller}")?;
    for icon in &function.icons {
        let media = icon.mime_type.iter().chain(&icon.sizes);
        let words: Vec<&str> = [&icon.src]
            .into_iter()
            .chain(media)
            .map(String::as_str)
            .collect();
        writeln!(out, "  icon:    {}", words.join(" "))?;
    }
    Ok(())
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
