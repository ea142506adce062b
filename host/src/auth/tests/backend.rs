//! What is asked of the Backend API: opaque tokens, what is known of callers, and their sessions.

mod callers;
mod opaque;
mod sessions;

use serde_json::{Value, json};

use super::draft::jwks;
use super::server::{Answer, Server};

fn server() -> Server {
    Server::start(Answer::json(jwks().to_string()))
}

fn with(mut object: Value, members: &Value) -> Value {
    let members = members.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(members);
    object
}

fn clerk_error(status: &'static str, code: &str) -> Answer {
    let body = json!({"errors": [{"code": code, "message": "m", "long_message": "l"}]});
    Answer::of(
        status,
        "Content-Type: application/json\r\n",
        body.to_string(),
    )
}

fn row(id: &str, user: &str, status: &str) -> Value {
    json!({
        "object": "session", "id": id, "user_id": user, "client_id": "client_1", "status": status,
        "created_at": 1_794_000_000_000_u64, "last_active_at": 1_794_900_000_000_u64,
        "expire_at": 1_796_000_000, "abandon_at": 1_797_000_000_000_u64,
        "latest_activity": {"id": "sess_activity_1", "device_type": "Macintosh", "browser_name": "Firefox", "city": "Oslo"},
    })
}

fn page(rows: &[Value]) -> Answer {
    Answer::json(json!({"data": rows, "total_count": rows.len()}).to_string())
}
