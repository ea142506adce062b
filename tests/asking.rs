//! What guests tell their client and ask it, as whoever implements the client sees it: the sandbox,
//! without a protocol before it.

use std::collections::VecDeque;
use std::fs;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloister::auth::{self, Auth, Party, system_clock};
use cloister::sandbox::client::{
    Announcement, Answer, Capability, Client, Level, NotAsked, Part, Question, Response, Role,
    Root, Sampled, Unanswered, Value,
};
use cloister::sandbox::{
    self, BucketStore, Cause, Compiler, Failure, Invocation, Limits, Program, Sandbox, Usage,
};
use cloister::value::Val;
use futures_util::future::{BoxFuture, Either, pending, ready, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Notify, oneshot, watch};

use crate::harness::{cache, component};

type Answers = Result<Vec<Result<Answer, Unanswered>>, NotAsked>;

/// What a client was told and asked.
#[derive(Debug)]
#[expect(dead_code, reason = "they are read as they are printed")]
enum Heard {
    Progress(f64, Option<f64>, Option<String>),
    Log(Level, String, Option<String>),
    Asked(Vec<(String, Question)>),
    Announced(Announcement),
}

/// A client that writes down what it hears and answers by a script, one entry for each `ask`.
struct Scripted {
    heard: Mutex<Vec<Heard>>,
    script: Mutex<VecDeque<BoxFuture<'static, Answers>>>,
    asked: Notify,
}

impl Scripted {
    fn new(script: impl IntoIterator<Item = BoxFuture<'static, Answers>>) -> Arc<Self> {
        Arc::new(Self {
            heard: Mutex::default(),
            script: Mutex::new(script.into_iter().collect()),
            asked: Notify::new(),
        })
    }

    /// A client that has each of these answers ready when it is asked.
    fn answering(answers: impl IntoIterator<Item = Answers>) -> Arc<Self> {
        Self::new(answers.into_iter().map(|answers| ready(answers).boxed()))
    }

    fn note(&self, heard: Heard) {
        self.heard.lock().unwrap().push(heard);
    }

    fn heard(&self) -> Vec<Heard> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

impl Client for Scripted {
    fn capabilities(&self) -> Capability {
        Capability::FORM | Capability::SAMPLING_TOOLS
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn progress(&self, done: f64, total: Option<f64>, message: Option<String>) {
        self.note(Heard::Progress(done, total, message));
    }

    fn log(&self, level: Level, data: String, logger: Option<String>) -> BoxFuture<'_, ()> {
        self.note(Heard::Log(level, data, logger));
        ready(()).boxed()
    }

    fn ask(&self, questions: Vec<(String, Question)>) -> BoxFuture<'_, Answers> {
        self.note(Heard::Asked(questions));
        self.asked.notify_one();
        let answers = self.script.lock().unwrap().pop_front();
        answers.expect("more was asked than there are answers")
    }

    fn announce(&self, announcement: Announcement) {
        self.note(Heard::Announced(announcement));
    }
}

/// The guest `asker`, and a sandbox to call it in.
struct Asker {
    program: Program,
    sandbox: Sandbox,
}

impl Asker {
    fn load() -> Self {
        Self::with_places(4)
    }

    fn with_places(calls: u32) -> Self {
        let compiler = Compiler::new(&sandbox::Settings {
            calls: Some(calls),
            cache: Some(cache().into()),
            ..sandbox::Settings::default()
        })
        .unwrap();
        let wasm = fs::read(component("guest_asker")).unwrap();
        let auth = Auth::new(
            auth::Settings::new("https://issuer.example.com"),
            system_clock(),
        );
        Self {
            program: compiler.load(&wasm).unwrap(),
            sandbox: Sandbox::new(
                &compiler,
                auth.unwrap(),
                &BucketStore::Memory,
                watch::channel(false).1,
            )
            .unwrap(),
        }
    }

    async fn call_within(
        &self,
        timeout: Duration,
        function: &str,
        arguments: Vec<Val>,
        client: &Arc<Scripted>,
    ) -> Result<Val, Failure> {
        let interface = Some("tests:asker/asker@0.1.0");
        let export = self.program.export(interface, function, None).unwrap();
        let limits = Limits {
            timeout,
            ..Limits::default()
        };
        let client = Arc::clone(client);
        let results = self
            .sandbox
            .call(
                &export,
                arguments,
                Invocation {
                    number: 1,
                    service: "asker".into(),
                    caller: None,
                    behalf: Party::Local,
                    client,
                    limits,
                    usage: Usage::default(),
                },
                |results| results,
            )
            .await?;
        Ok(results.into_iter().next().unwrap_or(Val::Tuple(Vec::new())))
    }

    /// Calls with time enough, and sees that nothing is left afterwards.
    async fn call(
        &self,
        function: &str,
        arguments: Vec<Val>,
        client: &Arc<Scripted>,
    ) -> Result<Val, Failure> {
        let limit = Limits::default().timeout;
        let result = self.call_within(limit, function, arguments, client).await;
        assert_eq!(self.sandbox.load().calls, 0);
        result
    }
}

fn filled_in(name: &str, text: &str) -> Answer {
    Answer::Form(Response::Accepted(vec![(
        name.to_owned(),
        Value::Text(text.to_owned()),
    )]))
}

fn sampled() -> Answer {
    Answer::Sampling(Sampled {
        role: Role::Assistant,
        parts: vec![Part::Text("By all means.".into())],
        model: "large".into(),
        stop_reason: Some("endTurn".into()),
    })
}

fn folder() -> Answer {
    Answer::Roots(vec![Root {
        uri: "file:///home/ada".into(),
        name: Some("home".into()),
    }])
}

fn one(answer: Answer) -> Vec<Result<Answer, Unanswered>> {
    vec![Ok(answer)]
}

fn text(text: &str) -> Val {
    Val::String(text.to_owned())
}

fn ok(value: Val) -> Val {
    Val::Result(Ok(Some(Box::new(value))))
}

#[tokio::test]
async fn questions_arrive_as_they_were_asked_and_answers_return_in_their_order() {
    let asker = Asker::load();

    let client = Scripted::answering([Ok(vec![
        Ok(filled_in("email", "ada@example.com")),
        Err(Unanswered::Refused("no model today".into())),
        Ok(folder()),
    ])]);
    let answers = asker.call("ask-several", vec![], &client).await.unwrap();
    insta::assert_debug_snapshot!((client.heard(), answers));

    let client = Scripted::answering([
        Ok(one(filled_in("name", "Ada"))),
        Ok(one(filled_in("colour", "green"))),
    ]);
    let answer = asker.call("two-rounds", vec![], &client).await.unwrap();
    insta::assert_debug_snapshot!((client.heard(), answer));
}

#[tokio::test]
async fn each_kind_of_question_has_its_own_kind_of_answer() {
    let asker = Asker::load();
    let url = || vec![text("https://example.com/sign-in")];
    let accepted = Response::Accepted(Vec::new());
    let cases = [
        ("elicit-name", vec![], Ok(filled_in("name", "Ada"))),
        ("elicit-name", vec![], Ok(Answer::Form(Response::Declined))),
        ("elicit-name", vec![], Ok(Answer::Form(Response::Cancelled))),
        ("elicit-name", vec![], Err(Unanswered::Late)),
        ("elicit-name", vec![], Ok(folder())),
        ("page", url(), Ok(Answer::Page(accepted.clone()))),
        ("page", url(), Ok(Answer::Form(accepted))),
        ("sample", vec![text("Shall I?")], Ok(sampled())),
        (
            "sample",
            vec![text("Shall I?")],
            Err(Unanswered::Refused("not today".into())),
        ),
        ("roots", vec![], Ok(folder())),
        (
            "roots",
            vec![],
            Err(Unanswered::Invalid("`roots` is not there".into())),
        ),
        ("roots", vec![], Ok(sampled())),
    ];
    let mut ends = Vec::new();
    for (function, arguments, answer) in cases {
        let client = Scripted::answering([Ok(vec![answer])]);
        let value = asker.call(function, arguments, &client).await.unwrap();
        ends.push((function, value));
    }
    insta::assert_debug_snapshot!(ends);
}

#[tokio::test]
async fn what_is_told_arrives_and_what_is_too_long_is_cut() {
    let asker = Asker::load();
    let client = Scripted::answering([]);

    let capabilities = asker.call("capabilities", vec![], &client).await.unwrap();
    assert_eq!(
        capabilities,
        Val::List(vec![text("form"), text("sampling_tools")])
    );

    let steps = [1.0, f64::NAN, f64::INFINITY, 2.0].map(Val::Float64);
    let steps = Val::List(steps.into());
    for (total, message) in [
        (Some(Val::Float64(2.0)), Some("half")),
        (Some(Val::Float64(f64::NAN)), None),
    ] {
        let total = Val::Option(total.map(Box::new));
        let message = Val::Option(message.map(|message| Box::new(text(message))));
        let arguments = vec![steps.clone(), total, message];
        asker.call("progress", arguments, &client).await.unwrap();
    }
    let arguments = vec![
        text("it rains"),
        Val::Option(Some(Box::new(text("clouds")))),
    ];
    asker.call("log", arguments, &client).await.unwrap();
    let arguments = vec![text("notes://ada/1")];
    asker.call("announce", arguments, &client).await.unwrap();
    insta::assert_debug_snapshot!(client.heard());

    // The letter has two bytes, and the last one that fits does not fit whole.
    let long = text(&format!("x{}", "é".repeat(100_000)));
    let name = Val::Option(Some(Box::new(long.clone())));
    let arguments = vec![
        Val::List(vec![Val::Float64(1.0)]),
        Val::Option(None),
        name.clone(),
    ];
    asker.call("progress", arguments, &client).await.unwrap();
    asker.call("log", vec![long, name], &client).await.unwrap();
    let lengths: Vec<_> = client
        .heard()
        .into_iter()
        .map(|heard| match heard {
            Heard::Progress(_, _, message) => (0, message.unwrap().len()),
            Heard::Log(_, data, logger) => (data.len(), logger.unwrap().len()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths[0], (0, (4 << 10) - 1));
    assert_eq!(lengths[1..], [((64 << 10) - 1, 255); 8]);
}

#[tokio::test]
async fn a_question_that_is_not_asked_ends_the_run() {
    let asker = Asker::load();
    let mut texts = Vec::new();
    for (function, why) in [
        ("elicit-name", NotAsked::Unable(Capability::FORM)),
        (
            "ask-several",
            NotAsked::Unable(Capability::SAMPLING_TOOLS | Capability::ROOTS),
        ),
        ("roots", NotAsked::Later),
    ] {
        let client = Scripted::answering([Err(why)]);
        let failure = asker.call(function, vec![], &client).await.unwrap_err();
        assert!(
            matches!(failure.cause, Cause::NotAsked(reason) if reason == why),
            "{failure:?}"
        );
        texts.push(failure.to_string());
    }
    insta::assert_snapshot!(texts.join("\n"), @"
    the client of this call did not declare `form`: use one that can show a form to the person
    the client of this call did not declare `sampling-tools` and `roots`: use one that can ask a model that uses tools and name its folders
    the client of this call is to answer first, and then to call again
    ");

    // What was answered before makes no difference.
    let client = Scripted::answering([Ok(one(filled_in("name", "Ada"))), Err(NotAsked::Later)]);
    let failure = asker.call("two-rounds", vec![], &client).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::NotAsked(NotAsked::Later)));
}

#[tokio::test]
async fn a_guest_that_asks_badly_is_stopped_before_its_client_hears_of_it() {
    let asker = Asker::load();
    let long = "k".repeat(65);
    let numbered: Vec<String> = (0..17).map(|number| number.to_string()).collect();
    let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
    let mut texts = Vec::new();
    for keys in [
        &[""][..],
        &["fine", &long],
        &["two words"],
        &["größe"],
        &["line\nbreak"],
        &["once", "twice", "twice"],
        &numbered,
    ] {
        let keys = keys.iter().map(|key| text(key)).collect();
        let client = Scripted::answering([]);
        let call = asker.call("ask-under", vec![Val::List(keys)], &client);
        let failure = call.await.unwrap_err();
        assert!(
            matches!(failure.cause, Cause::BadQuestion(_)),
            "{failure:?}"
        );
        texts.push(failure.to_string());
    }
    insta::assert_snapshot!(texts.join("\n"), @"
    it was stopped by a fault of its own: it asked its question 1 under a key that is not one; use 1 to 64 visible ASCII characters
    it was stopped by a fault of its own: it asked its question 2 under a key that is not one; use 1 to 64 visible ASCII characters
    it was stopped by a fault of its own: it asked its question 1 under a key that is not one; use 1 to 64 visible ASCII characters
    it was stopped by a fault of its own: it asked its question 1 under a key that is not one; use 1 to 64 visible ASCII characters
    it was stopped by a fault of its own: it asked its question 1 under a key that is not one; use 1 to 64 visible ASCII characters
    it was stopped by a fault of its own: it asked twice under the key `twice`; give every question of a call a key of its own
    it was stopped by a fault of its own: it asked 17 questions at once, and 16 is the limit; ask the others after them
    ");

    // At the limits, and without a question, there is nothing to complain of.
    for keys in [&numbered[..16], &[&long[..64]], &[]] {
        let client = Scripted::answering([Ok(keys.iter().map(|_| Ok(folder())).collect())]);
        let arguments = vec![Val::List(keys.iter().map(|key| text(key)).collect())];
        let call = asker.call("ask-under", arguments, &client);
        assert_eq!(
            call.await.unwrap(),
            Val::U32(keys.len().try_into().unwrap())
        );
    }
}

#[tokio::test]
async fn a_guest_that_asks_for_ever_is_stopped() {
    let asker = Asker::load();
    let client = Scripted::answering((0..200).map(|_| Ok(one(folder()))));
    let failure = asker.call("ask-forever", vec![], &client).await;
    insta::assert_snapshot!(failure.unwrap_err(), @"it was stopped by a fault of its own: it asked more than 100 questions, the limit for one call; ask them in several calls");
    assert_eq!(client.heard().len(), 100);
}

#[tokio::test]
async fn time_stands_still_while_an_answer_is_awaited() {
    const LIMIT: Duration = Duration::from_millis(200);
    let asker = Asker::load();

    let (answer, answered) = oneshot::channel();
    let thoughtful = Scripted::new([answered.map(Result::unwrap).boxed()]);
    let waiting = pin!(asker.call_within(LIMIT, "elicit-name", vec![], &thoughtful));
    let quick = Scripted::answering([Ok(one(folder()))]);
    let spinning = async {
        thoughtful.asked.notified().await;
        asker
            .call_within(LIMIT, "ask-then-spin", vec![], &quick)
            .await
    };
    // The other one has its answer at once, and uses up as much time as each of them has.
    let Either::Right((spun, waiting)) = select(waiting, pin!(spinning)).await else {
        panic!("the call ended before its question was answered");
    };
    assert!(matches!(spun.unwrap_err().cause, Cause::OutOfTime { limit } if limit == LIMIT));
    assert_eq!(asker.sandbox.load().calls, 1);

    answer.send(Ok(one(filled_in("name", "Ada")))).unwrap();
    assert_eq!(waiting.await.unwrap(), ok(text("hello, Ada")));
    assert_eq!(asker.sandbox.load().calls, 0);
}

#[tokio::test]
async fn who_waits_for_an_answer_keeps_no_place_and_only_so_many_do() {
    let asker = Asker::with_places(1);
    let (answers, clients): (Vec<_>, Vec<_>) = (0..5)
        .map(|_| {
            let (answer, answered) = oneshot::channel();
            (
                answer,
                Scripted::new([answered.map(Result::unwrap).boxed()]),
            )
        })
        .unzip();
    let limit = Limits::default().timeout;
    let mut waiting = FuturesUnordered::new();
    for (number, client) in clients.iter().enumerate() {
        waiting.push(asker.call_within(limit, "elicit-name", vec![], client));
        if number < 4 {
            // With one place, each can ask only because those before have none.
            tokio::select! {
                early = waiting.next() => panic!("{early:?}"),
                () = client.asked.notified() => {}
            }
        }
    }
    let last = waiting.next().await.unwrap().unwrap_err();
    assert_eq!(
        last.to_string(),
        "4 calls wait for answers of their clients already, which is the limit; answer one of those first"
    );
    assert_eq!(asker.sandbox.load().calls, 4);
    for answer in answers.into_iter().take(4) {
        answer.send(Ok(one(filled_in("name", "Ada")))).unwrap();
    }
    while let Some(said) = waiting.next().await {
        assert_eq!(said.unwrap(), ok(text("hello, Ada")));
    }
    assert_eq!(asker.sandbox.load().calls, 0);
}

#[tokio::test]
async fn a_call_that_is_given_up_in_mid_question_leaves_nothing() {
    let asker = Asker::load();
    let client = Scripted::new([pending().boxed()]);
    let call = Box::pin(asker.call("elicit-name", vec![], &client));
    let Either::Right(((), call)) = select(call, pin!(client.asked.notified())).await else {
        panic!("the call ended before its question was answered");
    };
    assert_eq!(asker.sandbox.load().calls, 1);
    drop(call);
    assert_eq!(asker.sandbox.load().calls, 0);
    // Neither the store nor anything else holds the client.
    assert_eq!(Arc::strong_count(&client), 1);
}
