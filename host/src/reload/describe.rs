//! What a component offers, worked out from its types and the words that came with it.

use std::collections::HashSet;
use std::sync::Arc;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Function, FunctionKind, Resolve, Type, World, WorldItem};

use super::about::About;
use super::folder::Contents;
use super::leftovers::{is_leftover_function, is_leftover_interface, is_of_another_host};
use super::manifest::{Granting, Manifest};
use super::notes::Notes;
use super::offers::{Offer, Offers, Purpose, Role};
use super::requirement::Restrictions;
use super::shapes::{Budget, CannotCross, Shapes};
use super::tags::{About as Whom, Doc};
use super::words::{Said, Words};
use super::{naming, package_docs, text};
use crate::auth::Access;
use crate::catalog::{self, InvalidAddress, Service, fit};
use crate::sandbox::{Asks, Identity, Limits, Program};
use crate::value::{Answer, Kind, Member, NameCase, Native, NotPublishable, Scope, Signature};

/// A service, and what its author and operator should know about it.
pub(super) struct Described {
    pub(super) service: Service,
    /// What was left out or looks like a mistake, a line each.
    pub(super) notes: Vec<String>,
    /// What it may ask for.
    pub(super) asks: Asks,
    /// What the operator says of what it may use.
    pub(super) granted: Granting,
    /// How many types, fields and cases were read for it.
    pub(super) work: u32,
}

/// Why a component that loads is no service.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotDescribed {
    #[error("its exports cannot be read: {0}")]
    Unreadable(String),
    #[error("it is a WIT package, not a component: build a component that implements it")]
    WitPackage,
    #[error(
        "it is made for another host, which calls it through `{0}`: build it with functions of its own instead"
    )]
    OtherHost(String),
    #[error(
        "its WIT text restricts who may call, with `@scope`, `@permission` or `@role`, and cannot be used: {0}"
    )]
    UnknownRestrictions(String),
    #[error(
        "`{0}` asks who calls, and no WIT text came with the component that could say who may: in production, put the text beside it, or state `wit = \"none\"` in its manifest"
    )]
    NoText(String),
    #[error("in its manifest, {0}")]
    Manifest(String),
    #[error("it exports no function that can be a tool, a prompt or a resource{0}")]
    NothingOffered(String),
}

/// What is said of a component beside its files.
pub(super) struct Terms {
    /// What one call may use.
    pub(super) limits: Limits,
    /// Whether nothing may be lost that could restrict a function.
    pub(super) production: bool,
}

/// Works out what a component offers.
pub(super) fn describe(
    name: &Arc<str>,
    contents: &Contents,
    manifest: &Manifest,
    program: &Program,
    terms: &Terms,
) -> Result<Described, NotDescribed> {
    let wasm = &*contents.wasm;
    let decoded = text::apart(|| decode(&package_docs::hide(wasm)))
        .map_err(NotDescribed::Unreadable)?
        .map_err(|cause| NotDescribed::Unreadable(format!("{cause:#}")))?;
    let DecodedWasm::Component(types, world) = decoded else {
        return Err(NotDescribed::WitPackage);
    };
    let world = types
        .worlds
        .get(world)
        .ok_or_else(|| NotDescribed::Unreadable("it has no world".into()))?;
    for key in world.exports.keys() {
        let name = types.name_world_key(key);
        if is_of_another_host(&name) {
            return Err(NotDescribed::OtherHost(name));
        }
    }

    let mut notes = Notes::default();
    let sidecar = contents.sidecar.as_deref();
    let words = Words::find(wasm, sidecar, &types, world, &mut notes)
        .map_err(NotDescribed::UnknownRestrictions)?;
    words.review(&types, world, &mut notes);
    if manifest.case == NameCase::Kebab {
        notes.add(|| {
            "its names are spelled with `-`, and some clients, Cursor among them, drop such tools".into()
        });
    }
    let mut reader = Reader {
        service: name,
        types: &types,
        words: &words,
        shapes: Shapes::new(&types, &words, manifest.case),
        program,
        limits: terms.limits,
        case: manifest.case,
        active_session: manifest.active_session,
        restrictions: Restrictions::new(&manifest.tools, &manifest.scopes, &words, &types, world),
        notes,
        room: MOST_SCHEMAS,
        found: Vec::new(),
    };
    let description = reader.world(world);
    reader
        .restrictions
        .all_found()
        .map_err(|wrong| NotDescribed::Manifest(manifest.placed(&wrong)))?;
    let Reader {
        found,
        mut notes,
        shapes,
        ..
    } = reader;
    if terms.production && words.texts.is_empty() && manifest.wit.is_none() {
        let mut asking = found.iter().filter(|offer| offer.asks_who_calls());
        if let Some(offer) = asking.next() {
            return Err(NotDescribed::NoText(offer.function.origin.clone()));
        }
    }
    let found = naming::settle(found, manifest.case, &mut notes);
    let offers = Offers::of(found, &mut notes);
    if offers.is_empty() {
        let causes = notes.into_lines().join("; ");
        let comma = if causes.is_empty() { "" } else { "; " };
        return Err(NotDescribed::NothingOffered(format!("{comma}{causes}")));
    }
    Ok(Described {
        work: shapes.work(),
        notes: notes.into_lines(),
        asks: program.asks(),
        granted: manifest.told(),
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

/// How many bytes the schemas of one component may take. They are kept as long as it is served.
const MOST_SCHEMAS: usize = 16 << 20;

/// Names longer than this leave some clients no room for the name of the server.
const LONG_NAME: usize = 50;

/// Reads the functions of one component, one after another.
struct Reader<'a> {
    service: &'a Arc<str>,
    types: &'a Resolve,
    words: &'a Words,
    shapes: Shapes<'a>,
    program: &'a Program,
    limits: Limits,
    case: NameCase,
    active_session: bool,
    restrictions: Restrictions<'a>,
    notes: Notes,
    /// How many bytes schemas may still take.
    room: usize,
    found: Vec<Offer>,
}

/// Why a function is not served.
enum Refused {
    /// It cannot be.
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

impl From<InvalidAddress> for Refused {
    fn from(cause: InvalidAddress) -> Self {
        Self::Because(cause.to_string())
    }
}

/// A function with what stands around it.
struct Found<'a> {
    /// The full name of its interface; none for one of the world itself.
    interface: Option<&'a str>,
    /// The name of the interface alone.
    short: Option<String>,
    /// Both names, for the log.
    origin: String,
    function: &'a Function,
}

impl Reader<'_> {
    /// Reads all that is exported, and what is said of it as a whole.
    fn world(&mut self, world: &World) -> Option<String> {
        let types = self.types;
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
                    let mut docs = self.words.docs(&full_name);
                    if description.is_none() {
                        description = docs.find_map(|docs| Doc::of(docs, Whom::Item).prose);
                    }
                    for function in interface.functions.values() {
                        self.function(&Found {
                            interface: Some(&full_name),
                            short: Some(short(&full_name).to_owned()),
                            origin: format!("{full_name}#{}", function.name),
                            function,
                        });
                    }
                }
                WorldItem::Function(function) => {
                    if !is_leftover_function(function) {
                        self.function(&Found {
                            interface: None,
                            short: None,
                            origin: function.name.clone(),
                            function,
                        });
                    }
                }
                WorldItem::Type { .. } => {}
            }
        }
        description
    }

    /// Takes a function in, or notes why it is left out.
    fn function(&mut self, found: &Found<'_>) {
        let Found {
            interface,
            origin,
            function,
            ..
        } = found;
        let words = self.words;
        let mut said = words.of(*interface, &function.name);
        // What restricts a function holds even if its words do not fit its types otherwise.
        let requirement = self
            .restrictions
            .of(*interface, origin, function, &said, self.case)
            .map_err(Refused::Because);
        if self.found.len() >= MOST_FUNCTIONS {
            self.notes.add(|| {
                format!(
                    "`{origin}` is left out: a component has at most {MOST_FUNCTIONS} functions"
                )
            });
            return;
        }
        self.keep_fitting(origin, function, &mut said);
        let offer = requirement.and_then(|requirement| {
            let mut offer = self.offer(found, &said)?;
            let access = offer.function.access.clone();
            offer.function.access = access.restricted_to(requirement);
            Ok(offer)
        });
        match offer {
            Ok(offer) => self.found.push(offer),
            Err(Refused::Because(cause)) => {
                self.notes
                    .add(|| format!("`{origin}` is left out: {cause}"));
            }
            Err(Refused::Hidden) => {}
        }
        let mistakes = self.shapes.take_mistakes();
        self.notes.about(origin, mistakes);
    }

    /// Leaves out what texts say of functions of other types. A text that has only such a one is told
    /// of; one that has a world for each purpose may well have others, too.
    fn keep_fitting(&mut self, origin: &str, function: &Function, said: &mut Vec<Said<'_>>) {
        let before: HashSet<usize> = said.iter().map(|said| said.text).collect();
        said.retain(|said| self.shapes.fits(function, said));
        let after: HashSet<usize> = said.iter().map(|said| said.text).collect();
        let mut lost: Vec<&usize> = before.difference(&after).collect();
        lost.sort_unstable();
        for text in lost
            .into_iter()
            .filter_map(|text| self.words.texts.get(*text))
        {
            self.notes.add(|| {
                format!(
                    "`{origin}` goes without its words of {}: that describes other types than the component has",
                    text.place
                )
            });
        }
    }

    fn offer(&mut self, found: &Found<'_>, said: &[Said<'_>]) -> Result<Offer, Refused> {
        let Found {
            interface,
            origin,
            function,
            ..
        } = found;
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
        let doc = said
            .iter()
            .map(|said| Doc::of(&said.function.docs, Whom::Function))
            .reduce(|near, far| near.or(far, Whom::Function))
            .unwrap_or_default();
        let mut about = About::new(doc, function);
        if about.is_hidden() {
            return Err(Refused::Hidden);
        }
        let mut mistakes = Vec::new();
        let mut budget = Budget::default();
        let (identity, params) =
            self.params(function, said, &mut about, &mut budget, &mut mistakes)?;
        let answer = self.answer(function, said, &mut budget)?;
        let native = function
            .result
            .as_ref()
            .and_then(|result| self.shapes.native(result));
        let (role, native) = match native {
            Some(Native::Prompt) => (Role::Prompt, native),
            Some(Native::Documents) => (Role::Resource, native),
            None if about.completes() => (Role::Completer, Some(Native::Completions)),
            Some(Native::Content | Native::Completions) | None => (Role::Tool, native),
        };
        let mut signature = Signature::new(params, answer)?;
        if let Some(native) = native {
            signature = signature.with_native(native)?;
        }
        if role == Role::Tool {
            signature = about.complete(signature);
        }
        mistakes.extend(signature.misplaced_headers().iter().map(|header| {
            format!(
                "`@header {header}` stands where it cannot: only on parameters and fields of records, each header once"
            )
        }));
        let room = self.room.checked_sub(signature.size());
        self.room = room.ok_or_else(|| {
            Refused::Because(format!(
                "the schemas of the component take more than {} MiB",
                MOST_SCHEMAS >> 20
            ))
        })?;

        let name = about.name();
        let address = name.unwrap_or(&function.name).to_owned();
        let name = fit(&name.map_or_else(|| self.case.of(&function.name), str::to_owned));
        if name.len() > LONG_NAME {
            mistakes.push(format!(
                "its name `{name}` has {} characters, and some clients drop what has more than {LONG_NAME}; give it a shorter `@name`",
                name.len()
            ));
        }
        let purpose = match role {
            Role::Tool => Purpose::Tool {
                annotations: about.annotations(),
                ui: about.ui().map(str::to_owned),
            },
            Role::Prompt => Purpose::Prompt {
                titles: about.param_titles(),
            },
            Role::Resource => about.resource(self.service, &address, &signature)?,
            Role::Completer => Purpose::Completer(about.targets()),
        };
        let export = self
            .program
            .export(*interface, &function.name, identity)
            .ok_or_else(|| Refused::Because("the component does not really export it".into()))?;
        let served = catalog::Function {
            service: Arc::clone(self.service),
            origin: origin.clone(),
            wit: function.name.clone(),
            name,
            title: about.title().map(str::to_owned),
            description: about.description(),
            icons: about.icons(),
            meta: about.meta(),
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
        mistakes.extend(about.into_mistakes(role));
        for mistake in mistakes {
            self.notes.add(|| format!("`{origin}`: {mistake}"));
        }
        Ok(Offer {
            interface: found.short.clone(),
            function: served,
            purpose,
        })
    }

    /// The parameters that callers give, and where the function takes the caller's identity.
    fn params(
        &mut self,
        function: &Function,
        said: &[Said<'_>],
        about: &mut About,
        budget: &mut Budget,
        mistakes: &mut Vec<String>,
    ) -> Result<(Option<Identity>, Scope<Member>), Refused> {
        let mut identity = None;
        let mut members = Vec::new();
        for (position, param) in function.params.iter().enumerate() {
            if let Some(found) = self.shapes.identity(&param.ty) {
                let found = Identity {
                    position,
                    optional: found.optional,
                };
                if identity.replace(found).is_some() {
                    return Err(Refused::Because("it asks for the caller twice".into()));
                }
                continue;
            }
            let words = types(said, |function| {
                function.params.get(position).map(|it| it.ty)
            });
            let mut shape =
                self.shapes
                    .shape(&param.ty, words, budget)
                    .map_err(|CannotCross(cause)| {
                        Refused::Because(format!("its parameter `{}`: {cause}", param.name))
                    })?;
            let said = about.parameter(&param.name);
            if said.docs.is_some() {
                shape.docs = said.docs;
            }
            for (tag, value) in &said.rules {
                if let Err(cause) = self.shapes.rule(&mut shape, tag, value) {
                    mistakes.push(format!("its parameter `{}`: {cause}", param.name));
                }
            }
            members.push(Member {
                json: said.name.unwrap_or_else(|| self.case.of(&param.name)),
                wit: param.name.clone(),
                shape,
            });
        }
        let params = Scope::new(members);
        let params = params.map_err(|clash| Refused::Because(clash.of_parameters()))?;
        Ok((identity, params))
    }

    /// The type of a result at the root is the outcome of the call; anywhere else it is a value.
    fn answer(
        &mut self,
        function: &Function,
        said: &[Said<'_>],
        budget: &mut Budget,
    ) -> Result<Answer, Refused> {
        let Some(ty) = &function.result else {
            return Ok(Answer::Nothing);
        };
        let words = types(said, |function| function.result);
        let shape = self
            .shapes
            .shape(ty, words, budget)
            .map_err(|CannotCross(cause)| Refused::Because(format!("its result: {cause}")))?;
        if let Kind::Result { ok, err } = shape.kind {
            return Ok(Answer::Fallible {
                ok: ok.map(Arc::unwrap_or_clone),
                err: err.map(Arc::unwrap_or_clone),
            });
        }
        Ok(Answer::Value(shape))
    }
}

/// The types that texts have in one place of a function.
fn types(said: &[Said<'_>], of: impl Fn(&Function) -> Option<Type>) -> Vec<(usize, Type)> {
    said.iter()
        .filter_map(|said| Some((said.text, of(said.function)?)))
        .collect()
}

/// The name of an interface without its package and version.
fn short(full_name: &str) -> &str {
    let name = full_name
        .rsplit_once('/')
        .map_or(full_name, |(_, name)| name);
    name.split_once('@').map_or(name, |(name, _version)| name)
}
