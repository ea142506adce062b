use crate::cloister::mcp::client::{
    Choice, ChoiceField, ChoicesField, Field, Form, Input, IntegerField, NumberField, TextField,
    elicit,
};
use crate::exports::tests::conformance::elicitation::Guest;
use crate::{Conformance, field, form, required, text, told};

impl Guest for Conformance {
    fn test_elicitation(message: String) -> Result<String, String> {
        let answer = elicit(
            "user",
            &Form {
                message,
                fields: vec![
                    required("username", Some("User's response"), text()),
                    required("email", Some("User's email address"), text()),
                ],
            },
        );
        Ok(format!("User response: {}", told(answer)?))
    }

    fn test_elicitation_sep1034_defaults() -> Result<String, String> {
        let status = choices(&["active", "inactive", "pending"], None);
        let answer = elicit(
            "defaults",
            &Form {
                message: "Please review and update the form fields with defaults".into(),
                fields: vec![
                    optional(
                        "name",
                        Input::Text(TextField {
                            min_length: None,
                            max_length: None,
                            format: None,
                            default: Some("John Doe".into()),
                        }),
                    ),
                    optional(
                        "age",
                        Input::Integer(IntegerField {
                            min: None,
                            max: None,
                            default: Some(30),
                        }),
                    ),
                    optional(
                        "score",
                        Input::Number(NumberField {
                            min: None,
                            max: None,
                            default: Some(95.5),
                        }),
                    ),
                    optional(
                        "status",
                        Input::Choice(ChoiceField {
                            choices: status,
                            default: Some("active".into()),
                        }),
                    ),
                    optional("verified", Input::Boolean(Some(true))),
                ],
            },
        );
        Ok(format!("Elicitation completed: {}", told(answer)?))
    }

    fn test_elicitation_sep1330_enums() -> Result<String, String> {
        let options = ["option1", "option2", "option3"];
        let values = ["value1", "value2", "value3"];
        let single = |choices| {
            Input::Choice(ChoiceField {
                choices,
                default: None,
            })
        };
        let several = |choices| {
            Input::Choices(ChoicesField {
                choices,
                min: None,
                max: None,
                default: Vec::new(),
            })
        };
        let named = ["First Option", "Second Option", "Third Option"];
        let chosen = ["First Choice", "Second Choice", "Third Choice"];
        let answer = elicit(
            "enums",
            &Form {
                message: "Please select options from the enum fields".into(),
                fields: vec![
                    optional("untitledSingle", single(choices(&options, None))),
                    optional("titledSingle", single(choices(&values, Some(&named)))),
                    // The way in which revisions before 2025-11-25 gave titles.
                    optional(
                        "legacyEnum",
                        Input::Schema(
                            r#"{"type":"string","enum":["opt1","opt2","opt3"],"enumNames":["Option One","Option Two","Option Three"]}"#
                                .into(),
                        ),
                    ),
                    optional("untitledMulti", several(choices(&options, None))),
                    optional("titledMulti", several(choices(&values, Some(&chosen)))),
                ],
            },
        );
        Ok(format!("Elicitation completed: {}", told(answer)?))
    }

    fn test_streaming_elicitation() -> Result<String, String> {
        let answer = elicit("user_name", &form("What is your name?", "name", text()));
        Ok(format!("Hello, {}!", field(answer, "name")?))
    }
}

fn optional(name: &str, input: Input) -> Field {
    Field {
        required: false,
        ..required(name, None, input)
    }
}

fn choices(values: &[&str], titles: Option<&[&str]>) -> Vec<Choice> {
    values
        .iter()
        .enumerate()
        .map(|(place, value)| Choice {
            value: (*value).into(),
            title: titles
                .and_then(|titles| titles.get(place))
                .map(|title| (*title).into()),
        })
        .collect()
}
