//! Redirects: each hop is judged as if it were asked for, and carries less when it leaves its origin.

use super::*;

fn post(url: String) -> Request {
    Request {
        method: "POST".to_owned(),
        headers: vec![
            ("content-type".to_owned(), "text/plain".to_owned()),
            ("accept".to_owned(), "text/html".to_owned()),
            ("authorization".to_owned(), "mine".to_owned()),
            ("cookie".to_owned(), "crumbs".to_owned()),
            ("x-own".to_owned(), "1".to_owned()),
        ],
        body: b"body".to_vec(),
        ..get(url)
    }
}

/// A server whose `/from` leads to `to`; anything else is answered.
async fn leading(status: u16, to: String) -> Server {
    Server::new(move |asked| {
        if asked.contains(" /from") {
            redirect_to(status, &to)
        } else {
            ok("end")
        }
    })
    .await
}

#[tokio::test]
async fn methods_and_bodies_change_as_the_status_says() {
    for (status, method, keeps) in [
        (301, "GET", false),
        (302, "GET", false),
        (303, "GET", false),
        (307, "POST", true),
        (308, "POST", true),
    ] {
        let server = leading(status, "/to?x=1#part".to_owned()).await;
        let egress = egress(vec![server.rule()]);
        assert_eq!(
            body(send(&egress, post(server.url("/from"))).await.unwrap()).await,
            "end"
        );
        let asked = &server.asked()[1];
        assert!(
            asked.starts_with(&format!("{method} /to?x=1 HTTP")),
            "{status}: {asked}"
        );
        assert_eq!(asked.ends_with("\r\n\r\nbody"), keeps, "{status}: {asked}");
        assert_eq!(asked.contains("content-type:"), keeps, "{status}: {asked}");
        assert!(
            asked.contains("authorization: mine") && asked.contains("x-own: 1"),
            "within one origin nothing is lost"
        );
    }
    let server = leading(303, "/to".to_owned()).await;
    let head = Request {
        method: "HEAD".to_owned(),
        ..get(server.url("/from"))
    };
    send(&egress(vec![server.rule()]), head).await.unwrap();
    assert!(server.asked()[1].starts_with("HEAD /to"));
}

#[tokio::test]
async fn another_origin_gets_only_what_everybody_may_know() {
    let other = Server::saying("other").await;
    let server = leading(307, other.url("/to")).await;
    let egress = egress(vec![server.rule(), other.rule()]);
    assert_eq!(
        body(send(&egress, post(server.url("/from"))).await.unwrap()).await,
        "other"
    );
    let asked = &other.asked()[0];
    assert!(
        asked.contains("accept: text/html") && asked.contains("content-type: text/plain"),
        "{asked}"
    );
    for gone in ["authorization", "cookie", "x-own", "referer"] {
        assert!(!asked.contains(gone), "{asked}");
    }
    assert!(asked.ends_with("\r\n\r\nbody"), "{asked}");
}

#[tokio::test]
async fn a_redirect_to_what_is_not_allowed_is_denied_and_not_followed() {
    let inside = Server::saying("inside").await;
    let names = Names::with("meta.test", &[&["169.254.169.254"]]);
    names.add("inside.test", &[&["127.0.0.1"]]);
    let port = inside.port;
    for (to, code) in [
        (inside.url("/"), "not_granted"),
        ("http://169.254.169.254/latest/meta-data/".to_owned(), "not_granted"),
        ("//169.254.169.254/".to_owned(), "not_granted"),
        ("http://0xa9fea9fe/".to_owned(), "not_granted"),
        ("http://[fd00:ec2::254]/".to_owned(), "not_granted"),
        ("http://meta.test/".to_owned(), "address_refused"),
        (format!("http://inside.test:{port}/"), "address_refused"),
        ("/deep/../admin".to_owned(), "not_granted"),
    ] {
        let server = leading(302, to.clone()).await;
        let first = Rule {
            path: Some("/from".to_owned()),
            ..server.rule()
        };
        let rules = vec![first, rule("meta.test", 80), rule("inside.test", port)];
        let egress = Egress::with_resolver(policy(rules), names.clone()).unwrap();
        assert_eq!(refusal(&egress, get(server.url("/from"))).await, denied(code), "{to}");
        assert_eq!(server.asked().len(), 1, "{to}");
    }
    assert!(inside.asked().is_empty());
}

#[tokio::test]
async fn redirects_that_cannot_be_read_or_never_end_are_the_other_ends_fault() {
    let server = leading(302, "/from".to_owned()).await;
    let problem = send(&egress(vec![server.rule()]), get(server.url("/from")))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unavailable);
    assert_eq!(server.asked().len(), limits::REDIRECTS + 1);
    for to in [
        "http://",
        "http://user:word@127.0.0.1/",
        "ftp://127.0.0.1/",
        "/a\\b",
        "javascript:1",
    ] {
        let server = leading(302, to.to_owned()).await;
        let refused = refusal(&egress(vec![server.rule()]), get(server.url("/from"))).await;
        assert_eq!(
            refused,
            (ProblemKind::Unavailable, "redirect_refused".to_owned()),
            "{to}"
        );
    }
}

#[tokio::test]
async fn what_only_looks_like_a_redirect_is_an_answer() {
    let server = Server::new(|asked| {
        if asked.contains("/304") {
            redirect_to(304, "/elsewhere")
        } else {
            vec![say("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n")]
        }
    })
    .await;
    let egress = egress(vec![server.rule()]);
    assert_eq!(send(&egress, get(server.url("/304"))).await.unwrap().status(), 304);
    assert_eq!(send(&egress, get(server.url("/302"))).await.unwrap().status(), 302);
}
