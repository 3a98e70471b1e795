//! The description, and whether it is true.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::site::Site;

#[tokio::test]
async fn description_is_served_as_it_is_generated() {
    let site = Site::new().await;
    let reply = site.call("GET", "/openapi.json").token(None).send().await;
    assert_eq!(reply.json(), api::openapi());
    assert!(reply.json()["openapi"].as_str().unwrap().starts_with("3.1."));
}

#[test]
fn description_has_every_route() {
    let contract = api::openapi();
    let operations = contract["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let path = path.strip_prefix(api::PREFIX).unwrap();
        item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
    });
    let expected = "
        post /execute
        post /execute/batch
        post /batch
        put /batch/{id}/items
        post /batch/{id}/seal
        post /batch/{id}/pause
        post /batch/{id}/resume
        post /batch/{id}/budget
        get /programs
        get /programs/{id}
        put /programs/{id}
        delete /programs/{id}
        get /execution/{id}
        post /execution/{id}/cancel
        post /execution/{id}/retry
        get /execution/{id}/why
        get /executions
        get /batch/{id}
        get /batch/{id}/results
        get /batch/{id}/summary
        post /batch/{id}/cancel
        post /batch/{id}/retry
        get /batches
        get /dead
        post /dead/retry
        get /stats
        post /cache/clear
        post /queue/pause
        post /queue/resume
        get /health
        get /health/live
        get /health/ready
        get /metrics
        get /openapi.json
        get /docs";
    let expected: BTreeSet<String> =
        expected.trim().lines().map(|it| it.trim().to_owned()).collect();
    assert_eq!(operations.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let contract = api::openapi();
    let items = contract["paths"].as_object().unwrap().values();
    let operations: Vec<&Value> = items.flat_map(|it| it.as_object().unwrap().values()).collect();
    let names = operations.iter().map(|it| it["operationId"].as_str().unwrap());
    assert_eq!(names.collect::<BTreeSet<_>>().len(), operations.len());
}

#[test]
fn every_reference_leads_somewhere() {
    let contract = api::openapi();
    let mut references = Vec::new();
    collect(&contract, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.trim_start_matches('#');
        assert!(contract.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    if let Some(reference) = value["$ref"].as_str() {
        references.push(reference.to_owned());
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|it| collect(it, references)),
        Value::Array(items) => items.iter().for_each(|it| collect(it, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_operation_is_described_with_its_problems() {
    let contract = api::openapi();
    for (path, item) in contract["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{name}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{name}");
            let closed = operation["security"][0]["token"].is_array();
            for status in if closed { &["401", "403", "429", "503", "500"][..] } else { &["500"] } {
                let problem = &answers[*status]["content"]["application/problem+json"];
                assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem", "{name}");
            }
        }
    }
    let execute = &contract["paths"]["/api/v1/dspy/execute"]["post"];
    for status in ["400", "404", "413", "415", "422"] {
        assert!(execute["responses"][status].is_object(), "{status}");
    }
    assert_eq!(contract["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

#[test]
fn record_is_described_as_it_is_written() {
    let contract = api::openapi();
    let schema = &contract["components"]["schemas"]["ExecutionRecord"]["properties"];
    let described: BTreeSet<&str> =
        schema.as_object().unwrap().keys().map(String::as_str).collect();
    for name in ["execution_id", "status", "success", "outputs", "error", "execution_time"] {
        assert!(described.contains(name), "{name}");
    }
    assert_eq!(schema["status"]["enum"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn page_of_the_description_needs_nobody_else() {
    let site = Site::new().await;
    let reply = site.call("GET", "/docs").token(None).send().await;
    assert!(reply.header("content-type").starts_with("text/html"));
    assert!(reply.header("content-security-policy").contains("default-src 'none'"));
    for foreign in ["http://", "https://", "src=", "@import"] {
        assert!(!reply.text().contains(foreign), "{foreign}");
    }
}
