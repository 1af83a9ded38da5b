//! The source suite: where it begins, what it fetches, what it remembers. It needs a location that the source can reach;
//! without one, only what it refuses is judged.

use encaje_core::ports::DocumentSource;
use encaje_core::problem::ProblemKind;
use encaje_core::retrieval::{Beginning, Item};
use encaje_core::trace::PluginKind;
use serde_json::Value as Json;

use crate::generate::ODD_TEXTS;
use crate::report::Report;
use crate::run::{Suite, Verdict, about, ensure, refused, same, shown, skip, typed};
use crate::settings::Settings;

/// What a location that nothing is at may be refused with.
const REFUSALS: [ProblemKind; 4] = [
    ProblemKind::NotFound,
    ProblemKind::InvalidRequest,
    ProblemKind::Unsupported,
    ProblemKind::Denied,
];

/// Items that are fetched of one beginning: a site's sitemap has thousands.
const ITEMS: usize = 5;

struct Subject<'a> {
    port: &'a dyn DocumentSource,
    settings: &'a Settings,
    location: Option<&'a str>,
}

impl Subject<'_> {
    async fn begin(&self) -> Verdict<Beginning> {
        let Some(location) = self.location else {
            return skip("no location was named to begin with");
        };
        Ok(self.port.begin(&self.settings.call(), location).await?)
    }

    async fn fetch(&self, location: &str, state: Option<&str>) -> Verdict<Item> {
        Ok(self.port.fetch(&self.settings.call(), location, state).await?)
    }

    /// Runs one check for each of the first items.
    async fn each(&self, check: impl AsyncFn(&str) -> Verdict) -> Verdict {
        for location in self.begin().await?.locations.iter().take(ITEMS) {
            check(location).await.map_err(|fault| about(location, fault))?;
        }
        Ok(())
    }
}

/// Judges a source. `location` is one that it can reach.
pub async fn source(subject: &dyn DocumentSource, location: Option<&str>, settings: &Settings) -> Report {
    let mut suite = Suite::new(subject.name(), PluginKind::Source, settings);
    let subject = Subject {
        port: subject,
        settings,
        location,
    };
    let s = &subject;
    let name = "it begins with absolute locations, each once";
    suite.check(name, Box::pin(begins(s))).await;
    let name = "what it begins with can be fetched";
    suite.check(name, Box::pin(fetches(s))).await;
    let name = "an item is known by the same name from wherever it is fetched";
    suite.check(name, Box::pin(canonical(s))).await;
    let name = "an item that has not changed comes without a document";
    suite.check(name, Box::pin(unchanged(s))).await;
    let name = "a state of another item or version is no harm";
    suite.check(name, Box::pin(foreign_state(s))).await;
    let name = "links are absolute";
    suite.check(name, Box::pin(links(s))).await;
    let name = "a location that nothing is at is refused by class";
    suite.check(name, Box::pin(nowhere(s))).await;
    let name = "odd locations are refused by class";
    suite.check(name, Box::pin(odd_locations(s))).await;
    suite.finish()
}

/// A URL of any scheme, or a path from the root.
fn is_absolute(location: &str) -> bool {
    let scheme = |(scheme, rest): (&str, &str)| {
        let letters = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        letters && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.is_empty()
    };
    let plain = !location.chars().any(char::is_control);
    plain && (location.starts_with('/') || location.split_once(':').is_some_and(scheme))
}

fn absolute(what: &str, location: &str) -> Verdict {
    ensure(is_absolute(location), || {
        format!("{what} was expected to be absolute, {} came", shown(location))
    })
}

async fn begins(s: &Subject<'_>) -> Verdict {
    let locations = s.begin().await?.locations;
    ensure(!locations.is_empty(), || {
        "at least one location was expected, none came".to_owned()
    })?;
    for (at, location) in locations.iter().enumerate() {
        absolute("a location", location)?;
        let first = locations.iter().position(|other| other == location);
        same(&format!("the place of `{location}` in the list"), &Some(at), &first)?;
    }
    Ok(())
}

async fn fetches(s: &Subject<'_>) -> Verdict {
    let mut ids = Vec::new();
    let mut fetched = Vec::new();
    let locations = s.begin().await?.locations;
    for location in locations.iter().take(ITEMS) {
        let item = s.fetch(location, None).await?;
        let is_json = serde_json::from_str::<Json>(&item.state).is_ok();
        ensure(is_json, || {
            format!("a state of JSON was expected, {} came", shown(&item.state))
        })?;
        fetched.push((location, item.clone()));
        let Some(document) = item.document else {
            continue;
        };
        ensure(!document.id.is_empty(), || {
            "a document with an id was expected, none came".to_owned()
        })?;
        ids.push((document.id, item.canonical));
    }
    ensure(!ids.is_empty(), || {
        "at least one document was expected, none came".to_owned()
    })?;
    for (id, canonical) in &ids {
        let other = ids.iter().find(|(own, name)| own == id && name != canonical);
        ensure(other.is_none(), || {
            format!("one item with the id `{id}` was expected, {} came", shown(&ids))
        })?;
    }
    // Who fetches again without a state knows nothing of the last time, whatever was fetched since.
    for (location, before) in fetched.iter().rev() {
        let again = s.fetch(location, None).await?;
        let told = |item: &Item| {
            let document = item.document.as_ref();
            let document = document.map(|document| (document.id.clone(), document.text.clone()));
            (item.canonical.clone(), document)
        };
        same("what is fetched once more", &told(&again), &told(before)).map_err(|fault| about(location, fault))?;
    }
    Ok(())
}

async fn canonical(s: &Subject<'_>) -> Verdict {
    s.each(async |location| {
        let first = s.fetch(location, None).await?;
        absolute("the canonical location", &first.canonical)?;
        let second = s.fetch(&first.canonical, None).await?;
        same(
            "the canonical location of the canonical one",
            &second.canonical,
            &first.canonical,
        )?;
        let ids = |item: &Item| item.document.as_ref().map(|document| document.id.clone());
        same("the document's id", &ids(&second), &ids(&first))
    })
    .await
}

async fn unchanged(s: &Subject<'_>) -> Verdict {
    s.each(async |location| {
        let first = s.fetch(location, None).await?;
        let second = s.fetch(location, Some(&first.state)).await?;
        ensure(second.document.is_none(), || {
            "no document was expected for the state of the last fetch, one came".to_owned()
        })?;
        same("the canonical location", &second.canonical, &first.canonical)?;
        // The state of a fetch that brought nothing is as good as the one before.
        let third = s.fetch(location, Some(&second.state)).await?;
        ensure(third.document.is_none(), || {
            "no document was expected for the state of a fetch that brought none, one came".to_owned()
        })
    })
    .await
}

async fn foreign_state(s: &Subject<'_>) -> Verdict {
    s.each(async |location| {
        let expected = s.fetch(location, None).await?.document.is_some();
        for state in [
            "{}",
            "null",
            "[1,2]",
            r#"{"etag":7,"hash":"x","version":-1}"#,
            "not JSON",
            "",
        ] {
            match s.port.fetch(&s.settings.call(), location, Some(state)).await {
                Ok(item) => ensure(item.document.is_some() == expected, || {
                    format!("the document was expected with the state {state:?}, none came")
                })?,
                Err(problem) => typed(&problem, &[ProblemKind::InvalidRequest])?,
            }
        }
        Ok(())
    })
    .await
}

async fn links(s: &Subject<'_>) -> Verdict {
    s.each(async |location| {
        let item = s.fetch(location, None).await?;
        item.links
            .iter()
            .try_for_each(|link| absolute("a link", &link.location))
    })
    .await
}

async fn nowhere(s: &Subject<'_>) -> Verdict {
    let nowhere = "x-encaje-testkit://nowhere/no/such/thing";
    let call = s.settings.call();
    refused("beginning there", s.port.begin(&call, nowhere).await, &REFUSALS)?;
    refused("fetching it", s.port.fetch(&call, nowhere, None).await, &REFUSALS)
}

async fn odd_locations(s: &Subject<'_>) -> Verdict {
    let long = format!("x:{}", "a/".repeat(5_000));
    for location in ODD_TEXTS.into_iter().chain(["", "/../../..", "x", long.as_str()]) {
        let outcome = s.port.fetch(&s.settings.call(), location, None).await;
        let kinds = [&REFUSALS[..], &[ProblemKind::TooLarge]].concat();
        refused(&format!("the location {}", shown(location)), outcome, &kinds)?;
    }
    Ok(())
}
