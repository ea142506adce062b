//! A component that knows nothing of Cloister: its functions are tools all the same.

wit_bindgen::generate!({ path: "wit", world: "plain" });

use exports::acme::plain::shapes::{Guest as Shapes, Point};

struct Plain;

export!(Plain);

impl Guest for Plain {
    fn greet(name: String) -> String {
        format!("hello, {name}")
    }
}

impl Shapes for Plain {
    fn mirror(at: Point) -> Result<Point, String> {
        match (at.x.checked_neg(), at.y.checked_neg()) {
            (Some(x), Some(y)) => Ok(Point { x, y, ..at }),
            _ => Err("there is no such point".into()),
        }
    }

    fn sum(terms: Vec<i32>, start: Option<i32>) -> i64 {
        terms.into_iter().chain(start).map(i64::from).sum()
    }
}
