//! Configurations, checked against a component's JSON Schema before the component sees them.
//!
//! Checked are the keywords that describe configurations: `type`, `enum`, `const`, `properties`, `required`,
//! `additionalProperties`, `items`, `minItems`, `maxItems`, `minimum`, `maximum`, `minLength` and `maxLength`. Others are left
//! to the component, which checks for itself in any case. Where a text is wanted, `{"$secret": "name"}` may stand for one.

use dfp_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::secrets::is_name;

/// Refuses a configuration that does not fit, naming the member.
pub(crate) fn check(component: &str, schema: &str, config: &str) -> Result<()> {
    let invalid = |kind, what: String| Error::new(kind, format!("configuring {component}: {what}"));
    let schema: Value = serde_json::from_str(schema)
        .map_err(|error| invalid(ErrorKind::Internal, format!("its schema is not JSON: {error}")))?;
    let config: Value = serde_json::from_str(config)
        .map_err(|error| invalid(ErrorKind::InvalidConfig, format!("not JSON: {error}")))?;
    if !config.is_object() {
        return Err(invalid(ErrorKind::InvalidConfig, "it must be an object".to_owned()));
    }
    fits(&schema, &config, "").map_err(|what| invalid(ErrorKind::InvalidConfig, what))
}

/// Whether `value`, found at `path`, fits `schema`.
fn fits(schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let here = if path.is_empty() { "it" } else { path };
    let Value::Object(schema) = schema else {
        return if *schema == Value::Bool(false) { Err(format!("{here} is not known")) } else { Ok(()) };
    };
    if let Some(secret) = secret(value)
        && schema.get("type").into_iter().flat_map(names).any(|name| name == "string")
    {
        // What it refers to is the component's to check: it is fetched later, and never shown.
        return if is_name(secret) { Ok(()) } else { Err(format!("{here} refers to no possible secret")) };
    }
    if let Some(types) = schema.get("type")
        && !names(types).any(|name| is_a(name, value))
    {
        return Err(format!("{here} must be of type {types}, not {value}"));
    }
    let admitted = match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(choices)), _) => choices.contains(value),
        (_, Some(only)) => only == value,
        _ => true,
    };
    if !admitted {
        let choices = schema.get("enum").or_else(|| schema.get("const"));
        return Err(format!("{here} must be one of {}, not {value}", choices.unwrap_or(&Value::Null)));
    }
    within(schema, value).map_err(|what| format!("{here} {what}"))?;
    match value {
        Value::Object(members) => members_fit(schema, members, path),
        Value::Array(items) => match schema.get("items") {
            Some(item) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, value)| fits(item, value, &format!("{path}[{index}]"))),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The name in `{"$secret": "name"}`.
fn secret(value: &Value) -> Option<&str> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.get("$secret")?.as_str()
}

fn members_fit(schema: &Map<String, Value>, members: &Map<String, Value>, path: &str) -> Result<(), String> {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if let Some(missing) =
        schema.get("required").into_iter().flat_map(names).find(|name| !members.contains_key(*name))
    {
        return Err(format!("{} is missing", join(missing)));
    }
    let known = schema.get("properties").and_then(Value::as_object);
    for (name, value) in members {
        let member = known.and_then(|known| known.get(name)).or_else(|| schema.get("additionalProperties"));
        if let Some(member) = member {
            fits(member, value, &join(name))?;
        }
    }
    Ok(())
}

/// Whether a size or number lies between its bounds.
fn within(schema: &Map<String, Value>, value: &Value) -> Result<(), String> {
    let (measure, bounds) = match value {
        Value::Number(number) => (number.as_f64(), ["minimum", "maximum"]),
        Value::String(text) => (Some(text.chars().count() as f64), ["minLength", "maxLength"]),
        Value::Array(items) => (Some(items.len() as f64), ["minItems", "maxItems"]),
        _ => return Ok(()),
    };
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let measure = measure.unwrap_or(f64::NAN);
    if bound(bounds[0]).is_some_and(|least| measure < least)
        || bound(bounds[1]).is_some_and(|most| measure > most)
    {
        return Err(format!(
            "is out of range: {} {}, {} {}",
            bounds[0],
            schema.get(bounds[0]).unwrap_or(&Value::Null),
            bounds[1],
            schema.get(bounds[1]).unwrap_or(&Value::Null)
        ));
    }
    Ok(())
}

/// One name, or the names in a list.
fn names(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
        "type": "object",
        "properties": {
            "inputs": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 2},
            "rows": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
            "mode": {"enum": ["fail", "skip"]},
            "nested": {"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": {"type": "boolean"}}
        },
        "required": ["inputs"],
        "additionalProperties": false
    }"#;

    #[test]
    fn configurations_that_fit_pass() {
        for config in [
            r#"{"inputs": []}"#,
            r#"{"inputs": ["a", "b"], "rows": 9, "mode": "skip"}"#,
            r#"{"inputs": ["a"], "rows": null, "nested": {"a": 1, "b": true}}"#,
            r#"{"inputs": ["a"], "rows": 2.0}"#,
        ] {
            check("x", SCHEMA, config).expect(config);
        }
    }

    #[test]
    fn a_secret_may_stand_where_a_text_is_wanted() {
        check("x", SCHEMA, r#"{"inputs": [{"$secret": "token-1"}]}"#).unwrap();
        for config in [
            r#"{"inputs": [{"$secret": "../x"}]}"#,
            r#"{"inputs": [{"$secret": 1}]}"#,
            r#"{"inputs": [{"$secret": "a", "b": 1}]}"#,
            r#"{"inputs": [], "rows": {"$secret": "a"}}"#,
            r#"{"inputs": [], "mode": {"$secret": "a"}}"#,
            r#"{"$secret": "a"}"#,
        ] {
            assert_eq!(check("x", SCHEMA, config).expect_err(config).kind(), ErrorKind::InvalidConfig);
        }
    }

    #[test]
    fn others_are_refused_by_the_name_of_the_member() {
        for (config, what) in [
            ("[]", "object"),
            ("{", "JSON"),
            ("{}", "inputs is missing"),
            (r#"{"inputs": [], "colour": 1}"#, "colour is not known"),
            (r#"{"inputs": ["a", 1]}"#, "inputs[1]"),
            (r#"{"inputs": [""]}"#, "inputs[0]"),
            (r#"{"inputs": ["a", "b", "c"]}"#, "inputs is out of range"),
            (r#"{"inputs": [], "rows": 0}"#, "rows"),
            (r#"{"inputs": [], "rows": 10}"#, "rows"),
            (r#"{"inputs": [], "rows": 1.5}"#, "rows"),
            (r#"{"inputs": [], "mode": "later"}"#, "mode"),
            (r#"{"inputs": [], "nested": {"a": 2}}"#, "nested.a"),
            (r#"{"inputs": [], "nested": {"b": 2}}"#, "nested.b"),
        ] {
            let error = check("x", SCHEMA, config).expect_err(config);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains(what), "{config}: {error}");
        }
    }
}
