use crate::cloister::mcp::client::{Field, Form, elicit};
use crate::cloister::mcp::content::{Content, Role};
use crate::cloister::mcp::prompts::{Message, Prompt};
use crate::exports::tests::conformance::prompts::Guest;
use crate::results::{embedded, pixel};
use crate::{Conformance, field};

impl Guest for Conformance {
    fn test_simple_prompt() -> Prompt {
        said("This is a simple prompt for testing.")
    }

    fn test_prompt_with_arguments(arg1: String, arg2: String) -> Prompt {
        said(&format!(
            "Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"
        ))
    }

    fn complete_arg1(value: String) -> Vec<String> {
        ["testing", "test value", "other value"]
            .into_iter()
            .filter(|known| known.starts_with(&value))
            .map(Into::into)
            .collect()
    }

    fn test_prompt_with_embedded_resource(resource_uri: String) -> Prompt {
        prompt(vec![
            embedded(
                &resource_uri,
                "text/plain",
                "Embedded resource content for testing.",
            ),
            Content::Text("Please process the embedded resource above.".into()),
        ])
    }

    fn test_prompt_with_image() -> Prompt {
        prompt(vec![
            pixel(),
            Content::Text("Please analyze the image above.".into()),
        ])
    }

    fn test_input_required_result_prompt() -> Result<Prompt, String> {
        let form = Form::new("What context should the prompt use?").with(Field::text("context"));
        let context = field(elicit("user_context", &form), "context")?;
        Ok(said(&format!("Use this context: {context}")))
    }
}

fn said(text: &str) -> Prompt {
    prompt(vec![Content::Text(text.into())])
}

/// A prompt in which the person says everything.
fn prompt(contents: Vec<Content>) -> Prompt {
    Prompt {
        description: None,
        messages: contents
            .into_iter()
            .map(|content| Message {
                role: Role::User,
                content,
            })
            .collect(),
    }
}
