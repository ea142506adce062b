//! The other end of a call, as a guest sees it: what it may tell its client, and ask it.

use futures_util::future::BoxFuture;

pub use super::bindings::cloister::mcp::client::{
    Answer, Capability, Choice, ChoiceField, ChoicesField, Field, Form, Input, IntegerField, Level,
    ModelMessage, ModelTool, NumberField, Page, Part, Question, Response, Root, Sampled, Sampling,
    TextField, ToolChoice, ToolResult, ToolUse, Unanswered, Value,
};
pub use super::bindings::cloister::mcp::content::{Body, Content, Embedded, Link, Media, Role};

/// The other end of a call. Whoever speaks with clients implements it, and bounds what a guest says
/// in number: the sandbox bounds only the length.
pub trait Client: Send + Sync {
    /// What the client can be asked for.
    fn capabilities(&self) -> Capability;

    /// Whether the call should come to its end, if its guest wants to end it by itself.
    fn cancelled(&self) -> bool;

    /// How far the call is. The numbers are finite. What comes next stands for what came before.
    fn progress(&self, done: f64, total: Option<f64>, message: Option<String>);

    /// A log message. It waits while its client has more to read than there is room for.
    fn log(&self, level: Level, data: String, logger: Option<String>) -> BoxFuture<'_, ()>;

    /// Asks, each question under its key, and waits for the answers, which come in the order of the
    /// questions. The time of the call stands still meanwhile, so the wait must have an end.
    fn ask(
        &self,
        questions: Vec<(String, Question)>,
    ) -> BoxFuture<'_, Result<Vec<Result<Answer, Unanswered>>, NotAsked>>;

    /// Something that concerns every client, not this one alone.
    fn announce(&self, announcement: Announcement);
}

/// Why a question does not return to the guest, but ends its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAsked {
    /// The client did not declare that it can answer this.
    #[error("{}", missing(*.0))]
    Unable(Capability),
    /// It is asked after the run has ended, and the call repeated with the answers.
    #[error("the client of this call is to answer first, and then to call again")]
    Later,
}

/// What a service announces to everybody who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// The list of tools should be read again.
    Tools,
    /// The list of prompts should be read again.
    Prompts,
    /// The list of resources should be read again.
    Resources,
    /// The resource with this address has changed, if it is one of the service.
    Updated(String),
}

/// What the client cannot do, and what it would have had to declare.
fn missing(wanted: Capability) -> String {
    let known = [
        (Capability::FORM, "show a form to the person", "form"),
        (Capability::PAGE, "send the person to a web page", "page"),
        (Capability::SAMPLING, "ask a model", "sampling"),
        (
            Capability::SAMPLING_TOOLS,
            "ask a model that uses tools",
            "sampling-tools",
        ),
        (Capability::ROOTS, "name its folders", "roots"),
    ];
    let (actions, names): (Vec<&str>, Vec<String>) = known
        .into_iter()
        .filter(|(capability, ..)| wanted.contains(*capability))
        .map(|(_, action, name)| (action, format!("`{name}`")))
        .unzip();
    format!(
        "the client of this call did not declare {}: use one that can {}",
        names.join(" and "),
        actions.join(" and ")
    )
}
