//! The direction of imports, as the architecture page states it: what keeps the house in order
//! after its tenth contributor is a test, not a page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of the host each may name. A module not in the table may not be there.
const MAY_NAME: [(&str, &[&str]); 15] = [
    ("digest", &[]),
    ("units", &[]),
    ("auth", &["digest"]),
    ("value", &[]),
    ("telemetry", &[]),
    ("issuer", &["auth", "digest"]),
    ("sandbox", &["auth", "digest"]),
    ("config", &["auth", "sandbox", "units"]),
    ("catalog", &["auth", "digest", "sandbox", "value"]),
    (
        "reload",
        &["auth", "catalog", "digest", "sandbox", "units", "value"],
    ),
    (
        "protocol",
        &["auth", "catalog", "digest", "sandbox", "value"],
    ),
    ("http", &["auth", "catalog", "protocol"]),
    ("stdio", &["protocol"]),
    (
        "host",
        &[
            "auth", "catalog", "config", "http", "issuer", "protocol", "reload", "sandbox", "stdio",
        ],
    ),
    (
        "cli",
        &[
            "auth",
            "catalog",
            "config",
            "host",
            "issuer",
            "reload",
            "sandbox",
            "telemetry",
            "units",
        ],
    ),
];

/// Where a crate may be named.
const MAY_USE: [(&str, &[&str]); 10] = [
    ("axum", &["http", "issuer"]),
    ("hyper", &["http"]),
    ("hyper_util", &["http"]),
    ("wasmtime", &["sandbox", "value"]),
    ("wasmtime_wasi", &["sandbox"]),
    ("wasmtime_wasi_http", &["sandbox"]),
    ("wasmtime_wasi_config", &["sandbox"]),
    ("redb", &["sandbox"]),
    ("redis", &["sandbox"]),
    ("wit_parser", &["reload"]),
];

struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let inside = path.strip_prefix(&root).unwrap();
                let module = inside.components().next().unwrap();
                let module = Path::new(module.as_os_str()).with_extension("");
                found.push(Source {
                    module: module.to_str().unwrap().to_owned(),
                    text: fs::read_to_string(&path).unwrap(),
                    path,
                });
            }
        }
    }
    assert!(
        found.len() > 30,
        "the sources are not where this test looks"
    );
    found
}

/// The lines that are code, with their numbers. Tests may name what they like.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source
        .text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line))
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The names that follow `prefix` in a line.
fn names<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix).filter_map(move |(at, _)| {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            return None;
        }
        let rest = &line[at + prefix.len()..];
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        Some(&rest[..end])
    })
}

fn is_test(source: &Source) -> bool {
    source
        .path
        .components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

#[test]
fn imports_run_in_one_direction() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        let module = &*source.module;
        if matches!(module, "main" | "lib") {
            continue;
        }
        let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == module) else {
            violations.push(format!("`{module}` is not in the table"));
            continue;
        };
        for (number, line) in code(source) {
            for name in names(line, "crate::") {
                let place = format!("{}:{number}", source.path.display());
                if name.is_empty() {
                    violations.push(format!("{place}: import one module in a line"));
                } else if name != module && !allowed.contains(&name) {
                    violations.push(format!("{place}: `{module}` may not use `{name}`"));
                }
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn crates_are_named_where_they_belong() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        for (number, line) in code(source) {
            for (name, allowed) in MAY_USE {
                let used = names(line, &format!("{name}::")).next().is_some();
                if used && !allowed.contains(&&*source.module) {
                    violations.push(format!(
                        "{}:{number}: `{}` may not use the crate `{name}`",
                        source.path.display(),
                        source.module
                    ));
                }
            }
        }
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn bindings_are_generated_in_one_place() {
    let places: BTreeSet<PathBuf> = sources()
        .into_iter()
        .filter(|source| code(source).any(|(_, line)| line.contains("bindgen!")))
        .map(|source| source.path)
        .collect();
    assert_eq!(places.len(), 1, "{places:?}");
    assert!(
        places
            .iter()
            .all(|path| path.ends_with("sandbox/bindings.rs"))
    );
}

/// What stands in backticks in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The texts of all Rust files below a folder of the repository.
fn rust(folder: &Path, texts: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust(&path, texts);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            texts.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_promise_names_what_shows_it_and_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("host/THREATS.md")).unwrap();
    let recipes = fs::read_to_string(root.join("justfile")).unwrap();
    let mut sources = String::new();
    rust(&root.join("tests"), &mut sources);
    rust(&root.join("host/src"), &mut sources);
    let mut wrong = Vec::new();
    let mut shown = 0;
    for section in page.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap();
        let Some((_, after)) = section.split_once("*Shown by*") else {
            wrong.push(format!("`{title}` says nothing of what shows it"));
            continue;
        };
        let (named, _) = after.split_once("*Not promised.*").unwrap_or((after, ""));
        for name in quoted(named) {
            shown += 1;
            let is_there = if let Some(recipe) = name.strip_prefix("just ") {
                let recipe = recipe.split_whitespace().next().unwrap();
                let mut heads = recipes.lines().map(|line| line.split([' ', ':']).next());
                heads.any(|head| head == Some(recipe))
            } else if name.contains('/') {
                root.join(name).exists()
            } else {
                sources.contains(&format!("fn {name}()"))
            };
            if !is_there {
                wrong.push(format!("`{title}` names `{name}`, which is not there"));
            }
        }
    }
    assert!(shown > 20, "the page is not as this test reads it");
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
