//! Conditions, evaluated as `CloudFormation` does.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Template, plain};

impl Template {
    /// Reads `template.yaml` as it is deployed with these parameters, and the others' defaults: without the resources
    /// and outputs whose condition does not hold, and with the chosen side of each `If`.
    pub fn with(parameters: &[(&str, &str)]) -> Self {
        let whole = Self::read();
        let values = Values { template: &whole, given: parameters.iter().copied().collect() };
        let mut sections = whole.0.as_object().unwrap().clone();
        for section in ["Resources", "Outputs"] {
            sections.insert(section.to_owned(), values.deployed(whole.section(section)).into());
        }
        Self(sections.into())
    }

    /// Returns every resource, parameter or value of AWS that a value refers to.
    pub fn references(value: &Value) -> Vec<String> {
        match value {
            Value::Array(values) => values.iter().flat_map(Self::references).collect(),
            Value::Object(members) => members.iter().flat_map(|(name, value)| references_of(name, value)).collect(),
            _ => Vec::new(),
        }
    }
}

fn references_of(name: &str, value: &Value) -> Vec<String> {
    match name {
        "Ref" => vec![plain(value)],
        "Fn::GetAtt" => vec![plain(&value[0])],
        "Fn::Sub" => {
            let named = |part: &str| part.split(['}', '.']).next().unwrap_or_default().to_owned();
            plain(value).split("${").skip(1).map(named).filter(|name| !name.starts_with('!')).collect()
        }
        "DependsOn" => super::list(value).into_iter().map(plain).collect(),
        _ => Template::references(value),
    }
}

/// The parameters' values.
struct Values<'a> {
    template: &'a Template,
    given: BTreeMap<&'a str, &'a str>,
}

impl Values<'_> {
    fn deployed(&self, section: &Map<String, Value>) -> Map<String, Value> {
        let deployed = section.iter().filter(|(_, member)| match &member["Condition"] {
            Value::Null => true,
            name => self.holds(&plain(name)),
        });
        deployed.filter_map(|(name, member)| Some((name.clone(), self.chosen(member)?))).collect()
    }

    /// Replaces each `If` by its chosen side. Returns `None` for `AWS::NoValue`.
    fn chosen(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(values) => Some(values.iter().filter_map(|value| self.chosen(value)).collect()),
            Value::Object(_) if value["Ref"] == "AWS::NoValue" => None,
            Value::Object(members) => match &value["Fn::If"] {
                Value::Null => {
                    let chosen = members.iter().filter_map(|(name, value)| Some((name.clone(), self.chosen(value)?)));
                    Some(Value::Object(chosen.collect()))
                }
                sides => self.chosen(&sides[if self.holds(&plain(&sides[0])) { 1 } else { 2 }]),
            },
            other => Some(other.clone()),
        }
    }

    fn holds(&self, condition: &str) -> bool {
        let conditions = self.template.section("Conditions");
        self.is_true(conditions.get(condition).unwrap_or_else(|| panic!("the template has no condition {condition}")))
    }

    fn is_true(&self, condition: &Value) -> bool {
        let (operator, operands) = condition.as_object().and_then(|operators| operators.iter().next()).unwrap();
        match (operator.as_str(), operands) {
            ("Condition", name) => self.holds(&plain(name)),
            ("Fn::Equals", sides) => self.text(&sides[0]) == self.text(&sides[1]),
            ("Fn::Not", operand) => !self.is_true(&operand[0]),
            ("Fn::And", Value::Array(operands)) => operands.iter().all(|operand| self.is_true(operand)),
            ("Fn::Or", Value::Array(operands)) => operands.iter().any(|operand| self.is_true(operand)),
            _ => panic!("not a condition: {condition}"),
        }
    }

    fn text(&self, value: &Value) -> String {
        let given = value["Ref"].as_str().and_then(|name| self.given.get(name));
        given.map_or_else(|| self.template.text(value), ToString::to_string)
    }
}
