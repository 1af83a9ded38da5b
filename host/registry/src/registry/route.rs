//! `[routes."PATTERN"]`: which plugins answer a model, in which order. Finding the route of a request is `core`'s.

use encaje_core::route;
use serde::Serialize;

use crate::diagnostic::Span;
use crate::names::Name;
use crate::reader::{Node, Shape};

const ROUTE: Shape = Shape {
    known: &["to", "cost_mode"],
    renamed: &[
        ("targets", "`to`"),
        ("plugins", "`to`"),
        ("plugin", "`to = [{ plugin = \"NAME\" }]`"),
        ("fallback", "`to`: its targets are asked in order"),
    ],
};

const TARGET: Shape = Shape {
    known: &["plugin", "model", "degraded"],
    renamed: &[
        ("name", "`plugin`"),
        ("provider", "`plugin`"),
        ("fallback", "`degraded`"),
    ],
};

const TO_EXAMPLE: &str = "`to = [{ plugin = \"NAME\" }]`";

/// Whose key pays for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CostMode {
    /// The operator's.
    Paid,
    /// The caller's own.
    ByoKey,
    /// The caller's where there is one, else the operator's.
    Hybrid,
}

/// A pattern and who answers it.
#[derive(Debug, Clone)]
pub struct Route {
    /// A model's name, or the start of one and `*`.
    pub pattern: String,
    /// At least one; asked in order.
    pub to: Vec<route::Target>,
    /// Whose key pays; `None` where it is not said.
    pub cost_mode: Option<CostMode>,
    pub(crate) cost_mode_at: Span,
    /// The place of each target's plugin.
    pub(crate) targets_at: Vec<Span>,
}

impl Route {
    pub(super) fn read(pattern: &str, node: &Node<'_>) -> Option<Self> {
        let table = node.table(&ROUTE, TO_EXAMPLE)?;
        let modes = [
            ("paid", CostMode::Paid),
            ("byo_key", CostMode::ByoKey),
            ("hybrid", CostMode::Hybrid),
        ];
        let mode = table.get("cost_mode");
        let cost_mode_at = mode.as_ref().map(|node| node.key).unwrap_or_default();
        let cost_mode = mode.and_then(|node| node.word(&modes));
        let list = table.require("to", TO_EXAMPLE)?;
        let items = list.items(TO_EXAMPLE)?;
        if items.is_empty() {
            list.error(format!("`{}` is empty", list.path), format!("write {TO_EXAMPLE}"));
            return None;
        }
        let (mut to, mut targets_at): (Vec<route::Target>, Vec<Span>) = (Vec::new(), Vec::new());
        for item in items {
            let Some((target, at)) = target(&item) else { continue };
            if to
                .iter()
                .any(|known| known.plugin == target.plugin && known.model == target.model)
            {
                item.error(
                    format!("{} asks the same plugin for the same model twice", list.path),
                    "remove one",
                );
                continue;
            }
            to.push(target);
            targets_at.push(at);
        }
        Some(Self {
            pattern: pattern.to_owned(),
            to,
            cost_mode,
            cost_mode_at,
            targets_at,
        })
    }

    /// As the flow takes it.
    pub fn to_core(&self) -> route::Route {
        route::Route {
            pattern: self.pattern.clone(),
            to: self.to.clone(),
        }
    }
}

fn target(item: &Node<'_>) -> Option<(route::Target, Span)> {
    let table = item.table(&TARGET, "`{ plugin = \"NAME\" }`")?;
    let plugin = table.require("plugin", "`plugin = \"NAME\"`")?;
    let at = plugin.at();
    let plugin = plugin.name(Name::Plain, "a plugin's name");
    let model = table.get("model").map(|node| node.name(Name::Model, "a model's name"));
    let degraded = table.get("degraded").and_then(|node| node.boolean()).unwrap_or(false);
    // A model that was written and is wrong must not become "the caller's own name".
    let model = match model {
        Some(None) => return None,
        Some(Some(model)) => Some(model),
        None => None,
    };
    Some((
        route::Target {
            plugin: plugin?,
            model,
            degraded,
        },
        at,
    ))
}
