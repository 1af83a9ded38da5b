//! The ports of `encaje-core` over guests, one module a kind. Conversion and bounds, nothing clever.

pub(crate) mod instrumentor;
pub(crate) mod knowledge;
pub(crate) mod provider;
pub(crate) mod storage;

use encaje_core::Problem;

/// A guest's own answer: its problem is noted in the visit and handed on in the domain's words.
macro_rules! answered {
    ($visit:expr, $called:expr) => {
        match $called {
            Ok(answer) => Ok(answer),
            Err(problem) => Err($visit.returned(crate::convert::problem::to_core(problem))),
        }
    };
}
pub(crate) use answered;

/// What visits need of a kind's generated bindings.
macro_rules! bindings {
    ($guest:ty, $pre:ident $(:: $rest:ident)*) => {
        impl crate::visit::Bindings for $guest {
            type Pre = $pre$(::$rest)*<crate::state::State>;

            fn link(pre: wasmtime::component::InstancePre<crate::state::State>) -> wasmtime::Result<Self::Pre> {
                $pre$(::$rest)*::new(pre)
            }

            async fn instantiate(
                pre: &Self::Pre,
                store: &mut wasmtime::Store<crate::state::State>,
            ) -> wasmtime::Result<Self> {
                pre.instantiate_async(store).await
            }

            async fn check(
                &self,
                store: &mut wasmtime::Store<crate::state::State>,
            ) -> crate::visit::Said<Vec<String>> {
                self.encaje_common_lifecycle().call_check(store).await
            }
        }
    };
}
pub(crate) use bindings;

/// A kind's adapter: the plugin, its bindings, and what its check said.
macro_rules! adapter {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $guest:ty) => {
        $(#[$doc])*
        pub struct $name {
            plugin: std::sync::Arc<crate::plugin::Plugin>,
            pre: <$guest as crate::visit::Bindings>::Pre,
            #[allow(dead_code, reason = "not every kind has a port that asks")]
            offers: Vec<String>,
        }

        impl $name {
            #[doc = concat!("Takes a loaded plugin for a ", $kind, ", and runs its check.")]
            ///
            /// # Errors
            #[doc = concat!("`Misconfigured` when the component is no ", $kind, "; the check's own problem.")]
            pub async fn start(
                plugin: crate::plugin::Plugin,
            ) -> Result<Self, encaje_core::Problem> {
                use crate::limits::CHECK;
                use crate::visit::Bindings as _;
                let pre = <$guest>::link(plugin.pre().clone())
                    .map_err(|error| crate::adapt::lacks(plugin.name(), $kind, &error))?;
                let call = encaje_core::Call::of_server(CHECK);
                let mut visit = plugin.visit::<$guest>(&call, &pre, "check", CHECK).await?;
                let said = visit.call(async |store, guest| guest.check(store).await).await?;
                let offers = crate::plugin::offers(crate::adapt::answered!(visit, said)?)?;
                visit.whole();
                drop(visit);
                let plugin = std::sync::Arc::new(plugin);
                Ok(Self { plugin, pre, offers })
            }

            /// The plugin beneath.
            pub fn plugin(&self) -> &std::sync::Arc<crate::plugin::Plugin> {
                &self.plugin
            }

            async fn visit(
                &self,
                call: &encaje_core::Call,
                function: &'static str,
            ) -> Result<crate::visit::Visit<$guest>, encaje_core::Problem> {
                let wall = self.plugin.limits.wall;
                self.plugin.visit::<$guest>(call, &self.pre, function, wall).await
            }
        }
    };
}
pub(crate) use adapter;

/// The export that a component of a kind must have, in words.
fn lacks(plugin: &str, kind: &str, error: &wasmtime::Error) -> Problem {
    Problem::new(
        encaje_core::ProblemKind::Misconfigured,
        format!(
            "The plugin `{plugin}` is no {kind} of version 0.1: its component lacks `encaje:{kind}/{kind}@0.1.0` or \
             `encaje:common/lifecycle@0.1.0`. Build it for that world, or correct `kind` in its plugin.toml."
        ),
    )
    .with_detail(format!("{error:#}"))
}
