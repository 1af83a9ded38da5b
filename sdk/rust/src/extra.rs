//! Reading the `extra` lists (name, JSON) that records carry along. Unknown names are left alone.

use serde::de::DeserializeOwned;

use crate::errors::Problem;
use crate::json;

/// The JSON text of the entry `name`; the last one where a name occurs twice.
pub fn extra<'a>(entries: &'a [(String, String)], name: &str) -> Option<&'a str> {
    entries
        .iter()
        .rev()
        .find(|(entry, _)| entry == name)
        .map(|(_, json)| json.as_str())
}

/// The entry `name`, parsed; `None` where there is no such entry.
///
/// # Errors
/// `invalid-request`, naming the field, where the entry does not fit `T`.
pub fn parse_extra<T: DeserializeOwned>(entries: &[(String, String)], name: &str) -> Result<Option<T>, Problem> {
    let Some(entry) = extra(entries, name) else {
        return Ok(None);
    };
    let refuse = |mistake: json::Mistake| Problem::invalid_request(mistake.message).with_param(mistake.key);
    json::parse(name, entry).map(Some).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::{extra, parse_extra};

    fn entries(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, json)| ((*name).to_owned(), (*json).to_owned()))
            .collect()
    }

    #[test]
    fn the_last_entry_of_a_name_counts() {
        let entries = entries(&[("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(extra(&entries, "a"), Some("3"));
        assert_eq!(extra(&entries, "c"), None);
        assert_eq!(parse_extra::<u32>(&entries, "b").unwrap(), Some(2));
        assert_eq!(parse_extra::<u32>(&entries, "c").unwrap(), None);
    }

    #[test]
    fn an_entry_that_does_not_fit_is_named() {
        let problem = parse_extra::<Vec<u32>>(&entries(&[("ids", "[1,-2]")]), "ids").unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("ids[1]"));
        assert_eq!(problem.message, "ids[1]: invalid value: integer `-2`, expected u32");
        let broken = parse_extra::<u32>(&entries(&[("ids", "{")]), "ids").unwrap_err();
        assert_eq!(broken.param.as_deref(), Some("ids"));
    }
}
