//! `template.yaml`, as data: YAML with `CloudFormation`'s short forms written out, `!Ref X` as `{"Ref": "X"}`.

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The template.
#[derive(Debug)]
pub struct Template(Value);

impl Template {
    /// Reads `template.yaml`.
    pub fn read() -> Self {
        let text = crate::read("template.yaml");
        let documents = Yaml::load_from_str(&text).unwrap_or_else(|e| panic!("template.yaml: {e}"));
        Self(to_json(&documents[0]))
    }

    /// A resource, whole.
    pub fn resource(&self, name: &str) -> &Value {
        let resource = &self.0["Resources"][name];
        assert!(resource.is_object(), "the template has no resource {name}");
        resource
    }

    /// The resources of a type, by name.
    pub fn resources_of(&self, kind: &str) -> Vec<(&str, &Value)> {
        let all = self.0["Resources"].as_object().into_iter().flatten();
        all.filter(|(_, resource)| resource["Type"] == kind)
            .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
            .collect()
    }

    /// The statements of the role that a function's `Role` names.
    pub fn statements(&self, function: &Value) -> Vec<&Value> {
        let role = self.resource(target(&function["Role"]));
        let policies = role["Properties"]["Policies"].as_array().into_iter().flatten();
        policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().into_iter().flatten()).collect()
    }
}

/// The resource that a `Ref` or a `GetAtt` speaks of.
pub fn target(value: &Value) -> &str {
    let name = value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str());
    name.unwrap_or_else(|| panic!("neither a Ref nor a GetAtt: {value}"))
}

/// One value or a list of them, as a list.
pub fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
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
        other => panic!("the template is to do without {other:?}"),
    }
}

fn function(name: &str, argument: &Value) -> Value {
    match (name, argument.as_str()) {
        ("Ref" | "Condition", _) => json!({ name: argument }),
        ("GetAtt", Some(text)) => json!({ "Fn::GetAtt": text.splitn(2, '.').collect::<Vec<_>>() }),
        _ => json!({ format!("Fn::{name}"): argument }),
    }
}
