use crate::cloister::mcp::client::{Sampled, Sampling, Unanswered, sample};
use crate::exports::tests::conformance::sampling::Guest;
use crate::{Conformance, unanswered};

impl Guest for Conformance {
    fn test_sampling(prompt: String) -> Result<String, String> {
        let answer = sample("prompt", &Sampling::new(prompt, 100));
        Ok(format!("LLM response: {}", said(answer)?))
    }

    fn test_missing_capability() -> Result<String, String> {
        said(sample("prompt", &Sampling::new("Are you there?", 10)))
    }
}

/// The text of what the model answered.
pub(crate) fn said(answer: Result<Sampled, Unanswered>) -> Result<String, String> {
    Ok(answer.map_err(unanswered)?.text())
}
