//! How connections are made: only to addresses that were checked, and within the time of the request that needs one.
//!
//! The check is the resolver that the HTTP client itself asks, so that no second look-up can answer otherwise. No proxy is
//! used, since it would resolve names itself.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use encaje_core::Problem;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, redirect};
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tower::layer::layer_fn;
use tower::{BoxError, Service};

use super::address::Reach;
use crate::limits;

tokio::task_local! {
    /// How long the request at hand waits for a connection, its name's resolution and the handshake included.
    pub(super) static CONNECT: Duration;
}

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of a host, best first; they are checked by whoever asks.
    ///
    /// # Errors
    /// Where the name cannot be resolved.
    async fn addresses(&self, host: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// The operating system's own resolver, a few names at a time.
pub(super) struct System(Arc<Semaphore>);

impl System {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(limits::LOOKUPS)))
    }
}

#[async_trait]
impl Resolver for System {
    async fn addresses(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let permit = self.0.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        let host = host.to_owned();
        // The look-up goes on when nobody waits for it any more, and so does its permit.
        let looking = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let found = (host.as_str(), 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        });
        looking.await.map_err(std::io::Error::other)?
    }
}

/// Everything that the name led to may not be reached.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reach: Reach,
    found: Vec<IpAddr>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {:?}", self.found)
    }
}

impl Error for Refused {}

/// No connection stood in time.
#[derive(Debug)]
pub(super) struct TooSlow(pub(super) Duration);

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection within {:?}", self.0)
    }
}

impl Error for TooSlow {}

/// A resolver that lets through only what a reach covers.
struct CheckedResolver {
    resolver: Arc<dyn Resolver>,
    reach: Reach,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, reach) = (self.resolver.clone(), self.reach);
        Box::pin(async move {
            let mut found = resolver.addresses(name.as_str()).await?;
            if found.is_empty() {
                return Err("the name has no address".into());
            }
            let reachable = found.iter().filter(|address| reach.covers(**address));
            let reachable: Vec<_> = reachable
                .take(limits::ADDRESSES)
                .map(|address| SocketAddr::new(*address, 0))
                .collect();
            if reachable.is_empty() {
                found.truncate(limits::ADDRESSES);
                return Err(Refused { reach, found }.into());
            }
            let addresses: Addrs = Box::new(reachable.into_iter());
            Ok(addresses)
        })
    }
}

/// A connector that gives up when the request at hand wants it to.
#[derive(Clone)]
struct InTime<S>(S);

impl<S, R> Service<R> for InTime<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // Where no request waits any more, the connection is being made for the pool.
        let within = CONNECT.try_with(|within| *within).unwrap_or(limits::CONNECT_TIME);
        let connecting = tokio::time::timeout(within, self.0.call(request));
        Box::pin(async move { connecting.await.unwrap_or_else(|_| Err(TooSlow(within).into())) })
    }
}

/// A client, and so a pool of connections, for one plugin and one reach: a connection that was made for one reach never
/// serves another.
pub(super) fn client(reach: Reach, resolver: Arc<dyn Resolver>, tls: ClientConfig) -> Result<Client, Problem> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("encaje/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .referer(false)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_max_headers(limits::RESPONSE_HEADERS)
        .pool_max_idle_per_host(limits::IDLE_CONNECTIONS)
        .pool_idle_timeout(limits::IDLE_TIME)
        .dns_resolver(CheckedResolver { resolver, reach })
        .connector_layer(layer_fn(InTime));
    builder.build().map_err(Problem::internal)
}
