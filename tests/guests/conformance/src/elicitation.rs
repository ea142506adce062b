use crate::cloister::mcp::client::{
    Choice, ChoiceField, ChoicesField, Field, Form, Input, IntegerField, NumberField, TextField,
    elicit,
};
use crate::exports::tests::conformance::elicitation::Guest;
use crate::{Conformance, field, told};

impl Guest for Conformance {
    fn test_elicitation(message: String) -> Result<String, String> {
        let form = Form::new(message)
            .with(Field::text("username").described("User's response"))
            .with(Field::text("email").described("User's email address"));
        Ok(format!("User response: {}", told(elicit("user", &form))?))
    }

    fn test_elicitation_sep1034_defaults() -> Result<String, String> {
        let name = Input::Text(TextField {
            min_length: None,
            max_length: None,
            format: None,
            default: Some("John Doe".into()),
        });
        let age = Input::Integer(IntegerField {
            min: None,
            max: None,
            default: Some(30),
        });
        let score = Input::Number(NumberField {
            min: None,
            max: None,
            default: Some(95.5),
        });
        let status = Input::Choice(ChoiceField {
            choices: plain(["active", "inactive", "pending"]),
            default: Some("active".into()),
        });
        let form = Form::new("Please review and update the form fields with defaults")
            .with(Field::new("name", name).optional())
            .with(Field::new("age", age).optional())
            .with(Field::new("score", score).optional())
            .with(Field::new("status", status).optional())
            .with(Field::new("verified", Input::Boolean(Some(true))).optional());
        let answer = elicit("defaults", &form);
        Ok(format!("Elicitation completed: {}", told(answer)?))
    }

    fn test_elicitation_sep1330_enums() -> Result<String, String> {
        let titled_single = Input::Choice(ChoiceField {
            choices: titled("Option"),
            default: None,
        });
        // The way in which revisions before 2025-11-25 gave titles.
        let legacy = r#"{"type":"string","enum":["opt1","opt2","opt3"],"enumNames":["Option One","Option Two","Option Three"]}"#;
        let form = Form::new("Please select options from the enum fields")
            .with(Field::choice("untitledSingle", OPTIONS).optional())
            .with(Field::new("titledSingle", titled_single).optional())
            .with(Field::new("legacyEnum", Input::Schema(legacy.into())).optional())
            .with(Field::new("untitledMulti", several(plain(OPTIONS))).optional())
            .with(Field::new("titledMulti", several(titled("Choice"))).optional());
        let answer = elicit("enums", &form);
        Ok(format!("Elicitation completed: {}", told(answer)?))
    }

    fn test_streaming_elicitation() -> Result<String, String> {
        let form = Form::new("What is your name?").with(Field::text("name"));
        Ok(format!(
            "Hello, {}!",
            field(elicit("user_name", &form), "name")?
        ))
    }
}

const OPTIONS: [&str; 3] = ["option1", "option2", "option3"];

fn plain(values: [&str; 3]) -> Vec<Choice> {
    let plain = |value: &str| Choice {
        value: value.into(),
        title: None,
    };
    values.map(plain).into()
}

/// `value1` with the title `First Option`, and so on.
fn titled(noun: &str) -> Vec<Choice> {
    let titled = |(value, ordinal): (&str, &str)| Choice {
        value: value.into(),
        title: Some(format!("{ordinal} {noun}")),
    };
    [
        ("value1", "First"),
        ("value2", "Second"),
        ("value3", "Third"),
    ]
    .map(titled)
    .into()
}

fn several(choices: Vec<Choice>) -> Input {
    Input::Choices(ChoicesField {
        choices,
        min: None,
        max: None,
        default: Vec::new(),
    })
}
