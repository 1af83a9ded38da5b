//! The allow-list: what is asked is read once, judged, and sent as it was judged.

use super::*;

#[tokio::test]
async fn only_the_listed_host_and_port_is_reached_and_the_refusal_names_the_line_to_add() {
    let (listed, other) = (Server::saying("hello").await, Server::saying("other").await);
    let egress = egress(vec![listed.rule()]);
    assert_eq!(
        body(send(&egress, get(listed.url("/x?y=1"))).await.unwrap()).await,
        "hello"
    );
    let problem = send(&egress, get(other.url("/"))).await.unwrap_err();
    assert_eq!(
        (problem.kind, problem.code.as_deref()),
        (ProblemKind::Denied, Some("not_granted"))
    );
    let line = format!("[plugins.p] allow = {{ http = [\"127.0.0.1:{}\"] }}", other.port);
    assert!(problem.message.contains(&line), "{}", problem.message);
    let v6 = send(&egress, get("http://[::1]:8/")).await.unwrap_err();
    assert!(v6.message.contains("http = [\"[::1]:8\"]"), "{}", v6.message);
    assert!(other.asked().is_empty());
    assert!(
        listed.asked()[0].starts_with("GET /x?y=1 HTTP/1.1\r\n"),
        "{}",
        listed.asked()[0]
    );
}

#[tokio::test]
async fn methods_and_path_prefixes_bound_what_is_asked() {
    let server = Server::saying("").await;
    let egress = egress(vec![Rule {
        methods: vec!["GET".to_owned(), "POST".to_owned()],
        path: Some("/v1".to_owned()),
        ..server.rule()
    }]);
    for path in [
        "/v1",
        "/v1/",
        "/v1/x",
        "/v1?q=/..",
        "/v1/x%20y",
        "/v2/../v1/x",
        "/v1/100%25",
    ] {
        assert_eq!(
            send(&egress, get(server.url(path))).await.unwrap().status(),
            200,
            "{path}"
        );
    }
    let reached = server.asked().len();
    for path in [
        "/",
        "/v1x",
        "/v",
        "/V1/x",
        "/v2",
        "//v1",
        "/x/v1",
        "/v1/../v2",
        "/v1/%2e%2e/v2",
        "/v1/.%2E/v2",
        "/v1/..%2fv2",
        "/v1/..%5cv2",
        "/v1/x%2f..%2f..%2fv2",
        "/v1%2f..%2fv2",
        "/v1/%252e%252e%252fv2",
        "/v1/..;/v2",
        "/v1/..;a=b/v2",
        "/v1/%c0%ae%c0%ae/v2",
        "/v1/x%00",
        "/%76%31/x",
    ] {
        assert_eq!(
            refusal(&egress, get(server.url(path))).await,
            denied("not_granted"),
            "{path}"
        );
    }
    for method in ["DELETE", "HEAD", "PUT"] {
        let request = Request {
            method: method.to_owned(),
            ..get(server.url("/v1/x"))
        };
        assert_eq!(refusal(&egress, request).await, denied("not_granted"), "{method}");
    }
    assert_eq!(server.asked().len(), reached, "what was refused was not sent");
    assert!(
        server.asked()[5].starts_with("GET /v1/x HTTP"),
        "what was judged is what was sent"
    );
}

#[tokio::test]
async fn encoded_slashes_are_fine_where_any_path_is() {
    let server = Server::saying("").await;
    let egress = egress(vec![server.rule()]);
    send(&egress, get(server.url("/projects/group%2Fname"))).await.unwrap();
    assert!(server.asked()[0].starts_with("GET /projects/group%2Fname "));
}

#[tokio::test]
async fn no_spelling_of_a_host_gets_around_the_list() {
    let server = Server::saying("").await;
    let port = server.port;
    let names = Names::with("api.test", &[&["127.0.0.1"]]);
    let only_name = Egress::with_resolver(policy(vec![private("api.test", port)]), names.clone()).unwrap();
    for host in [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "127.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "localhost",
        "localhost.",
        "api.test.",
        "api.test.evil.test",
        "evil.test",
        "xapi.test",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
    ] {
        let refused = refusal(&only_name, get(format!("http://{host}:{port}/"))).await;
        assert_eq!(refused, denied("not_granted"), "{host}");
    }
    // Another port, and the ports that schemes stand for.
    for url in ["http://api.test/", "https://api.test/", "http://api.test:1/"] {
        assert_eq!(refusal(&only_name, get(url)).await, denied("not_granted"), "{url}");
    }
    assert_eq!(names.asked.load(Ordering::SeqCst), 0, "no refused name was looked up");
    for host in ["API.Test", "api%2Etest", "ａpi.test"] {
        send(&only_name, get(format!("HTTP://{host}:{port}/"))).await.unwrap();
    }
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked.contains(&format!("host: api.test:{port}\r\n")))
    );
}

#[tokio::test]
async fn a_literal_address_in_any_spelling_is_the_one_that_was_listed() {
    let server = Server::saying("").await;
    let egress = egress(vec![server.rule()]);
    for host in ["0x7f.1", "2130706433", "127.1", "127.0.0.1."] {
        send(&egress, get(format!("http://{host}:{}/", server.port)))
            .await
            .unwrap();
    }
    for host in ["127.0.0.2", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"] {
        let refused = refusal(&egress, get(format!("http://{host}:{}/", server.port))).await;
        assert_eq!(refused, denied("not_granted"), "{host}");
    }
}

#[tokio::test]
async fn addresses_that_two_readers_could_read_differently_are_invalid() {
    let server = Server::saying("").await;
    let (egress, port) = (egress(vec![server.rule()]), server.port);
    for url in [
        String::new(),
        "/v1".to_owned(),
        format!("ftp://127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "data:text/plain,x".to_owned(),
        format!("http://user@127.0.0.1:{port}/"),
        format!("http://user:word@127.0.0.1:{port}/"),
        format!("http://:word@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}\\@evil.test/"),
        format!("http:\\\\127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}/a\\b"),
        format!("http://127.0.0.1:{port}/a b"),
        format!("http://127.0.0.1:{port}/a\r\nx: y"),
        format!("http://127.0.0.1:{port}/\tx"),
        format!("http://[fe80::1%25eth0]:{port}/"),
        format!("http://[fe80::1%eth0]:{port}/"),
        "http://127.0.0.1:70000/".to_owned(),
        "http://256.0.0.1/".to_owned(),
        "http://".to_owned(),
        format!("http://{}/", "a.".repeat(200)),
    ] {
        assert_eq!(
            refusal(&egress, get(&url)).await.0,
            ProblemKind::InvalidRequest,
            "{url}"
        );
    }
    assert_eq!(
        refusal(&egress, get(server.url(&"x".repeat(9_000)))).await.0,
        ProblemKind::TooLarge
    );
    send(&egress, get(server.url("/a#@evil.test/"))).await.unwrap();
    assert!(server.asked()[0].starts_with("GET /a HTTP"), "the fragment stays here");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn methods_are_plain_and_never_open_a_tunnel() {
    let server = Server::saying("").await;
    let egress = egress(vec![server.rule()]);
    for method in [
        "",
        "get",
        "CONNECT",
        "TRACE",
        "GET / HTTP/1.1\r\nx: y\r\n\r\nGET",
        "G T",
        "Ñ",
    ] {
        let request = Request {
            method: method.to_owned(),
            ..get(server.url("/"))
        };
        assert_eq!(
            refusal(&egress, request).await.0,
            ProblemKind::InvalidRequest,
            "{method}"
        );
    }
    let request = Request {
        method: "PROPFIND".to_owned(),
        ..get(server.url("/"))
    };
    send(&egress, request).await.unwrap();
}

#[tokio::test]
async fn plain_http_never_goes_to_the_port_of_https() {
    let egress = egress(vec![rule("api.test", 443)]);
    let problem = send(&egress, get("http://api.test:443/")).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Denied);
    assert!(problem.message.contains("use `https`"), "{}", problem.message);
}

#[tokio::test]
async fn headers_that_frame_a_message_or_break_a_line_are_refused() {
    let server = Server::saying("").await;
    let egress = egress(vec![server.rule()]);
    let with = |name: &str, value: &str| Request {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..get(server.url("/"))
    };
    for name in [
        "Host",
        "connection",
        "Content-Length",
        "transfer-encoding",
        "TE",
        "trailer",
        "Upgrade",
        "X-HTTP-Method-Override",
        "x-original-url",
        "X-Rewrite-Url",
        "keep-alive",
        "expect",
        "proxy-authorization",
        "Proxy-Connection",
        "",
        "x y",
        "x:",
        "x\r\ny",
    ] {
        assert_eq!(
            refusal(&egress, with(name, "1")).await.0,
            ProblemKind::InvalidRequest,
            "{name}"
        );
    }
    for value in ["a\r\nhost: evil.test", "a\nb", "a\0"] {
        assert_eq!(
            refusal(&egress, with("x-a", value)).await.0,
            ProblemKind::InvalidRequest,
            "{value:?}"
        );
    }
    let many = Request {
        headers: vec![("x-a".to_owned(), String::new()); limits::REQUEST_HEADERS + 1],
        ..get(server.url("/"))
    };
    assert_eq!(refusal(&egress, many).await.0, ProblemKind::TooLarge);
    let long = with("x-a", &"x".repeat(limits::REQUEST_HEADER_BYTES));
    assert_eq!(refusal(&egress, long).await.0, ProblemKind::TooLarge);
    let heavy = Request {
        body: vec![0; limits::REQUEST_BYTES + 1],
        ..get(server.url("/"))
    };
    assert_eq!(refusal(&egress, heavy).await.0, ProblemKind::TooLarge);
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn headers_and_body_arrive_as_they_were_given() {
    let server = Server::saying("").await;
    let egress = egress(vec![server.rule()]);
    let request = Request {
        method: "POST".to_owned(),
        headers: vec![
            ("X-One".to_owned(), "1".to_owned()),
            ("x-one".to_owned(), "2".to_owned()),
            ("Accept-Encoding".to_owned(), "gzip".to_owned()),
        ],
        body: b"{}".to_vec(),
        ..get(server.url("/"))
    };
    send(&egress, request).await.unwrap();
    send(&egress, get(server.url("/"))).await.unwrap();
    let asked = server.asked();
    assert!(
        asked[0].contains("x-one: 1\r\nx-one: 2\r\n") && asked[0].ends_with("\r\n\r\n{}"),
        "{}",
        asked[0]
    );
    assert!(asked[0].contains("content-length: 2\r\n") && asked[0].contains("accept-encoding: gzip\r\n"));
    assert!(asked[1].contains("accept-encoding: identity\r\n") && asked[1].contains("user-agent: encaje/"));
}

#[test]
fn a_rule_whose_path_makes_no_sense_is_refused_at_once() {
    for path in ["v1", "/v1?x", "/v1#x", "/a\\b"] {
        let rule = Rule {
            path: Some(path.to_owned()),
            ..rule("api.test", 443)
        };
        assert_eq!(
            Egress::new(policy(vec![rule])).unwrap_err().kind,
            ProblemKind::Misconfigured,
            "{path}"
        );
    }
}
