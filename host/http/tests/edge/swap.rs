//! A new generation in the middle of a request: what let the request in answers all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::Request;
use encaje_core::chat::FinishReason;
use encaje_core::generation::{Access, ApiKey, Generation, Provided};
use encaje_core::server::Server;
use encaje_core::supervise::Supervisor;
use sha2::{Digest as _, Sha256};

use crate::fake::{Fake, Setting, Step, World, finish, text};

/// The same as what serves, with another provider and other keys.
fn next(server: &Server, provider: &Arc<Fake>, access: Access) -> Generation {
    let now = server.generation();
    let provided = Provided {
        port: provider.clone(),
        supervisor: Supervisor::permissive(),
    };
    Generation {
        number: now.number + 1,
        providers: BTreeMap::from([("fake".to_owned(), provided)]),
        instruments: Vec::new(),
        plugins: Vec::new(),
        storage: Arc::clone(&now.storage),
        routes: now.routes.clone(),
        access,
    }
}

/// A server whose first answer of the model `hello` puts a new generation in place; and that generation's provider.
fn swapping() -> (World, Arc<Fake>) {
    let (successor, server) = (Arc::new(Fake::default()), Arc::new(OnceLock::<Arc<Server>>::new()));
    let (provider, known) = (Arc::clone(&successor), Arc::clone(&server));
    let setting = Setting::default().script("hello", move |_| {
        let server = known.get().unwrap();
        if server.generation().number == 1 {
            server.swap(next(server, &provider, Access::Anonymous));
        }
        vec![Step::Say(vec![text("old"), finish(0, FinishReason::Stop)])]
    });
    let world = setting.start();
    assert!(server.set(Arc::clone(&world.server)).is_ok());
    (world, successor)
}

#[tokio::test]
async fn all_prompts_of_a_completion_are_answered_by_one_generation() {
    for stream in [false, true] {
        let (world, successor) = swapping();
        let body = format!(r#"{{"model":"hello","prompt":["one","two","three"],"stream":{stream}}}"#);
        let heard = world.post("/v1/completions", &body).await;
        assert_eq!(heard.status, 200, "{}", heard.body);
        assert_eq!(world.server.generation().number, 2, "the swap came in between");
        assert_eq!(heard.body.matches("old").count(), 3, "{}", heard.body);
        assert_eq!(world.fake.asked.lock().unwrap().len(), 3);
        assert!(successor.asked.lock().unwrap().is_empty());

        assert_eq!(world.post("/v1/completions", &body).await.status, 200);
        assert_eq!(
            successor.asked.lock().unwrap().len(),
            3,
            "the next request is the next one's"
        );
    }
}

#[tokio::test]
async fn whose_key_was_taken_is_answered_by_the_generation_that_took_it() {
    let access = Access::Keys(vec![ApiKey {
        name: "ann".to_owned(),
        tenant: "ann-tenant".to_owned(),
        sha256: Sha256::digest("sk-ann").into(),
    }]);
    let world = Setting {
        access,
        ..Setting::default()
    }
    .start();
    let successor = Arc::new(Fake::default());
    let (server, provider) = (Arc::clone(&world.server), Arc::clone(&successor));
    // The body is read once its sender was let in.
    let body = Body::from_stream(futures::stream::once(async move {
        let next = next(&server, &provider, Access::Keys(Vec::new()));
        server.swap(next);
        Ok::<_, std::io::Error>(r#"{"model":"hello","messages":[{"role":"user","content":"Hi"}]}"#)
    }));
    let request = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("authorization", "Bearer sk-ann");
    let heard = world.ask(request.body(body).unwrap()).await;
    assert_eq!(heard.status, 200, "{}", heard.body);
    assert_eq!(world.server.generation().number, 2);
    assert_eq!(world.fake.asked.lock().unwrap().len(), 1);
    assert!(successor.asked.lock().unwrap().is_empty());
}
