//! What a path finds: JSON texts, which are slices of the document where nothing was computed, and moments.

use super::moments::Moment;
use super::number::Number;
use crate::types::json_path::{as_text, elements, kind, members, quoted};
use std::borrow::Cow;

/// One value.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// JSON.
    Json(Cow<'a, str>),
    /// What `.datetime()` made.
    Moment(Moment),
}

/// Kinds of values, as `.type()` says them.
impl<'a> Item<'a> {
    /// A computed JSON text.
    pub fn of(json: impl Into<String>) -> Self {
        Self::Json(Cow::Owned(json.into()))
    }
    /// A number.
    pub fn number(number: Number) -> Self {
        Self::of(number.to_string())
    }
    /// What kind of value it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Json(json) => kind(json),
            Self::Moment(moment) => moment.kind(),
        }
    }
    /// Whether it is an array.
    pub fn is_array(&self) -> bool {
        self.kind() == "array"
    }
    /// Whether it is an object or an array.
    pub fn is_container(&self) -> bool {
        matches!(self.kind(), "object" | "array")
    }
    /// The number that it is.
    pub fn as_number(&self) -> Option<Number> {
        match self {
            Self::Json(json) if kind(json) == "number" => Number::parse(json).ok(),
            _ => None,
        }
    }
    /// The text that it is.
    pub fn as_string(&self) -> Option<String> {
        match self {
            Self::Json(json) if kind(json) == "string" => as_text(json),
            _ => None,
        }
    }
    /// The elements of an array.
    pub fn elements(&self) -> Vec<Item<'a>> {
        self.parts(|json| elements(json).unwrap_or_default())
    }
    /// The values of an object, or the elements of an array.
    pub fn values(&self) -> Vec<Item<'a>> {
        self.parts(|json| match members(json) {
            Some(members) => members.into_iter().map(|(_, value)| value).collect(),
            None => elements(json).unwrap_or_default(),
        })
    }
    /// The value of a key.
    pub fn member(&self, name: &str) -> Option<Item<'a>> {
        self.parts(|json| crate::types::json_path::member(json, name).into_iter().collect()).pop()
    }
    /// The members of an object.
    pub fn members(&self) -> Vec<(String, String)> {
        let Self::Json(json) = self else { return Vec::new() };
        members(json).unwrap_or_default().into_iter().map(|(key, value)| (key, value.to_string())).collect()
    }
    fn parts(&self, parts: impl Fn(&str) -> Vec<&str>) -> Vec<Item<'a>> {
        match self {
            Self::Json(Cow::Borrowed(json)) => {
                let json: &'a str = json;
                borrowed(json, &parts)
            }
            Self::Json(Cow::Owned(json)) => parts(json).into_iter().map(Self::of).collect(),
            Self::Moment(_) => Vec::new(),
        }
    }
    /// As JSON.
    pub fn into_json(self) -> String {
        match self {
            Self::Json(json) => json.into_owned(),
            Self::Moment(moment) => quoted(&moment.to_string()),
        }
    }
}

fn borrowed<'a>(json: &'a str, parts: &impl Fn(&str) -> Vec<&str>) -> Vec<Item<'a>> {
    // Parts are slices of the text: they are found again by where they begin.
    let start = json.as_ptr() as usize;
    let slice = |part: &str| {
        let at = part.as_ptr() as usize - start;
        Item::Json(Cow::Borrowed(&json[at..at + part.len()]))
    };
    parts(json).into_iter().map(slice).collect()
}
