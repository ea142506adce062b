//! Every WIT type and every nesting of types, each in a function that returns what it is given.

cloister_sdk::service!();

use cloister::mcp::auth::AuthUser;
use cloister_sdk::wit_bindgen::rt::Map;
use exports::tests::types::nestings::{
    Guest as Nestings, InCases, InErrs, InFields, InFixedLists, InLists, InMaps, InNumberedMaps,
    InOks, InOptions, InTuples,
};
use exports::tests::types::outcomes::Guest as Outcomes;
use exports::tests::types::types::{
    Access, Guest as Plain, LogLevel, Mode, Point, Renamed, Reserved, Search, Shape, Switches,
    UserProfile,
};

struct Types;

export!(Types);

/// Functions that return what they are given.
macro_rules! echo {
    ($($name:ident: $ty:ty;)*) => {
        $(fn $name(v: $ty) -> $ty {
            v
        })*
    };
}

/// The same, in an option: a result on its own would be the outcome of the call.
macro_rules! echo_in_option {
    ($($name:ident: $ty:ty;)*) => {
        $(fn $name(v: $ty) -> Option<$ty> {
            Some(v)
        })*
    };
}

impl Plain for Types {
    echo! {
        echo_bool: bool;
        echo_s8: i8;
        echo_s16: i16;
        echo_s32: i32;
        echo_s64: i64;
        echo_u8: u8;
        echo_u16: u16;
        echo_u32: u32;
        echo_u64: u64;
        echo_f32: f32;
        echo_f64: f64;
        echo_char: char;
        echo_string: String;
        echo_bytes: Vec<u8>;
        echo_list: Vec<i32>;
        echo_points: Vec<Point>;
        echo_fixed_list: [i32; 3];
        echo_tuple: (i32, String);
        echo_even_tuple: (u8, u8, u8);
        echo_single: (String,);
        echo_point: Point;
        echo_user_profile: UserProfile;
        echo_renamed: Renamed;
        echo_reserved: Reserved;
        echo_log_level: LogLevel;
        echo_access: Access;
        echo_switches: Switches;
        echo_shape: Shape;
        echo_mode: Mode;
        echo_search: Search;
        echo_option: Option<u32>;
        echo_option_of_point: Option<Point>;
        echo_options: Vec<Option<u32>>;
        echo_option_of_option: Option<Option<u32>>;
        echo_option_of_option_of_option: Option<Option<Option<u32>>>;
        echo_map: Map<String, u32>;
        echo_numbered_map: Map<u32, String>;
        echo_celsius: f64;
        echo_maybe_number: Option<u32>;
        echo_ruled: String;
    }

    echo_in_option! {
        echo_result: Result<u32, String>;
        echo_result_without_ok: Result<(), String>;
        echo_result_without_err: Result<u32, ()>;
        echo_result_of_nothing: Result<(), ()>;
    }

    fn get_profile(
        user: &AuthUser,
        user_id: String,
        max_items: Option<u32>,
    ) -> Result<UserProfile, String> {
        if user_id == "nobody" {
            return Err("no such user".into());
        }
        Ok(UserProfile {
            display_name: Some(format!("{user_id}, seen by {}", user.get().id)),
            user_id,
            age: 36,
            balance: max_items.map_or(-1, i64::from),
        })
    }

    fn repeat(text: String, times: u8, separator: Option<String>) -> String {
        vec![text; times.into()].join(&separator.unwrap_or_default())
    }
}

/// What deep types are made of, so that their names stay short.
type Places = Map<String, Vec<Option<Point>>>;

impl Nestings for Types {
    echo! {
        echo_in_fields: InFields;
        echo_in_lists: InLists;
        echo_in_fixed_lists: InFixedLists;
        echo_in_options: InOptions;
        echo_in_tuples: InTuples;
        echo_in_oks: InOks;
        echo_in_errs: InErrs;
        echo_in_maps: InMaps;
        echo_in_numbered_maps: InNumberedMaps;
        echo_in_cases: Vec<InCases>;
        echo_deep: Vec<Option<(Result<Places, Shape>, Option<Option<Vec<u8>>>)>>;
    }
}

impl Outcomes for Types {
    echo! {
        outcome: Result<u32, String>;
        outcome_of_record: Result<Point, Shape>;
        outcome_of_option: Result<Option<Point>, Option<String>>;
        outcome_of_outcome: Result<Result<u32, String>, Result<u32, String>>;
        outcome_without_ok: Result<(), String>;
        outcome_without_err: Result<u32, ()>;
        outcome_of_nothing: Result<(), ()>;
    }

    fn say_hi() -> String {
        "hi".into()
    }

    fn do_nothing() {}

    fn forget(_: String) {}
}
