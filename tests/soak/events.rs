//! What a host says in answer to one request: one message, or a stream of them (HTML Living Standard,
//! server-sent events).

use reqwest::Response;
use serde_json::Value;

/// Messages, one after another.
pub(crate) struct Events {
    response: Response,
    unread: Vec<u8>,
    /// Whether it is one message, and nothing after it.
    is_single: bool,
    /// By which one can go on after the last event.
    pub(crate) last: Option<String>,
}

impl Events {
    /// Those of a request that the host takes.
    pub(crate) async fn of(response: Response) -> Result<Self, String> {
        let status = response.status();
        if status != 200 {
            let text = response.text().await.unwrap_or_default();
            return Err(format!("{status} {text}"));
        }
        let kind = response.headers().get("content-type");
        let is_stream = kind.is_some_and(|kind| kind == "text/event-stream");
        Ok(Self {
            response,
            unread: Vec::new(),
            is_single: !is_stream,
            last: None,
        })
    }

    /// The next message; none at the end. Nothing is lost if this is dropped before it comes.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(event) = self.event() {
                let text = String::from_utf8(event).map_err(|cause| cause.to_string())?;
                if let Some(message) = self.read(&text)? {
                    return Ok(Some(message));
                }
                continue;
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(|cause| format!("a stream broke off: {cause:?}"))? {
                Some(chunk) => self.unread.extend_from_slice(&chunk),
                None if self.is_single && !self.unread.is_empty() => {
                    let whole = std::mem::take(&mut self.unread);
                    let message = serde_json::from_slice(&whole);
                    return message.map(Some).map_err(|cause| cause.to_string());
                }
                None if self.unread.is_empty() => return Ok(None),
                None => return Err("a stream ended within an event".to_owned()),
            }
        }
    }

    /// All messages to the end.
    pub(crate) async fn rest(&mut self) -> Result<Vec<Value>, String> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// The text of an event that has come whole.
    fn event(&mut self) -> Option<Vec<u8>> {
        if self.is_single {
            return None;
        }
        let end = self.unread.windows(2).position(|two| two == b"\n\n")?;
        let rest = self.unread.split_off(end + 2);
        Some(std::mem::replace(&mut self.unread, rest))
    }

    /// The message of an event; none of one that tells its id alone, or of a comment.
    fn read(&mut self, text: &str) -> Result<Option<Value>, String> {
        let mut data = None;
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("id", id)) => self.last = Some(id.to_owned()),
                Some(("data", text)) if !text.is_empty() => data = Some(text),
                _ => {}
            }
        }
        data.map(|data| serde_json::from_str(data).map_err(|cause| format!("{cause}: {data}")))
            .transpose()
    }
}
