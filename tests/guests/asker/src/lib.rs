//! A service that talks to its client in every way.

cloister_sdk::service!();

use std::hint::black_box;

use cloister::mcp::auth::AuthUser;
use cloister::mcp::client::{
    self, Choice, ChoiceField, ChoicesField, Field, Form, Input, IntegerField, Level, ModelMessage,
    ModelTool, NumberField, Page, Part, Question, Sampling, TextField, ToolChoice, Unanswered,
};
use cloister::mcp::content::{Body, Content, Role};
use cloister::mcp::prompts::{Message, Prompt};
use cloister::mcp::resources::{Contents, Document};
use cloister::mcp::{prompts, resources, tools};
use exports::tests::asker::asker::Guest;

struct Asker;

export!(Asker);

impl Guest for Asker {
    fn capabilities() -> Vec<String> {
        client::capabilities()
            .iter_names()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect()
    }

    fn elicit_name() -> Result<String, String> {
        Ok(format!("hello, {}", ask_for("name", "What is your name?")?))
    }

    fn two_rounds() -> Result<String, String> {
        let name = ask_for("name", "What is your name?")?;
        let colour = ask_for("colour", &format!("Which colour do you like, {name}?"))?;
        Ok(format!("{name} likes {colour}"))
    }

    fn ask_several() -> Vec<String> {
        let questions = [
            ("form", Question::Form(every_field())),
            ("model", Question::Sampling(every_setting())),
            ("folders", Question::Roots),
        ];
        client::ask(&questions.map(|(key, question)| (key.to_owned(), question)))
            .into_iter()
            .map(|answer| format!("{answer:?}"))
            .collect()
    }

    fn sample(prompt: String) -> Result<String, String> {
        let sampled =
            client::sample("model", &plain_sampling(prompt)).map_err(|why| reason(&why))?;
        Ok(format!("{} says {:?}", sampled.model, sampled.parts))
    }

    fn roots() -> Result<Vec<String>, String> {
        let roots = client::list_roots("folders").map_err(|why| reason(&why))?;
        Ok(roots.into_iter().map(|root| root.uri).collect())
    }

    fn page(url: String) -> Result<String, String> {
        let page = Page {
            message: "Sign in over there.".into(),
            url,
        };
        match client::visit("page", &page) {
            Ok(response) => Ok(format!("{response:?}")),
            Err(why) => Err(reason(&why)),
        }
    }

    fn ask_under(keys: Vec<String>) -> u32 {
        let questions: Vec<_> = keys.into_iter().map(|key| (key, Question::Roots)).collect();
        client::ask(&questions).len().try_into().unwrap()
    }

    fn ask_forever() {
        for number in 1_u64.. {
            let _answer = client::list_roots(&format!("folders-{number}"));
        }
    }

    fn ask_then_spin() {
        let _answer = client::list_roots("folders");
        loop {
            black_box(());
        }
    }

    fn progress(done: Vec<f64>, total: Option<f64>, message: Option<String>) {
        for done in done {
            client::progress(done, total, message.as_deref());
        }
    }

    fn log(data: String, logger: Option<String>) {
        for level in [
            Level::Debug,
            Level::Info,
            Level::Notice,
            Level::Warning,
            Level::Error,
            Level::Critical,
            Level::Alert,
            Level::Emergency,
        ] {
            client::log(level, &data, logger.as_deref());
        }
    }

    fn log_forever() {
        let line = "x".repeat(16 << 10);
        loop {
            client::log(Level::Error, &line, None);
        }
    }

    fn tell_all(lines: u32, letters: u32) -> String {
        for line in 1..=lines {
            client::log(Level::Info, &line.to_string(), None);
            client::progress(line.into(), Some(lines.into()), None);
        }
        "x".repeat(letters.try_into().unwrap())
    }

    fn ask_at_length(letters: u32) -> Vec<String> {
        let question = |letter: &str| {
            let prompt = letter.repeat(letters.try_into().unwrap());
            (
                letter.to_owned(),
                Question::Sampling(plain_sampling(prompt)),
            )
        };
        client::ask(&["a", "b"].map(question))
            .into_iter()
            .map(|answer| match answer {
                Ok(client::Answer::Sampling(sampled)) => sampled.model,
                other => format!("{other:?}"),
            })
            .collect()
    }

    fn announce(uri: String) {
        tools::list_changed();
        prompts::list_changed();
        resources::list_changed();
        resources::updated(&uri);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a guest has nobody else to wait for"
    )]
    fn work_to_end() -> String {
        while !client::cancelled() {
            client::progress(0.0, None, None);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        "as far as I got".into()
    }

    fn greeting() -> Result<Contents, String> {
        let name = ask_for("name", "What is your name?")?;
        Ok(contents(format!("hello, {name}")))
    }

    fn own_greeting(user: &AuthUser) -> Contents {
        contents(format!("hello, {}", user.get().id))
    }

    fn greet_me(user: &AuthUser, language: String) -> Prompt {
        Prompt {
            description: None,
            messages: vec![Message {
                role: Role::User,
                content: Content::Text(format!("Greet {} in {language}.", user.get().id)),
            }],
        }
    }

    fn complete_language(user: &AuthUser, value: String) -> Vec<String> {
        let languages = ["Norwegian".to_owned(), user.get().id];
        let fits = |language: &String| language.starts_with(&value);
        languages.into_iter().filter(fits).collect()
    }
}

fn contents(text: String) -> Contents {
    Contents {
        documents: vec![Document {
            uri: None,
            mime_type: None,
            body: Body::Text(text),
            meta: None,
        }],
    }
}

/// Asks for one text, under the key that is also its name.
fn ask_for(key: &str, message: &str) -> Result<String, String> {
    let form = Form::new(message).with(Field::text(key));
    let response = client::elicit(key, &form).map_err(|why| reason(&why))?;
    response
        .text(key)
        .map(str::to_owned)
        .ok_or_else(|| format!("{response:?}"))
}

fn reason(why: &Unanswered) -> String {
    format!("no answer: {why:?}")
}

fn field(name: &str, input: Input) -> Field {
    Field {
        name: name.to_owned(),
        title: None,
        description: None,
        required: false,
        input,
    }
}

/// A form that has every kind of field, and every part of one.
fn every_field() -> Form {
    let choices = |titles: [Option<&str>; 2]| {
        ["small", "large"]
            .into_iter()
            .zip(titles)
            .map(|(value, title)| Choice {
                value: value.to_owned(),
                title: title.map(str::to_owned),
            })
            .collect()
    };
    let email = Field {
        title: Some("E-mail".into()),
        description: Some("Where to write to.".into()),
        required: true,
        ..field(
            "email",
            Input::Text(TextField {
                min_length: Some(3),
                max_length: Some(254),
                format: Some("email".into()),
                default: Some("nobody@example.com".into()),
            }),
        )
    };
    let others = [
        (
            "age",
            Input::Integer(IntegerField {
                min: Some(0),
                max: Some(150),
                default: Some(30),
            }),
        ),
        (
            "height",
            Input::Number(NumberField {
                min: Some(0.5),
                max: None,
                default: Some(1.75),
            }),
        ),
        ("member", Input::Boolean(Some(false))),
        (
            "size",
            Input::Choice(ChoiceField {
                choices: choices([Some("Small"), Some("Large")]),
                default: Some("small".into()),
            }),
        ),
        (
            "sizes",
            Input::Choices(ChoicesField {
                choices: choices([None, None]),
                min: Some(1),
                max: Some(2),
                default: vec!["large".into()],
            }),
        ),
        (
            "website",
            Input::Schema(r#"{"type":"string","format":"uri"}"#.into()),
        ),
    ];
    Form {
        message: "Who are you?".into(),
        fields: std::iter::once(email)
            .chain(others.map(|(name, input)| field(name, input)))
            .collect(),
    }
}

fn plain_sampling(prompt: String) -> Sampling {
    Sampling {
        messages: vec![ModelMessage {
            role: Role::User,
            parts: vec![Part::Text(prompt)],
        }],
        max_tokens: 100,
        system_prompt: None,
        temperature: None,
        stop_sequences: Vec::new(),
        models: Vec::new(),
        cost_priority: None,
        speed_priority: None,
        intelligence_priority: None,
        tools: Vec::new(),
        tool_choice: None,
    }
}

/// A question to the model that says all that can be said.
fn every_setting() -> Sampling {
    Sampling {
        system_prompt: Some("Be brief.".into()),
        temperature: Some(0.5),
        stop_sequences: vec!["END".into()],
        models: vec!["small".into(), "large".into()],
        cost_priority: Some(0.25),
        speed_priority: Some(1.0),
        intelligence_priority: Some(0.0),
        tools: vec![ModelTool {
            name: "weather".into(),
            description: Some("The weather in a town.".into()),
            input_schema: r#"{"type":"object","properties":{"town":{"type":"string"}}}"#.into(),
        }],
        tool_choice: Some(ToolChoice::Auto),
        ..plain_sampling("Shall I take an umbrella in Bergen?".into())
    }
}
