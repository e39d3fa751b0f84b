//! Reading a JSON object with objects within, for writes that make a thing or change it: every bad member is named by
//! its whole path, a member that nobody knows is refused, and a member that is absent keeps what there was.

use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::body::Members;
use crate::error::{ApiError, FieldError};

/// An object of a body. Each reader takes what the member is to be where it is absent; `None`: it is required.
#[derive(Debug)]
pub struct Object {
    members: Members,
    known: HashSet<&'static str>,
    path: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Object {
    /// Parses a body.
    ///
    /// # Errors
    /// When the text is not JSON, or not an object.
    pub fn parse(body: &[u8]) -> Result<Object, ApiError> {
        Ok(Object::of(Members::parse(body)?, Vec::new()))
    }

    fn of(members: Members, path: Vec<&'static str>) -> Object {
        Object { members, known: HashSet::new(), path, errors: Vec::new() }
    }

    /// A member, read by the rule of its type.
    pub fn read<T: Clone, E: fmt::Display>(
        &mut self,
        name: &'static str,
        absent: Option<&T>,
        parse: impl FnOnce(&RawValue) -> Result<T, E>,
    ) -> Option<T> {
        let Some(raw) = self.given(name) else { return self.absent(name, absent) };
        match parse(&raw) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(name, error.to_string());
                None
            }
        }
    }

    /// A member that may be null, and is where it was never given.
    pub fn nullable<T: Clone, E: fmt::Display>(
        &mut self,
        name: &'static str,
        absent: Option<&Option<T>>,
        parse: impl FnOnce(&RawValue) -> Result<T, E>,
    ) -> Option<Option<T>> {
        let absent = absent.or(Some(&None));
        self.read(name, absent, |raw| if is_null(raw) { Ok(None) } else { parse(raw).map(Some) })
    }

    /// A member that is an object. `read` gets what there was, so that a part can be changed alone.
    pub fn object<T: Clone>(
        &mut self,
        name: &'static str,
        absent: Option<&T>,
        read: impl FnOnce(&mut Object, Option<&T>) -> Option<T>,
    ) -> Option<T> {
        let Some(raw) = self.given(name) else { return self.absent(name, absent) };
        let mut path = self.path.clone();
        path.push(name);
        let Ok(members) = serde_json::from_str::<Members>(raw.get()) else {
            self.refuse(name, "value is not an object");
            return None;
        };
        let mut within = Object::of(members, path);
        let value = read(&mut within, absent);
        self.errors.extend(within.errors());
        value
    }

    /// An object that may be null, and is where it was never given.
    pub fn nullable_object<T: Clone>(
        &mut self,
        name: &'static str,
        absent: Option<&Option<T>>,
        read: impl FnOnce(&mut Object, Option<&T>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.members.once.get(name) {
            Some(raw) if is_null(raw) => self.read(name, None, |_| Ok::<_, String>(None)),
            Some(_) => self.object(name, absent.and_then(Option::as_ref), read).map(Some),
            None => self.absent(name, absent.or(Some(&None))),
        }
    }

    /// Takes note of members that are allowed and change nothing.
    pub fn ignore(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// Notes a bad member found by other means.
    pub fn refuse(&mut self, name: &'static str, message: impl Into<String>) {
        self.note(name, "value_error", message.into());
    }

    /// What was wrong, members that nobody asked for included.
    pub fn errors(mut self) -> Vec<FieldError> {
        let mut unknown: Vec<String> =
            self.members.once.keys().filter(|name| !self.known.contains(name.as_str())).cloned().collect();
        unknown.sort_unstable();
        for name in unknown {
            let mut error = FieldError::body("", "extra_forbidden", "field is not known here, or not yours to set");
            error.loc = self.loc();
            error.loc.push(name.into());
            self.errors.push(error);
        }
        self.errors
    }

    fn given(&mut self, name: &'static str) -> Option<Box<RawValue>> {
        self.known.insert(name);
        if self.members.repeated.contains(name) {
            self.note(name, "duplicate_field", "field given twice".to_owned());
        }
        self.members.once.get(name).cloned()
    }

    fn absent<T: Clone>(&mut self, name: &'static str, absent: Option<&T>) -> Option<T> {
        if absent.is_none() {
            self.note(name, "missing", "field required".to_owned());
        }
        absent.cloned()
    }

    fn note(&mut self, name: &'static str, kind: &'static str, message: String) {
        let mut error = FieldError::body(name, kind, message);
        error.loc = self.loc();
        error.loc.push(name.into());
        self.errors.push(error);
    }

    fn loc(&self) -> Vec<std::borrow::Cow<'static, str>> {
        std::iter::once("body").chain(self.path.iter().copied()).map(Into::into).collect()
    }
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// A JSON string.
///
/// # Errors
/// What it is not.
pub fn text(raw: &RawValue) -> Result<String, &'static str> {
    let text: String = serde_json::from_str(raw.get()).map_err(|_| "value is not a string")?;
    // Postgres keeps no NUL, and no text of ours has one.
    if text.contains('\0') { Err("value holds a NUL character") } else { Ok(text) }
}

/// A JSON string of so many characters.
///
/// # Errors
/// What it is not.
pub fn text_of(length: RangeInclusive<usize>) -> impl FnOnce(&RawValue) -> Result<String, String> {
    move |raw| {
        let text = text(raw)?;
        let found = text.chars().count();
        if length.contains(&found) {
            Ok(text)
        } else {
            Err(format!("value has {found} characters: use {} to {}", length.start(), length.end()))
        }
    }
}

/// A JSON boolean.
///
/// # Errors
/// What it is not.
pub fn boolean(raw: &RawValue) -> Result<bool, &'static str> {
    serde_json::from_str(raw.get()).map_err(|_| "value is not true or false")
}

/// A JSON integer within a range.
///
/// # Errors
/// What it is not.
pub fn integer<T: TryFrom<i64>>(range: RangeInclusive<i64>) -> impl FnOnce(&RawValue) -> Result<T, String> {
    move |raw| {
        let number: i64 = serde_json::from_str(raw.get()).map_err(|_| "value is not an integer".to_owned())?;
        let within = range.contains(&number).then(|| T::try_from(number).ok()).flatten();
        within.ok_or_else(|| format!("{number} is out of range: use {} to {}", range.start(), range.end()))
    }
}

/// An RFC 3339 time, to the millisecond that answers show.
///
/// # Errors
/// What it is not.
pub fn instant(raw: &RawValue) -> Result<OffsetDateTime, String> {
    let text = text(raw)?;
    let time = OffsetDateTime::parse(&text, &Rfc3339)
        .map_err(|_| format!("{:?} is not a time: write it as 2030-01-31T00:00:00Z", shortened(&text)))?;
    // Years that every offset can write down.
    if !(1..=9_998).contains(&time.year()) {
        return Err(format!("the year {} is out of range", time.year()));
    }
    Ok(time.replace_millisecond(time.millisecond()).unwrap_or(time))
}

/// As much of a text as an error repeats.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(object: Object) -> Vec<String> {
        let name = |error: FieldError| format!("{}: {}", error.loc[1..].join("."), error.kind);
        object.errors().into_iter().map(name).collect()
    }

    #[test]
    fn every_bad_member_is_named_by_its_path() {
        let body = br#"{"name": 1, "metric": {"days": 400, "x": 1}, "flag": "yes", "flag": true, "spare": null}"#;
        let mut object = Object::parse(body).unwrap();
        object.read("name", None, text);
        object.object("metric", None::<&i64>, |metric, _| metric.read("days", None, integer(1..=366)));
        object.read("flag", None, boolean);
        object.read("missing", None, boolean);
        let expected = [
            "name: value_error",
            "metric.days: value_error",
            "metric.x: extra_forbidden",
            "flag: duplicate_field",
            "flag: value_error",
            "missing: missing",
            "spare: extra_forbidden",
        ];
        assert_eq!(paths(object), expected);
    }

    #[test]
    fn what_is_absent_stays_as_it_was_and_null_takes_it_away() {
        let mut object = Object::parse(br#"{"gone": null, "group": {"b": 2}, "none": null}"#).unwrap();
        assert_eq!(object.read("kept", Some(&7_i64), integer(0..=9)), Some(7));
        assert_eq!(object.nullable("gone", Some(&Some(7_i64)), integer(0..=9)), Some(None));
        assert_eq!(object.nullable("never", None, integer::<i64>(0..=9)), Some(None));
        let pair = |group: &mut Object, was: Option<&(i64, i64)>| {
            Some((
                group.read("a", was.map(|was| &was.0), integer(0..=9))?,
                group.read("b", was.map(|was| &was.1), integer(0..=9))?,
            ))
        };
        assert_eq!(object.nullable_object("group", Some(&Some((1, 1))), pair), Some(Some((1, 2))));
        assert_eq!(object.nullable_object("none", Some(&Some((1, 1))), pair), Some(None));
        assert_eq!(paths(object), [""; 0]);
    }

    #[test]
    fn a_time_is_kept_to_the_millisecond() {
        let raw = RawValue::from_string(r#""2025-01-01T01:00:00.123456+01:00""#.to_owned()).unwrap();
        let time = instant(&raw).unwrap();
        assert_eq!((time.unix_timestamp(), time.nanosecond()), (1_735_689_600, 123_000_000));
        for bad in [r#""2025-01-01""#, "1735689600", r#""9999-12-31T00:00:00Z""#] {
            assert!(instant(&RawValue::from_string(bad.to_owned()).unwrap()).is_err(), "{bad}");
        }
    }
}
