use crate::cloister::mcp::client::{ModelMessage, Part, Sampled, Sampling, Unanswered, sample};
use crate::cloister::mcp::content::Role;
use crate::exports::tests::conformance::sampling::Guest;
use crate::{Conformance, unanswered};

impl Guest for Conformance {
    fn test_sampling(prompt: String) -> Result<String, String> {
        let answer = sample("prompt", &question(&prompt, 100));
        Ok(format!("LLM response: {}", said(answer)?))
    }

    fn test_missing_capability() -> Result<String, String> {
        said(sample("prompt", &question("Are you there?", 10)))
    }
}

/// A question for the model.
pub(crate) fn question(prompt: &str, max_tokens: u32) -> Sampling {
    Sampling {
        messages: vec![ModelMessage {
            role: Role::User,
            parts: vec![Part::Text(prompt.into())],
        }],
        max_tokens,
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

/// The text of what the model answered.
pub(crate) fn said(answer: Result<Sampled, Unanswered>) -> Result<String, String> {
    let parts = answer.map_err(unanswered)?.parts;
    let texts = parts.into_iter().filter_map(|part| match part {
        Part::Text(text) => Some(text),
        Part::Image(_) | Part::Audio(_) | Part::ToolUse(_) | Part::ToolResult(_) => None,
    });
    Ok(texts.collect::<Vec<_>>().join("\n"))
}
