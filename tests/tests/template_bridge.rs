//! Holds `template.yaml` to the bridge, and its parts to each other.

use std::collections::{BTreeMap, BTreeSet};

use pulsegate_aws::{KinesisStream, SecretStore};
use pulsegate_pipeline::config::EnvSettings;
use pulsegate_tests::template::{Template, given, list, target};
use pulsegate_tests::{read, repository};
use serde_json::{Value, json};
use udp_bridge::config::{Config, HELP};

/// Resources that exist before there is an image: the image's repository, and the secret of the meters' keys.
const BEFORE_THE_IMAGE: [&str; 2] = ["BridgeRepository", "BridgeMasterKeys"];

/// Returns the container of the task.
fn container(template: &Template) -> &Value {
    &template.resource("BridgeTask")["Properties"]["ContainerDefinitions"][0]
}

/// Returns the environment of the container, with a trusted listener or without.
fn environment(template: &Template, trusting: bool) -> BTreeMap<String, &Value> {
    let variables = given(&container(template)["Environment"], trusting).into_iter();
    variables.map(|variable| (template.text(&variable["Name"]), &variable["Value"])).collect()
}

/// Returns the port at the end of a setting that is an address or `PROFILE=ADDRESS`.
fn port(template: &Template, setting: &Value) -> u64 {
    template.text(setting).rsplit(':').next().unwrap().parse().unwrap()
}

/// Returns the ports that a security group opens for a protocol, with their rules.
fn opened<'a>(template: &'a Template, group: &str, protocol: &str, trusting: bool) -> BTreeMap<u64, &'a Value> {
    let rules = given(&template.resource(group)["Properties"]["SecurityGroupIngress"], trusting).into_iter();
    let rules = rules.filter(|rule| rule["IpProtocol"] == protocol);
    rules.map(|rule| (rule["FromPort"].as_u64().filter(|from| rule["ToPort"] == *from).unwrap(), rule)).collect()
}

/// Returns the ports of the container for a protocol.
fn container_ports(template: &Template, protocol: &str, trusting: bool) -> BTreeSet<u64> {
    let mappings = given(&container(template)["PortMappings"], trusting).into_iter();
    let of_it = mappings.filter(|mapping| mapping["Protocol"] == protocol);
    of_it.map(|mapping| mapping["ContainerPort"].as_u64().unwrap()).collect()
}

#[test]
fn the_bridge_is_given_only_settings_it_knows_and_starts_with_them() {
    let template = Template::read();
    let known: BTreeSet<&str> = HELP.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).collect();
    for trusting in [false, true] {
        let environment = environment(&template, trusting);
        let unknown: Vec<_> = environment.keys().filter(|name| !known.contains(name.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let look_up = |name: &'static str| environment.get(name).map(|value| template.text(value));
        Config::from_settings(&EnvSettings::new(&look_up)).unwrap();
    }
}

#[test]
fn the_bridge_may_make_exactly_its_adapters_requests_on_exactly_what_its_settings_name() {
    let template = Template::read();
    let environment = environment(&template, true);
    let of = |actions: &[&'static str], setting: &str| -> Vec<_> {
        actions.iter().map(|action| (*action, target(environment[setting]).to_owned())).collect()
    };
    let needed = [of(KinesisStream::ACTIONS, "STREAM_NAME"), of(SecretStore::ACTIONS, "MASTER_KEYS_SECRET_ID")];
    let granted: BTreeSet<_> = template
        .statements_of("BridgeTaskRole")
        .into_iter()
        .flat_map(|statement| list(&statement["Action"]).into_iter().map(move |action| (action, statement)))
        .flat_map(|(action, statement)| list(&statement["Resource"]).into_iter().map(move |on| (action, on)))
        .map(|(action, resource)| (action.as_str().unwrap(), target(resource).to_owned()))
        .collect();
    assert_eq!(granted, needed.concat().into_iter().collect());
    assert_eq!(target(environment["STREAM_NAME"]), "ProcessRawDataNbiot");
    assert_eq!(target(environment["MASTER_KEYS_SECRET_ID"]), "BridgeMasterKeys");
}

#[test]
fn ecs_may_pull_the_bridges_image_and_write_its_log_and_nothing_else() {
    let template = Template::read();
    let mut on = BTreeSet::new();
    for statement in template.statements_of("BridgeExecutionRole") {
        for action in list(&statement["Action"]) {
            assert!(!action.as_str().unwrap().contains('*'), "{action}");
        }
        // This action can only be granted on all resources.
        let everywhere = statement["Resource"] == "*" && statement["Action"] == "ecr:GetAuthorizationToken";
        on.extend((!everywhere).then(|| target(&statement["Resource"])));
    }
    assert_eq!(on, BTreeSet::from(["BridgeLogs", "BridgeRepository"]));
    assert_eq!(
        container(&template)["Image"],
        json!({"Fn::Sub": "${BridgeRepository.RepositoryUri}:${BridgeImageTag}"})
    );
    assert_eq!(target(&container(&template)["LogConfiguration"]["Options"]["awslogs-group"]), "BridgeLogs");
}

#[test]
fn nothing_of_the_bridge_is_there_without_an_image_and_so_nothing_locally() {
    let template = Template::read();
    let conditions = template.section("Conditions");
    let needs_an_image = |condition: &Value| {
        let all = conditions[condition.as_str().unwrap()]["Fn::And"].as_array().into_iter().flatten();
        condition == "DeployBridge" || all.into_iter().any(|part| part["Condition"] == "DeployBridge")
    };
    let of_the_bridge = |kind: &str| {
        ["EC2", "ECS", "ElasticLoadBalancingV2", "ApplicationAutoScaling"]
            .iter()
            .any(|service| kind.starts_with(&format!("AWS::{service}::")))
    };
    for (name, resource) in template.resources().filter(|(name, _)| !BEFORE_THE_IMAGE.contains(name)) {
        let bridge = name.starts_with("Bridge") || of_the_bridge(resource["Type"].as_str().unwrap());
        let conditional = resource["Condition"].is_string() && needs_an_image(&resource["Condition"]);
        assert_eq!(bridge, conditional, "{name}");
    }
    assert_eq!(conditions["DeployBridge"], json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "BridgeImageTag"}, ""]}]}));
    assert_eq!(template.section("Parameters")["BridgeImageTag"]["Default"], "");
    let samconfig = read("samconfig.toml");
    let local = samconfig.split("\n[").filter(|section| section.starts_with("local."));
    assert!(local.into_iter().all(|section| !section.contains("BridgeImageTag")));
}

#[test]
fn the_bridge_is_nobody_and_can_write_nowhere() {
    let template = Template::read();
    let container = container(&template);
    let user = container["User"].as_str().unwrap();
    assert!(user.split(':').all(|id| id.parse::<u32>().unwrap() > 0));
    assert!(read("udp-bridge/Dockerfile").contains(&format!("\nUSER {user}\n")));
    assert_eq!(container["ReadonlyRootFilesystem"], true);
    assert_eq!(container["LinuxParameters"]["Capabilities"], json!({"Drop": ["ALL"]}));
    assert!(container.get("Secrets").is_none(), "it reads its secret itself");
}

#[test]
fn the_bridge_has_drained_before_it_would_be_killed_and_its_log_does_not_hold_it_up() {
    let template = Template::read();
    let drain: u64 = template.text(environment(&template, false)["DRAIN_SECONDS"]).parse().unwrap();
    assert!(container(&template)["StopTimeout"].as_u64().unwrap() > drain);
    assert_eq!(container(&template)["LogConfiguration"]["Options"]["mode"], "non-blocking");
}

#[test]
fn at_least_two_tasks_run_in_two_zones_and_a_new_one_comes_before_an_old_one_goes() {
    let template = Template::read();
    let scaling = &template.resource("BridgeScaling")["Properties"];
    let least = &template.section("Parameters")[target(&scaling["MinCapacity"])];
    assert!(least["MinValue"].as_u64().unwrap() >= 2 && least["Default"].as_u64().unwrap() >= 2);

    let service = &template.resource("BridgeService")["Properties"];
    assert!(service.get("DesiredCount").is_none(), "a deployment would undo what the scaling did");
    let deployment = &service["DeploymentConfiguration"];
    assert_eq!((&deployment["MinimumHealthyPercent"], &deployment["MaximumPercent"]), (&json!(100), &json!(200)));
    assert_eq!(deployment["DeploymentCircuitBreaker"], json!({"Enable": true, "Rollback": true}));

    let subnets = list(&service["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"]);
    let subnets: BTreeSet<&str> = subnets.into_iter().map(target).collect();
    let zone =
        |name: &&str| template.resource(name)["Properties"]["AvailabilityZone"]["Fn::Select"][0].as_u64().unwrap();
    assert_eq!(subnets.iter().map(zone).collect::<BTreeSet<_>>(), BTreeSet::from([0, 1]));
    let balanced = list(&template.resource("BridgeLoadBalancer")["Properties"]["SubnetMappings"]);
    assert_eq!(balanced.into_iter().map(|mapping| target(&mapping["SubnetId"])).collect::<BTreeSet<_>>(), subnets);
}

#[test]
fn every_port_is_the_same_all_the_way_from_the_load_balancer_to_the_bridge() {
    let template = Template::read();
    for trusting in [false, true] {
        let condition = |resource: &Value| trusting || resource["Condition"] == "DeployBridge";
        let balanced: BTreeMap<u64, &str> = template
            .resources_of("AWS::ElasticLoadBalancingV2::Listener")
            .into_iter()
            .filter(|(name, _)| condition(template.resource(name)))
            .map(|(_, listener)| (&listener["Port"], target(&listener["DefaultActions"][0]["TargetGroupArn"])))
            .map(|(port, targets)| (port.as_u64().unwrap(), targets))
            .collect();
        let ports: BTreeSet<u64> = balanced.keys().copied().collect();

        let listening = environment(&template, trusting).into_iter().filter(|(name, _)| name.ends_with("LISTENERS"));
        assert_eq!(listening.map(|(_, setting)| port(&template, setting)).collect::<BTreeSet<_>>(), ports);
        assert_eq!(container_ports(&template, "udp", trusting), ports);
        for group in ["BridgeLoadBalancerAccess", "BridgeTaskAccess"] {
            assert_eq!(
                opened(&template, group, "udp", trusting).into_keys().collect::<BTreeSet<_>>(),
                ports,
                "{group}"
            );
        }
        let served = given(&template.resource("BridgeService")["Properties"]["LoadBalancers"], trusting).into_iter();
        let served = served.map(|to| (to["ContainerPort"].as_u64().unwrap(), target(&to["TargetGroupArn"])));
        assert_eq!(served.collect::<BTreeMap<_, _>>(), balanced);
        for (port, targets) in balanced {
            let targets = &template.resource(targets)["Properties"];
            assert_eq!((&targets["Port"], &targets["Protocol"]), (&json!(port), &json!("UDP")));
        }
    }
}

#[test]
fn the_load_balancer_asks_the_bridge_whether_it_is_ready_and_nobody_else_can_reach_a_task() {
    let template = Template::read();
    let health = port(&template, environment(&template, false)["HTTP_ADDR"]);
    assert_eq!(container_ports(&template, "tcp", false), BTreeSet::from([health]));
    assert!(opened(&template, "BridgeTaskAccess", "tcp", false).contains_key(&health));
    for (name, targets) in template.resources_of("AWS::ElasticLoadBalancingV2::TargetGroup") {
        assert_eq!(
            (&targets["HealthCheckPath"], &targets["HealthCheckPort"]),
            (&json!("/readyz"), &json!(health.to_string())),
            "{name}"
        );
    }
    assert!(opened(&template, "BridgeLoadBalancerAccess", "tcp", true).is_empty());
    for protocol in ["udp", "tcp"] {
        for (port, rule) in opened(&template, "BridgeTaskAccess", protocol, true) {
            assert_eq!(target(&rule["SourceSecurityGroupId"]), "BridgeLoadBalancerAccess", "{port}");
            assert!(rule.get("CidrIp").is_none(), "{port}");
        }
    }
}

#[test]
fn no_listener_is_in_the_clear_by_default_nor_ever_on_the_internet() {
    let template = Template::read();
    assert_eq!(template.section("Parameters")["BridgeTrustedListener"]["Default"], "false");
    let in_the_clear = |name: &&String| name.contains("TRUSTED");
    assert_eq!(environment(&template, false).keys().filter(in_the_clear).count(), 0);
    assert_eq!(environment(&template, true).keys().filter(in_the_clear).count(), 1);
    let rule = &template.section("Rules")["TrustedListenerStaysInside"];
    assert_eq!(rule["RuleCondition"], json!({"Fn::Equals": [{"Ref": "BridgeTrustedListener"}, "true"]}));
    assert_eq!(rule["Assertions"][0]["Assert"], json!({"Fn::Equals": [{"Ref": "BridgeScheme"}, "internal"]}));
}

#[test]
fn what_is_watched_and_scaled_on_is_what_the_bridge_writes() {
    let template = Template::read();
    let sources = std::fs::read_dir(repository("udp-bridge/src")).unwrap().map(|entry| entry.unwrap().path());
    let written = sources.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap());
    let written = written.collect::<String>() + &read("shared/pipeline/src/telemetry.rs");
    let alarms = template.resources_of("AWS::CloudWatch::Alarm").into_iter();
    let alarms = alarms.filter(|(name, _)| name.starts_with("Bridge")).map(|(_, alarm)| alarm);
    let policies = template.resources_of("AWS::ApplicationAutoScaling::ScalingPolicy").into_iter();
    let policies = policies.map(|(_, policy)| &policy["TargetTrackingScalingPolicyConfiguration"]);
    let scaled = policies.map(|policy| &policy["CustomizedMetricSpecification"]["Metrics"][0]["MetricStat"]["Metric"]);
    for metric in alarms.chain(scaled).filter(|metric| metric["Namespace"] == "Pulsegate") {
        let name = metric["MetricName"].as_str().unwrap();
        assert!(written.contains(&format!("\"{name}\"")), "{name}");
        assert_eq!(metric["Dimensions"], json!([{"Name": "part", "Value": "udp-bridge"}]), "{name}");
    }
}
