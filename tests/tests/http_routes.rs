//! Holds the routes of `template.yaml` to the callback function: which requests reach it, and at which rate.

use std::collections::BTreeMap;

use pulsegate_tests::template::{Template, target};
use serde_json::Value;

/// The routes of the template, by key.
fn routes(template: &Template) -> BTreeMap<&str, &Value> {
    let routes = template.resources_of("AWS::ApiGatewayV2::Route");
    routes.into_iter().map(|(_, route)| (route["RouteKey"].as_str().unwrap(), route)).collect()
}

#[test]
fn each_request_to_the_api_reaches_the_callback_function() {
    let template = Template::read();
    let routes = routes(&template);
    let keys: Vec<&str> = routes.keys().copied().collect();
    assert_eq!(
        keys,
        [
            "$default",
            "ANY /sigfox/{path+}",
            "GET /sigfox/{profile}/{kind}",
            "POST /sigfox/{profile}/{kind}",
            "PUT /sigfox/{profile}/{kind}",
        ]
    );
    for (key, route) in routes {
        assert_eq!(route["Target"]["Fn::Sub"], "integrations/${SigfoxIntegration}", "{key}");
    }
    let integration = &template.resource("SigfoxIntegration")["Properties"];
    assert_eq!(target(&integration["IntegrationUri"]), "SigfoxCallback");
    // A permission that names paths would leave out the default route, whose ARN ends in `/$default`.
    let permission = &template.resource("SigfoxPermission")["Properties"];
    assert!(permission["SourceArn"]["Fn::Sub"].as_str().unwrap().ends_with(":${HttpApi}/*"));
}

#[test]
fn strangers_on_the_default_route_leave_the_callbacks_their_rate() {
    let template = Template::read();
    let stage = template.resource("HttpApiStage");
    let rate = |settings: &Value| template.text(&settings["ThrottlingRateLimit"]).parse::<u32>().unwrap();
    let properties = &stage["Properties"];
    let by_route = properties["RouteSettings"].as_object().unwrap();
    assert_eq!(by_route.keys().collect::<Vec<_>>(), ["$default"]);
    assert!(rate(&by_route["$default"]) * 100 <= rate(&properties["DefaultRouteSettings"]));
    // API Gateway rejects settings of a route that does not exist yet.
    assert_eq!(stage["DependsOn"], "DefaultRoute");
    assert_eq!(template.resource("DefaultRoute")["Properties"]["RouteKey"], "$default");
}
