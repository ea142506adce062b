//! A service that tries what no service may.

cloister_sdk::service!();

use std::hint::black_box;
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use exports::tests::hostile::hostile::Guest;

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

    fn churn(times: u32) -> u32 {
        for time in 0..times {
            black_box(vec![time; 1 << 20]);
        }
        times
    }

    fn nothing() {}
}
