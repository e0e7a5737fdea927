//! `template.yaml`, as data.

use serde_json::{Map, Value};

mod conditions;

/// The template.
#[derive(Debug)]
pub struct Template(Value);

impl Template {
    /// Reads `template.yaml`.
    pub fn read() -> Self {
        Self(crate::yaml::read("template.yaml"))
    }

    /// Returns a whole resource.
    pub fn resource(&self, name: &str) -> &Value {
        let resource = &self.0["Resources"][name];
        assert!(resource.is_object(), "the template has no resource {name}");
        resource
    }

    /// Returns all resources, whole, by name.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.section("Resources").iter().map(|(name, resource)| (name.as_str(), resource))
    }

    /// Returns the properties of all resources of a type, by name.
    pub fn resources_of(&self, kind: &str) -> Vec<(&str, &Value)> {
        let of_it = self.resources().filter(|(_, resource)| resource["Type"] == kind);
        of_it.map(|(name, resource)| (name, &resource["Properties"])).collect()
    }

    /// Returns a section of the template other than its resources: `Parameters`, `Conditions`, ...
    pub fn section(&self, name: &str) -> &Map<String, Value> {
        self.0[name].as_object().unwrap_or_else(|| panic!("the template has no {name}"))
    }

    /// Returns the statements of the role that a function's `Role` names.
    pub fn statements(&self, function: &Value) -> Vec<&Value> {
        self.statements_of(target(&function["Role"]))
    }

    /// Returns the statements of a role.
    pub fn statements_of(&self, role: &str) -> Vec<&Value> {
        let policies = self.resource(role)["Properties"]["Policies"].as_array().into_iter().flatten();
        policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().into_iter().flatten()).collect()
    }

    /// Resolves a value with the parameters' defaults. A reference to a resource, or to a value that AWS sets, becomes
    /// its name.
    pub fn text(&self, value: &Value) -> String {
        let parameter = |name: &str| match &self.section("Parameters").get(name).map(|parameter| &parameter["Default"])
        {
            Some(default) => plain(default),
            None => name.to_owned(),
        };
        if let Some(name) = value["Ref"].as_str() {
            parameter(name)
        } else if let Some(text) = value["Fn::Sub"].as_str() {
            let mut parts = text.split("${");
            let start = parts.next().unwrap_or_default().to_owned();
            parts
                .filter_map(|part| part.split_once('}'))
                .fold(start, |text, (name, rest)| text + &parameter(name) + rest)
        } else if let Some([map, key, name]) = value["Fn::FindInMap"].as_array().map(Vec::as_slice) {
            plain(&self.section("Mappings")[&plain(map)][&self.text(key)][&plain(name)])
        } else {
            plain(value)
        }
    }
}

/// Returns a literal value as text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => panic!("neither a text nor a number: {other}"),
    }
}

/// Returns the resource that a `Ref`, a `GetAtt` or the start of a `Sub` names, or that a `Select` picks from a list of
/// these.
pub fn target(value: &Value) -> &str {
    if let Some(index) = value["Fn::Select"][0].as_u64() {
        return target(&value["Fn::Select"][1][usize::try_from(index).unwrap_or_default()]);
    }
    let substituted = || value["Fn::Sub"].as_str()?.strip_prefix("${")?.split(['.', '}']).next();
    let name = value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str()).or_else(substituted);
    name.unwrap_or_else(|| panic!("names no resource: {value}"))
}

/// Returns a single value or a list as a list.
pub fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
}

/// Returns a list as it is if its conditions hold, or as it is if they do not.
pub fn given(values: &Value, holds: bool) -> Vec<&Value> {
    let values = list(values).into_iter().map(|value| match &value["Fn::If"] {
        Value::Null => value,
        sides => &sides[if holds { 1 } else { 2 }],
    });
    values.filter(|value| value["Ref"] != "AWS::NoValue").collect()
}
