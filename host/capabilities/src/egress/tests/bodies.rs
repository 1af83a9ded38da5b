//! Answers: pieces, lines, broken ends, caps and counters.

use super::*;

/// An answer of these pieces, a moment apart.
async fn chunked(pieces: &'static [&'static [u8]]) -> Server {
    Server::new(move |_| {
        let mut steps = vec![say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")];
        for piece in pieces {
            let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            steps.extend([Step::Say(framed), Step::Wait(5)]);
        }
        steps.push(say("0\r\n\r\n"));
        steps
    })
    .await
}

async fn lines(pieces: &'static [&'static [u8]]) -> Vec<String> {
    let server = chunked(pieces).await;
    let mut response = send(&egress(vec![server.rule()]), get(server.url("/"))).await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = response.read_line().await.unwrap() {
        lines.push(line);
    }
    assert_eq!(response.read_line().await.unwrap(), None, "the end stays the end");
    assert_eq!(response.read(1).await.unwrap(), None);
    lines
}

#[tokio::test]
async fn lines_end_with_either_kind_of_break_however_they_are_cut() {
    assert_eq!(lines(&[b"a\nb\r\n\r\n\nc"]).await, ["a", "b", "", "", "c"]);
    assert_eq!(lines(&[b"a", b"b\r", b"\nc\n", b"d\re\n"]).await, ["ab", "c", "d\re"]);
    assert_eq!(
        lines(&[b"\xff\xfea\n", b"\xc3", b"\xa9\n"]).await,
        ["\u{fffd}\u{fffd}a", "é"]
    );
    assert_eq!(lines(&[b"a\n"]).await, ["a"]);
    assert!(lines(&[]).await.is_empty());
}

#[tokio::test]
async fn reads_are_bounded_and_mix_with_lines() {
    let server = chunked(&[b"0123456789\nab", b"c\nrest"]).await;
    let mut response = send(&egress(vec![server.rule()]), get(server.url("/"))).await.unwrap();
    assert_eq!(response.read(0).await.unwrap_err().kind, ProblemKind::InvalidRequest);
    assert_eq!(response.read(4).await.unwrap().unwrap(), b"0123");
    assert_eq!(response.read_line().await.unwrap().unwrap(), "456789");
    assert_eq!(response.read_line().await.unwrap().unwrap(), "abc");
    assert_eq!(response.read(2).await.unwrap().unwrap(), b"re");
    assert_eq!(response.read(u32::MAX).await.unwrap().unwrap(), b"st");
    assert_eq!(response.read(1).await.unwrap(), None);
}

#[tokio::test]
async fn a_piece_is_handed_over_as_soon_as_it_is_there() {
    let server = Server::new(|_| {
        vec![
            say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n"),
            Step::Wait(60_000),
        ]
    })
    .await;
    let mut response = send(&egress(vec![server.rule()]), get(server.url("/"))).await.unwrap();
    assert_eq!(
        response.headers(),
        [("content-type".to_owned(), "text/event-stream".to_owned())]
    );
    let line = tokio::time::timeout(Duration::from_secs(2), response.read_line())
        .await
        .unwrap();
    assert_eq!(line.unwrap().unwrap(), "data: 1");
}

#[tokio::test]
async fn a_status_of_any_kind_is_an_answer() {
    for status in [204, 304, 400, 401, 404, 429, 500, 503, 599] {
        let server = Server::new(move |_| {
            vec![say(format!(
                "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nretry-after: 7\r\n\r\n"
            ))]
        })
        .await;
        let response = send(&egress(vec![server.rule()]), get(server.url("/"))).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.headers().contains(&("retry-after".to_owned(), "7".to_owned())));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_quiet_end() {
    for head in ["content-length: 9", "transfer-encoding: chunked"] {
        let server =
            Server::new(move |_| vec![say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n4\r\nab\n")), Step::Close]).await;
        let egress = egress(vec![server.rule()]);
        let mut response = send(&egress, get(server.url("/"))).await.unwrap();
        let problem = loop {
            match response.read_line().await {
                Ok(line) => assert!(line.is_some(), "{head}: a quiet end"),
                Err(problem) => break problem,
            }
        };
        assert_eq!(problem.kind, ProblemKind::Unavailable, "{head}");
        assert_eq!(response.read(1).await.unwrap_err(), problem, "and stays so");
    }
}

#[tokio::test]
async fn what_is_no_http_is_unavailable() {
    for answer in ["SSH-2.0-x\r\n\r\n", "", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"] {
        let steps = vec![say(answer), Step::Close];
        let server = Server::new(move |_| steps.clone()).await;
        assert_eq!(
            refusal(&egress(vec![server.rule()]), get(server.url("/"))).await.0,
            ProblemKind::Unavailable,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_ends_without_answer_is_tried_once_more_where_that_changes_nothing() {
    for (method, tries) in [("GET", 2), ("HEAD", 2), ("POST", 1), ("DELETE", 1)] {
        let seen = AtomicUsize::new(0);
        let server = Server::new(move |_| match seen.fetch_add(1, Ordering::SeqCst) {
            1 => ok(""),
            _ => vec![Step::Close],
        })
        .await;
        let egress = egress(vec![server.rule()]);
        let request = || Request {
            method: method.to_owned(),
            ..get(server.url("/"))
        };
        assert_eq!(send(&egress, request()).await.is_ok(), tries == 2, "{method}");
        assert_eq!(server.asked().len(), tries, "{method}");
        if tries == 2 {
            // The end of a connection that was kept counts as one try, a closed one behind it as the other.
            assert_eq!(
                refusal(&egress, request()).await.0,
                ProblemKind::Unavailable,
                "{method}"
            );
            assert!(
                (3..=4).contains(&server.asked().len()),
                "{method}: {:?}",
                server.asked()
            );
        }
    }
}

#[tokio::test]
async fn heads_lines_and_bodies_over_their_caps_are_too_large() {
    let many = "x: 1\r\n".repeat(limits::RESPONSE_HEADERS + 1);
    let long = format!("x: {}\r\n", "y".repeat(limits::RESPONSE_HEADER_BYTES));
    let endless = format!("x: {}\r\n", "y".repeat(2 << 20));
    for head in [many, long, endless] {
        let steps = vec![say(format!("HTTP/1.1 200 OK\r\n{head}\r\n"))];
        let server = Server::new(move |_| steps.clone()).await;
        assert_eq!(
            refusal(&egress(vec![server.rule()]), get(server.url("/"))).await.0,
            ProblemKind::TooLarge
        );
    }
    let caps = Caps {
        response_bytes: 100_000,
        line_bytes: 1_000,
        ..Caps::default()
    };
    let server = Server::new(|asked| {
        let mut steps = vec![say("HTTP/1.1 200 OK\r\n\r\n")];
        let byte = if asked.contains("/line") { b'x' } else { b'\n' };
        steps.push(Step::Flood(vec![byte; 300]));
        steps
    })
    .await;
    let egress = Egress::build(policy(vec![server.rule()]), Arc::<Names>::default(), caps, None).unwrap();
    let mut response = send(&egress, get(server.url("/line"))).await.unwrap();
    assert_eq!(response.read_line().await.unwrap_err().kind, ProblemKind::TooLarge);
    assert_eq!(
        response.read(1).await.unwrap_err().kind,
        ProblemKind::TooLarge,
        "and stays so"
    );
    let mut response = send(&egress, get(server.url("/body"))).await.unwrap();
    let mut got = 0;
    let problem = loop {
        match response.read(u32::MAX).await {
            Ok(bytes) => got += bytes.expect("an endless body").len(),
            Err(problem) => break problem,
        }
    };
    assert_eq!(problem.kind, ProblemKind::TooLarge);
    assert!(got <= 100_000, "{got}");
    reaches(&server.seen.closed, 2).await;
}

#[tokio::test]
async fn a_line_of_just_the_cap_is_read() {
    let caps = Caps {
        line_bytes: 5,
        ..Caps::default()
    };
    let server = chunked(&[b"12345\n", b"1234", b"5"]).await;
    let egress = Egress::build(policy(vec![server.rule()]), Arc::<Names>::default(), caps, None).unwrap();
    let mut response = send(&egress, get(server.url("/"))).await.unwrap();
    for expected in [Some("12345"), Some("12345"), None] {
        assert_eq!(response.read_line().await.unwrap().as_deref(), expected);
    }
}

#[tokio::test]
async fn bytes_are_counted_for_the_visit_and_for_the_plugin() {
    let server = Server::new(|asked| {
        if asked.contains(" /from") {
            redirect_to(302, "/to")
        } else {
            ok(&"x".repeat(10_000))
        }
    })
    .await;
    let egress = egress(vec![server.rule()]);
    let visit = Arc::<Traffic>::default();
    let request = Request {
        method: "POST".to_owned(),
        body: vec![b'y'; 5_000],
        ..get(server.url("/from"))
    };
    let response = egress.send(request, WITHIN, &visit).await.unwrap();
    let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert!(now(&visit.received) < 1_000, "the body was not read yet");
    body(response).await;
    body(send(&egress, get(server.url("/to"))).await.unwrap()).await;
    let (requests, sent, received) = (now(&visit.requests), now(&visit.sent), now(&visit.received));
    assert_eq!(requests, 2);
    assert!((5_000..6_000).contains(&sent), "{sent}");
    assert!((10_000..11_000).contains(&received), "{received}");
    let (all_requests, all_sent, all_received) = egress.traffic();
    assert_eq!(all_requests, 3);
    assert!(all_sent > sent && all_received > received + 10_000);
}
