//! Parses YAML to JSON values, with `CloudFormation`'s short forms expanded: `!Ref X` becomes `{"Ref": "X"}`.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// Parses the first document of the text of the file `name`.
pub fn parse(name: &str, text: &str) -> Value {
    let documents = Yaml::load_from_str(text).unwrap_or_else(|e| panic!("{name}: {e}"));
    to_json(&documents[0])
}

fn to_json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(values) => values.iter().map(to_json).collect(),
        Yaml::Mapping(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), to_json(value)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Yaml::Tagged(tag, value) => function(&tag.suffix, &to_json(value)),
        other => panic!("YAML of this kind is not supported: {other:?}"),
    }
}

fn function(name: &str, argument: &Value) -> Value {
    match (name, argument.as_str()) {
        ("Ref" | "Condition", _) => json!({ name: argument }),
        ("GetAtt", Some(text)) => json!({ "Fn::GetAtt": text.splitn(2, '.').collect::<Vec<_>>() }),
        _ => json!({ format!("Fn::{name}"): argument }),
    }
}
