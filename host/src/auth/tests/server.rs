//! An HTTP/1.1 server on the loopback address that answers as it is told, well or badly, and
//! remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Runs until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<Answer>,
    /// Answers to requests that begin so, the newest first.
    routes: Mutex<Vec<(String, Answer)>>,
    requests: Mutex<Vec<String>>,
    is_closing: AtomicBool,
}

/// How the server answers every request.
#[derive(Clone)]
pub(super) enum Answer {
    /// A status line's rest, header lines that each end with a line break, and a body.
    Full(&'static str, String, String),
    /// The beginning of an answer, and then nothing for as long as the client waits.
    Drip,
}

impl Answer {
    pub(super) fn json(body: impl Into<String>) -> Self {
        Self::of("200 OK", "Content-Type: application/json\r\n", body)
    }

    pub(super) fn of(status: &'static str, headers: &str, body: impl Into<String>) -> Self {
        Self::Full(status, headers.to_owned(), body.into())
    }
}

impl Server {
    pub(super) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer),
            routes: Mutex::default(),
            requests: Mutex::default(),
            is_closing: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.is_closing.load(Ordering::Relaxed) {
                    break;
                }
                let serving = Arc::clone(&serving);
                // A client that hangs up is no failure of a test.
                thread::spawn(move || stream.and_then(|stream| serving.serve(stream)));
            }
        });
        Self { address, shared }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// Answers requests that begin so, such as `GET /v1/users/`, in this way from now on.
    pub(super) fn answer_to(&self, beginning: &str, answer: Answer) {
        let mut routes = self.shared.routes.lock().unwrap();
        routes.insert(0, (beginning.to_owned(), answer));
    }

    /// Answers all requests as it did at first.
    pub(super) fn forget_routes(&self) {
        self.shared.routes.lock().unwrap().clear();
    }

    /// How many requests so far begin so.
    pub(super) fn count_of(&self, beginning: &str) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|request| request.starts_with(beginning))
            .count()
    }

    /// The requests so far, each as its head and body were sent.
    pub(super) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.requests().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        let mut length = 0;
        loop {
            let start = request.len();
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
            let line = request[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        request.push_str(&String::from_utf8(body).unwrap());
        let routes = self.routes.lock().unwrap();
        let route = routes
            .iter()
            .find(|(beginning, _)| request.starts_with(beginning))
            .map(|(_, answer)| answer.clone());
        drop(routes);
        let answer = route.unwrap_or_else(|| self.answer.lock().unwrap().clone());
        self.requests.lock().unwrap().push(request);

        let mut stream = reader.into_inner();
        match answer {
            Answer::Full(status, headers, body) => write!(
                stream,
                "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            ),
            Answer::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"keys\":")?;
                // Until the client gives up.
                stream.read_to_end(&mut Vec::new()).map(|_| ())
            }
        }
    }
}
