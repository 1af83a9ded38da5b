//! HTTPS for real: a certificate authority made for the test, and certificates that it did and did not sign.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate of this name, which answers every request alike or breaks off without a word.
async fn server(name: &str, authority: &Authority, steps: Vec<Step>) -> u16 {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let (acceptor, listener) = (
        TlsAcceptor::from(Arc::new(config)),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, steps) = (acceptor.clone(), steps.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, &Seen::default(), &|_| steps.clone()).await;
                }
            });
        }
    });
    port
}

fn roots(authority: &Authority) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    Arc::new(roots)
}

fn trusting(authority: &Authority, port: u16) -> Egress {
    let roots = roots(authority);
    let names = Names::with("api.test", &[&["127.0.0.1"]]);
    Egress::build(
        policy(vec![private("api.test", port)]),
        names,
        Caps::default(),
        Some(roots),
    )
    .unwrap()
}

#[tokio::test]
async fn https_works_with_a_certificate_that_fits() {
    let authority = authority();
    let port = server("api.test", &authority, ok("secure")).await;
    let response = send(&trusting(&authority, port), get(format!("https://api.test:{port}/")))
        .await
        .unwrap();
    assert_eq!(body(response).await, "secure");
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused() {
    let (ours, theirs) = (authority(), authority());
    for (name, signer) in [("api.test", &theirs), ("other.test", &ours)] {
        let port = server(name, signer, ok("secure")).await;
        let problem = send(&trusting(&ours, port), get(format!("https://api.test:{port}/")))
            .await
            .unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Unavailable, "{name}");
        assert!(problem.message.contains("No secure connection"), "{}", problem.message);
        assert!(problem.log_detail.unwrap().contains("certificate"), "{name}");
    }
}

#[tokio::test]
async fn https_to_a_server_without_tls_is_unavailable() {
    let plain = Server::new(|_| ok("")).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let problem = send(&trusting(&authority(), port), get(format!("https://api.test:{port}/")))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unavailable);
    assert!(plain.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_out_of_https_is_not_followed() {
    let plain = Server::saying("plain").await;
    let authority = authority();
    let port = server("api.test", &authority, redirect_to(302, &plain.url("/"))).await;
    let roots = roots(&authority);
    let names = Names::with("api.test", &[&["127.0.0.1"]]);
    let rules = vec![private("api.test", port), plain.rule()];
    let egress = Egress::build(policy(rules), names, Caps::default(), Some(roots)).unwrap();
    assert_eq!(
        refusal(&egress, get(format!("https://api.test:{port}/"))).await,
        denied("redirect_refused")
    );
    assert!(plain.asked().is_empty());
}

#[tokio::test]
async fn what_the_system_does_not_trust_is_refused() {
    let port = server("localhost", &authority(), ok("secure")).await;
    let egress = Egress::new(policy(vec![rule("localhost", port)])).unwrap();
    let problem = send(&egress, get(format!("https://localhost:{port}/")))
        .await
        .unwrap_err();
    // A machine without root certificates trusts nobody, and says so.
    let kinds = [ProblemKind::Unavailable, ProblemKind::Misconfigured];
    assert!(kinds.contains(&problem.kind), "{problem}");
    assert!(problem.message.contains("certificate"), "{problem}");
}
