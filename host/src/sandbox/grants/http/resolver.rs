//! From names to addresses. A connection goes to an address that was checked here, and not to what the
//! name may stand for a moment later.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::origin::Reach;

/// How many names a service may have looked up at once. The system's resolver keeps a thread for each, for
/// as long as a name server pleases.
const LOOKUPS: usize = 8;

/// Looks a name up. Blocks.
pub(in crate::sandbox) trait Lookup:
    Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static
{
}

impl<F: Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static> Lookup for F {}

/// Asks the system.
pub(super) fn system(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0)
        .to_socket_addrs()?
        .map(|found| found.ip())
        .collect())
}

/// Looks names up, and leaves out what the service may not reach.
pub(super) struct Resolver<L> {
    reach: Arc<Reach>,
    lookup: Arc<L>,
    turns: Arc<Semaphore>,
}

/// A name stands for addresses that the service may not reach.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` stands for {address}, which is no public address")]
pub(in crate::sandbox) struct Prohibited {
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) address: IpAddr,
}

/// A name stands for nothing.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` could not be looked up")]
pub(in crate::sandbox) struct Unresolved(String);

impl<L: Lookup> Resolver<L> {
    pub(super) fn new(reach: Arc<Reach>, lookup: L) -> Self {
        Self {
            reach,
            lookup: Arc::new(lookup),
            turns: Arc::new(Semaphore::new(LOOKUPS)),
        }
    }
}

impl<L: Lookup> Resolve for Resolver<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let reach = Arc::clone(&self.reach);
        let lookup = Arc::clone(&self.lookup);
        let turns = Arc::clone(&self.turns);
        Box::pin(async move {
            let turn = turns.acquire_owned().await?;
            let asked = name.clone();
            let found = tokio::task::spawn_blocking(move || {
                // The thread may go on when nobody waits any more, so the turn is the thread's.
                let _turn = turn;
                lookup(&asked)
            })
            .await?;
            let (reached, kept): (Vec<IpAddr>, Vec<IpAddr>) = found
                .unwrap_or_default()
                .into_iter()
                .partition(|address| reach.lets(&name, *address));
            match (reached.is_empty(), kept.first()) {
                (false, _) => {
                    let addresses = reached.into_iter().map(|it| SocketAddr::new(it, 0));
                    let addresses: Addrs = Box::new(addresses);
                    Ok(addresses)
                }
                (true, Some(&address)) => Err(Prohibited { name, address }.into()),
                (true, None) => Err(Unresolved(name).into()),
            }
        })
    }
}
