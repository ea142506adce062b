//! Prompts, resources, templates, completions and content, each in a function or two.

cloister_sdk::service!();

use cloister::mcp::auth::AuthUser;
use cloister::mcp::content::{Annotated, Annotations, Body, Content, Embedded, Link, Media, Role};
use cloister::mcp::prompts::{Message, Prompt};
use cloister::mcp::resources::{Contents, Document};
use exports::example::library::library::{Guest, Tone};

struct Library;

export!(Library);

const TITLES: [&str; 2] = ["Moby-Dick", "Moonfleet"];

/// The pixels of a cover, as far as a test needs them.
const COVER: &[u8] = b"\x89PNG";

fn known(title: &str) -> Result<(), String> {
    if TITLES.contains(&title) {
        return Ok(());
    }
    Err(format!("there is no book `{title}`"))
}

fn one(document: Document) -> Contents {
    Contents {
        documents: vec![document],
    }
}

fn text(text: String) -> Document {
    Document {
        uri: None,
        mime_type: None,
        body: Body::Text(text),
        meta: None,
    }
}

impl Guest for Library {
    fn review(
        book: String,
        stars: u8,
        tone: Option<Tone>,
        spoilers: Option<bool>,
    ) -> Result<Prompt, String> {
        known(&book)?;
        let say = |role, text| Message {
            role,
            content: Content::Text(text),
        };
        Ok(Prompt {
            description: Some(format!("A review of {book}")),
            messages: vec![
                say(
                    Role::User,
                    format!("Review {book}: {stars} stars, {tone:?}, {spoilers:?}"),
                ),
                say(Role::Assistant, "With pleasure.".into()),
            ],
        })
    }

    fn complete_title(value: String, context: Vec<(String, String)>) -> Vec<String> {
        let chosen = context
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        TITLES
            .iter()
            .filter(|title| title.starts_with(&value))
            .map(|title| (*title).to_owned())
            .chain(chosen)
            .collect()
    }

    fn titles() -> Contents {
        one(text(TITLES.join("\n")))
    }

    fn book(title: String) -> Result<Contents, String> {
        known(&title)?;
        Ok(Contents {
            documents: vec![
                text(format!("# {title}")),
                Document {
                    uri: Some(format!("library://covers/{title}")),
                    mime_type: Some("image/png".into()),
                    body: Body::Blob(COVER.into()),
                    meta: Some(r#"{"pixels": 1}"#.into()),
                },
            ],
        })
    }

    fn page(book_title: String, number: u32) -> Contents {
        one(text(format!("page {number} of {book_title}")))
    }

    fn shelf() -> Contents {
        one(text("<p>books</p>".into()))
    }

    fn loans(user: &AuthUser) -> Contents {
        one(text(format!("{} has nothing on loan", user.get().id)))
    }

    fn about(title: String) -> Vec<Content> {
        vec![
            Content::Text(format!("About {title}")),
            Content::Image(Media {
                data: COVER.into(),
                mime_type: "image/png".into(),
            }),
            Content::Audio(Media {
                data: b"RIFF".into(),
                mime_type: "audio/wav".into(),
            }),
            Content::Link(Link {
                uri: format!("library://books/{title}"),
                name: "book".into(),
                title: Some(title),
                description: None,
                mime_type: None,
                size: Some(9),
            }),
            Content::Embedded(Embedded {
                uri: "library://titles".into(),
                mime_type: Some("text/plain".into()),
                body: Body::Text(TITLES.join("\n")),
            }),
            Content::Embedded(Embedded {
                uri: "library://cover".into(),
                mime_type: None,
                body: Body::Blob(COVER.into()),
            }),
        ]
    }

    fn blurb(title: String) -> Result<Annotated, String> {
        known(&title)?;
        Ok(Annotated {
            part: Content::Text(format!("Read {title}!")),
            annotations: Annotations {
                audience: vec![Role::User],
                priority: Some(0.5),
                last_modified: Some("2026-07-28T12:00:00Z".into()),
            },
            meta: Some(r#"{"acme.example/shelf":7}"#.into()),
        })
    }
}
