//! Time and numbers: how long is waited for what, how many at a time, and what becomes of connections.

use super::*;

struct Never;

#[async_trait]
impl Resolver for Never {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

async fn timed_out(egress: &Egress, request: Request) -> String {
    let began = std::time::Instant::now();
    let problem = send(egress, request).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(problem.kind, ProblemKind::Timeout, "{problem}");
    problem.code.unwrap()
}

const SHORT: Option<Duration> = Some(Duration::from_millis(80));

#[tokio::test]
async fn a_connection_that_does_not_stand_in_time_ends_with_its_own_message() {
    let slow_name = Egress::with_resolver(policy(vec![rule("api.test", 80)]), Arc::new(Never)).unwrap();
    let request = Request {
        connect_timeout: SHORT,
        ..get("http://api.test/")
    };
    let problem = send(&slow_name, request.clone()).await.unwrap_err();
    assert_eq!(problem.message, "No connection to `api.test:80` stood within 80 ms.");
    assert_eq!(timed_out(&slow_name, request).await, "connect_timeout");
    // A handshake is part of it: this server accepts and says nothing.
    let server = Server::saying("").await;
    let request = Request {
        connect_timeout: SHORT,
        ..get(format!("https://127.0.0.1:{}/", server.port))
    };
    assert_eq!(
        timed_out(&egress(vec![server.rule()]), request).await,
        "connect_timeout"
    );
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_ends_with_its_own_message() {
    let server = Server::new(|_| vec![say("HTTP/1.1 200 OK\r\n"), Step::Wait(60_000)]).await;
    let egress = egress(vec![server.rule()]);
    let request = Request {
        first_byte_timeout: SHORT,
        ..get(server.url("/"))
    };
    assert_eq!(timed_out(&egress, request).await, "first_byte_timeout");
    reaches(&server.seen.closed, 1).await;
}

#[tokio::test]
async fn the_end_of_an_answer_moves_with_who_waits_for_it_and_never_past_its_own() {
    let server = Server::new(|_| {
        let mut steps = vec![say("HTTP/1.1 200 OK\r\n\r\n")];
        steps.extend((0..1_000).flat_map(|_| [say("x\n"), Step::Wait(10)]));
        steps
    })
    .await;
    let egress = egress(vec![server.rule()]);
    let traffic = Arc::default();
    let request = Request {
        total_timeout: Some(Duration::from_millis(4_500)),
        ..get(server.url("/"))
    };
    let begin = Instant::now();
    let mut response = egress.send(request, Duration::from_secs(3), &traffic).await.unwrap();
    let problem = loop {
        response.until(Instant::now() + Duration::from_secs(60));
        match response.read_line().await {
            Ok(line) => assert!(line.is_some(), "it came to its end"),
            Err(problem) => break problem,
        }
    };
    let took = begin.elapsed();
    assert_eq!(problem.code.as_deref(), Some("total_timeout"));
    assert!(
        (Duration::from_millis(4_400)..Duration::from_secs(20)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_body_ends_with_the_total_time_also_when_it_never_pauses() {
    let server = Server::new(|asked| {
        let mut steps = vec![say("HTTP/1.1 200 OK\r\n\r\n")];
        if asked.contains("/drip") {
            steps.extend((0..1_000).flat_map(|_| [say("x\n"), Step::Wait(10)]));
        } else {
            steps.push(Step::Flood(vec![b'\n'; 1_000]));
        }
        steps
    })
    .await;
    let egress = egress(vec![server.rule()]);
    for path in ["/drip", "/flood"] {
        let request = Request {
            total_timeout: Some(Duration::from_secs(3)),
            ..get(server.url(path))
        };
        let mut response = send(&egress, request).await.unwrap();
        let problem = loop {
            match response.read_line().await {
                Ok(line) => assert!(line.is_some(), "{path} came to its end"),
                Err(problem) => break problem,
            }
        };
        assert_eq!(
            (problem.kind, problem.code.as_deref()),
            (ProblemKind::Timeout, Some("total_timeout")),
            "{path}"
        );
        assert_eq!(
            response.read(1).await.unwrap_err().kind,
            ProblemKind::Timeout,
            "and stays so"
        );
    }
    reaches(&server.seen.closed, 2).await;
}

#[tokio::test]
async fn no_request_outlasts_the_call_that_it_belongs_to() {
    let server = Server::new(|_| vec![Step::Wait(60_000)]).await;
    let request = Request {
        first_byte_timeout: Some(Duration::from_secs(50)),
        total_timeout: Some(Duration::from_secs(60)),
        ..get(server.url("/"))
    };
    let within = Duration::from_millis(80);
    let problem = egress(vec![server.rule()])
        .send(request, within, &Arc::default())
        .await
        .unwrap_err();
    assert_eq!(problem.message, "The answer was not complete within 80 ms.");
}

#[tokio::test]
async fn redirects_share_one_time() {
    let server = Server::new(|_| {
        let mut steps = vec![Step::Wait(30)];
        steps.extend(redirect_to(302, "/again"));
        steps
    })
    .await;
    let request = Request {
        first_byte_timeout: SHORT,
        ..get(server.url("/"))
    };
    assert_eq!(
        timed_out(&egress(vec![server.rule()]), request).await,
        "first_byte_timeout"
    );
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::saying("hello").await;
    let egress = egress(vec![server.rule()]);
    for _ in 0..3 {
        assert_eq!(body(send(&egress, get(server.url("/"))).await.unwrap()).await, "hello");
    }
    assert_eq!(
        (server.asked().len(), server.seen.accepted.load(Ordering::SeqCst)),
        (3, 1)
    );
}

#[tokio::test]
async fn two_plugins_share_no_connection() {
    let server = Server::saying("hello").await;
    for _ in 0..2 {
        body(send(&egress(vec![server.rule()]), get(server.url("/"))).await.unwrap()).await;
    }
    assert_eq!(server.seen.accepted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn dropping_a_request_or_its_answer_closes_the_connection() {
    let server = Server::new(|asked| {
        let mut steps = Vec::new();
        if asked.contains("/body") {
            steps.push(say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx"));
        }
        steps.push(Step::Wait(60_000));
        steps
    })
    .await;
    let egress = egress(vec![server.rule()]);
    let waiting = tokio::spawn({
        let (egress, request) = (egress.clone(), get(server.url("/head")));
        async move { send(&egress, request).await }
    });
    while server.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    waiting.abort();
    reaches(&server.seen.closed, 1).await;
    let mut response = send(&egress, get(server.url("/body"))).await.unwrap();
    assert_eq!(response.read(9).await.unwrap().unwrap(), b"x");
    drop(response);
    reaches(&server.seen.closed, 2).await;
}

#[tokio::test]
async fn too_many_requests_at_a_time_are_refused_and_not_queued() {
    let server = Server::new(|asked| {
        if asked.contains("/quick") {
            ok("")
        } else {
            vec![say("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n"), Step::Wait(60_000)]
        }
    })
    .await;
    let caps = Caps {
        concurrent: 2,
        ..Caps::default()
    };
    let egress = Egress::build(policy(vec![server.rule()]), Arc::<Names>::default(), caps, None).unwrap();
    let first = send(&egress, get(server.url("/"))).await.unwrap();
    let second = send(&egress, get(server.url("/"))).await.unwrap();
    assert_eq!(
        refusal(&egress, get(server.url("/quick"))).await.0,
        ProblemKind::Overloaded
    );
    drop(first);
    // An answer that was read to its end frees its place even while it is kept.
    let mut kept = send(&egress, get(server.url("/quick"))).await.unwrap();
    assert_eq!(kept.read(1).await.unwrap(), None);
    send(&egress, get(server.url("/quick"))).await.unwrap();
    drop((second, kept));
}

#[tokio::test]
async fn a_host_that_does_not_listen_is_unavailable() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let egress = egress(vec![rule("127.0.0.1", port)]);
    let traffic = Arc::<Traffic>::default();
    let url = format!("http://127.0.0.1:{port}/?key=private");
    let problem = egress.send(get(url), WITHIN, &traffic).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unavailable);
    assert_eq!(problem.message, format!("`127.0.0.1:{port}` cannot be reached."));
    assert!(!format!("{problem:?}").contains("private"), "{problem:?}");
    assert_eq!(egress.traffic(), (1, 0, 0), "nothing was sent");
}
