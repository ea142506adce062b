//! What a component offers, worked out from its types and the words that came with it.

use std::sync::Arc;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Function, FunctionKind, Interface, Resolve, WorldItem};

use super::folder::Contents;
use super::manifest::Manifest;
use super::offers::{Offer, Offers, Purpose, Role};
use super::package_docs;
use super::requirement::Restrictions;
use super::shapes::{CannotCross, Shapes};
use super::tags::{Doc, Tag, is_rule};
use super::text::Text;
use crate::auth::Access;
use crate::catalog::{self, Address, Annotations, Icon, InvalidAddress, Service};
use crate::sandbox::{Identity, Limits, Program};
use crate::value::{
    Answer, Kind, Member, NameCase, Native, NotPublishable, Scope, Signature, is_media_type,
};

/// A service, and what its author and operator should know about it.
pub(super) struct Described {
    pub(super) service: Service,
    /// What was left out or looks like a mistake, a line each.
    pub(super) notes: Vec<String>,
}

/// Why a component that loads is no service.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDescribed {
    #[error("its exports cannot be read: {0}")]
    Unreadable(String),
    #[error("it is a WIT package, not a component: build a component that implements it")]
    WitPackage,
    #[error(
        "its WIT text restricts who may call, with `@scope`, `@permission` or `@role`, and cannot be used: {0}"
    )]
    UnknownRestrictions(String),
    #[error("in its manifest, `[tools]`: {0}")]
    Manifest(String),
    #[error("it exports no function that can be a tool, a prompt or a resource; {0}")]
    NothingOffered(String),
}

/// Works out what a component offers.
pub(super) fn describe(
    name: &Arc<str>,
    contents: &Contents,
    manifest: &Manifest,
    program: &Program,
    limits: Limits,
) -> Result<Described, NotDescribed> {
    let wasm = &*contents.wasm;
    let decoded = decode(&package_docs::hide(wasm))
        .map_err(|cause| NotDescribed::Unreadable(format!("{cause:#}")))?;
    let DecodedWasm::Component(types, world) = decoded else {
        return Err(NotDescribed::WitPackage);
    };
    let world = types
        .worlds
        .get(world)
        .ok_or_else(|| NotDescribed::Unreadable("it has no world".into()))?;

    let mut notes = Vec::new();
    let sidecar = contents.sidecar.as_deref();
    let text = match Text::find(wasm, sidecar, &types) {
        Ok(text) => text,
        Err(cause) if Text::may_restrict(wasm, sidecar) => {
            return Err(NotDescribed::UnknownRestrictions(cause));
        }
        Err(cause) => {
            notes.push(format!(
                "its WIT text cannot be used, so what it offers has no descriptions: {cause}"
            ));
            None
        }
    };
    let mut reader = Reader {
        service: name,
        types: &types,
        text: text.as_ref(),
        program,
        limits,
        case: manifest.case,
        active_session: manifest.active_session,
        restrictions: Restrictions::new(&manifest.tools, &manifest.scopes, text.as_ref()),
        notes,
        found: Vec::new(),
    };
    let mut description = None;
    for (key, item) in &world.exports {
        match item {
            WorldItem::Interface { id, .. } => {
                let Some(interface) = types.interfaces.get(*id) else {
                    continue;
                };
                let full_name = types.name_world_key(key);
                if is_leftover_interface(&full_name, interface) {
                    continue;
                }
                let words = text.as_ref().and_then(|text| text.interface(&full_name));
                if description.is_none() {
                    description = words.and_then(|words| Doc::of(&words.docs).prose);
                }
                for function in interface.functions.values() {
                    let words = words.and_then(|words| words.functions.get(&function.name));
                    reader.function(Some(&full_name), function, words);
                }
            }
            WorldItem::Function(function) => {
                if !is_leftover_function(function) {
                    let words = text
                        .as_ref()
                        .and_then(|text| text.root_function(&function.name));
                    reader.function(None, function, words);
                }
            }
            WorldItem::Type { .. } => {}
        }
    }

    reader
        .restrictions
        .all_found()
        .map_err(NotDescribed::Manifest)?;
    let Reader {
        found, mut notes, ..
    } = reader;
    let offers = Offers::of(found, &mut notes);
    if offers.is_empty() {
        return Err(NotDescribed::NothingOffered(few(notes).join("; ")));
    }
    Ok(Described {
        notes: few(notes),
        service: Service {
            name: Arc::clone(name),
            digest: contents.digest,
            description,
            tools: offers.tools,
            prompts: offers.prompts,
            resources: offers.resources,
        },
    })
}

/// The most functions of one component that are served. A list of more is of use to no model.
const MOST_FUNCTIONS: usize = 1_000;

/// The most notes on one component; a hostile one could fill the log with them.
const MOST_NOTES: usize = 100;

/// The first notes, and how many more there are.
fn few(mut notes: Vec<String>) -> Vec<String> {
    let more = notes.len().saturating_sub(MOST_NOTES);
    notes.truncate(MOST_NOTES);
    if more > 0 {
        notes.push(format!("and {more} more"));
    }
    notes
}

/// What toolchains export besides the author's functions.
fn is_leftover_interface(name: &str, interface: &Interface) -> bool {
    name.starts_with("wasi:") || (name == "exports" && interface.functions.keys().eq(["init"]))
}

/// The `init` that a JavaScript toolchain leaves at the root, known by its parameters.
fn is_leftover_function(function: &Function) -> bool {
    function.name == "init"
        && function.params.iter().map(|param| &*param.name).eq([
            "shim",
            "script",
            "entry-path",
            "disable-gc",
        ])
}

/// Reads the functions of one component, one after another.
struct Reader<'a> {
    service: &'a Arc<str>,
    types: &'a Resolve,
    text: Option<&'a Text>,
    program: &'a Program,
    limits: Limits,
    case: NameCase,
    active_session: bool,
    restrictions: Restrictions<'a>,
    notes: Vec<String>,
    found: Vec<Offer>,
}

/// Why a function is not served, or not with the words it came with.
enum Refused {
    /// The text describes other types than the component has.
    OtherTypes,
    /// It cannot be served.
    Because(String),
    /// Its author wants it left out.
    Hidden,
}

impl From<CannotCross> for Refused {
    fn from(cause: CannotCross) -> Self {
        Self::Because(cause.to_string())
    }
}

impl From<NotPublishable> for Refused {
    fn from(cause: NotPublishable) -> Self {
        Self::Because(cause.to_string())
    }
}

impl Reader<'_> {
    /// Takes a function in, or notes why it is left out.
    fn function(&mut self, interface: Option<&str>, function: &Function, words: Option<&Function>) {
        let origin = match interface {
            Some(interface) => format!("{interface}#{}", function.name),
            None => function.name.clone(),
        };
        // What restricts a function holds even if its words do not fit its types otherwise.
        let requirement = self
            .restrictions
            .of(interface, function, words, self.case)
            .map_err(Refused::Because);
        if self.found.len() >= MOST_FUNCTIONS {
            self.notes.push(format!(
                "`{origin}` is left out: a component has at most {MOST_FUNCTIONS} functions"
            ));
            return;
        }
        let mut offer = self.offer(interface, &origin, function, words);
        if matches!(offer, Err(Refused::OtherTypes)) {
            self.notes.push(format!(
                "`{origin}` goes without its words: the WIT text describes other types than the component has"
            ));
            offer = self.offer(interface, &origin, function, None);
        }
        let offer = offer.and_then(|mut offer| {
            let access = offer.function.access.clone();
            offer.function.access = access.restricted_to(requirement?);
            Ok(offer)
        });
        match offer {
            Ok(offer) if self.found.iter().any(|other| offer.is_taken_by(other)) => {
                self.notes.push(format!(
                    "`{origin}` is left out: the component has another function named `{}`; give one of them a `@name`",
                    offer.function.name
                ));
            }
            Ok(offer) => self.found.push(offer),
            Err(Refused::Because(cause)) => {
                self.notes.push(format!("`{origin}` is left out: {cause}"));
            }
            Err(Refused::OtherTypes | Refused::Hidden) => {}
        }
    }

    fn offer(
        &mut self,
        interface: Option<&str>,
        origin: &str,
        function: &Function,
        words: Option<&Function>,
    ) -> Result<Offer, Refused> {
        match function.kind {
            FunctionKind::Freestanding | FunctionKind::AsyncFreestanding => {}
            FunctionKind::Method(_)
            | FunctionKind::AsyncMethod(_)
            | FunctionKind::Static(_)
            | FunctionKind::AsyncStatic(_)
            | FunctionKind::Constructor(_) => {
                return Err(Refused::Because(
                    "it belongs to a resource, and nothing outlives a call".into(),
                ));
            }
        }
        let about = About::of(words)?;
        let mut shapes = Shapes::new(self.types, self.text.map(|text| &text.resolve), self.case);

        let mut identity = None;
        let mut members = Vec::new();
        for (position, param) in function.params.iter().enumerate() {
            let words = words.and_then(|words| words.params.get(position));
            if words.is_some_and(|words| words.name != param.name) {
                return Err(Refused::OtherTypes);
            }
            if let Some(found) = shapes.identity(&param.ty) {
                let found = Identity {
                    position,
                    optional: found.optional,
                };
                if identity.replace(found).is_some() {
                    return Err(Refused::Because("it asks for the caller twice".into()));
                }
                continue;
            }
            let cannot_cross = |CannotCross(cause)| {
                Refused::Because(format!("its parameter `{}`: {cause}", param.name))
            };
            let mut shape = shapes
                .shape(&param.ty, words.map(|words| &words.ty))
                .map_err(cannot_cross)?;
            let said = about.parameter(&param.name);
            if let Some(docs) = said.docs {
                shape.docs = Some(docs.to_owned());
            }
            for (tag, value) in said.rules {
                if let Err(cause) = shape.rules.add(tag, value, &shape.kind) {
                    shapes
                        .mistakes
                        .push(format!("`@{tag} {}`: {cause}", param.name));
                }
            }
            members.push(Member {
                json: said
                    .name
                    .map_or_else(|| self.case.of(&param.name), str::to_owned),
                wit: param.name.clone(),
                shape,
            });
        }
        let answer = answer(&mut shapes, function, words)?;
        if shapes.mismatch {
            return Err(Refused::OtherTypes);
        }
        let native = function
            .result
            .as_ref()
            .and_then(|result| shapes.native(result));
        let (role, native) = match native {
            Some(Native::Prompt) => (Role::Prompt, native),
            Some(Native::Documents) => (Role::Resource, native),
            None if about.doc.tag("completes").is_some() => {
                (Role::Completer, Some(Native::Completions))
            }
            Some(Native::Content | Native::Completions) | None => (Role::Tool, native),
        };
        let mistakes = about.mistakes(function, role).chain(shapes.mistakes);
        self.notes
            .extend(mistakes.map(|mistake| format!("`{origin}`: {mistake}")));

        let params = Scope::new(members).map_err(|clash| Refused::Because(clash.to_string()))?;
        let mut signature = Signature::new(params, answer)?;
        if let Some(native) = native {
            signature = signature.with_native(native)?;
        }
        if role == Role::Tool {
            signature = about.complete(signature)?;
        }
        if about.doc.tag("schema").is_some()
            && let Some(keyword) = signature.unpopular_keyword()
        {
            self.notes.push(format!(
                "`{origin}`: its `@schema` has `{keyword}` at its root, and some clients drop such a tool"
            ));
        }
        let name = about.name();
        let purpose = match role {
            Role::Tool => Purpose::Tool {
                annotations: about.annotations(),
                ui: about.ui().map(str::to_owned),
            },
            Role::Prompt => Purpose::Prompt,
            Role::Resource => {
                about.resource(self.service, name.unwrap_or(&function.name), &signature)?
            }
            Role::Completer => Purpose::Completer(about.targets()),
        };
        let export = self
            .program
            .export(interface, &function.name, identity)
            .ok_or_else(|| Refused::Because("the component does not really export it".into()))?;
        let served = catalog::Function {
            service: Arc::clone(self.service),
            origin: origin.to_owned(),
            name: name.map_or_else(|| self.case.of(&function.name), str::to_owned),
            title: about.doc.tag("title").map(str::to_owned),
            description: about.description(),
            icons: about.icons(),
            access: match identity {
                None => Access::Public,
                Some(identity) if identity.optional => Access::Optional,
                Some(_) => Access::Required,
            },
            active_session: self.active_session,
            signature,
            export,
            limits: self.limits,
        };
        Ok(Offer {
            wit: function.name.clone(),
            function: served,
            purpose,
        })
    }
}

/// The type of a result at the root is the outcome of the call; anywhere else it is a value.
fn answer(
    shapes: &mut Shapes<'_>,
    function: &Function,
    words: Option<&Function>,
) -> Result<Answer, Refused> {
    let Some(ty) = &function.result else {
        return Ok(Answer::Nothing);
    };
    let cannot_cross = |CannotCross(cause)| Refused::Because(format!("its result: {cause}"));
    let words = words.and_then(|words| words.result.as_ref());
    let shape = shapes.shape(ty, words).map_err(cannot_cross)?;
    if let Kind::Result { ok, err } = shape.kind {
        return Ok(Answer::Fallible {
            ok: ok.map(|ok| *ok),
            err: err.map(|err| *err),
        });
    }
    Ok(Answer::Value(shape))
}

/// The media type of a user interface (MCP Apps).
const APP: &str = "text/html;profile=mcp-app";

/// What the doc comment of a function says.
struct About {
    doc: Doc,
}

/// What the doc comment of a function says about one of its parameters.
#[derive(Default)]
struct Said<'a> {
    name: Option<&'a str>,
    docs: Option<&'a str>,
    rules: Vec<(&'a str, &'a str)>,
}

impl About {
    fn of(words: Option<&Function>) -> Result<Self, Refused> {
        let doc = words.map(|words| Doc::of(&words.docs)).unwrap_or_default();
        if doc.tag("hidden").is_some() {
            return Err(Refused::Hidden);
        }
        Ok(Self { doc })
    }

    /// What it does, and that it should be left alone if its author says so.
    fn description(&self) -> Option<String> {
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

    /// The name that its author gives it.
    fn name(&self) -> Option<&str> {
        self.doc.tag("name").filter(|name| !name.is_empty())
    }

    /// Where a resource is read, and what it holds.
    fn resource(
        &self,
        service: &str,
        name: &str,
        signature: &Signature,
    ) -> Result<Purpose, Refused> {
        let refused = |cause: InvalidAddress| Refused::Because(cause.to_string());
        let fallback = Address::of(service, name, signature.params()).map_err(refused)?;
        let address = match self.doc.tag("uri") {
            Some(text) => Address::parse(text, signature.params())
                .map_err(|cause| Refused::Because(format!("`@uri {text}`: {cause}")))?,
            None => fallback.clone(),
        };
        let mime_type = self.doc.tag("mime").filter(|media| is_media_type(media));
        let is_app = address.to_string().starts_with("ui://");
        Ok(Purpose::Resource {
            mime_type: mime_type.or(is_app.then_some(APP)).map(str::to_owned),
            address,
            fallback,
        })
    }

    /// `@completes prompt/argument`, as often as wanted.
    fn targets(&self) -> Vec<String> {
        let tags = self.doc.tags.iter();
        tags.filter(|tag| tag.name == "completes")
            .map(|tag| tag.value.clone())
            .collect()
    }

    /// The signature with what its author says of it as a whole.
    fn complete(&self, mut signature: Signature) -> Result<Signature, Refused> {
        if let Some(media) = self.doc.tag("mime") {
            signature = signature.with_media(media)?;
        }
        if let Some(schema) = self.doc.tag("schema") {
            signature = signature.with_input_schema(schema)?;
        }
        Ok(signature)
    }

    /// `@icon src [type/subtype] [48x48 …]`
    fn icons(&self) -> Vec<Icon> {
        let icons = self.doc.tags.iter().filter(|tag| tag.name == "icon");
        icons.filter_map(|tag| icon(&tag.value)).collect()
    }

    /// `@ui ui://…`
    fn ui(&self) -> Option<&str> {
        self.doc.tag("ui").filter(|uri| is_ui(uri))
    }

    fn annotations(&self) -> Annotations {
        let says = |tag| self.doc.tag(tag).map(|_| true);
        Annotations {
            read_only: says("readonly"),
            destructive: says("destructive"),
            idempotent: says("idempotent"),
            open_world: says("open-world"),
        }
    }

    /// `@param name text`, `@param name as json_name text`, and rules: `@min-length name 1`.
    fn parameter(&self, name: &str) -> Said<'_> {
        let mut said = Said::default();
        for tag in &self.doc.tags {
            let (subject, rest) = first_word(&tag.value);
            if subject != name {
                continue;
            }
            if tag.name == "param" {
                let (renamed, text) = match first_word(rest) {
                    ("as", rest) => {
                        let (name, text) = first_word(rest);
                        (Some(name), text)
                    }
                    _ => (None, rest),
                };
                said.name = renamed.filter(|name| !name.is_empty());
                said.docs = Some(text).filter(|text| !text.is_empty());
            } else if is_rule(&tag.name) {
                said.rules.push((&tag.name, rest));
            }
        }
        said
    }

    /// What is wrong with the tags of a function.
    fn mistakes<'a>(
        &'a self,
        function: &'a Function,
        role: Role,
    ) -> impl Iterator<Item = String> + 'a {
        self.doc.tags.iter().filter_map(move |tag| {
            let name = &*tag.name;
            let (roles, whose): (&[Role], _) = match name {
                "readonly" | "destructive" | "idempotent" | "open-world" | "ui" | "schema" => {
                    (&[Role::Tool], "tools")
                }
                "mime" => (&[Role::Tool, Role::Resource], "tools and resources"),
                "uri" => (&[Role::Resource], "resources"),
                "completes" => (&[Role::Completer], "functions that return `list<string>`"),
                _ => return mistake(tag, function),
            };
            if !roles.contains(&role) {
                return Some(format!("`@{name}` belongs to {whose}, and this is {role}"));
            }
            if name == "mime" && role == Role::Resource && !is_media_type(&tag.value) {
                return Some(format!(
                    "`@mime` takes a media type, such as `text/markdown`; got `{}`",
                    tag.value
                ));
            }
            mistake(tag, function)
        })
    }
}

/// What is wrong with a tag, wherever it may stand.
fn mistake(tag: &Tag, function: &Function) -> Option<String> {
    let (subject, _) = first_word(&tag.value);
    let name = &*tag.name;
    match name {
        "title" | "name" | "mime" | "schema" | "uri" | "completes" if tag.value.is_empty() => {
            Some(format!("`@{name}` says nothing"))
        }
        // What is wrong with the last five is said when they are used.
        "title" | "name" | "mime" | "schema" | "deprecated" | "uri" | "completes" | "scope"
        | "permission" | "role" => None,
        "readonly" | "destructive" | "idempotent" | "open-world" | "hidden" => {
            (!tag.value.is_empty())
                .then(|| format!("`@{name}` takes nothing behind it; got `{}`", tag.value))
        }
        "icon" => icon(&tag.value).is_none().then(|| {
            format!(
                "`@icon` takes an `https:` or `data:` address, a media type and sizes; got `{}`",
                tag.value
            )
        }),
        "ui" => (!is_ui(&tag.value))
            .then(|| format!("`@ui` takes a `ui://` address; got `{}`", tag.value)),
        name if name == "param" || is_rule(name) => {
            let known = function.params.iter().any(|param| param.name == subject);
            (!known).then(|| format!("`@{name}` names no parameter of it: `{subject}`"))
        }
        name => Some(format!("unknown tag `@{name}`")),
    }
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

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}
