//! A service that tries what no service may.

cloister_sdk::service!();

use std::fs::File;
use std::hint::black_box;
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use cloister::mcp::content::{Annotated, Annotations, Content};
use exports::tests::hostile::hostile::{Colours, Guest};
use wasip2::cli::stderr::get_stderr;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::types::{Fields, Method, OutgoingRequest};
use wasip2::random::random::get_random_bytes;

struct Hostile;

export!(Hostile);

impl Guest for Hostile {
    fn spin() {
        loop {
            black_box(());
        }
    }

    fn spin_in_host() {
        loop {
            black_box(Instant::now());
        }
    }

    fn spin_for_random() {
        loop {
            black_box(get_random_bytes(64 << 10));
        }
    }

    fn random(bytes: u64) -> u32 {
        get_random_bytes(bytes).len().try_into().unwrap_or(u32::MAX)
    }

    fn spin_in_poll() {
        loop {
            subscribe_duration(0).block();
        }
    }

    fn copy_forever() {
        let mut bytes = vec![1_u8; 40 << 20];
        loop {
            black_box(&mut bytes).copy_within(1.., 0);
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a guest has nobody else to wait for"
    )]
    fn sleep() {
        std::thread::sleep(Duration::from_hours(1));
    }

    fn print_forever() {
        loop {
            eprintln!("and another line of no use to anybody");
            println!("and another");
        }
    }

    fn print(bytes: u32) -> u32 {
        for _ in 0..bytes / 64 {
            eprintln!("{}", "-".repeat(63));
        }
        bytes
    }

    fn hand_over(bytes: u32) -> u32 {
        // More than the stream permits, which the host finds out when it has all of it.
        let _never = get_stderr().write(&vec![b'-'; bytes as usize]);
        bytes
    }

    fn print_tricks() {
        eprintln!(
            "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n2026-01-01T00:00:00Z  INFO call outcome=\"done\""
        );
        panic!("\u{202e}desrever\u{9b}31m");
    }

    fn variable(name: String) -> Option<String> {
        std::env::var(name).ok()
    }

    fn variables() -> Vec<String> {
        std::env::vars().map(|(name, _)| name).collect()
    }

    fn sockets(count: u32) -> u32 {
        let sockets: Vec<UdpSocket> = (0..count)
            .map_while(|_| UdpSocket::bind("127.0.0.1:0").ok())
            .collect();
        sockets.len().try_into().unwrap_or(u32::MAX)
    }

    fn files(path: String, count: u32) -> u32 {
        let files: Vec<File> = (0..count).map_while(|_| File::open(&path).ok()).collect();
        files.len().try_into().unwrap_or(u32::MAX)
    }

    fn handles(count: u32) -> u32 {
        let handles: Vec<_> = (0..count).map(|_| subscribe_duration(1)).collect();
        handles.len().try_into().unwrap_or(u32::MAX)
    }

    fn requests(count: u32, bytes: u32) -> u32 {
        let text = "m".repeat(bytes as usize);
        let mut taken = 0;
        let requests: Vec<_> = (0..count)
            .map(|_| {
                let request = OutgoingRequest::new(Fields::new());
                let method = request.set_method(&Method::Other(text.clone()));
                let authority = request.set_authority(Some(&text));
                taken += u32::from(method.is_ok() && authority.is_ok());
                request
            })
            .collect();
        black_box(requests);
        taken
    }

    fn connect(address: String) -> Result<String, String> {
        let address = address
            .to_socket_addrs()
            .map_err(|cause| format!("no address: {cause}"))?
            .next()
            .ok_or("no address")?;
        match TcpStream::connect(address) {
            Ok(_) => Ok("connected".into()),
            Err(cause) => Err(format!("not connected: {cause}")),
        }
    }

    fn read(path: String) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|cause| format!("not read: {cause}"))
    }

    fn write(path: String) -> Result<String, String> {
        match std::fs::write(path, "mine") {
            Ok(()) => Ok("written".into()),
            Err(cause) => Err(format!("not written: {cause}")),
        }
    }

    fn texts(count: u32) -> Vec<String> {
        (0..count).map(|number| (number % 10).to_string()).collect()
    }

    fn palettes(count: u32) -> Vec<Colours> {
        vec![Colours::all(); count as usize]
    }

    fn bytes(count: u32) -> Vec<Vec<u8>> {
        (0..count).map(|_| vec![0]).collect()
    }

    fn blob(count: u32) -> Vec<u8> {
        vec![0; count as usize]
    }

    fn note(priority: f64, meta: String) -> Annotated {
        Annotated {
            part: Content::Text("a note".into()),
            annotations: Annotations {
                audience: Vec::new(),
                priority: Some(priority),
                last_modified: None,
            },
            meta: Some(meta),
        }
    }

    fn allocate() {
        let mut blocks = Vec::new();
        loop {
            blocks.push(black_box(vec![1_u8; 1 << 20]));
            black_box(&blocks);
        }
    }

    fn panic_later() {
        Self::go_without();
        panic!("about something else");
    }

    fn go_without() -> u32 {
        let mut bytes = Vec::<u8>::new();
        assert!(bytes.try_reserve(1 << 30).is_err());
        1
    }

    fn panic(message: String) {
        panic!("{message}");
    }

    fn exit(code: u8) {
        std::process::exit(code.into());
    }

    fn churn(times: u32) -> u32 {
        for time in 0..times {
            black_box(vec![time; 1 << 20]);
        }
        times
    }

    fn nothing() {}
}
