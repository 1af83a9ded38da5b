//! Whom HTTPS trusts: the certificate authorities of the system, read once for the whole process.
//!
//! Reading them takes some 30 ms, so it happens on a thread of its own and not for each plugin. What the system trusts
//! from later on is seen after a restart.

use std::sync::Arc;

use encaje_core::{Problem, ProblemKind};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::sync::OnceCell;

/// TLS for one client, with sessions of its own. Without `secure` the client speaks plain HTTP alone and needs no
/// certificates on the machine; `roots` stand in for the system's.
///
/// # Errors
/// `Misconfigured` where the system has no certificates.
pub(super) async fn config(secure: bool, roots: Option<&Arc<RootCertStore>>) -> Result<ClientConfig, Problem> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Problem::internal)?;
    let builder = match (secure, roots) {
        (true, None) => builder.dangerous().with_custom_certificate_verifier(system().await?),
        (true, Some(roots)) => builder.with_root_certificates(roots.clone()),
        (false, _) => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The cryptography that this program carries.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

async fn system() -> Result<Arc<Verifier>, Problem> {
    static SYSTEM: OnceCell<Arc<Verifier>> = OnceCell::const_new();
    let read = async || {
        let reading = tokio::task::spawn_blocking(|| Verifier::new(provider()));
        let verifier = reading.await.map_err(Problem::internal)?.map_err(|error| {
            let words = "HTTPS cannot be used: the system's root certificates (package `ca-certificates`) are missing.";
            Problem::new(ProblemKind::Misconfigured, words).with_detail(error)
        })?;
        Ok(Arc::new(verifier))
    };
    SYSTEM.get_or_try_init(read).await.cloned()
}
