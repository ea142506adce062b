//! What may cross between guest and host at once.
//!
//! The engine lets a guest hand over so many units of fuel: a byte of text is one unit, and whatever has
//! a place of its own in memory, such as an item of a list or a field of a record, is `VALUE`. What the
//! host then has in memory can be many times that: the name of every flag that is set is a text of its
//! own, but costs only as much as it is long. How many times is a matter of the type, and so it is found
//! out when a component is loaded.

use wasmtime::component::Type;

/// What a guest may hand over in one call of an import. It is typed there: a byte is a unit.
pub(super) const INWARD: usize = 2 << 20;

/// How many times the limit of a result its values may take in memory.
const TIMES: usize = 4;

/// The least memory that the values of a result may take.
const LEAST: usize = 1 << 20;

/// What a value takes, and costs, where it stands in another one.
const PLACE: usize = 40;
const VALUE: i64 = 40;

/// What a name takes where it stands, without its text.
const NAME: i64 = 24;

/// What the allocator adds, and the smallest that it gives.
const HEADER: i64 = 16;
const SMALLEST: i64 = 32;

/// How many types are looked at, and how deep. Types that use each other can be written out without end.
const LOOKED_AT: usize = 10_000;
const DEEPEST: usize = 100;

/// The longest list of fixed length whose items are looked at one by one.
const FEW: u32 = 16;

/// The bytes for a unit that no type exceeds, nor one that is too large to be looked at.
const WORST: i64 = 128;

/// How the result of a function crosses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crossing {
    /// The fuel for what is there once, whatever is returned.
    once: usize,
    /// The bytes of memory that a unit of fuel becomes at most in what is there as often as the guest
    /// wants: texts, and items of lists.
    density: usize,
    /// Whether that is nothing but texts.
    pub(super) is_text: bool,
}

impl Crossing {
    /// That of a function with these results.
    pub(super) fn of(results: &[Type]) -> Self {
        let survey = |price: i64| {
            let mut survey = Survey {
                price,
                left: LOOKED_AT,
                is_enough: true,
                has_lists: false,
            };
            for result in results {
                survey.excess(result, Place::Once, 0);
            }
            survey
        };
        let density = (1..WORST).find(|price| survey(*price).is_enough);
        let density = density.unwrap_or(WORST);
        let mut left = LOOKED_AT;
        let once = results.iter().map(|result| once(result, &mut left, 0));
        Self {
            once: once.fold(0, usize::saturating_add),
            density: usize::try_from(density).unwrap_or(1),
            is_text: !survey(density).has_lists,
        }
    }

    /// The memory that the values of a result may take whose limit is this.
    pub(super) fn memory(output: usize) -> usize {
        output.saturating_mul(TIMES).max(LEAST)
    }

    /// The fuel for them.
    pub(super) fn fuel(self, output: usize) -> usize {
        let often = Self::memory(output).div_ceil(self.density);
        self.once.saturating_add(often)
    }
}

/// Whether a value is there once, or as often as the guest wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Once,
    InList,
}

/// A look at whether fuel covers all memory that values take, at a price in bytes for each unit.
struct Survey {
    price: i64,
    left: usize,
    is_enough: bool,
    has_lists: bool,
}

impl Survey {
    /// The bytes that a value of this type takes at most beside its place, less those that its fuel covers.
    fn excess(&mut self, ty: &Type, place: Place, depth: usize) -> i64 {
        let Some(left) = self.left.checked_sub(1).filter(|_| depth < DEEPEST) else {
            self.is_enough = false;
            return 0;
        };
        self.left = left;
        let below = depth.saturating_add(1);
        match ty {
            Type::Bool
            | Type::S8
            | Type::U8
            | Type::S16
            | Type::U16
            | Type::S32
            | Type::U32
            | Type::S64
            | Type::U64
            | Type::Float32
            | Type::Float64
            | Type::Char
            // No function that returns these is served.
            | Type::Own(_)
            | Type::Borrow(_)
            | Type::Future(_)
            | Type::Stream(_)
            | Type::ErrorContext => 0,
            Type::String => {
                // Text in UTF-16 becomes half as long again, and room is left behind it.
                self.covers(2 - self.price);
                or_nothing(SMALLEST - self.price)
            }
            Type::List(list) => self.list(&[list.ty()], place, below),
            Type::Map(map) => self.list(&[map.key(), map.value()], place, below),
            Type::FixedLengthList(list) if list.len() > FEW => {
                self.list(&[list.ty()], place, below)
            }
            Type::FixedLengthList(list) => {
                let length = i64::from(list.len());
                let item = self.item(&list.ty(), place, below);
                room(length, VALUE).saturating_add(item.saturating_mul(length))
            }
            Type::Tuple(tuple) => {
                let items = tuple.types().map(|ty| self.item(&ty, place, below));
                let (count, excess) = counted(items);
                excess.saturating_add(room(count, VALUE))
            }
            Type::Record(record) => {
                let fields = record.fields().map(|field| {
                    let name = self.name(field.name);
                    name.saturating_add(self.item(&field.ty, place, below))
                });
                let (count, excess) = counted(fields);
                excess.saturating_add(room(count, VALUE + NAME))
            }
            Type::Variant(variant) => {
                let cases = variant.cases().map(|case| {
                    let payload = case.ty.map(|ty| self.boxed(&ty, place, below));
                    let name = self.name(case.name);
                    name.saturating_add(payload.unwrap_or_default())
                });
                cases.max().unwrap_or_default()
            }
            Type::Enum(cases) => {
                let names = cases.names().map(|name| self.name(name));
                names.max().unwrap_or_default()
            }
            Type::Flags(flags) => {
                let mut names: Vec<i64> = flags.names().map(|name| self.name(name)).collect();
                names.sort_unstable_by(|one, other| other.cmp(one));
                let mut set = 0_i64;
                let sets = (1..).zip(names).map(|(count, name)| {
                    set = set.saturating_add(name);
                    set.saturating_add(room(count, NAME))
                });
                sets.max().map_or(0, or_nothing)
            }
            Type::Option(option) => or_nothing(self.boxed(&option.ty(), place, below)),
            Type::Result(result) => {
                let payloads = [result.ok(), result.err()];
                let payloads = payloads.iter().flatten();
                let excesses = payloads.map(|ty| self.boxed(ty, place, below));
                excesses.max().map_or(0, or_nothing)
            }
        }
    }

    /// That of a list, whose items must each be covered, however many there are.
    fn list(&mut self, types: &[Type], place: Place, depth: usize) -> i64 {
        self.has_lists = true;
        let items = types.iter();
        let (count, item) = counted(items.map(|ty| self.item(ty, Place::InList, depth)));
        let own = VALUE.saturating_mul(count);
        // A list that grows has room for twice as much; what is behind a long one is never touched.
        let taken = match place {
            Place::Once => own,
            Place::InList => own.saturating_mul(2),
        };
        self.covers(item.saturating_add(taken));
        or_nothing(item.saturating_add(room(1, own)))
    }

    /// That of a value in another, with the fuel for its place.
    fn item(&mut self, ty: &Type, place: Place, depth: usize) -> i64 {
        self.excess(ty, place, depth)
            .saturating_sub(self.fuel(VALUE))
    }

    /// That of a value in a place of its own.
    fn boxed(&mut self, ty: &Type, place: Place, depth: usize) -> i64 {
        self.item(ty, place, depth).saturating_add(VALUE + HEADER)
    }

    /// That of a name, which is copied each time, beside its place.
    fn name(&self, name: &str) -> i64 {
        let length = i64::try_from(name.len()).unwrap_or(i64::MAX);
        let taken = length.saturating_add(HEADER).max(SMALLEST);
        taken.saturating_sub(self.fuel(length))
    }

    fn fuel(&self, units: i64) -> i64 {
        units.saturating_mul(self.price)
    }

    /// Notes whether the price covers what can be there without end.
    fn covers(&mut self, excess: i64) {
        self.is_enough &= excess <= 0;
    }
}

/// What need not be there.
fn or_nothing(excess: i64) -> i64 {
    excess.max(0)
}

fn counted(excesses: impl Iterator<Item = i64>) -> (i64, i64) {
    excesses.fold((0, 0), |(count, sum), excess| {
        (count.saturating_add(1), sum.saturating_add(excess))
    })
}

/// What a list takes that was filled one by one: room for the next power of two, and for four at least.
fn room(count: i64, size: i64) -> i64 {
    let count = u32::try_from(count.max(4)).unwrap_or(u32::MAX);
    i64::from(count.checked_next_power_of_two().unwrap_or(u32::MAX))
        .saturating_mul(size)
        .saturating_add(HEADER)
}

/// The most fuel for what of a value is there once: all but its texts and the items of its lists.
fn once(ty: &Type, left: &mut usize, depth: usize) -> usize {
    let Some(fewer) = left.checked_sub(1).filter(|_| depth < DEEPEST) else {
        return 0;
    };
    *left = fewer;
    let below = depth.saturating_add(1);
    let sum = |all: &mut dyn Iterator<Item = usize>| all.fold(0, usize::saturating_add);
    let mut placed = |ty: &Type| PLACE.saturating_add(once(ty, left, below));
    match ty {
        Type::Bool
        | Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::S64
        | Type::U64
        | Type::Float32
        | Type::Float64
        | Type::Char
        | Type::String
        | Type::List(_)
        | Type::Map(_)
        | Type::Own(_)
        | Type::Borrow(_)
        | Type::Future(_)
        | Type::Stream(_)
        | Type::ErrorContext => 0,
        // Longer ones are taken for lists.
        Type::FixedLengthList(list) => {
            let few = (1..=FEW).contains(&list.len());
            let length = usize::try_from(list.len()).unwrap_or(usize::MAX);
            if few {
                placed(&list.ty()).saturating_mul(length)
            } else {
                0
            }
        }
        Type::Tuple(tuple) => sum(&mut tuple.types().map(|ty| placed(&ty))),
        Type::Record(record) => sum(&mut record
            .fields()
            .map(|field| placed(&field.ty).saturating_add(field.name.len()))),
        Type::Variant(variant) => variant
            .cases()
            .map(|case| {
                let payload = case.ty.map_or(0, |ty| placed(&ty));
                payload.saturating_add(case.name.len())
            })
            .max()
            .unwrap_or_default(),
        Type::Enum(cases) => cases.names().map(str::len).max().unwrap_or_default(),
        Type::Flags(flags) => sum(&mut flags.names().map(str::len)),
        Type::Option(option) => placed(&option.ty()),
        Type::Result(result) => {
            let payloads = [result.ok(), result.err()];
            payloads
                .iter()
                .flatten()
                .map(placed)
                .max()
                .unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::Engine;
    use wasmtime::component::Component;
    use wasmtime::component::types::ComponentItem;

    use super::*;

    /// The crossing of a function whose result has this type, after these have been defined.
    fn crossing(defined: &str, result: &str) -> Crossing {
        let text = format!(
            r#"(component
                {defined}
                (core module $m (memory (export "m") 1)
                  (func (export "f") (result i32) unreachable))
                (core instance $i (instantiate $m))
                (type $r {result})
                (export $e "r" (type $r))
                (func (export "f") (result $e)
                  (canon lift (core func $i "f") (memory (core memory $i "m")))))"#
        );
        let mut config = wasmtime::Config::new();
        config.wasm_component_model_fixed_length_lists(true);
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, wat::parse_str(text).unwrap()).unwrap();
        let (item, _) = component.get_export(None, "f").unwrap();
        let ComponentItem::ComponentFunc(function) = item else {
            panic!("{item:?}");
        };
        let results: Vec<Type> = function.results().collect();
        Crossing::of(&results)
    }

    const NAMES: &str = r#""a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p""#;

    #[test]
    fn fuel_covers_what_values_of_a_type_take() {
        for (defined, result, once, density) in [
            ("", "(list u8)", 0, 1),
            // A text of one byte is 32 beside the 40 of its place.
            ("", "(list string)", 0, 2),
            ("", "(list (list u8))", 0, 3),
            ("", "(list (tuple u8 u8))", 0, 2),
            ("", "(list (option u8))", 0, 2),
            ("", "(tuple string string)", 80, 2),
            (
                &*format!("(type $f' (flags {NAMES})) (export $f \"f-s\" (type $f'))"),
                "(list $f)",
                0,
                17,
            ),
            (
                "(type $p' (record (field \"message\" string))) (export $p \"p\" (type $p'))",
                "(option $p)",
                87,
                2,
            ),
            (
                "(type $p' (record (field \"x\" s32) (field \"y\" s32))) (export $p \"p\" (type $p'))",
                "(list $p)",
                0,
                4,
            ),
            ("", "(list u8 8)", 320, 1),
            ("", "(list u8 1000)", 0, 1),
        ] {
            let found = crossing(defined, result);
            assert_eq!((found.once, found.density), (once, density), "{result}");
        }
    }

    #[test]
    fn a_type_that_cannot_be_looked_at_is_the_worst() {
        let doubled = (1..14).map(|level: usize| {
            let below = level - 1;
            format!("(type $t{level} (tuple $t{below} $t{below}))")
        });
        let defined = format!("(type $t0 (tuple u8 u8)){}", doubled.collect::<String>());
        let found = crossing(&defined, "(list $t13)");
        assert_eq!(found.density, 128);
        // What is there once is bounded, too.
        assert!(crossing(&defined, "(tuple $t13 u8)").once <= LOOKED_AT * 2 * PLACE);
    }

    #[test]
    fn what_values_may_take_follows_from_the_limit_of_the_result() {
        let flags = Crossing {
            once: 10,
            density: 8,
            is_text: false,
        };
        assert_eq!(Crossing::memory(4 << 20), 16 << 20);
        assert_eq!(flags.fuel(4 << 20), 10 + (2 << 20));
        assert_eq!(flags.fuel(1), 10 + (128 << 10));
    }
}
