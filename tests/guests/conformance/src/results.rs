use crate::cloister::mcp::content::{Body, Content, Embedded, Media};
use crate::exports::tests::conformance::results::{Address, ContactMethod, Guest};
use crate::{Conformance, PIXEL, SILENCE};

impl Guest for Conformance {
    fn test_simple_text() -> String {
        "This is a simple text response for testing.".into()
    }

    fn test_image_content() -> Content {
        pixel()
    }

    fn test_audio_content() -> Content {
        Content::Audio(Media {
            data: SILENCE.into(),
            mime_type: "audio/wav".into(),
        })
    }

    fn test_embedded_resource() -> Content {
        embedded(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )
    }

    fn test_multiple_content_types() -> Vec<Content> {
        vec![
            Content::Text("Multiple content types test:".into()),
            pixel(),
            embedded(
                "test://mixed-content-resource",
                "application/json",
                r#"{"test":"data","value":123}"#,
            ),
        ]
    }

    fn test_error_handling() -> Result<String, String> {
        Err("This tool intentionally returns an error for testing".into())
    }

    fn json_schema_2020_12_tool(
        name: Option<String>,
        address: Option<Address>,
        contact_method: Option<ContactMethod>,
        phone: Option<String>,
        email: Option<String>,
    ) -> String {
        let place = address.and_then(|address| address.city.or(address.street));
        let reached = match contact_method {
            Some(ContactMethod::Phone) => phone,
            Some(ContactMethod::Email) | None => email,
        };
        let parts = [name, place, reached];
        format!(
            "JSON Schema 2020-12 tool called with: {}",
            parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
        )
    }

    fn test_custom_header(value: String) -> String {
        format!("Header value: {value}")
    }
}

pub(crate) fn pixel() -> Content {
    Content::Image(Media {
        data: PIXEL.into(),
        mime_type: "image/png".into(),
    })
}

pub(crate) fn embedded(uri: &str, mime_type: &str, text: &str) -> Content {
    Content::Embedded(Embedded {
        uri: uri.into(),
        mime_type: Some(mime_type.into()),
        body: Body::Text(text.into()),
    })
}
