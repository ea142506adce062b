use crate::cloister::mcp::client::{
    Answer, Capability, Input, Question, Response, Root, Unanswered, ask, capabilities, elicit,
    list_roots, sample,
};
use crate::exports::tests::conformance::rounds::Guest;
use crate::sampling::{question, said};
use crate::{Conformance, accepted, field, form, text, unanswered};

impl Guest for Conformance {
    fn test_input_required_result_elicitation() -> Result<String, String> {
        let answer = elicit("user_name", &form("What is your name?", "name", text()));
        Ok(format!("Hello, {}!", field(answer, "name")?))
    }

    fn test_input_required_result_sampling() -> Result<String, String> {
        said(sample(
            "capital_question",
            &question("What is the capital of France?", 100),
        ))
    }

    fn test_input_required_result_list_roots() -> Result<String, String> {
        listed(list_roots("client_roots"))
    }

    fn test_input_required_result_request_state() -> Result<String, String> {
        confirmed().map(|()| "state-ok".into())
    }

    fn test_input_required_result_multiple_inputs() -> Result<String, String> {
        told(ask(&[
            (
                "user_name".into(),
                Question::Form(form("What is your name?", "name", text())),
            ),
            (
                "greeting".into(),
                Question::Sampling(question("Generate a greeting", 50)),
            ),
            ("client_roots".into(), Question::Roots),
        ]))
    }

    fn test_input_required_result_multi_round() -> Result<String, String> {
        let name = elicit("step1", &form("Step 1: What is your name?", "name", text()));
        let name = field(name, "name")?;
        let color = form("Step 2: What is your favorite color?", "color", text());
        let color = field(elicit("step2", &color), "color")?;
        Ok(format!("{name} likes {color}"))
    }

    fn test_input_required_result_tampered_state() -> Result<String, String> {
        confirmed().map(|()| "state-ok".into())
    }

    fn test_input_required_result_capabilities() -> Result<String, String> {
        let able = capabilities();
        let mut questions = Vec::new();
        if able.contains(Capability::FORM) {
            let name = form("What is your name?", "name", text());
            questions.push(("user_name".into(), Question::Form(name)));
        }
        if able.contains(Capability::SAMPLING) {
            let greeting = question("Generate a greeting", 50);
            questions.push(("greeting".into(), Question::Sampling(greeting)));
        }
        if questions.is_empty() {
            return Ok("This client can be asked nothing".into());
        }
        told(ask(&questions))
    }
}

fn confirmed() -> Result<(), String> {
    let confirm = form("Please confirm", "ok", Input::Boolean(None));
    accepted(elicit("confirm", &confirm)).map(|_fields| ())
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
