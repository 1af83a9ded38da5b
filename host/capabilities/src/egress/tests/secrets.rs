//! Secrets: they go to their host alone, and nothing that a guest or a log sees holds one.

use super::*;

const CANARY: &str = "sk-Canary-0123456789";

fn secret(host: &str, value: Option<&str>) -> Secret {
    Secret {
        host: host.to_owned(),
        header: "authorization".to_owned(),
        template: "Bearer {}".to_owned(),
        reveal: false,
        value: value.map(|value| Hidden::new(value.to_owned())),
    }
}

fn with_secret(rules: Vec<Rule>, secret: Secret) -> Policy {
    Policy {
        secrets: BTreeMap::from([("KEY".to_owned(), secret)]),
        ..policy(rules)
    }
}

fn keyed(url: String) -> Request {
    Request {
        secret: Some("KEY".to_owned()),
        ..get(url)
    }
}

fn local(policy: Policy) -> Egress {
    Egress::with_resolver(policy, Arc::<Names>::default()).unwrap()
}

#[tokio::test]
async fn the_host_puts_the_secret_into_its_header() {
    let server = Server::saying("").await;
    let egress = local(with_secret(vec![server.rule()], secret("127.0.0.1", Some(CANARY))));
    send(&egress, keyed(server.url("/"))).await.unwrap();
    send(&egress, get(server.url("/"))).await.unwrap();
    let asked = server.asked();
    assert!(
        asked[0].contains(&format!("authorization: Bearer {CANARY}\r\n")),
        "{}",
        asked[0]
    );
    assert!(!asked[1].contains("authorization"), "only where it is named");
}

#[tokio::test]
async fn a_secret_never_goes_to_another_host() {
    let server = Server::saying("").await;
    let port = server.port;
    let names = Names::with("api.test", &[&["127.0.0.1"]]);
    let rules = vec![server.rule(), private("api.test", port), private("evil-api.test", port)];
    let egress = Egress::with_resolver(with_secret(rules, secret("api.test", Some(CANARY))), names).unwrap();
    for host in ["127.0.0.1", "evil-api.test"] {
        let refused = refusal(&egress, keyed(format!("http://{host}:{port}/"))).await;
        assert_eq!(refused, denied("secret_host"), "{host}");
    }
    send(&egress, keyed(format!("http://API.test:{port}/"))).await.unwrap();
    let other = Request {
        secret: Some("OTHER".to_owned()),
        ..get(server.url("/"))
    };
    let problem = send(&egress, other).await.unwrap_err();
    assert_eq!(
        (problem.kind, problem.code.as_deref()),
        (ProblemKind::Denied, Some("not_granted"))
    );
    assert!(
        problem.message.contains("allow = { secrets = { OTHER = "),
        "{}",
        problem.message
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_secret_without_value_names_the_variable_to_set() {
    for value in [None, Some("")] {
        let egress = local(with_secret(vec![rule("127.0.0.1", 1)], secret("127.0.0.1", value)));
        let problem = send(&egress, keyed("http://127.0.0.1:1/".to_owned()))
            .await
            .unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Misconfigured);
        assert!(problem.message.contains("Set `KEY`"), "{}", problem.message);
        assert!(egress.secrets().is_empty());
    }
}

#[tokio::test]
async fn in_the_clear_a_secret_stays_in_the_network() {
    let server = Server::saying("").await;
    let port = server.port;
    let of = |rule: Rule, address: &str| {
        let names = Names::with("api.test", &[&[address]]);
        Egress::with_resolver(with_secret(vec![rule], secret("api.test", Some(CANARY))), names).unwrap()
    };
    let url = format!("http://api.test:{port}/");
    let public = of(rule("api.test", port), "127.0.0.1");
    assert_eq!(refusal(&public, keyed(url.clone())).await, denied("secret_in_clear"));
    for address in ["8.8.8.8", "2606:4700::1", "169.254.1.1"] {
        let turned_public = of(private("api.test", port), address);
        assert_eq!(
            refusal(&turned_public, keyed(url.clone())).await,
            denied("address_refused"),
            "{address}"
        );
    }
    send(&of(private("api.test", port), "127.0.0.1"), keyed(url))
        .await
        .unwrap();
    let literal = local(with_secret(vec![rule("8.8.8.8", 80)], secret("8.8.8.8", Some(CANARY))));
    assert_eq!(
        refusal(&literal, keyed("http://8.8.8.8/".to_owned())).await,
        denied("secret_in_clear")
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_redirect_to_another_origin_loses_the_secret_for_good() {
    let back = Arc::new(Mutex::new(String::new()));
    let to = back.clone();
    let other = Server::new(move |_| redirect_to(307, &to.lock().unwrap())).await;
    let away = other.url("/away");
    let server = Server::new(move |asked| {
        if asked.contains(" /from") {
            redirect_to(307, &away)
        } else {
            ok("")
        }
    })
    .await;
    *back.lock().unwrap() = server.url("/back");
    // Both have the same host, so only the port tells their origins apart.
    let egress = local(with_secret(
        vec![server.rule(), other.rule()],
        secret("127.0.0.1", Some(CANARY)),
    ));
    send(&egress, keyed(server.url("/from"))).await.unwrap();
    assert!(server.asked()[0].contains(CANARY));
    assert!(!other.asked()[0].contains(CANARY) && !other.asked()[0].contains("authorization"));
    assert!(server.asked()[1].starts_with("GET /back") && !server.asked()[1].contains(CANARY));
}

#[tokio::test]
async fn within_its_origin_a_redirect_keeps_the_secret() {
    let server = Server::new(|asked| {
        if asked.contains(" /from") {
            redirect_to(302, "/to")
        } else {
            ok("")
        }
    })
    .await;
    let egress = local(with_secret(vec![server.rule()], secret("127.0.0.1", Some(CANARY))));
    send(&egress, keyed(server.url("/from"))).await.unwrap();
    assert!(server.asked()[1].contains(CANARY));
}

#[tokio::test]
async fn a_guest_cannot_set_the_header_of_a_secret() {
    let server = Server::saying("").await;
    let egress = local(with_secret(vec![server.rule()], secret("api.test", Some(CANARY))));
    let request = Request {
        headers: vec![("Authorization".to_owned(), "mine".to_owned())],
        ..get(server.url("/"))
    };
    assert_eq!(refusal(&egress, request).await, denied("secret_header"));
}

#[tokio::test]
async fn a_secret_is_revealed_only_where_that_was_granted() {
    let hidden = local(with_secret(Vec::new(), secret("api.test", Some(CANARY))));
    assert_eq!(hidden.secrets(), ["KEY"]);
    let problem = hidden.reveal("KEY").unwrap_err();
    assert_eq!(
        (problem.kind, problem.code.as_deref()),
        (ProblemKind::Denied, Some("not_granted"))
    );
    assert!(problem.message.contains("reveal = true"), "{}", problem.message);
    assert_eq!(hidden.reveal("OTHER").unwrap_err().kind, ProblemKind::Denied);
    let shown = |value| Secret {
        reveal: true,
        ..secret("api.test", value)
    };
    assert_eq!(
        local(with_secret(Vec::new(), shown(Some(CANARY))))
            .reveal("KEY")
            .unwrap(),
        CANARY
    );
    let empty = local(with_secret(Vec::new(), shown(None))).reveal("KEY").unwrap_err();
    assert_eq!(empty.kind, ProblemKind::Misconfigured);
}

#[test]
fn a_secret_that_fits_into_no_header_is_refused_at_once_and_not_shown() {
    let good = secret("api.test", Some(CANARY));
    let broken = [
        Secret {
            header: "x y".to_owned(),
            ..good.clone()
        },
        Secret {
            header: "Host".to_owned(),
            ..good.clone()
        },
        Secret {
            header: "proxy-authorization".to_owned(),
            ..good.clone()
        },
        Secret {
            template: "Bearer".to_owned(),
            ..good.clone()
        },
        Secret {
            template: "{}{}".to_owned(),
            ..good.clone()
        },
        secret("api.test", Some(&format!("{CANARY}\nx"))),
        secret("api.test", Some(&CANARY.repeat(1_000))),
    ];
    for secret in broken {
        let policy = with_secret(Vec::new(), secret);
        assert!(!format!("{policy:?}").contains(CANARY));
        let problem = Egress::new(policy).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Misconfigured);
        assert!(
            problem.message.contains("`KEY`") && !format!("{problem:?}").contains(CANARY),
            "{problem:?}"
        );
    }
}

#[tokio::test]
async fn an_echo_does_not_reach_the_guest_however_it_is_cut() {
    let server = Server::new(|asked| {
        let cut =
            format!("HTTP/1.1 200 OK\r\nx-echo: <{CANARY}>\r\nx-{CANARY}: 1\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut steps = vec![say(cut)];
        assert!(
            asked.contains("accept-encoding: identity"),
            "or the echo would come compressed"
        );
        for piece in [
            "a ",
            "sk-",
            "Canary-0123",
            "456789 b\nsk-Can",
            "ary-0123456789",
            "\nend sk-Cana",
        ] {
            steps.extend([say(format!("{:x}\r\n{piece}\r\n", piece.len())), Step::Wait(20)]);
        }
        steps.push(say("0\r\n\r\n"));
        steps
    })
    .await;
    let egress = local(with_secret(vec![server.rule()], secret("127.0.0.1", Some(CANARY))));
    let request = || Request {
        headers: vec![("accept-encoding".to_owned(), "gzip".to_owned())],
        ..keyed(server.url("/"))
    };
    let response = send(&egress, request()).await.unwrap();
    let headers = response.headers();
    assert!(
        headers.contains(&("x-echo".to_owned(), "<***>".to_owned())),
        "{headers:?}"
    );
    let seen = format!("{headers:?}").to_lowercase();
    assert!(!seen.contains(&CANARY.to_lowercase()), "{seen}");
    assert_eq!(body(response).await, "a *** b\n***\nend sk-Cana");
    let mut response = send(&egress, request()).await.unwrap();
    for line in ["a *** b", "***", "end sk-Cana"] {
        assert_eq!(response.read_line().await.unwrap().as_deref(), Some(line));
    }
}

#[tokio::test]
async fn blanks_around_a_value_are_no_part_of_it() {
    let server = Server::saying(&format!("echo {CANARY}.")).await;
    let spaced = format!(" {CANARY}\t ");
    let egress = local(with_secret(vec![server.rule()], secret("127.0.0.1", Some(&spaced))));
    let said = body(send(&egress, keyed(server.url("/"))).await.unwrap()).await;
    assert!(!said.contains(CANARY), "{said}");
    assert!(server.asked()[0].contains(CANARY));
    let blank = local(with_secret(vec![server.rule()], secret("127.0.0.1", Some(" \t"))));
    let refused = refusal(&blank, keyed(server.url("/"))).await;
    assert_eq!(refused.0, ProblemKind::Misconfigured);
}

#[tokio::test]
async fn a_compressed_answer_to_a_secret_is_refused() {
    for (encoding, comes) in [("gzip", false), ("identity, br", false), ("Identity", true), ("", true)] {
        let reply = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 2\r\n\r\nab");
        let server = Server::new(move |_| vec![say(reply.clone())]).await;
        let egress = local(with_secret(vec![server.rule()], secret("127.0.0.1", Some(CANARY))));
        match send(&egress, keyed(server.url("/"))).await {
            Ok(answer) => assert!(comes && body(answer).await == "ab", "{encoding}"),
            Err(problem) => {
                assert!(!comes, "{encoding}: {problem}");
                assert_eq!(problem.code.as_deref(), Some("encoded_answer"));
            }
        }
        assert!(
            send(&egress, get(server.url("/"))).await.is_ok(),
            "without a secret nothing can be repeated"
        );
    }
}

#[tokio::test]
async fn a_placeholder_is_no_secret() {
    let server = Server::saying("none of it").await;
    let egress = local(with_secret(vec![server.rule()], secret("127.0.0.1", Some("none"))));
    assert_eq!(
        body(send(&egress, keyed(server.url("/"))).await.unwrap()).await,
        "none of it"
    );
}

/// Every way of going wrong, with an upstream that repeats the secret wherever it can.
#[tokio::test]
async fn no_problem_and_no_debug_text_holds_a_secret() {
    let lower = CANARY.to_lowercase();
    let answers = [
        format!("HTTP/1.1 302 Found\r\nlocation: http://{CANARY}.evil.test/\r\ncontent-length: 0\r\n\r\n"),
        "HTTP/1.1 302 Found\r\nlocation: http://%73k-canary-0123456789.evil.test/\r\ncontent-length: 0\r\n\r\n"
            .to_owned(),
        format!("HTTP/1.1 302 Found\r\nlocation: /?{CANARY}\r\ncontent-length: 0\r\n\r\n"),
        format!("HTTP/1.1 302 Found\r\nlocation: ftp://{CANARY}\r\ncontent-length: 0\r\n\r\n"),
        format!("HTTP/1.1 302 {CANARY}\r\nlocation: {CANARY} {CANARY}\r\ncontent-length: 0\r\n\r\n"),
        format!("{CANARY}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{CANARY} {CANARY}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {CANARY}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{CANARY}\r\n"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{CANARY}"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{CANARY}"),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", format!("x: {CANARY}\r\n").repeat(500)),
        String::new(),
    ];
    let mut seen = Vec::new();
    let mut failed = 0;
    for answer in answers {
        let steps = vec![say(&answer), Step::Close];
        let server = Server::new(move |_| steps.clone()).await;
        let policy = with_secret(vec![server.rule()], secret("127.0.0.1", Some(CANARY)));
        seen.push(format!("{policy:?}"));
        let egress = local(policy);
        let request = keyed(server.url("/"));
        seen.push(format!("{egress:?} {request:?}"));
        let mut problem = None;
        match send(&egress, request).await {
            Err(found) => problem = Some(found),
            Ok(mut response) => loop {
                seen.push(format!("{response:?} {:?}", response.headers()));
                match response.read(7).await {
                    Ok(Some(bytes)) => seen.push(String::from_utf8_lossy(&bytes).into_owned()),
                    Ok(None) => break,
                    Err(found) => {
                        problem = Some(found);
                        break;
                    }
                }
            },
        }
        if let Some(problem) = problem {
            failed += 1;
            seen.push(format!("{problem} {problem:?}"));
        }
        assert!(server.asked()[0].contains(CANARY), "the upstream did get it");
    }
    assert!(failed >= 11, "only {failed} failed");
    let hidden = Hidden::new(CANARY.to_owned());
    seen.push(format!("{hidden} {hidden:?}"));
    for text in &seen {
        assert!(!text.to_lowercase().contains(&lower), "{text}");
    }
    assert!(!seen.concat().to_lowercase().contains(&lower), "nor in pieces");
}
