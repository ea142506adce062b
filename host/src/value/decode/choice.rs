//! Choices: enums, variants, flags, options and results.

use std::collections::HashSet;

use wasmtime::component::Val;

use super::{Decoder, Object};
use crate::value::json::Json;
use crate::value::pointer::Pointer;
use crate::value::words;
use crate::value::{Case, Kind, Scope, Shape};

impl Decoder {
    /// Finds a case by name.
    pub(super) fn case<'s>(
        &mut self,
        cases: &'s Scope<Case>,
        name: &str,
        at: &Pointer<'_>,
    ) -> Option<&'s Case> {
        match cases.get(name) {
            Some(case) => Some(case),
            None => self.refuse(at, || {
                let expected = words::one_of(cases);
                format!(
                    "expected {expected}; got {}{}",
                    words::quoted(name),
                    words::proposal(cases, name)
                )
            }),
        }
    }

    pub(super) fn enumeration(
        &mut self,
        shape: &Shape,
        cases: &Scope<Case>,
        json: &Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        if let Json::String(name) = json {
            self.case(cases, name, at)
                .map(|case| Val::Enum(case.wit.clone()))
        } else {
            self.unexpected(shape, json, at)
        }
    }

    /// A variant is `{"tag": …, "val": …}`, `{case: payload}`, or the name of a case without payload.
    pub(super) fn variant(
        &mut self,
        shape: &Shape,
        cases: &Scope<Case>,
        json: Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        match json {
            Json::String(name) => {
                let case = self.case(cases, &name, at)?;
                self.payload(case, None, at, at)
            }
            Json::Object(pairs) if pairs.iter().any(|(key, _)| key == "tag") => {
                let (tag, val) = self.tag_and_val(pairs, at)?;
                let place = at.key("tag");
                let Json::String(name) = tag else {
                    return self.refuse(&place, || {
                        format!(
                            "expected {}; got {}",
                            words::one_of(cases),
                            words::got(&tag)
                        )
                    });
                };
                let case = self.case(cases, &name, &place)?;
                self.payload(case, val, at, &at.key("val"))
            }
            Json::Object(pairs) => match <[_; 1]>::try_from(pairs) {
                Ok([(name, val)]) => {
                    let place = at.key(&name);
                    let case = self.case(cases, &name, &place)?;
                    self.payload(case, Some(val), at, &place)
                }
                Err(pairs) => self.unexpected(shape, &Json::Object(pairs), at),
            },
            other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_)) => {
                self.unexpected(shape, &other, at)
            }
        }
    }

    fn tag_and_val<'j>(
        &mut self,
        pairs: Object<'j>,
        at: &Pointer<'_>,
    ) -> Option<(Json<'j>, Option<Json<'j>>)> {
        let (mut tag, mut val) = (None, None);
        let mut sound = true;
        for (key, json) in pairs {
            let slot = match &*key {
                "tag" => &mut tag,
                "val" => &mut val,
                _ => {
                    sound = false;
                    self.mistakes.add(&at.key(&key), || {
                        "unknown field; expected \"tag\", \"val\"".to_owned()
                    });
                    continue;
                }
            };
            if slot.is_some() {
                sound = false;
                self.mistakes
                    .add(&at.key(&key), || "given twice".to_owned());
            }
            *slot = Some(json);
        }
        tag.filter(|_| sound).map(|tag| (tag, val))
    }

    /// The value of a case. `at` is where the variant stands, `place` where the payload does.
    fn payload(
        &mut self,
        case: &Case,
        val: Option<Json<'_>>,
        at: &Pointer<'_>,
        place: &Pointer<'_>,
    ) -> Option<Val> {
        let payload = match (&case.payload, val) {
            (None, None | Some(Json::Null)) => None,
            (None, Some(other)) => {
                return self.refuse(place, || {
                    format!(
                        "{} takes no value; got {}",
                        words::quoted(&case.json),
                        words::got(&other)
                    )
                });
            }
            (Some(shape), Some(json)) => Some(self.value(shape, json, place)?),
            (Some(shape), None) if matches!(shape.kind, Kind::Option(_)) => Some(Val::Option(None)),
            (Some(shape), None) => {
                return self.refuse(at, || {
                    let tag = words::quoted(&case.json);
                    format!(
                        "{tag} lacks its value: send {{\"tag\": {tag}, \"val\": …}} with {}",
                        words::expected(shape)
                    )
                });
            }
        };
        Some(Val::Variant(case.wit.clone(), payload.map(Box::new)))
    }

    /// Flags are an array of names, an object of booleans, or names with commas between them.
    pub(super) fn flags(
        &mut self,
        shape: &Shape,
        flags: &Scope<Case>,
        json: Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        let mut set = HashSet::new();
        let mut sound = true;
        match json {
            Json::Array(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    let place = at.item(index);
                    let flag = match &item {
                        Json::String(name) => self.case(flags, name, &place),
                        other @ (Json::Null
                        | Json::Bool(_)
                        | Json::Number(_)
                        | Json::Array(_)
                        | Json::Object(_)) => self.refuse(&place, || {
                            format!(
                                "expected {}; got {}",
                                words::one_of(flags),
                                words::got(other)
                            )
                        }),
                    };
                    match flag {
                        Some(flag) => _ = set.insert(flag.wit.as_str()),
                        None => sound = false,
                    }
                }
            }
            Json::Object(pairs) => {
                let mut seen = HashSet::new();
                for (name, json) in &pairs {
                    let place = at.key(name);
                    let Some(flag) = self.case(flags, name, &place) else {
                        sound = false;
                        continue;
                    };
                    let on = match json {
                        _ if !seen.insert(flag.wit.as_str()) => {
                            self.refuse(&place, || "given twice".to_owned())
                        }
                        Json::Bool(on) => Some(*on),
                        other @ (Json::Null
                        | Json::Number(_)
                        | Json::String(_)
                        | Json::Array(_)
                        | Json::Object(_)) => self.refuse(&place, || {
                            format!("expected true or false; got {}", words::got(other))
                        }),
                    };
                    match on {
                        Some(true) => _ = set.insert(flag.wit.as_str()),
                        Some(false) => {}
                        None => sound = false,
                    }
                }
            }
            Json::String(text) if text.is_empty() => {}
            Json::String(text) => {
                for name in text.split(',') {
                    match self.case(flags, name.trim_matches(' '), at) {
                        Some(flag) => _ = set.insert(flag.wit.as_str()),
                        None => sound = false,
                    }
                }
            }
            other @ (Json::Null | Json::Bool(_) | Json::Number(_)) => {
                return self.unexpected(shape, &other, at);
            }
        }
        if !sound {
            return None;
        }
        let names = flags
            .iter()
            .map(|flag| &flag.wit)
            .filter(|wit| set.contains(wit.as_str()))
            .cloned();
        Some(Val::Flags(names.collect()))
    }

    /// `null` is none. An option in an option is wrapped, so that both nones can be told apart.
    pub(super) fn option(
        &mut self,
        shape: &Shape,
        inner: &Shape,
        json: Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        let some = |value| Val::Option(Some(Box::new(value)));
        if let Json::Null = json {
            return Some(Val::Option(None));
        }
        if !matches!(inner.kind, Kind::Option(_)) {
            return self.value(inner, json, at).map(some);
        }
        match json {
            Json::Object(mut pairs)
                if pairs.len() <= 1 && pairs.iter().all(|(key, _)| key == "some") =>
            {
                let content = pairs.pop().map_or(Json::Null, |(_, json)| json);
                self.value(inner, content, &at.key("some")).map(some)
            }
            other @ (Json::Null
            | Json::Bool(_)
            | Json::Number(_)
            | Json::String(_)
            | Json::Array(_)
            | Json::Object(_)) => self.unexpected(shape, &other, at),
        }
    }

    pub(super) fn result(
        &mut self,
        shape: &Shape,
        ok: Option<&Shape>,
        err: Option<&Shape>,
        json: Json<'_>,
        at: &Pointer<'_>,
    ) -> Option<Val> {
        let Json::Object(pairs) = json else {
            return self.unexpected(shape, &json, at);
        };
        let (key, json) = match <[_; 1]>::try_from(pairs) {
            Ok([(key, json)]) if matches!(&*key, "ok" | "err") => (key, json),
            Ok(_) | Err(_) => {
                return self.refuse(at, || {
                    "expected an object with exactly one of \"ok\" and \"err\"".to_owned()
                });
            }
        };
        let place = at.key(&key);
        let is_ok = key == "ok";
        let payload = match (if is_ok { ok } else { err }, json) {
            (None, Json::Null) => None,
            (None, other) => {
                return self.refuse(&place, || {
                    format!("expected null; got {}", words::got(&other))
                });
            }
            (Some(shape), json) => Some(Box::new(self.value(shape, json, &place)?)),
        };
        Some(Val::Result(if is_ok { Ok(payload) } else { Err(payload) }))
    }
}
