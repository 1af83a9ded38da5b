//! Downloads from a small server on this machine that cuts, lies and redirects as told.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

/// How one request is answered: the head without its end, and the body; then the connection is closed.
struct Answer {
    head: String,
    body: Vec<u8>,
    /// Keeps the connection open for so long before it closes.
    then: Duration,
}

/// A server that gives its answers in turn and notes what was asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn with(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = asked.clone();
        let mut answers = VecDeque::from(answers);
        std::thread::spawn(move || {
            while let Some(answer) = answers.pop_front() {
                let (stream, _) = listener.accept().unwrap();
                serve(stream, answer, &noted);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answer: Answer, asked: &Mutex<Vec<String>>) {
    let mut request = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while reader.read_line(&mut request).unwrap() > 2 {}
    asked.lock().unwrap().push(request.to_lowercase());
    // The client may have gone away, which is part of some tests.
    let _gone = write!(stream, "HTTP/1.1 {}\r\nconnection: close\r\n\r\n", answer.head)
        .and_then(|()| stream.write_all(&answer.body));
    std::thread::spawn(move || {
        std::thread::sleep(answer.then);
        drop(stream);
    });
}

fn answer(head: &str, body: &[u8]) -> Answer {
    Answer {
        head: head.to_owned(),
        body: body.to_vec(),
        then: Duration::ZERO,
    }
}

fn data() -> Vec<u8> {
    (0..300_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

fn quick() -> Patience {
    Patience {
        stall: Duration::from_secs(3),
        pause: Duration::from_millis(10),
        tries: 3,
        bytes: 10 << 20,
        all: Duration::from_secs(20),
    }
}

async fn fetch(server: &Server, into: &Path) -> Result<(), Problem> {
    download_with(&format!("{}/model", server.address), into, &|_, _| {}, &quick()).await
}

fn whole(data: &[u8]) -> Answer {
    answer(
        &format!("200 OK\r\ncontent-length: {}\r\netag: \"v1\"", data.len()),
        data,
    )
}

/// The first `cut` bytes of an answer that announced more.
fn cut(mut answer: Answer, cut: usize) -> Answer {
    answer.body.truncate(cut);
    answer
}

fn rest(data: &[u8], from: usize) -> Answer {
    let (last, all) = (data.len() - 1, data.len());
    let length = all - from;
    answer(
        &format!("206 Partial Content\r\ncontent-length: {length}\r\ncontent-range: bytes {from}-{last}/{all}"),
        &data[from..],
    )
}

#[tokio::test]
async fn a_file_arrives_whole_with_its_progress() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data());
    let into = folder.path().join("deep/model.bin");
    let server = Server::with(vec![whole(&data)]);
    let seen = Mutex::new(Vec::new());
    let note = |now: u64, total: Option<u64>| seen.lock().unwrap().push((now, total));
    download(&format!("{}/m", server.address), &into, &note).await.unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), data);
    let seen = seen.into_inner().unwrap();
    let all = data.len() as u64;
    assert_eq!((seen[0], *seen.last().unwrap()), ((0, Some(all)), (all, Some(all))));
    assert!(seen.is_sorted());
    assert_eq!(
        std::fs::read_dir(into.parent().unwrap()).unwrap().count(),
        1,
        "no part is left"
    );
}

#[tokio::test]
async fn a_cut_connection_is_resumed_where_it_broke() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data());
    let into = folder.path().join("model");
    let server = Server::with(vec![
        cut(whole(&data), 100_000),
        cut(rest(&data, 100_000), 300_000),
        answer("503 Service Unavailable", b"later"),
        rest(&data, 400_000),
    ]);
    fetch(&server, &into).await.unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), data);
    let asked = server.asked();
    assert!(!asked[0].contains("range:"));
    assert!(
        asked[1].contains("range: bytes=100000-") && asked[1].contains("if-range: \"v1\""),
        "{}",
        asked[1]
    );
    assert!(asked[3].contains("range: bytes=400000-"));
}

#[tokio::test]
async fn a_later_call_goes_on_with_the_part() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data());
    let into = folder.path().join("model");
    std::fs::write(folder.path().join("model.part"), &data[..7]).unwrap();
    let server = Server::with(vec![rest(&data, 7)]);
    fetch(&server, &into).await.unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), data);

    // A part that is complete already, and one of a file that has changed since.
    let into = folder.path().join("again");
    std::fs::write(folder.path().join("again.part"), &data).unwrap();
    let complete = format!("416 Range Not Satisfiable\r\ncontent-range: bytes */{}", data.len());
    fetch(&Server::with(vec![answer(&complete, b"")]), &into).await.unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), data);
    let into = folder.path().join("changed");
    std::fs::write(folder.path().join("changed.part"), vec![9; 50]).unwrap();
    let changed = answer("416 Range Not Satisfiable\r\ncontent-range: bytes */5", b"");
    fetch(&Server::with(vec![changed, whole(b"fresh")]), &into)
        .await
        .unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), b"fresh");
}

#[tokio::test]
async fn a_server_without_ranges_starts_the_file_anew() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data());
    let into = folder.path().join("model");
    let server = Server::with(vec![cut(whole(&data), 5_000), whole(&data)]);
    fetch(&server, &into).await.unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), data);
    // And one that answers with another range than was asked for.
    let into = folder.path().join("other");
    let server = Server::with(vec![cut(whole(&data), 5_000), rest(&data, 4_000), whole(&data)]);
    fetch(&server, &into).await.unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), data);
}

#[tokio::test]
async fn a_server_that_never_delivers_fails_and_leaves_the_part() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data());
    let into = folder.path().join("model");
    let empty = || cut(rest(&data, 1_000), 0);
    let server = Server::with(vec![cut(whole(&data), 1_000), empty(), empty(), empty()]);
    let problem = fetch(&server, &into).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unavailable);
    assert!(!into.exists());
    assert_eq!(std::fs::read(folder.path().join("model.part")).unwrap(), data[..1_000]);
}

#[tokio::test]
async fn a_stalled_body_is_cut_and_resumed() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data());
    let into = folder.path().join("model");
    let stalled = Answer {
        then: Duration::from_secs(8),
        ..cut(whole(&data), 9_000)
    };
    let server = Server::with(vec![stalled, rest(&data, 9_000)]);
    fetch(&server, &into).await.unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), data);
}

#[tokio::test]
async fn sizes_over_the_cap_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("model");
    let announced = Server::with(vec![answer("200 OK\r\ncontent-length: 99999999999", b"")]);
    assert_eq!(fetch(&announced, &into).await.unwrap_err().kind, ProblemKind::TooLarge);
    let unannounced = Server::with(vec![answer("200 OK", &vec![7; 11 << 20])]);
    assert_eq!(
        fetch(&unannounced, &into).await.unwrap_err().kind,
        ProblemKind::TooLarge
    );
    assert!(!into.exists());
}

#[tokio::test]
async fn statuses_keep_their_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("model");
    for (head, kind) in [
        ("404 Not Found", ProblemKind::NotFound),
        ("403 Forbidden", ProblemKind::Denied),
        ("400 Bad Request", ProblemKind::Unavailable),
    ] {
        let problem = fetch(&Server::with(vec![answer(head, b"<html>")]), &into)
            .await
            .unwrap_err();
        assert_eq!(
            (problem.kind, problem.upstream_status),
            (kind, head[..3].parse().ok()),
            "{head}"
        );
    }
    let down = (0..3).map(|_| answer("502 Bad Gateway", b"")).collect();
    assert_eq!(
        fetch(&Server::with(down), &into).await.unwrap_err().kind,
        ProblemKind::Unavailable
    );
}

#[tokio::test]
async fn redirects_are_followed_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("model");
    let to = |address: &str| answer(&format!("302 Found\r\nlocation: {address}"), b"");
    let target = Server::with(vec![whole(b"target")]);
    fetch(&Server::with(vec![to(&format!("{}/x", target.address))]), &into)
        .await
        .unwrap();
    assert_eq!(std::fs::read(&into).unwrap(), b"target");

    let circle = Server::with((0..limits::REDIRECTS + 2).map(|_| to("/again")).collect());
    let problem = fetch(&circle, &into).await.unwrap_err();
    assert_eq!(
        (problem.kind, circle.asked().len()),
        (ProblemKind::Unavailable, limits::REDIRECTS + 1)
    );
    let outside = Server::with(vec![to("http://192.0.2.1/model")]);
    let problem = fetch(&outside, &into).await.unwrap_err();
    assert!(
        problem.kind == ProblemKind::Unavailable && problem.message.contains("not allowed"),
        "{problem}"
    );
}

#[tokio::test]
async fn addresses_are_https_or_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("model");
    for url in [
        "http://192.0.2.1/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "nonsense",
        "http://127.0.0.1.example/x",
    ] {
        let problem = download(url, &into, &|_, _| {}).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::InvalidRequest, "{url}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    for (url, good) in [
        ("https://a.example/x", true),
        ("http://localhost:1/x", true),
        ("http://[::1]:1/x", true),
    ] {
        assert_eq!(allowed(&Url::parse(url).unwrap()), good, "{url}");
    }
}

#[tokio::test]
async fn two_downloads_of_one_file_wait_for_one_another() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data());
    let into = folder.path().join("model");
    // The one server has one answer: a second request would never be answered.
    let slow = Answer {
        then: Duration::from_millis(200),
        ..answer("200 OK", &data)
    };
    let server = Server::with(vec![slow]);
    let (first, second) = tokio::join!(fetch(&server, &into), fetch(&server, &into));
    assert_eq!((first, second), (Ok(()), Ok(())));
    assert_eq!(std::fs::read(&into).unwrap(), data);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn the_whole_is_bounded_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience {
        all: Duration::from_millis(100),
        ..quick()
    };
    let server = Server::with(vec![Answer {
        then: Duration::from_secs(1),
        ..answer("200 OK", b"some")
    }]);
    let url = format!("{}/model", server.address);
    let problem = download_with(&url, &folder.path().join("model"), &|_, _| {}, &patience)
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Timeout);
}
