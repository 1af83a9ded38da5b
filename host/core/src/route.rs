//! From a model's name to the plugins that answer it.
//!
//! A route's pattern is an exact name or a name with one `*` at its end. The exact name wins, then the longest pattern.

/// One plugin that a route may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The plugin's name in the registry.
    pub plugin: String,
    /// The model to ask it for; absent is the caller's own name for it.
    pub model: Option<String>,
    /// Whether its answer is marked as second best.
    pub degraded: bool,
}

/// A pattern and its targets, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `name` or `prefix*`.
    pub pattern: String,
    /// At least one.
    pub to: Vec<Target>,
}

impl Route {
    /// The part before the `*`; `None` for an exact name.
    fn prefix(&self) -> Option<&str> {
        self.pattern.strip_suffix('*')
    }
}

/// All routes of a generation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Routes in any order; which one matches does not depend on it.
    pub fn new(routes: Vec<Route>) -> Self {
        Self(routes)
    }

    /// The route that answers a model, if any does.
    pub fn find(&self, model: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.pattern == model).or_else(|| {
            self.0
                .iter()
                .filter(|route| route.prefix().is_some_and(|prefix| model.starts_with(prefix)))
                .max_by_key(|route| route.pattern.len())
        })
    }

    /// The routes that name one model exactly.
    pub fn exact(&self) -> impl Iterator<Item = &Route> {
        self.0.iter().filter(|route| route.prefix().is_none())
    }

    /// All routes.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&str]) -> Routes {
        Routes::new(
            patterns
                .iter()
                .map(|pattern| Route {
                    pattern: (*pattern).to_owned(),
                    to: Vec::new(),
                })
                .collect(),
        )
    }

    #[test]
    fn the_exact_name_wins_and_then_the_longest_pattern() {
        let routes = routes(&["*", "gpt-*", "gpt-4*", "gpt-4"]);
        let found = |model| routes.find(model).map(|route| route.pattern.as_str());
        assert_eq!(found("gpt-4"), Some("gpt-4"));
        assert_eq!(found("gpt-4o"), Some("gpt-4*"));
        assert_eq!(found("gpt-3"), Some("gpt-*"));
        assert_eq!(found("other"), Some("*"));
    }

    #[test]
    fn a_model_without_a_route_finds_none() {
        assert_eq!(routes(&["gpt-*"]).find("claude"), None);
    }
}
