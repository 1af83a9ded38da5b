//! Writes JSON straight into the request's body, so that a picture is copied once, and keeps JSON that came as text exactly
//! as it came: the order of a schema's keys means something to some upstreams.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encaje_sdk::errors::Problem;
use serde::Serialize;
use serde_json::value::RawValue;

/// An object under way. [`Object::end`] closes it.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes the name of a member; the value is for the caller to append.
    pub(crate) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
        value(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn put(&mut self, name: &str, member: &(impl Serialize + ?Sized)) {
        value(self.key(name), member);
    }

    pub(crate) fn put_some(&mut self, name: &str, member: Option<&(impl Serialize + ?Sized)>) {
        if let Some(member) = member {
            self.put(name, member);
        }
    }

    /// A number that JSON can hold.
    pub(crate) fn put_number(&mut self, name: &str, number: Option<f64>) -> Result<(), Problem> {
        match number {
            Some(number) if !number.is_finite() => {
                Err(Problem::invalid_request(format!("`{name}` must be a finite number.")).with_param(name))
            }
            number => {
                self.put_some(name, number.as_ref());
                Ok(())
            }
        }
    }

    /// JSON as it came; `param` says whose it is where it is none.
    pub(crate) fn put_raw(&mut self, name: &str, json: &str, param: &str) -> Result<(), Problem> {
        check(json, param)?;
        self.key(name).extend_from_slice(json.as_bytes());
        Ok(())
    }

    /// An object as a member.
    pub(crate) fn object(&mut self, name: &str) -> Object<'_> {
        Object::begin(self.key(name))
    }

    /// A list as a member.
    pub(crate) fn list(&mut self, name: &str) -> List<'_> {
        List::begin(self.key(name))
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// A list under way. [`List::end`] closes it.
pub(crate) struct List<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> List<'a> {
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, empty: true }
    }

    /// The place of the next item, which is for the caller to append.
    pub(crate) fn item(&mut self) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
        self.out
    }

    pub(crate) fn object(&mut self) -> Object<'_> {
        Object::begin(self.item())
    }

    pub(crate) fn raw(&mut self, json: &str, param: &str) -> Result<(), Problem> {
        check(json, param)?;
        self.item().extend_from_slice(json.as_bytes());
        Ok(())
    }

    pub(crate) fn end(self) {
        self.out.push(b']');
    }
}

/// Appends one value.
pub(crate) fn value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        // Writing to memory does not fail, and nothing that is written here has keys that are no strings.
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

/// Appends a string of plain ASCII and bytes in base64 behind it.
pub(crate) fn base64(out: &mut Vec<u8>, prefix: &str, bytes: &[u8]) {
    value(out, prefix);
    // The closing quote is written anew behind the bytes, whose alphabet needs no escapes.
    out.pop();
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    if let Some(place) = out.get_mut(start..) {
        // The place has exactly the length that the encoding has.
        let written = STANDARD.encode_slice(bytes, place).unwrap_or(0);
        out.truncate(start + written);
    }
    out.push(b'"');
}

/// Whether a text is one JSON value.
pub(crate) fn check(json: &str, param: &str) -> Result<(), Problem> {
    match serde_json::from_str::<&RawValue>(json) {
        Ok(_) => Ok(()),
        Err(_) => Err(Problem::invalid_request(format!("`{param}` is not valid JSON.")).with_param(param)),
    }
}

#[cfg(test)]
mod tests {
    use super::{List, Object, base64};
    use proptest::prelude::*;

    #[test]
    fn members_and_items_are_separated_and_raw_json_stays_as_it_came() {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.put("a", "x\"y");
        object.put_some("none", None::<&str>);
        object.put_raw("schema", "{\"z\": 1.0, \"a\": 2}", "schema").unwrap();
        let mut list = object.list("l");
        list.object().end();
        list.raw("[1]", "l").unwrap();
        list.end();
        object.end();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, r#"{"a":"x\"y","schema":{"z": 1.0, "a": 2},"l":[{},[1]]}"#);
    }

    #[test]
    fn what_is_no_json_is_refused_by_name() {
        let mut out = Vec::new();
        let problem = List::begin(&mut out).raw("{", "tools[0].parameters").unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("tools[0].parameters"));
        let problem = Object::begin(&mut out).put_number("top_p", Some(f64::NAN)).unwrap_err();
        assert_eq!(problem.param.as_deref(), Some("top_p"));
    }

    proptest! {
        #[test]
        fn bytes_come_back_from_base64(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            use ::base64::Engine as _;
            let mut out = Vec::new();
            base64(&mut out, "data:image/png;base64,", &bytes);
            let text: String = serde_json::from_slice(&out).unwrap();
            let data = text.strip_prefix("data:image/png;base64,").unwrap();
            prop_assert_eq!(::base64::engine::general_purpose::STANDARD.decode(data).unwrap(), bytes);
        }
    }
}
