//! Lists: filters, orders, pages.

use harness::endpoint::Endpoint;
use serde_json::{Value, json};

use crate::support::{ask, ask_as, done, token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

async fn stocked() -> Endpoint {
    let endpoint = Endpoint::start().await.unwrap();
    for (name, description) in [
        ("prod/database", "Orders of the shop"),
        ("prod/cache", "Sessions"),
        ("staging/database", "Orders, rehearsed"),
    ] {
        endpoint.clock.advance_ms(1_000);
        let body = json!({"Name": name, "Description": description, "SecretString": "v", "ClientRequestToken": token(1)});
        done(&endpoint, "CreateSecret", body).await;
    }
    endpoint
}

fn names(answer: &Value) -> Vec<&str> {
    let entries = answer["SecretList"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["Name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn entries_say_what_there_is_and_no_value() {
    let endpoint = stocked().await;
    let answer = done(&endpoint, "ListSecrets", json!({})).await;
    let entry = &answer["SecretList"][0];
    assert_eq!(entry["Name"], "prod/database");
    assert_eq!(entry["Description"], "Orders of the shop");
    assert_eq!(
        entry["SecretVersionsToStages"][token(1)],
        json!(["AWSCURRENT"])
    );
    assert!(
        entry["ARN"]
            .as_str()
            .unwrap()
            .contains(":secret:prod/database-")
    );
    assert!(entry["CreatedDate"].is_f64() && entry["LastChangedDate"].is_f64());
    assert_eq!(entry["SecretString"], Value::Null);
}

#[tokio::test]
async fn filters_are_awss() {
    let endpoint = stocked().await;
    for (key, values, wanted) in [
        ("name", vec!["prod/"], vec!["prod/database", "prod/cache"]),
        ("name", vec!["Prod/"], vec![]),
        ("name", vec!["database"], vec![]),
        (
            "name",
            vec!["prod/c", "staging"],
            vec!["prod/cache", "staging/database"],
        ),
        ("name", vec!["!prod/"], vec!["staging/database"]),
        ("name", vec!["prod/", "!prod/c"], vec!["prod/database"]),
        (
            "description",
            vec!["orders"],
            vec!["prod/database", "staging/database"],
        ),
        ("description", vec!["rders"], vec![]),
        ("all", vec!["SESSIONS"], vec!["prod/cache"]),
        (
            "all",
            vec!["database"],
            vec!["prod/database", "staging/database"],
        ),
        ("owning-service", vec!["rds"], vec![]),
    ] {
        let body = json!({"Filters": [{"Key": key, "Values": values}]});
        let answer = done(&endpoint, "ListSecrets", body).await;
        assert_eq!(names(&answer), wanted, "{key} {values:?}");
    }
    let both = json!({"Filters": [
        {"Key": "name", "Values": ["prod/"]}, {"Key": "description", "Values": ["orders"]},
    ]});
    assert_eq!(
        names(&done(&endpoint, "ListSecrets", both).await),
        ["prod/database"]
    );
}

#[tokio::test]
async fn orders_are_awss() {
    let endpoint = stocked().await;
    for (by, order, wanted) in [
        (
            "created-date",
            "asc",
            ["prod/database", "prod/cache", "staging/database"],
        ),
        (
            "created-date",
            "desc",
            ["staging/database", "prod/cache", "prod/database"],
        ),
        (
            "name",
            "asc",
            ["prod/cache", "prod/database", "staging/database"],
        ),
        (
            "name",
            "desc",
            ["staging/database", "prod/database", "prod/cache"],
        ),
    ] {
        let body = json!({"SortBy": by, "SortOrder": order});
        let answer = done(&endpoint, "ListSecrets", body).await;
        assert_eq!(names(&answer), wanted, "{by} {order}");
    }
}

#[tokio::test]
async fn pages_leave_nothing_out_while_the_list_changes() {
    let endpoint = stocked().await;
    let first = done(
        &endpoint,
        "ListSecrets",
        json!({"SortBy": "name", "MaxResults": 2}),
    )
    .await;
    assert_eq!(names(&first), ["prod/cache", "prod/database"]);
    let new = json!({"Name": "prod/a", "SecretString": "v", "ClientRequestToken": token(1)});
    done(&endpoint, "CreateSecret", new).await;
    let next = json!({"SortBy": "name", "MaxResults": 2, "NextToken": first["NextToken"]});
    let second = done(&endpoint, "ListSecrets", next).await;
    assert_eq!(names(&second), ["staging/database"]);
    assert_eq!(second["NextToken"], Value::Null);
}

#[tokio::test]
async fn versions_are_listed_and_deprecated_ones_on_request() {
    let endpoint = stocked().await;
    for number in 2..=4 {
        endpoint.clock.advance_ms(1_000);
        let body = json!({"SecretId": "prod/cache", "SecretString": format!("{number}"), "ClientRequestToken": token(number)});
        done(&endpoint, "PutSecretValue", body).await;
    }
    let ids = |answer: &Value| -> Vec<String> {
        let versions = answer["Versions"].as_array().unwrap().iter();
        versions
            .map(|version| version["VersionId"].as_str().unwrap().to_owned())
            .collect()
    };
    let labelled = done(
        &endpoint,
        "ListSecretVersionIds",
        json!({"SecretId": "prod/cache"}),
    )
    .await;
    assert_eq!(ids(&labelled), [token(3), token(4)]);
    assert_eq!(
        labelled["Versions"][0]["VersionStages"],
        json!(["AWSPREVIOUS"])
    );
    let mut body = json!({"SecretId": "prod/cache", "IncludeDeprecated": true, "MaxResults": 3});
    let first = done(&endpoint, "ListSecretVersionIds", body.clone()).await;
    assert_eq!(ids(&first), [token(1), token(2), token(3)]);
    body["NextToken"] = first["NextToken"].clone();
    assert_eq!(
        ids(&done(&endpoint, "ListSecretVersionIds", body).await),
        [token(4)]
    );
    let absent = ask(
        &endpoint,
        "ListSecretVersionIds",
        json!({"SecretId": "none"}),
    )
    .await;
    assert_eq!(absent.code(), "ResourceNotFoundException");
}

/// Pages of one, in each order, by a key that sees two of three secrets; filters ask for what it does not see.
#[tokio::test]
async fn a_list_says_nothing_of_what_a_key_may_not_see() {
    let endpoint = stocked().await;
    let ask = async |operation, body: &Value| {
        let answered = ask_as(&endpoint, &endpoint.reader, operation, body).await;
        assert_eq!(answered.status, 200, "{}", answered.body);
        answered.body
    };
    for (by, order) in [
        ("name", "asc"),
        ("name", "desc"),
        ("created-date", "asc"),
        ("created-date", "desc"),
    ] {
        let mut body = json!({"SortBy": by, "SortOrder": order, "MaxResults": 1});
        let mut pages = Vec::new();
        loop {
            let page = ask("ListSecrets", &body).await;
            pages.push(names(&page).join(" "));
            let Some(token) = page["NextToken"].as_str() else {
                break;
            };
            let said = URL_SAFE_NO_PAD.decode(token).unwrap();
            assert!(!String::from_utf8(said).unwrap().contains("staging"));
            body["NextToken"] = json!(token);
        }
        pages.sort();
        assert_eq!(pages, ["prod/cache", "prod/database"], "{by} {order}");
    }
    for (key, value) in [("name", "staging/"), ("all", "rehearsed")] {
        let filters = json!([{"Key": key, "Values": [value]}]);
        let listed = json!({"Filters": filters, "MaxResults": 1});
        assert_eq!(ask("ListSecrets", &listed).await, json!({"SecretList": []}));
    }
}
