//! The provider suite: what it offers, how its answers stream, what it refuses and how. Whether an answer is a good one is
//! not judged.

mod chat;
mod parameters;
mod stream;
mod vectors;

use encaje_core::chat::{ChatRequest, Input};
use encaje_core::ports::{ModelInfo, Provider};
use encaje_core::problem::ProblemKind;
use encaje_core::trace::PluginKind;

use crate::limits;
use crate::report::Report;
use crate::run::{Suite, Verdict, ensure, fail, same, shown, skip, typed};
use crate::settings::Settings;

pub(crate) use stream::judge;

/// What the host calls by name in this version.
const KNOWN: [&str; 4] = ["chat", "embed", "rerank", "count-tokens"];

/// A provider, and the models that it is asked for.
pub(super) struct Subject<'a> {
    port: &'a dyn Provider,
    settings: &'a Settings,
    chat: Option<String>,
    embed: Option<String>,
    rerank: Option<String>,
}

impl<'a> Subject<'a> {
    async fn new(port: &'a dyn Provider, settings: &'a Settings) -> Self {
        // What goes wrong here is found by the check of the list.
        let listing = tokio::time::timeout(settings.check_time, async { port.models(&settings.call()).await }).await;
        let models: Vec<ModelInfo> = listing.ok().and_then(Result::ok).unwrap_or_default();
        let able = |capability: &str| {
            let mut models = models.iter();
            let model = models.find(|model| model.capabilities.iter().any(|own| own == capability));
            model.map(|model| model.id.clone())
        };
        let first = models.first().map(|model| model.id.clone());
        let chat = settings.model.clone().or(able("chat")).or(first);
        Self {
            port,
            settings,
            embed: settings.embedding_model.clone().or(able("embed")).or(chat.clone()),
            rerank: settings.rerank_model.clone().or(able("rerank")).or(chat.clone()),
            chat,
        }
    }

    fn offers(&self, name: &str) -> Verdict {
        if self.port.offers().iter().any(|own| own == name) {
            return Ok(());
        }
        skip(format!("it does not offer `{name}`"))
    }

    fn model(of: Option<&String>) -> Verdict<String> {
        match of {
            Some(model) => Ok(model.clone()),
            None => skip("it lists no model; name one to ask for"),
        }
    }

    /// A question with an answer of few tokens.
    fn question(&self, text: &str) -> Verdict<ChatRequest> {
        self.offers("chat")?;
        let mut request = ChatRequest::question(Self::model(self.chat.as_ref())?, text);
        request.sampling.max_tokens = Some(self.settings.answer_tokens);
        Ok(request)
    }
}

/// Judges a provider. It is asked some dozens of short questions: one that stands on a paid upstream costs what those cost.
pub async fn provider(subject: &dyn Provider, settings: &Settings) -> Report {
    let mut suite = Suite::new(subject.name(), PluginKind::Provider, settings);
    let subject = Subject::new(subject, settings).await;
    let s = &subject;
    suite
        .check("what it offers are names that the host knows", Box::pin(offers(s)))
        .await;
    suite
        .check("listed models have ids, each its own", Box::pin(models(s)))
        .await;
    answers(&mut suite, s).await;
    parameters(&mut suite, s).await;
    let name = "tokens are counted, and more text has more";
    suite.check(name, Box::pin(counted(s))).await;
    let name = "each input has one vector of finite numbers";
    suite.check(name, Box::pin(vectors::shape(s))).await;
    let name = "vectors come in the order of the inputs";
    suite.check(name, Box::pin(vectors::order(s))).await;
    let name = "the same input has the same vector";
    suite.check(name, Box::pin(vectors::repeated(s))).await;
    let name = "no input at all is refused";
    suite.check(name, Box::pin(vectors::empty(s))).await;
    let name = "a length of vectors is kept, or refused by name";
    suite.check(name, Box::pin(vectors::dimensions(s))).await;
    let name = "a ranking names each document once, best first";
    suite.check(name, Box::pin(vectors::ranking(s))).await;
    let name = "a ranking has at most as many places as asked for";
    suite.check(name, Box::pin(vectors::top(s))).await;
    suite.finish()
}

async fn answers(suite: &mut Suite<'_>, s: &Subject<'_>) {
    // The first question of all is somebody else's: who keeps what came first has that.
    let name = "an answer has nothing of what others asked before";
    suite.check(name, Box::pin(chat::forgotten(s))).await;
    let name = "each choice ends once, after all else that it says";
    suite.check(name, Box::pin(chat::finishes(s))).await;
    let name = "usage comes once, after the last text, and adds up";
    suite.check(name, Box::pin(chat::usage(s))).await;
    let name = "a conversation of every role is read";
    suite.check(name, Box::pin(chat::conversation(s))).await;
    let name = "text of any script is read whole";
    suite.check(name, Box::pin(chat::odd_text(s))).await;
    let name = "an empty conversation is answered or refused in words";
    suite.check(name, Box::pin(chat::nothing_said(s))).await;
    let name = "raw prompts and tokens are answered or refused in words";
    suite.check(name, Box::pin(chat::raw_input(s))).await;
    let name = "an unknown model is refused by class";
    suite.check(name, Box::pin(chat::unknown_model(s))).await;
    let name = "after a dropped answer the next one comes";
    suite.check(name, Box::pin(chat::dropped(s))).await;
    let name = "many answers at once each keep to the contract";
    suite.check(name, Box::pin(chat::at_once(s))).await;
}

async fn parameters(suite: &mut Suite<'_>, s: &Subject<'_>) {
    let name = "several choices are given, or refused by name";
    suite.check(name, Box::pin(parameters::choices(s))).await;
    let name = "a parameter that nobody knows is refused by name, or left to the upstream";
    suite.check(name, Box::pin(parameters::unknown(s))).await;
    let name = "an answer has at most the tokens asked for";
    suite.check(name, Box::pin(parameters::max_tokens(s))).await;
    let name = "a stop string is not in the answer";
    suite.check(name, Box::pin(parameters::stop(s))).await;
    let name = "pieces of a tool call fit together";
    suite.check(name, Box::pin(parameters::tools(s))).await;
    let name = "an answer asked for as JSON is JSON, or refused by name";
    suite.check(name, Box::pin(parameters::json(s))).await;
    let name = "probabilities follow their text, or are refused by name";
    suite.check(name, Box::pin(parameters::logprobs(s))).await;
}

async fn offers(s: &Subject<'_>) -> Verdict {
    let own = s.port.offers();
    ensure(!own.is_empty() && own.len() <= limits::OFFERS, || {
        format!("1 to {} names were expected, {} came", limits::OFFERS, own.len())
    })?;
    for (at, name) in own.iter().enumerate() {
        ensure(KNOWN.contains(&name.as_str()), || {
            format!("one of {KNOWN:?} was expected, {} came", shown(name))
        })?;
        ensure(own.iter().position(|other| other == name) == Some(at), || {
            format!("`{name}` was expected once, it came twice")
        })?;
    }
    Ok(())
}

async fn models(s: &Subject<'_>) -> Verdict {
    let models = s.port.models(&s.settings.call()).await?;
    for (at, model) in models.iter().enumerate() {
        let plain = !model.id.trim().is_empty() && !model.id.chars().any(char::is_control);
        ensure(plain, || {
            format!("an id of one line was expected, {} came", shown(model))
        })?;
        let first = models.iter().position(|other| other.id == model.id);
        same(&format!("the place of `{}` in the list", model.id), &Some(at), &first)?;
        ensure(model.context_tokens != Some(0), || {
            format!("a context of at least one token was expected, {} came", shown(model))
        })?;
    }
    Ok(())
}

async fn counted(s: &Subject<'_>) -> Verdict {
    s.offers("count-tokens")?;
    let model = Subject::model(s.chat.as_ref())?;
    let mut counts = Vec::new();
    for text in ["One word.", &"many words and more ".repeat(40)] {
        let request = ChatRequest::question(model.clone(), text);
        counts.push(s.port.count_tokens(&s.settings.call(), request).await?);
    }
    let [short, long] = counts[..] else {
        return fail("two counts were expected");
    };
    ensure(0 < short && short < long, || {
        format!("more than 0 tokens, and more for more text, were expected, {short} and {long} came")
    })?;
    let mut nothing = ChatRequest::question(model, "");
    nothing.input = Input::Messages(Vec::new());
    match s.port.count_tokens(&s.settings.call(), nothing).await {
        Ok(_) => Ok(()),
        Err(problem) => typed(&problem, &[ProblemKind::InvalidRequest, ProblemKind::Unsupported]),
    }
}
