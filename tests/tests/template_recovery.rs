//! Holds `template.yaml` to the recovery of undelivered callbacks.

use pulsegate_pipeline::config::EnvSettings;
use pulsegate_tests::read;
use pulsegate_tests::template::{Template, list, target};
use serde_json::json;
use sigfox_recovery::Config;

/// A device type to recover; the template has none by default.
const DEVICE_TYPE: &str = "628fd74fb3cabb6565ae81bb";

#[test]
fn nothing_of_it_is_there_without_device_types() {
    let template = Template::read();
    for (name, resource) in template.resources() {
        let of_it = ["SigfoxRecovery", "SigfoxApi", "SigfoxWatermarks"].iter().any(|start| name.starts_with(start));
        assert_eq!(of_it, resource["Condition"] == "RecoverMissed", "{name}");
    }
    let condition = &template.section("Conditions")["RecoverMissed"];
    assert_eq!(*condition, json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "SigfoxDeviceTypes"}, ""]}]}));
    assert_eq!(template.section("Parameters")["SigfoxDeviceTypes"]["Default"], "");
}

#[test]
fn the_function_starts_with_what_the_template_gives_it() {
    let template = Template::read();
    let function = &template.resource("SigfoxRecovery")["Properties"];
    let variables = &function["Environment"]["Variables"];
    let look_up = |name: &'static str| {
        let value = template.text(&variables[name]);
        Some(if name == "SIGFOX_DEVICE_TYPES" { DEVICE_TYPE.to_owned() } else { value })
    };
    let config = Config::from_settings(&EnvSettings::new(&look_up)).unwrap();
    assert_eq!(config.api.as_str(), "https://api.sigfox.com/v2");
    // Sigfox repeats after 1, 2 and 4 minutes, and waits 10 s for each answer.
    assert!(config.reach.settle.as_secs() > 7 * 60 + 4 * 10);
    assert_eq!(function["ReservedConcurrentExecutions"], 1);
}

#[test]
fn the_schedule_and_nobody_else_invokes_it_and_a_failed_run_is_not_repeated_but_told() {
    let template = Template::read();
    let of = |name: &str| &template.resource(name)["Properties"];
    let rule = of("SigfoxRecoveryRule");
    assert_eq!(target(&rule["ScheduleExpression"]), "SigfoxRecoverySchedule");
    assert_eq!(list(&rule["Targets"]).iter().map(|each| target(&each["Arn"])).collect::<Vec<_>>(), ["SigfoxRecovery"]);
    let permission = of("SigfoxRecoveryPermission");
    assert_eq!(target(&permission["FunctionName"]), "SigfoxRecovery");
    assert_eq!(target(&permission["SourceArn"]), "SigfoxRecoveryRule");
    let invocations = of("SigfoxRecoveryInvocations");
    assert_eq!(
        (target(&invocations["FunctionName"]), &invocations["MaximumRetryAttempts"]),
        ("SigfoxRecovery", &json!(0))
    );
    let alarm = of("SigfoxRecoveryFails");
    assert_eq!((&alarm["Namespace"], &alarm["MetricName"]), (&json!("AWS/Lambda"), &json!("Errors")));
    assert_eq!(target(&alarm["Dimensions"][0]["Value"]), "SigfoxRecovery");
}

#[test]
fn the_watermarks_have_the_key_that_the_adapter_writes() {
    let template = Template::read();
    let keys = &template.resource("SigfoxWatermarks")["Properties"]["KeySchema"];
    assert_eq!(*keys, json!([{"AttributeName": "device_type", "KeyType": "HASH"}]));
    assert!(read("shared/aws/src/watermark.rs").contains(r#"const KEY: &str = "device_type";"#));
}

#[test]
fn the_secret_as_it_is_made_is_told_from_one_that_was_filled_in() {
    let template = Template::read();
    let made = &template.resource("SigfoxApiCredentials")["Properties"]["GenerateSecretString"];
    let mut secret: serde_json::Value = serde_json::from_str(made["SecretStringTemplate"].as_str().unwrap()).unwrap();
    secret[made["GenerateStringKey"].as_str().unwrap()] = "generated".into();
    let error = secret.to_string().parse::<sigfox_recovery::api::Credentials>().unwrap_err();
    assert!(error.to_string().contains("no login yet"));
}
