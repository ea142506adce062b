//! Names within one component: two functions that callers could not tell apart are both served under
//! longer names, or neither is. No order decides.

use std::collections::HashMap;

use super::notes::Notes;
use super::offers::{Offer, Purpose};
use crate::catalog::{Address, fit, folded};
use crate::value::NameCase;

/// Gives functions of one name the names of their interfaces, and leaves out what is still the same.
pub(super) fn settle(mut offers: Vec<Offer>, case: NameCase, notes: &mut Notes) -> Vec<Offer> {
    for alike in groups(&offers) {
        let names: Vec<String> = alike
            .iter()
            .filter_map(|index| {
                let offer = offers.get_mut(*index)?;
                qualify(offer, case);
                Some(format!(
                    "`{}` is `{}`",
                    offer.function.origin, offer.function.name
                ))
            })
            .collect();
        notes.add(|| {
            format!(
                "{} functions are called the same, so each has the name of its interface before its own: {}",
                names.len(),
                names.join(", ")
            )
        });
    }
    let mut is_out = vec![false; offers.len()];
    for alike in groups(&offers) {
        let all = alike.iter().filter_map(|index| offers.get(*index));
        let origins: Vec<String> = all.map(|it| format!("`{}`", it.function.origin)).collect();
        for index in alike {
            if let Some(out) = is_out.get_mut(index) {
                *out = true;
            }
            if let Some(offer) = offers.get(index) {
                notes.add(|| {
                    format!(
                        "`{}` is left out: {} would all be called `{}`; give each a `@name`",
                        offer.function.origin,
                        origins.join(" and "),
                        offer.function.name
                    )
                });
            }
        }
    }
    let mut is_out = is_out.into_iter();
    offers.retain(|_| !is_out.next().unwrap_or_default());
    offers
}

/// The offers that callers could not tell apart, in the order of the WIT.
fn groups(offers: &[Offer]) -> Vec<Vec<usize>> {
    let mut places: HashMap<(Listed, String), usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, offer) in offers.iter().enumerate() {
        let Some(listed) = Listed::of(&offer.purpose) else {
            continue;
        };
        let key = (listed, folded(&offer.function.name));
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        if let Some(group) = groups.get_mut(place) {
            group.push(index);
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// The lists that clients are given. What completes arguments is in none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Listed {
    Tools,
    Prompts,
    Resources,
}

impl Listed {
    fn of(purpose: &Purpose) -> Option<Self> {
        match purpose {
            Purpose::Tool { .. } => Some(Self::Tools),
            Purpose::Prompt { .. } => Some(Self::Prompts),
            Purpose::Resource { .. } => Some(Self::Resources),
            Purpose::Completer(_) => None,
        }
    }
}

/// Puts the name of the interface before that of the function. One of the world itself keeps its own.
fn qualify(offer: &mut Offer, case: NameCase) {
    let Some(interface) = &offer.interface else {
        return;
    };
    let function = &mut offer.function;
    function.name = fit(&format!("{}_{}", case.of(interface), function.name));
    if let Purpose::Resource { fallback, .. } = &mut offer.purpose {
        let params = function.signature.params();
        // A longer name can only be too long; then the address is as it was, and in dispute.
        if let Ok(address) = Address::of(&function.service, &function.name, params) {
            *fallback = address;
        }
    }
}
