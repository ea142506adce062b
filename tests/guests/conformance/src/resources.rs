use crate::cloister::mcp::content::Body;
use crate::cloister::mcp::resources::{Contents, Document};
use crate::exports::tests::conformance::resources::Guest;
use crate::{Conformance, PIXEL};

impl Guest for Conformance {
    fn static_text() -> Contents {
        text("This is the content of the static text resource.")
    }

    fn static_binary() -> Contents {
        document(Body::Blob(PIXEL.into()))
    }

    fn watched_resource() -> Contents {
        text("Watched resource content")
    }

    fn template_data(id: String) -> Contents {
        // An id is any text; as JSON it is quoted as Rust quotes plain text.
        let id = id.replace('\\', "\\\\").replace('"', "\\\"");
        text(&format!(
            r#"{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}"#
        ))
    }
}

fn text(text: &str) -> Contents {
    document(Body::Text(text.into()))
}

/// One document, at the address that was read and of the media type that the WIT says.
fn document(body: Body) -> Contents {
    Contents {
        documents: vec![Document {
            uri: None,
            mime_type: None,
            body,
            meta: None,
        }],
    }
}
