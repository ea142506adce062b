//! What is called, and what has to come of it.

use serde_json::{Value, json};

use crate::stage::{Stage, Stages, Way};

/// What is said to the limits of the services that misbehave, by their manifests.
pub(crate) const HOSTILE: &str = "[limits]\ncpu = \"30ms\"\nmemory = \"48MiB\"\noutput = \"64KiB\"\nlog = \"64KiB\"\nhandles = 100\ntables = 2000\n";

/// What has to come of a call.
pub(crate) enum Right {
    /// A result, with this structured content.
    Value(Value),
    /// A result, with these fields.
    Fields(Value),
    /// A version that is not older than any that was served before.
    Version(u64),
    /// An error in these words of the tool, among others.
    Words(String),
    /// An error of the host: why it ended the call, of which there may be several that come first.
    Ended(Vec<String>),
    /// There is no such tool.
    Unknown,
    /// Whoever calls is to sign in.
    SignIn,
}

/// One call.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) tool: &'static str,
    pub(crate) arguments: Value,
    pub(crate) right: Right,
    /// What has to come of it when the service is the other way, and which of them tells.
    pub(crate) other: Option<(Right, Which)>,
    pub(crate) token: Token,
    /// Whether the tool asks, and is called again with the answer.
    pub(crate) asks: Option<&'static str>,
    /// Whether it counts what nobody else does: who gives it up does not know.
    pub(crate) counts: bool,
    /// Whether its service waits for a place no longer than it may take, which is not long.
    pub(crate) is_impatient: bool,
    /// Whether it is of no harm to anybody.
    pub(crate) is_good: bool,
}

/// Which of all stages.
pub(crate) type Which = fn(&Stages) -> &Stage;

/// Which token goes with a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Own,
    None,
    Bad,
}

impl Case {
    fn new(name: &'static str, tool: &'static str, arguments: Value, right: Right) -> Self {
        Self {
            name,
            tool,
            arguments,
            right,
            other: None,
            token: Token::Own,
            asks: None,
            counts: false,
            is_impatient: false,
            is_good: true,
        }
    }

    fn or(self, other: Right, stage: Which) -> Self {
        Self {
            other: Some((other, stage)),
            ..self
        }
    }

    fn hostile(tool: &'static str, arguments: Value, end: &str) -> Self {
        Self {
            is_good: false,
            ..Self::new(tool, tool, arguments, Right::Ended(vec![end.to_owned()]))
        }
    }

    /// Another limit may be met first.
    fn or_ends(mut self, end: &str) -> Self {
        if let Right::Ended(ends) = &mut self.right {
            ends.push(end.to_owned());
        }
        self
    }

    fn refused(tool: &'static str, arguments: Value, words: &str) -> Self {
        Self {
            is_good: false,
            ..Self::new(tool, tool, arguments, Right::Words(words.to_owned()))
        }
    }
}

/// Numbers that look like chance, and are the same in each run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: usize) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ ((seed as u64 + 1) << 20))
    }

    /// One of so many, from 0 on (xorshift64*).
    pub(crate) fn of(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}

/// Who calls, and what is known of them.
pub(crate) struct Who<'a> {
    pub(crate) connection: usize,
    pub(crate) sub: &'a str,
    /// How often they have counted.
    pub(crate) counted: u64,
    pub(crate) is_flood: bool,
    /// Where the server elsewhere is.
    pub(crate) port: u16,
}

/// What is called next.
pub(crate) fn pick(dice: &mut Dice, who: &Who<'_>, stages: &Stages) -> Case {
    let (hostile, dear) = if who.is_flood { (40, 10) } else { (12, 2) };
    match dice.of(100) {
        it if it < hostile => match dice.of(100) {
            it if it < dear => dear_one(dice),
            _ => cheap_one(dice, who.is_flood),
        },
        it if it < hostile + 4 => turned_away(dice),
        _ => good(dice, who, stages),
    }
}

fn good(dice: &mut Dice, who: &Who<'_>, stages: &Stages) -> Case {
    let number = dice.of(1_000);
    match dice.of(if who.is_flood { 6 } else { 10 }) {
        0 | 1 => {
            let message = format!("{number} of connection {}", who.connection);
            let arguments = json!({ "message": message });
            let echoed = json!({ "message": message, "userId": who.sub });
            Case::new("echo", "echo", arguments, Right::Fields(echoed))
        }
        2 => Case::new(
            "getUserProfile",
            "getUserProfile",
            json!({}),
            Right::Fields(json!({ "userId": who.sub })),
        ),
        3 => {
            let result = json!({ "result": number + 5 });
            let arguments = json!({ "terms": [number, 2, 3] });
            Case::new("sum", "sum", arguments, Right::Value(result))
                .or(Right::Unknown, |stages| &stages.plain)
        }
        4 => {
            let arguments = json!({ "at": { "x": number, "y": 1 } });
            let mirrored = json!({ "x": 0 - i64::try_from(number).unwrap_or(0), "y": -1 });
            Case::new("mirror", "mirror", arguments, Right::Fields(mirrored))
                .or(Right::Unknown, |stages| &stages.plain)
        }
        5 => {
            let seen = stages.seen.load(std::sync::atomic::Ordering::SeqCst);
            Case::new("version", "version", json!({}), Right::Version(seen))
        }
        6 => {
            let url = format!("http://127.0.0.1:{}/{number}", who.port);
            let reply = json!({ "status": 200, "body": format!("/{number}") });
            let denied = Right::Words("HttpRequestDenied".into());
            Case::new(
                "fetch",
                "fetch",
                json!({ "url": url }),
                Right::Fields(reply),
            )
            .or(denied, |stages| &stages.fetcher)
        }
        7 => {
            let key = format!("connection {}", who.connection);
            let steps = json!([{ "tag": "increment", "val": [key, 1] }]);
            let result = json!({ "result": [(who.counted + 1).to_string()] });
            Case {
                counts: true,
                ..Case::new(
                    "keep",
                    "keep",
                    json!({ "bucket": "all", "steps": steps }),
                    Right::Value(result),
                )
            }
        }
        8 if number < 500 => {
            let arguments = json!({ "times": 20, "milliseconds": 5 });
            let result = Right::Value(json!({ "result": 20 }));
            Case::new("wait (async)", "wait", arguments, result)
        }
        8 => {
            let greeting = Right::Value(json!({ "result": "hello, Ada" }));
            Case {
                asks: Some("Ada"),
                ..Case::new("elicitName", "elicitName", json!({}), greeting)
            }
        }
        _ => {
            let steps = json!([
                { "tag": "set", "val": ["name", who.sub] },
                { "tag": "get", "val": "name" },
                { "tag": "count" },
            ]);
            let result = json!({ "result": ["set", who.sub, "1"] });
            Case::new(
                "keepMine",
                "keepMine",
                json!({ "bucket": "mine", "steps": steps }),
                Right::Value(result),
            )
        }
    }
}

fn turned_away(dice: &mut Dice) -> Case {
    let echo = || {
        Case::new(
            "echo without a token",
            "echo",
            json!({ "message": "x" }),
            Right::SignIn,
        )
    };
    match dice.of(4) {
        0 => Case {
            token: Token::None,
            ..echo()
        },
        1 => Case {
            token: Token::Bad,
            name: "echo with a bad token",
            ..echo()
        },
        2 => Case::new("no such tool", "noSuchTool", json!({}), Right::Unknown),
        _ => Case::refused("refuse", json!({ "why": "not today" }), "not today"),
    }
}

/// What costs a processor for a while.
fn dear_one(dice: &mut Dice) -> Case {
    match dice.of(6) {
        0 => Case::hostile("hostile_spin", json!({}), CPU),
        1 => Case::hostile("hostile_spinInHost", json!({}), CPU),
        2 => Case::hostile("hostile_spinInPoll", json!({}), CPU),
        3 => Case::hostile("hostile_spinForRandom", json!({}), CPU),
        4 => Case::hostile("hostile_palettes", json!({ "count": 1_000_000 }), VALUES)
            .or_ends(CPU),
        _ => Case::hostile(
            "hostile_allocate",
            json!({}),
            "it was stopped by a fault of its own: it panicked or aborted, after it had asked for more than 48 MiB of memory, its limit",
        )
        .or_ends(CPU),
    }
}

/// What those are told who wait too long behind their own calls.
const LATE: &str = "gave no result: it was stopped after 30 s, the longest a call of it may take";

const CPU: &str = "it was stopped after it had computed for 30 ms, the longest a call of it may";

const VALUES: &str = "the values of its result take more than 1 MiB of memory, the limit that follows from 64 KiB for a result; many small values and `list<u8>` take much, a `string` takes little";

fn cheap_one(dice: &mut Dice, is_flood: bool) -> Case {
    const LOG: &str =
        "it was stopped because it wrote more than 64 KiB to its standard error, its limit";
    const PANIC: &str = "it was stopped by a fault of its own: it panicked or aborted";
    match dice.of(if is_flood { 16 } else { 19 }) {
        0 => Case::hostile(
            "hostile_random",
            json!({ "bytes": 64 << 20 }),
            "it was stopped because it asked for more than 64 KiB of random numbers at once; ask again and again for less",
        ),
        1 => Case::hostile("hostile_printForever", json!({}), LOG).or_ends(CPU),
        2 => Case::hostile("hostile_print", json!({ "bytes": 65 << 10 }), LOG).or_ends(CPU),
        3 => Case::hostile(
            "hostile_handOver",
            json!({ "bytes": 3 << 20 }),
            "it was stopped because it handed the host more than 2 MiB in one call of an import",
        ),
        4 => Case::hostile(
            "hostile_handles",
            json!({ "count": 1_000 }),
            "it was stopped because it needed more than 100 handles at once, its limit",
        ),
        5 => Case::hostile("hostile_texts", json!({ "count": 20_000 }), VALUES).or_ends(CPU),
        6 => Case::hostile("hostile_blob", json!({ "count": 8 << 20 }), VALUES).or_ends(CPU),
        7 => Case::hostile("hostile_panic", json!({ "message": "no" }), PANIC),
        8 => Case::hostile("hostile_printTricks", json!({}), PANIC),
        9 => Case::hostile(
            "hostile_exit",
            json!({ "code": 3 }),
            "it ended its program with exit code 1 instead of returning",
        ),
        10 => Case::hostile(
            "recurse",
            json!({ "depth": 0 }),
            "it was stopped by a fault of its own: it ran out of stack, or touched memory that it does not own",
        ),
        11 => Case::hostile(
            "faulty_flood",
            json!({ "bytes": 64 << 10 }),
            "its result is larger than 64 KiB, the limit for a result",
        ),
        12 => Case::refused(
            "hostile_connect",
            json!({ "address": "127.0.0.1:22" }),
            "not connected: Permission denied",
        ),
        13 => Case::refused(
            "hostile_connect",
            json!({ "address": "169.254.169.254:80" }),
            "not connected: Permission denied",
        ),
        14 => Case::refused(
            "hostile_read",
            json!({ "path": "../../etc/passwd" }),
            "not read: No such file or directory",
        ),
        15 => {
            let steps = json!([{ "tag": "get", "val": "name" }]);
            // A function that is not lent the caller has nothing of theirs.
            let arguments = json!({ "bucket": "mine", "steps": steps });
            Case::refused("keep", arguments, "access denied")
        }
        16 => Case {
            name: "fetch of metadata",
            ..Case::refused(
                "fetch",
                json!({ "url": "http://169.254.169.254/latest" }),
                "HttpRequestDenied",
            )
        },
        // Who floods would keep others from sleeping.
        _ => {
            let end = |limit: &str| {
                let text =
                    format!("it was stopped after {limit}, the longest a call of it may take");
                Right::Ended(vec![text])
            };
            Case {
                is_good: false,
                is_impatient: true,
                ..Case::new("sleeper_sleep", "sleeper_sleep", json!({}), end("300 ms"))
                    .or(end("400 ms"), |stages| &stages.sleeper)
            }
        }
    }
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) body: Value,
}

/// What an answer is.
pub(crate) enum Verdict {
    Right,
    /// All places are taken, and it says when to try again.
    Busy,
    /// It got so little of the processors that its time was up.
    Late,
    Wrong,
}

impl Reply {
    /// Judges it, by how the service was while it was made.
    pub(crate) fn verdict(&self, case: &Case, way: Way, stages: &Stages) -> Verdict {
        let message = self.body["error"]["message"].as_str().unwrap_or_default();
        if self.status == 503 {
            let is_polite = self
                .retry_after
                .as_deref()
                .is_some_and(|it| it.parse::<u32>().is_ok());
            return if is_polite && message.starts_with("the server is busy") {
                Verdict::Busy
            } else {
                Verdict::Wrong
            };
        }
        let told = self.body["result"]["content"][0]["text"].as_str();
        if told.is_some_and(|told| told.ends_with(LATE)) {
            return Verdict::Late;
        }
        let first = way != Way::Second && self.is(&case.right, case, stages);
        let second = case
            .other
            .as_ref()
            .is_some_and(|(other, _)| way != Way::First && self.is(other, case, stages));
        if first || second {
            Verdict::Right
        } else {
            Verdict::Wrong
        }
    }

    fn is(&self, right: &Right, case: &Case, stages: &Stages) -> bool {
        let result = &self.body["result"];
        let structured = &result["structuredContent"];
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let is_error = result["isError"] == true;
        let is_fine = self.status == 200 && result.is_object() && !is_error;
        match right {
            Right::Value(value) => is_fine && structured == value,
            Right::Fields(fields) => {
                let mut fields = fields.as_object().into_iter().flatten();
                is_fine && fields.all(|(name, value)| structured[name] == *value)
            }
            Right::Version(least) => {
                let version = structured["result"].as_u64();
                let newest = stages.put.load(std::sync::atomic::Ordering::SeqCst);
                is_fine && version.is_some_and(|it| (*least..=newest).contains(&it))
            }
            Right::Words(words) => self.status == 200 && is_error && text.contains(&**words),
            Right::Ended(ends) => {
                let told = text.split_once("gave no result: ").map(|(_, told)| told);
                self.status == 200 && is_error && ends.iter().any(|end| told == Some(end))
            }
            Right::Unknown => {
                let message = self.body["error"]["message"].as_str().unwrap_or_default();
                self.body["error"]["code"] == -32602
                    && message.starts_with(&format!("unknown tool `{}`", case.tool))
            }
            Right::SignIn => {
                let challenge = self.challenge.as_deref().unwrap_or_default();
                self.status == 401 && challenge.starts_with("Bearer ")
            }
        }
    }
}
