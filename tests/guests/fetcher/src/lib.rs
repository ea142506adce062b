//! A service that reaches out over HTTP.

cloister_sdk::service!();

use exports::tests::fetcher::fetcher::{Counts, Guest, Header, Reply};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::StreamError;

struct Fetcher;

export!(Fetcher);

impl Guest for Fetcher {
    fn fetch(
        url: String,
        method: Option<String>,
        headers: Option<Vec<Header>>,
        body: Option<String>,
    ) -> Result<Reply, String> {
        let (request, outgoing) = request(&url, method, headers.unwrap_or_default())?;
        let answer = handle(request, None).map_err(told)?;
        // A host that refuses the request does not take its body either: what counts is the answer.
        let _unsent = send(outgoing, body.unwrap_or_default().as_bytes());
        let response = wait(&answer).map_err(told)?;
        let headers = response.headers().entries().into_iter();
        Ok(Reply {
            status: response.status(),
            headers: headers
                .map(|(name, value)| Header {
                    name,
                    value: String::from_utf8_lossy(&value).into_owned(),
                })
                .collect(),
            body: String::from_utf8_lossy(&read(&response)?).into_owned(),
        })
    }

    fn insist(url: String) -> u16 {
        Self::fetch(url, None, None, None).unwrap().status
    }

    fn upload(url: String, bytes: u64) -> Result<u16, String> {
        let (request, outgoing) = request(&url, Some("POST".into()), Vec::new())?;
        let answer = handle(request, None).map_err(told)?;
        let mut left = bytes;
        let stream = outgoing.write().map_err(|()| "no stream")?;
        while left > 0 {
            let some = left.min(4096);
            let zeros = vec![0; usize::try_from(some).unwrap_or_default()];
            if stream.blocking_write_and_flush(&zeros).is_err() {
                break;
            }
            left -= some;
        }
        drop(stream);
        let _unsent = OutgoingBody::finish(outgoing, None);
        wait(&answer)
            .map(|response| response.status())
            .map_err(told)
    }

    fn flood(url: String, count: u32) -> Counts {
        let answers: Vec<_> = (0..count)
            .map_while(|_| {
                let (request, outgoing) = request(&url, None, Vec::new()).ok()?;
                let answer = handle(request, None).ok()?;
                OutgoingBody::finish(outgoing, None).ok()?;
                Some(answer)
            })
            .collect();
        let mut counts = Counts {
            answered: 0,
            refused: 0,
        };
        for answer in answers {
            match wait(&answer).map_err(told).and_then(|it| read(&it)) {
                Ok(_) => counts.answered += 1,
                Err(_) => counts.refused += 1,
            }
        }
        counts
    }

    fn keep_headers(count: u32) -> u32 {
        let headers: Vec<_> = (0..count)
            .map(|_| {
                let fields = Fields::new();
                fields.append("x-long", &[b'x'; 30 << 10]).unwrap();
                OutgoingRequest::new(fields).headers()
            })
            .collect();
        headers.len().try_into().unwrap_or(u32::MAX)
    }
}

fn request(
    url: &str,
    method: Option<String>,
    headers: Vec<Header>,
) -> Result<(OutgoingRequest, OutgoingBody), String> {
    let fields = Fields::new();
    for Header { name, value } in headers {
        fields
            .append(&name, value.as_bytes())
            .map_err(|error| format!("no header `{name}`: {error}"))?;
    }
    let request = OutgoingRequest::new(fields);
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.into()),
    };
    let method = match method.as_deref() {
        None | Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        Some(other) => Method::Other(other.into()),
    };
    request.set_method(&method).map_err(|()| "no method")?;
    request
        .set_scheme(Some(&scheme))
        .map_err(|()| "no scheme")?;
    request
        .set_authority(Some(authority))
        .map_err(|()| "no authority")?;
    request
        .set_path_with_query(Some(path))
        .map_err(|()| "no path")?;
    let body = request.body().map_err(|()| "no body")?;
    Ok((request, body))
}

fn send(body: OutgoingBody, bytes: &[u8]) -> Result<(), String> {
    let stream = body.write().map_err(|()| "no stream")?;
    for chunk in bytes.chunks(4096) {
        stream
            .blocking_write_and_flush(chunk)
            .map_err(|error| error.to_string())?;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(told)
}

fn wait(answer: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    loop {
        if let Some(Ok(result)) = answer.get() {
            return result;
        }
        answer.subscribe().block();
    }
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, String> {
    let body: IncomingBody = response.consume().map_err(|()| "no body")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}

fn told(error: ErrorCode) -> String {
    format!("{error:?}")
}
