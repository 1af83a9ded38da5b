//! A bare axum server that answers each request with its own body: what `encaje bench --baseline` compares with.
//!
//! `cargo run --release -p encaje-tests --example echo [HOST:PORT]`

use axum::Router;
use axum::body::Bytes;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("echoing on http://{}", listener.local_addr()?);
    let router = Router::new().fallback(async |body: Bytes| body);
    Ok(axum::serve(listener, router).await?)
}
