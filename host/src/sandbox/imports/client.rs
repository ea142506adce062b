//! `cloister:mcp/client`: what a guest tells its client, and asks it.

use std::sync::Arc;

use futures_util::FutureExt;
use wasmtime::{Result, format_err};

use crate::sandbox::bindings::cloister::mcp::client;
use crate::sandbox::bindings::cloister::mcp::client::{
    Answer, Capability, Form, Level, Page, Question, Response, Root, Sampled, Sampling, Unanswered,
};
use crate::sandbox::store::Call;

/// What the sandbox lets through of the text of a progress update, in bytes.
const PROGRESS_TEXT: usize = 4 << 10;

/// What it lets through of a log message, in bytes.
const LOG_DATA: usize = 64 << 10;

/// What it lets through of the name of a logger, in bytes.
const LOGGER: usize = 256;

type Answered<T> = Result<std::result::Result<T, Unanswered>>;

impl client::Host for Call {
    fn progress(&mut self, done: f64, total: Option<f64>, message: Option<String>) -> Result<()> {
        if done.is_finite() {
            let total = total.filter(|total| total.is_finite());
            let message = message.map(|message| cut(message, PROGRESS_TEXT));
            self.client.progress(done, total, message);
        }
        Ok(())
    }

    async fn log(&mut self, level: Level, data: String, logger: Option<String>) -> Result<()> {
        let logger = logger.map(|logger| cut(logger, LOGGER));
        self.client.log(level, cut(data, LOG_DATA), logger).await;
        Ok(())
    }

    fn capabilities(&mut self) -> Result<Capability> {
        Ok(self.client.capabilities())
    }

    fn cancelled(&mut self) -> Result<bool> {
        Ok(self.client.cancelled())
    }

    async fn ask(
        &mut self,
        questions: Vec<(String, Question)>,
    ) -> Result<Vec<std::result::Result<Answer, Unanswered>>> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        self.questions
            .ask(questions.iter().map(|(key, _)| key.as_str()))?;
        let client = Arc::clone(&self.client);
        let mut asking = client.ask(questions);
        if let Some(answers) = (&mut asking).now_or_never() {
            return Ok(answers?);
        }
        // A person may think for longer than a program may run, and others run meanwhile.
        self.place.step_aside()?;
        let _clock = self.deadline.pause();
        let answers = asking.await;
        self.place.come_back().await;
        Ok(answers?)
    }

    async fn elicit(&mut self, key: String, form: Form) -> Answered<Response> {
        self.ask_one(key, Question::Form(form), |answer| match answer {
            Answer::Form(response) => Some(response),
            Answer::Page(_) | Answer::Sampling(_) | Answer::Roots(_) => None,
        })
        .await
    }

    async fn visit(&mut self, key: String, page: Page) -> Answered<Response> {
        self.ask_one(key, Question::Page(page), |answer| match answer {
            Answer::Page(response) => Some(response),
            Answer::Form(_) | Answer::Sampling(_) | Answer::Roots(_) => None,
        })
        .await
    }

    async fn sample(&mut self, key: String, sampling: Sampling) -> Answered<Sampled> {
        self.ask_one(key, Question::Sampling(sampling), |answer| match answer {
            Answer::Sampling(sampled) => Some(sampled),
            Answer::Form(_) | Answer::Page(_) | Answer::Roots(_) => None,
        })
        .await
    }

    async fn list_roots(&mut self, key: String) -> Answered<Vec<Root>> {
        self.ask_one(key, Question::Roots, |answer| match answer {
            Answer::Roots(roots) => Some(roots),
            Answer::Form(_) | Answer::Page(_) | Answer::Sampling(_) => None,
        })
        .await
    }
}

impl Call {
    /// Asks one question. What is not of its kind is no answer.
    async fn ask_one<T>(
        &mut self,
        key: String,
        question: Question,
        kind: impl FnOnce(Answer) -> Option<T> + Send,
    ) -> Answered<T> {
        let answers = client::Host::ask(self, vec![(key, question)]).await?;
        let answer = answers
            .into_iter()
            .next()
            .ok_or_else(|| format_err!("the client was asked, and gave no answer"))?;
        Ok(answer.and_then(|answer| {
            kind(answer).ok_or_else(|| {
                Unanswered::Invalid("it is an answer to another kind of question".into())
            })
        }))
    }
}

/// The beginning of a text that is too long.
fn cut(mut text: String, longest: usize) -> String {
    text.truncate(text.floor_char_boundary(longest));
    text
}
