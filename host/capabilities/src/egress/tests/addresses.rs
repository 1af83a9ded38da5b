//! What stands behind a name: checked where the connection is made, so that no second answer can differ.

use super::*;

async fn asked_of(rule: Rule, answers: &[&[&str]]) -> (ProblemKind, String) {
    let (host, port) = (rule.host.clone(), rule.port);
    let egress = Egress::with_resolver(policy(vec![rule]), Names::with(&host, answers)).unwrap();
    let request = Request {
        connect_timeout: Some(Duration::from_millis(300)),
        ..get(format!("http://{host}:{port}/"))
    };
    refusal(&egress, request).await
}

#[tokio::test]
async fn a_name_that_leads_into_the_network_of_the_server_is_refused() {
    let server = Server::saying("secret page").await;
    for address in [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "fc00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "100::1",
        "fd00:ec2::254",
    ] {
        let refused = asked_of(rule("api.test", server.port), &[&[address]]).await;
        assert_eq!(refused, denied("address_refused"), "{address}");
    }
    assert_eq!(server.seen.accepted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_refusal_tells_the_way_out_to_the_guest_and_the_address_to_the_log_alone() {
    let names = Names::with("api.test", &[&["10.1.2.3"]]);
    let egress = Egress::with_resolver(policy(vec![rule("api.test", 80)]), names).unwrap();
    let problem = send(&egress, get("http://api.test/")).await.unwrap_err();
    assert!(problem.message.contains("private = true"), "{}", problem.message);
    assert!(!problem.message.contains("10.1.2.3"), "{}", problem.message);
    assert!(problem.log_detail.unwrap().contains("10.1.2.3"));
}

#[tokio::test]
async fn a_private_rule_reaches_private_addresses_but_no_metadata() {
    let server = Server::saying("near").await;
    let port = server.port;
    let names = Names::with("near.test", &[&["127.0.0.1"]]);
    let egress = Egress::with_resolver(policy(vec![private("near.test", port)]), names).unwrap();
    assert_eq!(
        body(send(&egress, get(format!("http://near.test:{port}/"))).await.unwrap()).await,
        "near"
    );
    for address in [
        "169.254.169.254",
        "169.254.1.1",
        "fd00:ec2::254",
        "fe80::1",
        "100.100.100.200",
        "0.0.0.0",
        "::ffff:10.0.0.1",
    ] {
        let refused = asked_of(private("near.test", port), &[&[address]]).await;
        assert_eq!(refused, denied("address_refused"), "{address}");
    }
}

#[tokio::test]
async fn localhost_is_this_machine_and_nothing_else() {
    let server = Server::saying("here").await;
    let egress = Egress::new(policy(vec![rule("localhost", server.port)])).unwrap();
    let url = format!("http://localhost:{}/", server.port);
    assert_eq!(body(send(&egress, get(url)).await.unwrap()).await, "here");
    for address in ["8.8.8.8", "10.0.0.1", "169.254.169.254"] {
        for rule in [rule("localhost", 1), private("localhost", 1)] {
            assert_eq!(
                asked_of(rule, &[&[address]]).await,
                denied("address_refused"),
                "{address}"
            );
        }
    }
}

#[tokio::test]
async fn rebinding_a_name_between_two_answers_gains_nothing() {
    // Every answer comes on a connection of its own, and each connection resolves the name anew.
    let server = Server::new(|asked| {
        let mut steps = if asked.contains(" /hop") {
            redirect_to(302, "/")
        } else {
            ok("fine")
        };
        steps.push(Step::Close);
        steps
    })
    .await;
    let port = server.port;
    let names = Names::with(
        "rebind.test",
        &[&["127.0.0.1"], &["127.0.0.1"], &["169.254.169.254"], &["0.0.0.0"]],
    );
    let egress = Egress::with_resolver(policy(vec![private("rebind.test", port)]), names.clone()).unwrap();
    let url = |path: &str| get(format!("http://rebind.test:{port}{path}"));
    assert_eq!(body(send(&egress, url("/")).await.unwrap()).await, "fine");
    reaches(&server.seen.closed, 1).await;
    // Here the name turns to another address between a request and the redirect that answers it.
    assert_eq!(refusal(&egress, url("/hop")).await, denied("address_refused"));
    assert_eq!(refusal(&egress, url("/")).await, denied("address_refused"));
    assert_eq!(
        names.asked.load(Ordering::SeqCst),
        4,
        "one look-up a connection: what was checked is what was used"
    );
    assert_eq!(server.seen.accepted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_reached_are_tried() {
    let server = Server::saying("right").await;
    let port = server.port;
    // A listener on another loopback address shows whether that one was tried.
    let names = Names::with(
        "mixed.test",
        &[&["169.254.169.254", "0.0.0.0", "::ffff:127.0.0.1", "127.0.0.1"]],
    );
    let egress = Egress::with_resolver(policy(vec![private("mixed.test", port)]), names).unwrap();
    let request = Request {
        connect_timeout: Some(Duration::from_secs(2)),
        ..get(format!("http://mixed.test:{port}/"))
    };
    assert_eq!(body(send(&egress, request).await.unwrap()).await, "right");
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_unavailable() {
    let egress = egress(vec![rule("gone.test", 80)]);
    let problem = send(&egress, get("http://gone.test/")).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unavailable);
    assert!(problem.message.contains("cannot be resolved"), "{}", problem.message);
    let empty = asked_of(rule("empty.test", 80), &[&[]]).await;
    assert_eq!(empty.0, ProblemKind::Unavailable);
}

#[tokio::test]
async fn a_connection_made_for_one_reach_never_serves_another() {
    let server = Server::saying("x").await;
    let port = server.port;
    let names = Names::with("api.test", &[&["127.0.0.1"]]);
    // The private entry is for one path alone.
    let inner = Rule {
        path: Some("/inner".to_owned()),
        ..private("api.test", port)
    };
    let outer = Rule {
        path: Some("/outer".to_owned()),
        ..rule("api.test", port)
    };
    let egress = Egress::with_resolver(policy(vec![inner, outer]), names).unwrap();
    let url = |path: &str| format!("http://api.test:{port}{path}");
    assert_eq!(body(send(&egress, get(url("/inner"))).await.unwrap()).await, "x");
    assert_eq!(refusal(&egress, get(url("/outer"))).await, denied("address_refused"));
}
