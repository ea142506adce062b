//! A service that reaches out over HTTP, to many at once.

cloister_sdk::service!();

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::pin;
use std::task::Poll;

use cloister_sdk::wit_bindgen::{FutureReader, FutureWriter, StreamReader};
use exports::tests::gatherer::gatherer::{Counts, Guest, Header, Reply};
use futures_util::future::{join, join_all};
use wasi::http::client::send;
use wasi::http::types::{
    ErrorCode, Fields, Method, Request, RequestOptions, Response, Scheme, Trailers,
};

struct Gatherer;

export!(Gatherer);

type End = Result<Option<Trailers>, ErrorCode>;

impl Guest for Gatherer {
    async fn fetch(
        url: String,
        method: Option<String>,
        headers: Option<Vec<Header>>,
        body: Option<String>,
    ) -> Result<Reply, String> {
        let headers = headers.unwrap_or_default();
        let Some(body) = body else {
            let request = request(&url, method, headers, None, ended(), None)?;
            return read(send(request).await.map_err(told)?).await;
        };
        let (mut writer, contents) = wit_stream::new::<u8>();
        let request = request(&url, method, headers, Some(contents), ended(), None)?;
        // A host that refuses the request does not take its body either: what counts is the answer.
        let write = async {
            let _unsent = writer.write_all(body.into_bytes()).await;
            drop(writer);
        };
        let (response, ()) = join(send(request), write).await;
        read(response.map_err(told)?).await
    }

    async fn insist(url: String) -> u16 {
        Self::fetch(url, None, None, None).await.unwrap().status
    }

    async fn upload(url: String, bytes: u64) -> Result<u16, String> {
        let (mut writer, contents) = wit_stream::new::<u8>();
        let method = Some("POST".into());
        let request = request(&url, method, Vec::new(), Some(contents), ended(), None)?;
        let write = async {
            let mut left = bytes;
            while left > 0 {
                let some = left.min(4096);
                let zeros = vec![0; usize::try_from(some).unwrap_or_default()];
                if !writer.write_all(zeros).await.is_empty() {
                    break;
                }
                left -= some;
            }
            drop(writer);
        };
        let (response, ()) = join(send(request), write).await;
        response
            .map(|response| response.get_status_code())
            .map_err(told)
    }

    async fn flood(url: String, count: u32) -> Counts {
        let answers = (0..count).map(|_| Self::fetch(url.clone(), None, None, None));
        let mut counts = Counts {
            answered: 0,
            refused: 0,
        };
        for answer in join_all(answers).await {
            match answer {
                Ok(_) => counts.answered += 1,
                Err(_) => counts.refused += 1,
            }
        }
        counts
    }

    async fn hurry(url: String, first: Option<u32>, between: Option<u32>) -> Result<Reply, String> {
        let options = RequestOptions::new();
        let nanoseconds = |longest: Option<u32>| longest.map(|it| u64::from(it) * 1_000_000);
        options
            .set_first_byte_timeout(nanoseconds(first))
            .and_then(|()| options.set_between_bytes_timeout(nanoseconds(between)))
            .map_err(|error| error.to_string())?;
        let request = request(&url, None, Vec::new(), None, ended(), Some(options))?;
        read(send(request).await.map_err(told)?).await
    }

    async fn relay(source: String, target: String) -> Result<Reply, String> {
        let source = request(&source, None, Vec::new(), None, ended(), None)?;
        let source = send(source).await.map_err(told)?;
        let (_received, outcome) = wit_future::new(|| Ok(()));
        let (contents, trailers) = Response::consume_body(source, outcome);
        let method = Some("POST".into());
        let target = request(&target, method, Vec::new(), Some(contents), trailers, None)?;
        read(send(target).await.map_err(told)?).await
    }

    async fn give_up(url: String, count: u32, other: String) -> Result<Reply, String> {
        for _ in 0..count {
            let request = request(&url, None, Vec::new(), None, ended(), None)?;
            let mut sending = pin!(send(request));
            poll_fn(|context| {
                assert!(sending.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        Self::fetch(other, None, None, None).await
    }

    async fn make(count: u32, bytes: u32) -> (u32, u32, u32, u32) {
        let text = "m".repeat(bytes as usize);
        let mut taken = (0, 0, 0, 0);
        let mut requests = Vec::new();
        for _ in 0..count {
            let (request, _transmitted) = made(Fields::new()).await;
            let is_taken = |it: Result<(), ()>| u32::from(it.is_ok());
            taken.0 += is_taken(request.set_method(&Method::Other(text.clone())));
            taken.1 += is_taken(request.set_scheme(Some(&Scheme::Other(text.clone()))));
            taken.2 += is_taken(request.set_authority(Some(&text)));
            taken.3 += is_taken(request.set_path_with_query(Some(&format!("/{text}"))));
            requests.push(request);
        }
        black_box(requests);
        taken
    }

    async fn keep_headers(count: u32) -> u32 {
        let mut headers = Vec::new();
        for _ in 0..count {
            let fields = Fields::new();
            fields.append("x-long", &[b'x'; 30 << 10]).unwrap();
            let (request, _transmitted) = made(fields).await;
            headers.push(request.get_headers());
        }
        headers.len().try_into().unwrap_or(u32::MAX)
    }

    async fn bite_tail(count: u32) -> u32 {
        for number in 0..count {
            if number % 2 == 0 {
                let (request, transmitted) = made(Fields::new()).await;
                black_box(Request::consume_body(request, transmitted));
            } else {
                let (writer, trailers) = wit_future::new(|| Ok(None));
                let (response, transmitted) = Response::new(Fields::new(), None, trailers);
                let _taken = writer.write(Ok(None)).await;
                black_box(Response::consume_body(response, transmitted));
            }
        }
        count
    }

    async fn complain(count: u32, bytes: u32) -> u32 {
        let mut outcomes = Vec::new();
        for _ in 0..count {
            let (request, transmitted) = made(Fields::new()).await;
            let (writer, outcome) = wit_future::new(|| Ok(()));
            black_box(Request::consume_body(request, outcome));
            let text = "x".repeat(bytes as usize);
            let complaint = Err(ErrorCode::InternalError(Some(text)));
            writer.write(complaint).await.unwrap();
            outcomes.push(transmitted);
        }
        let texts = join_all(outcomes.into_iter().map(IntoFuture::into_future)).await;
        let lengths = texts.into_iter().map(|outcome| match outcome {
            Err(ErrorCode::InternalError(Some(text))) => text.len(),
            _ => 0,
        });
        lengths.max().unwrap_or(0).try_into().unwrap_or(u32::MAX)
    }
}

/// The end of a body that has no trailers.
fn ended() -> FutureReader<End> {
    let (writer, reader): (FutureWriter<End>, _) = wit_future::new(|| Ok(None));
    drop(writer);
    reader
}

/// A request without a body, and what becomes of it.
async fn made(fields: Fields) -> (Request, FutureReader<Result<(), ErrorCode>>) {
    let (writer, trailers) = wit_future::new(|| Ok(None));
    let made = Request::new(fields, None, trailers, None);
    let _taken = writer.write(Ok(None)).await;
    made
}

fn request(
    url: &str,
    method: Option<String>,
    headers: Vec<Header>,
    contents: Option<StreamReader<u8>>,
    trailers: FutureReader<End>,
    options: Option<RequestOptions>,
) -> Result<Request, String> {
    let entries: Vec<_> = headers
        .into_iter()
        .map(|header| (header.name, header.value.into_bytes()))
        .collect();
    let fields = Fields::from_list(&entries).map_err(|error| format!("no header: {error:?}"))?;
    let fields = fields.clone();
    let (request, _transmitted) = Request::new(fields, contents, trailers, options);
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
    Ok(request)
}

async fn read(response: Response) -> Result<Reply, String> {
    let status = response.get_status_code();
    let headers = response.get_headers().copy_all().into_iter();
    let headers = headers
        .map(|(name, value)| Header {
            name,
            value: String::from_utf8_lossy(&value).into_owned(),
        })
        .collect();
    let (_received, outcome) = wit_future::new(|| Ok(()));
    let (contents, trailers) = Response::consume_body(response, outcome);
    let body = contents.collect().await;
    trailers.await.map_err(told)?;
    Ok(Reply {
        status,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn told(error: ErrorCode) -> String {
    format!("{error:?}")
}
