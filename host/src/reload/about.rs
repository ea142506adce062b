//! What the doc comment of a function says, and what is wrong with it. A tag that is wrong costs what
//! it would have said, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use wit_parser::Function;

use super::offers::{Purpose, Role};
use super::tags::{Doc, Tag, first_word, is_rule};
use crate::catalog::{Address, Annotations, Icon, InvalidAddress, fit};
use crate::value::content::Role as Reader;
use crate::value::{Signature, is_key, is_media_type};

/// The media type of a user interface (MCP Apps).
const APP: &str = "text/html;profile=mcp-app";

/// What the doc comment of a function says.
pub(super) struct About {
    doc: Doc,
    parameters: HashMap<String, Parameter>,
    /// Short names of parameters, for people.
    titles: HashMap<String, String>,
    mistakes: Vec<String>,
}

/// What the doc comment of a function says about one of its parameters.
#[derive(Default)]
pub(super) struct Parameter {
    /// The name in JSON.
    pub(super) name: Option<String>,
    pub(super) docs: Option<Arc<str>>,
    /// Rules, each a tag and its value.
    pub(super) rules: Vec<(String, String)>,
}

impl About {
    /// Takes apart what is said of a function.
    pub(super) fn new(mut doc: Doc, function: &Function) -> Self {
        let mut mistakes = std::mem::take(&mut doc.mistakes);
        let mut parameters: HashMap<String, Parameter> = function
            .params
            .iter()
            .map(|param| (param.name.clone(), Parameter::default()))
            .collect();
        let mut titles = HashMap::new();
        for tag in &doc.tags {
            let is_param = tag.name == "param";
            let is_title = tag.name == "param-title";
            if !is_param && !is_title && !is_rule(&tag.name) {
                continue;
            }
            let (subject, rest) = first_word(&tag.value);
            let Some(parameter) = parameters.get_mut(subject) else {
                mistakes.push(format!(
                    "`@{}` names no parameter of it: `{subject}`",
                    tag.name
                ));
                continue;
            };
            if is_title {
                if rest.is_empty() {
                    mistakes.push(format!("`@param-title {subject}` says nothing"));
                } else {
                    titles.insert(subject.to_owned(), rest.to_owned());
                }
                continue;
            }
            if !is_param {
                parameter.rules.push((tag.name.clone(), rest.to_owned()));
                continue;
            }
            let text = match first_word(rest) {
                ("as", rest) => {
                    let (name, text) = first_word(rest);
                    if is_key(name) {
                        parameter.name = Some(name.to_owned());
                    } else {
                        mistakes.push(format!(
                            "`@param {subject} as`: expected a name with 1 to 64 of A–Z, a–z, 0–9, `_`, `.` and `-`; got `{name}`"
                        ));
                    }
                    text
                }
                _ => rest,
            };
            parameter.docs = Some(text).filter(|text| !text.is_empty()).map(Arc::from);
        }
        Self {
            doc,
            parameters,
            titles,
            mistakes,
        }
    }

    /// Whether its author wants it left out.
    pub(super) fn is_hidden(&self) -> bool {
        self.doc.tag("hidden").is_some()
    }

    /// What is said of a parameter.
    pub(super) fn parameter(&mut self, name: &str) -> Parameter {
        self.parameters.remove(name).unwrap_or_default()
    }

    /// What it does, and that it should be left alone if its author says so.
    pub(super) fn description(&self) -> Option<String> {
        let prose = self.doc.prose.clone();
        match self.doc.tag("deprecated") {
            None => prose,
            Some(reason) => {
                let notice = format!("Deprecated. {reason}");
                let notice = notice.trim_end();
                Some(
                    prose.map_or_else(|| notice.to_owned(), |prose| format!("{notice}\n\n{prose}")),
                )
            }
        }
    }

    /// A short name for people.
    pub(super) fn title(&self) -> Option<&str> {
        self.doc.tag("title").filter(|title| !title.is_empty())
    }

    /// The name that its author gives it, if clients take it.
    pub(super) fn name(&self) -> Option<&str> {
        self.doc.tag("name").filter(|name| fit(name) == **name)
    }

    /// Whether it completes arguments of others.
    pub(super) fn completes(&self) -> bool {
        self.doc.tag("completes").is_some()
    }

    /// Where a resource is read, and what it holds.
    pub(super) fn resource(
        &mut self,
        service: &str,
        name: &str,
        signature: &Signature,
    ) -> Result<Purpose, InvalidAddress> {
        let fallback = Address::of(service, name, signature.params())?;
        let mut address = None;
        if let Some(text) = self.doc.tag("uri") {
            match Address::parse(text, signature.params()) {
                Ok(parsed) => address = Some(parsed),
                Err(cause) => self
                    .mistakes
                    .push(format!("`@uri {text}` is not used: {cause}")),
            }
        }
        let mime_type = self.doc.tag("mime").filter(|media| is_media_type(media));
        let is_app = address
            .as_ref()
            .is_some_and(|address| address.to_string().starts_with("ui://"));
        Ok(Purpose::Resource {
            mime_type: mime_type.or(is_app.then_some(APP)).map(str::to_owned),
            address,
            fallback,
            size: self.doc.tag("size").and_then(|size| size.parse().ok()),
            audience: self
                .doc
                .tag("audience")
                .and_then(audience)
                .unwrap_or_default(),
            priority: self.doc.tag("priority").and_then(priority),
        })
    }

    /// The short names of the parameters, by their names in WIT.
    pub(super) fn param_titles(&mut self) -> HashMap<String, String> {
        std::mem::take(&mut self.titles)
    }

    /// `@meta {…}`
    pub(super) fn meta(&self) -> Option<Map<String, Value>> {
        self.doc.tag("meta").and_then(|text| meta(text).ok())
    }

    /// `@completes prompt/argument`, as often as wanted.
    pub(super) fn targets(&self) -> Vec<String> {
        let tags = self.doc.tags.iter();
        tags.filter(|tag| tag.name == "completes")
            .map(|tag| tag.value.clone())
            .collect()
    }

    /// The signature of a tool with what its author says of it as a whole.
    pub(super) fn complete(&mut self, mut signature: Signature) -> Signature {
        if let Some(media) = self.doc.tag("mime") {
            match signature.clone().with_media(media) {
                Ok(with_media) => signature = with_media,
                Err(cause) => self.mistakes.push(cause.to_string()),
            }
        }
        if let Some(schema) = self.doc.tag("schema") {
            match signature.clone().with_input_schema(schema) {
                Ok(with_schema) => {
                    signature = with_schema;
                    if let Some(keyword) = signature.unpopular_keyword() {
                        self.mistakes.push(format!(
                            "its `@schema` has `{keyword}` at its root, and some clients drop such a tool"
                        ));
                    }
                }
                Err(cause) => self.mistakes.push(cause.to_string()),
            }
        }
        signature
    }

    /// `@icon src [type/subtype] [48x48 …]`
    pub(super) fn icons(&self) -> Vec<Icon> {
        let icons = self.doc.tags.iter().filter(|tag| tag.name == "icon");
        icons.filter_map(|tag| icon(&tag.value)).collect()
    }

    /// `@ui ui://…`
    pub(super) fn ui(&self) -> Option<&str> {
        self.doc.tag("ui").filter(|uri| is_ui(uri))
    }

    pub(super) fn annotations(&self) -> Annotations {
        let says = |tag| self.doc.tag(tag).map(|_| true);
        Annotations {
            read_only: says("readonly"),
            destructive: says("destructive"),
            idempotent: says("idempotent"),
            open_world: says("open-world"),
        }
    }

    /// What is wrong with the tags of a function of this role.
    pub(super) fn into_mistakes(self, role: Role) -> Vec<String> {
        let mut mistakes = self.mistakes;
        mistakes.extend(self.doc.tags.iter().filter_map(|tag| mistake(tag, role)));
        mistakes
    }
}

/// What is wrong with a tag for a function of this role, unless that is said when it is used.
fn mistake(tag: &Tag, role: Role) -> Option<String> {
    let (name, value) = (&*tag.name, &*tag.value);
    let (roles, whose): (&[Role], _) = match name {
        "readonly" | "destructive" | "idempotent" | "open-world" | "ui" | "schema" => {
            (&[Role::Tool], "tools")
        }
        "mime" => (&[Role::Tool, Role::Resource], "tools and resources"),
        "uri" | "size" | "audience" | "priority" => (&[Role::Resource], "resources"),
        "param-title" => (&[Role::Prompt], "prompts"),
        "meta" => (
            &[Role::Tool, Role::Prompt, Role::Resource],
            "tools, prompts and resources",
        ),
        "completes" => (&[Role::Completer], "functions that return `list<string>`"),
        _ => (
            &[Role::Tool, Role::Prompt, Role::Resource, Role::Completer],
            "all",
        ),
    };
    if !roles.contains(&role) {
        return Some(format!("`@{name}` belongs to {whose}, and this is {role}"));
    }
    match name {
        "title" | "name" | "completes" | "uri" if value.is_empty() => {
            Some(format!("`@{name}` says nothing"))
        }
        "name" => (fit(value) != value).then(|| {
            format!(
                "`@name {value}` is not used: clients take names with 1 to 64 of A–Z, a–z, 0–9, `_` and `-`"
            )
        }),
        "mime" if role == Role::Resource && !is_media_type(value) => Some(format!(
            "`@mime` takes a media type, such as `text/markdown`; got `{value}`"
        )),
        "readonly" | "destructive" | "idempotent" | "open-world" | "hidden" => (!value.is_empty())
            .then(|| format!("`@{name}` takes nothing behind it; got `{value}`")),
        "icon" => icon(value).is_none().then(|| {
            format!(
                "`@icon` takes an `https:` or `data:` address, a media type and sizes; got `{value}`"
            )
        }),
        "size" => (value.parse::<u64>().is_err())
            .then(|| format!("`@size` takes a number of bytes; got `{value}`")),
        "audience" => audience(value)
            .is_none()
            .then(|| format!("`@audience` takes `user`, `assistant` or both; got `{value}`")),
        "priority" => priority(value)
            .is_none()
            .then(|| format!("`@priority` takes a number from 0 to 1; got `{value}`")),
        "meta" => meta(value)
            .err()
            .map(|cause| format!("`@meta` takes a JSON object: {cause}")),
        "ui" => (!is_ui(value)).then(|| format!("`@ui` takes a `ui://` address; got `{value}`")),
        _ => None,
    }
}

/// `user`, `assistant`, or both.
fn audience(text: &str) -> Option<Vec<Reader>> {
    let readers = text.split_whitespace().map(|word| match word {
        "user" => Some(Reader::User),
        "assistant" => Some(Reader::Assistant),
        _ => None,
    });
    let readers: Vec<Reader> = readers.collect::<Option<_>>()?;
    (!readers.is_empty()).then_some(readers)
}

fn priority(text: &str) -> Option<f64> {
    let priority = text.parse().ok()?;
    (0.0..=1.0).contains(&priority).then_some(priority)
}

fn meta(text: &str) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_str(text)
}

fn icon(text: &str) -> Option<Icon> {
    let mut words = text.split_whitespace();
    let src = words
        .next()
        .filter(|src| src.starts_with("https://") || src.starts_with("data:"))?;
    let (mut mime_type, mut sizes) = (None, Vec::new());
    for word in words {
        let is_size = word == "any"
            || word.split_once('x').is_some_and(|(width, height)| {
                width.parse::<u16>().is_ok() && height.parse::<u16>().is_ok()
            });
        if is_size {
            sizes.push(word.to_owned());
        } else if word.contains('/') && mime_type.is_none() {
            mime_type = Some(word.to_owned());
        } else {
            return None;
        }
    }
    Some(Icon {
        src: src.to_owned(),
        mime_type,
        sizes,
    })
}

fn is_ui(uri: &str) -> bool {
    uri.strip_prefix("ui://")
        .is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}
