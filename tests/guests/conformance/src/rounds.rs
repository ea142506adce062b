use crate::cloister::mcp::client::{
    Answer, Capability, Field, Form, Question, Response, Root, Sampling, Unanswered, Value, ask,
    capabilities, elicit, list_roots, sample,
};
use crate::exports::tests::conformance::rounds::Guest;
use crate::sampling::said;
use crate::{Conformance, field, unanswered};

impl Guest for Conformance {
    fn test_input_required_result_elicitation() -> Result<String, String> {
        let answer = elicit("user_name", &name());
        Ok(format!("Hello, {}!", field(answer, "name")?))
    }

    fn test_input_required_result_sampling() -> Result<String, String> {
        said(sample(
            "capital_question",
            &Sampling::new("What is the capital of France?", 100),
        ))
    }

    fn test_input_required_result_list_roots() -> Result<String, String> {
        listed(list_roots("client_roots"))
    }

    fn test_input_required_result_request_state() -> Result<String, String> {
        confirmed()
    }

    fn test_input_required_result_multiple_inputs() -> Result<String, String> {
        told(ask(&[
            ("user_name".into(), Question::Form(name())),
            (
                "greeting".into(),
                Question::Sampling(Sampling::new("Generate a greeting", 50)),
            ),
            ("client_roots".into(), Question::Roots),
        ]))
    }

    fn test_input_required_result_multi_round() -> Result<String, String> {
        let first = Form::new("Step 1: What is your name?").with(Field::text("name"));
        let name = field(elicit("step1", &first), "name")?;
        let second = Form::new("Step 2: What is your favorite color?").with(Field::text("color"));
        let color = field(elicit("step2", &second), "color")?;
        Ok(format!("{name} likes {color}"))
    }

    fn test_input_required_result_tampered_state() -> Result<String, String> {
        confirmed()
    }

    fn test_input_required_result_capabilities() -> Result<String, String> {
        let able = capabilities();
        let mut questions = Vec::new();
        if able.contains(Capability::FORM) {
            questions.push(("user_name".into(), Question::Form(name())));
        }
        if able.contains(Capability::SAMPLING) {
            let greeting = Sampling::new("Generate a greeting", 50);
            questions.push(("greeting".into(), Question::Sampling(greeting)));
        }
        if questions.is_empty() {
            return Ok("This client can be asked nothing".into());
        }
        told(ask(&questions))
    }
}

fn name() -> Form {
    Form::new("What is your name?").with(Field::text("name"))
}

fn confirmed() -> Result<String, String> {
    let form = Form::new("Please confirm").with(Field::boolean("ok"));
    let response = elicit("confirm", &form).map_err(unanswered)?;
    match response.value("ok") {
        Some(Value::Boolean(true)) => Ok("state-ok".into()),
        _ => Err("it was not confirmed".into()),
    }
}

fn listed(roots: Result<Vec<Root>, Unanswered>) -> Result<String, String> {
    let roots = roots.map_err(unanswered)?;
    let uris: Vec<String> = roots.into_iter().map(|root| root.uri).collect();
    Ok(format!("Client roots: {}", uris.join(", ")))
}

/// All answers, a line each.
fn told(answers: Vec<Result<Answer, Unanswered>>) -> Result<String, String> {
    let lines: Result<Vec<String>, String> = answers
        .into_iter()
        .map(|answer| match answer.map_err(unanswered)? {
            Answer::Form(response) => form_told(response),
            Answer::Sampling(sampled) => said(Ok(sampled)),
            Answer::Roots(roots) => listed(Ok(roots)),
            Answer::Page(_) => Err("nobody asked for a page".into()),
        })
        .collect();
    Ok(lines?.join("\n"))
}

fn form_told(response: Response) -> Result<String, String> {
    Ok(format!("Hello, {}!", field(Ok(response), "name")?))
}
