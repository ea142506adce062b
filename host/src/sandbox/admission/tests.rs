use std::collections::{HashMap, HashSet};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proptest::prelude::*;

use super::*;

fn claim(service: &str, caller: Option<&str>, most: usize) -> Claim {
    Claim {
        service: service.into(),
        caller: caller.map_or(Party::Local, |id| Party::User(id.into())),
        most,
    }
}

type Asking = BoxFuture<'static, Result<Place, Full>>;

/// Somebody who asks, and has been heard.
fn ask(admission: &Admission, claim: Claim) -> Asking {
    let admission = admission.clone();
    let mut asking = async move { admission.enter(&claim).await }.boxed();
    match (&mut asking).now_or_never() {
        Some(answer) => std::future::ready(answer).boxed(),
        None => asking,
    }
}

fn now(asking: &mut Asking) -> Option<Place> {
    asking.now_or_never().map(|answer| answer.ok().unwrap())
}

fn places(places: usize) -> Admission {
    Admission::new(Bounds::of(places))
}

fn taken(admission: &Admission) -> usize {
    admission.lock().taken()
}

#[test]
fn who_floods_waits_behind_themselves() {
    let admission = places(4);
    let mut inside: Vec<Place> = (0..4)
        .map(|_| now(&mut ask(&admission, claim("a", None, 4))).unwrap())
        .collect();
    let mut flood: Vec<_> = (0..3)
        .map(|_| ask(&admission, claim("a", None, 4)))
        .collect();
    let mut other = ask(&admission, claim("b", Some("ada"), 4));
    assert_eq!(taken(&admission), 4);

    inside.pop();
    inside.push(now(&mut flood[0]).unwrap());
    // Three wait, and the one who came last is next.
    inside.pop();
    assert!(now(&mut other).is_some());
}

#[test]
fn who_floods_through_many_services_waits_behind_themselves() {
    let admission = places(8);
    let mut inside: Vec<Place> = (0..8)
        .map(|number| {
            let claim = claim("full", Some(&format!("user {number}")), 8);
            now(&mut ask(&admission, claim)).unwrap()
        })
        .collect();
    let flood: Vec<_> = (0..4)
        .map(|number| ask(&admission, claim(&format!("{number}"), Some("eve"), 4)))
        .collect();
    let refused = ask(&admission, claim("more", Some("eve"), 4)).now_or_never();
    assert_eq!(refused.unwrap().err(), Some(Full));
    let mut ada = ask(&admission, claim("a", Some("ada"), 4));
    let mut flood = flood.into_iter();

    inside.pop();
    assert!(now(&mut flood.next().unwrap()).is_some());
    assert!(now(&mut ada).is_some());
}

#[test]
fn a_caller_and_a_service_have_no_more_than_their_share() {
    let admission = places(4);
    let first = now(&mut ask(&admission, claim("a", Some("ada"), 4))).unwrap();
    let _second = now(&mut ask(&admission, claim("b", Some("ada"), 4))).unwrap();
    let mut third = ask(&admission, claim("c", Some("ada"), 4));
    assert!(now(&mut third).is_none());

    let _bob = now(&mut ask(&admission, claim("d", Some("bob"), 1))).unwrap();
    let mut busy = ask(&admission, claim("d", None, 1));
    assert!(now(&mut busy).is_none());
    let _free = now(&mut ask(&admission, claim("e", None, 1))).unwrap();

    drop(first);
    assert!(now(&mut third).is_some());
}

#[test]
fn whoever_leaves_lets_in_all_that_fit_then() {
    let admission = places(4);
    // One place is free: `eve` waits for her share, `bob` for the service that she has for herself.
    let eve = now(&mut ask(&admission, claim("one", Some("eve"), 1))).unwrap();
    let _more = now(&mut ask(&admission, claim("a", Some("eve"), 4))).unwrap();
    let _other = now(&mut ask(&admission, claim("a", None, 4))).unwrap();
    let mut waits_for_share = ask(&admission, claim("a", Some("eve"), 4));
    let mut waits_for_service = ask(&admission, claim("one", Some("bob"), 1));
    assert!(now(&mut waits_for_share).is_none() && now(&mut waits_for_service).is_none());

    drop(eve);
    let both = (now(&mut waits_for_share), now(&mut waits_for_service));
    assert!(both.0.is_some() && both.1.is_some());
}

#[test]
fn the_queue_has_an_end_and_those_who_leave_it_make_room() {
    let admission = places(2);
    let inside: Vec<_> = (0..2)
        .map(|_| now(&mut ask(&admission, claim("a", None, 2))).unwrap())
        .collect();
    let waiting: Vec<_> = (0..2)
        .map(|_| ask(&admission, claim("a", None, 2)))
        .collect();
    let full = ask(&admission, claim("b", None, 2)).now_or_never().unwrap();
    assert_eq!(full.err(), Some(Full));

    drop(waiting);
    let mut next = ask(&admission, claim("b", None, 2));
    assert!(now(&mut next).is_none());
    drop(inside);
    assert!(now(&mut next).is_some());
    assert!(admission.lock().is_empty());
}

#[test]
fn a_service_has_what_the_last_to_ask_says() {
    let admission = places(8);
    let _one = now(&mut ask(&admission, claim("a", None, 1))).unwrap();
    let mut waiting = ask(&admission, claim("a", None, 1));
    assert!(now(&mut waiting).is_none());
    // Its manifest grants more from now on.
    let third = now(&mut ask(&admission, claim("a", None, 3)));
    assert!(third.is_some() && now(&mut waiting).is_some());
}

#[test]
fn who_waits_for_an_answer_holds_no_place_and_comes_back_first() {
    let admission = places(2);
    let mut asks = now(&mut ask(&admission, claim("a", Some("ada"), 2))).unwrap();
    let _other = now(&mut ask(&admission, claim("a", None, 2))).unwrap();
    let mut first = ask(&admission, claim("b", None, 2));
    let mut second = ask(&admission, claim("b", None, 2));

    asks.step_aside().unwrap();
    let first = now(&mut first).unwrap();
    assert_eq!(admission.admitted(), 3);
    let mut back = Box::pin(asks.come_back());
    assert!((&mut back).now_or_never().is_none());
    drop(first);
    assert!((&mut back).now_or_never().is_some());
    assert!(now(&mut second).is_none());
}

#[test]
fn only_so_many_wait_for_answers() {
    let admission = places(8);
    let claim = claim("a", Some("ada"), 8);
    let mut inside: Vec<_> = (0..4)
        .map(|_| now(&mut ask(&admission, claim.clone())).unwrap())
        .collect();
    for place in &mut inside {
        place.step_aside().unwrap();
    }
    // Those who are aside count for the share.
    assert!(now(&mut ask(&admission, claim.clone())).is_none());
    inside.pop();
    let mut next = now(&mut ask(&admission, claim)).unwrap();
    next.step_aside().unwrap();
    drop((inside, next));
    assert!(admission.lock().is_empty());
}

/// What may happen next. Numbers choose among those there are.
#[derive(Clone, Debug)]
enum Event {
    Ask { service: u8, caller: Option<u8> },
    GiveUp(usize),
    Leave(usize),
    StepAside(usize),
    ComeBack(usize),
    LeaveAside(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let asks = (0_u8..4, prop::option::of(0_u8..3));
    let event = prop_oneof![
        4 => asks.prop_map(|(service, caller)| Event::Ask { service, caller }),
        1 => any::<usize>().prop_map(Event::GiveUp),
        3 => any::<usize>().prop_map(Event::Leave),
        1 => any::<usize>().prop_map(Event::StepAside),
        1 => any::<usize>().prop_map(Event::ComeBack),
        1 => any::<usize>().prop_map(Event::LeaveAside),
    ];
    prop::collection::vec(event, 0..200)
}

fn one_of<T>(all: &mut Vec<T>, number: usize) -> Option<T> {
    let index = number.checked_rem(all.len())?;
    Some(all.swap_remove(index))
}

/// Somebody who comes back, and gives their place when they are.
fn coming_back(mut place: Place) -> BoxFuture<'static, Place> {
    let mut coming = async move {
        place.come_back().await;
        place
    }
    .boxed();
    match (&mut coming).now_or_never() {
        Some(place) => std::future::ready(place).boxed(),
        None => coming,
    }
}

proptest! {
    #[test]
    fn no_bound_is_exceeded_and_nobody_waits_who_fits(events in events(), places in 1_usize..7) {
        let bounds = Bounds { queue_share: 3, aside_share: 1, ..Bounds::of(places) };
        let admission = Admission::new(bounds);
        let (mut asking, mut coming) = (vec![], vec![]);
        let (mut inside, mut aside): (Vec<Place>, Vec<Place>) = (vec![], vec![]);
        for event in events {
            match event {
                Event::Ask { service, caller } => {
                    let most = usize::from(service) + 1;
                    let caller = caller.map(|caller| caller.to_string());
                    asking.push(ask(&admission, claim(&service.to_string(), caller.as_deref(), most)));
                }
                Event::GiveUp(number) => drop(one_of(&mut asking, number)),
                Event::Leave(number) => drop(one_of(&mut inside, number)),
                Event::StepAside(number) => if let Some(mut place) = one_of(&mut inside, number) {
                    match place.step_aside() {
                        Ok(()) => aside.push(place),
                        Err(TooManyAside { .. }) => inside.push(place),
                    }
                },
                Event::ComeBack(number) => coming.extend(one_of(&mut aside, number).map(coming_back)),
                // Some of them have asked to come back.
                Event::LeaveAside(number) if number.is_multiple_of(2) => drop(one_of(&mut coming, number)),
                Event::LeaveAside(number) => drop(one_of(&mut aside, number)),
            }
            prop_assert_eq!(admission.lock().fault(&bounds), None);
            for mut it in std::mem::take(&mut asking) {
                match (&mut it).now_or_never() {
                    Some(answer) => inside.extend(answer.ok()),
                    None => asking.push(it),
                }
            }
            for mut it in std::mem::take(&mut coming) {
                match (&mut it).now_or_never() {
                    Some(place) => inside.push(place),
                    None => coming.push(it),
                }
            }
        }
        drop((asking, inside, aside, coming));
        let state = admission.lock();
        prop_assert_eq!(state.fault(&bounds), None);
        prop_assert!(state.is_empty());
    }

    #[test]
    fn nobody_is_let_in_twice_while_another_waits(events in events(), places in 1_usize..5) {
        let bounds = Bounds { share: places, queue: 1_000, queue_share: 1_000, ..Bounds::of(places) };
        let admission = Admission::new(bounds);
        let mut asking: Vec<(Option<u8>, Asking)> = vec![];
        let mut inside: Vec<Place> = vec![];
        // How often the one was let in while the other waited.
        let mut passed: HashMap<(Option<u8>, Option<u8>), usize> = HashMap::new();
        for event in events {
            match event {
                Event::Ask { service, caller } => {
                    let name = caller.map(|caller| caller.to_string());
                    let claim = claim(&service.to_string(), name.as_deref(), places);
                    asking.push((caller, ask(&admission, claim)));
                }
                Event::GiveUp(number) => drop(one_of(&mut asking, number)),
                Event::Leave(number) | Event::LeaveAside(number) => drop(one_of(&mut inside, number)),
                Event::StepAside(_) | Event::ComeBack(_) => {}
            }
            let mut entered = vec![];
            for (caller, mut it) in std::mem::take(&mut asking) {
                match (&mut it).now_or_never() {
                    Some(answer) => {
                        inside.extend(answer.ok());
                        entered.push(caller);
                    }
                    None => asking.push((caller, it)),
                }
            }
            let waiting: HashSet<_> = asking.iter().map(|(caller, _)| *caller).collect();
            passed.retain(|(waits, _), _| waiting.contains(waits) && !entered.contains(waits));
            prop_assert!(entered.len() <= 1, "{entered:?}");
            for who in entered {
                for other in waiting.iter().filter(|other| **other != who) {
                    let times = passed.entry((*other, who)).or_default();
                    *times += 1;
                    prop_assert!(*times <= 1, "{who:?} was let in twice while {other:?} waited");
                }
            }
        }
    }
}
