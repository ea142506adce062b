//! Completions: what a person may mean who has begun to type an argument.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Function;
use crate::value::Kind;

/// The functions that complete the arguments of one prompt or resource, by the WIT name of the
/// argument.
#[derive(Default)]
pub struct Completers(BTreeMap<String, Arc<Function>>);

/// What completes one argument.
#[derive(Clone)]
pub enum Completion {
    /// It is one of these values.
    Fixed(Vec<String>),
    /// This function knows. It is run like any other, with [`Signature::completing`] for its
    /// arguments.
    ///
    /// [`Signature::completing`]: crate::value::Signature::completing
    By(Arc<Function>),
}

impl Completion {
    /// As many values are given in answer to one request (MCP, `completion/complete`).
    pub const MOST: usize = 100;

    /// Those of the values that begin with what was typed, in whatever case it was typed.
    pub fn beginning<'v>(
        values: &'v [String],
        typed: &str,
    ) -> impl Iterator<Item = &'v str> + use<'v> {
        let typed = typed.to_lowercase();
        values
            .iter()
            .map(|value| &**value)
            .filter(move |value| value.to_lowercase().starts_with(&typed))
    }
}

impl Completers {
    /// Lets a function complete the argument of this WIT name. False if another one does already.
    pub fn add(&mut self, argument: &str, completer: &Arc<Function>) -> bool {
        let is_new = !self.0.contains_key(argument);
        if is_new {
            self.0.insert(argument.to_owned(), Arc::clone(completer));
        }
        is_new
    }

    /// The functions, with the WIT names of the arguments that they complete.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Function>)> {
        self.0
            .iter()
            .map(|(argument, function)| (&**argument, function))
    }

    /// What completes an argument of a function, by any of its spellings.
    pub(super) fn of(&self, function: &Function, argument: &str) -> Option<Completion> {
        let param = function.signature.params().get(argument)?;
        if let Some(completer) = self.0.get(&param.wit) {
            return Some(Completion::By(Arc::clone(completer)));
        }
        match param.shape.kind.beneath_options() {
            Kind::Bool => Some(Completion::Fixed(vec!["true".into(), "false".into()])),
            Kind::Enum(cases) => Some(Completion::Fixed(
                cases.iter().map(|case| case.json.clone()).collect(),
            )),
            Kind::S8
            | Kind::S16
            | Kind::S32
            | Kind::S64
            | Kind::U8
            | Kind::U16
            | Kind::U32
            | Kind::U64
            | Kind::F32
            | Kind::F64
            | Kind::Char
            | Kind::String
            | Kind::Bytes
            | Kind::List(_)
            | Kind::FixedList(..)
            | Kind::Tuple(_)
            | Kind::Record(_)
            | Kind::Variant(_)
            | Kind::Flags(_)
            | Kind::Option(_)
            | Kind::Result { .. }
            | Kind::Map(..) => None,
        }
    }
}
