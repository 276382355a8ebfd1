//! Secrets, versions and labels, in AWS's words.

use harness::endpoint::{Endpoint, locked};
use keyturn_store::Clock;
use serde_json::{Value, json};

use crate::support::{ask, done, token};

async fn create(endpoint: &Endpoint, name: &str) -> Value {
    let body = json!({"Name": name, "SecretString": "first", "ClientRequestToken": token(1)});
    done(endpoint, "CreateSecret", body).await
}

fn put(name: &str, number: u32, value: &str, stages: &[&str]) -> Value {
    let mut body =
        json!({"SecretId": name, "SecretString": value, "ClientRequestToken": token(number)});
    if !stages.is_empty() {
        body["VersionStages"] = json!(stages);
    }
    body
}

#[tokio::test]
async fn a_secret_is_read_by_name_by_arn_and_by_a_part_of_its_arn() {
    let endpoint = Endpoint::start().await.unwrap();
    let made = create(&endpoint, "prod/database").await;
    let arn = made["ARN"].as_str().unwrap();
    let (partial, suffix) = arn.rsplit_once('-').unwrap();
    assert_eq!(
        partial,
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/database"
    );
    assert!(
        suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric()),
        "{arn}"
    );
    assert_eq!(made["VersionId"], token(1));
    for id in ["prod/database", arn, partial] {
        let read = done(&endpoint, "GetSecretValue", json!({"SecretId": id})).await;
        assert_eq!(read["ARN"], arn);
        assert_eq!(read["Name"], "prod/database");
        assert_eq!(read["SecretString"], "first");
        assert_eq!(read["VersionId"], token(1));
        assert_eq!(read["VersionStages"], json!(["AWSCURRENT"]));
        let made_at = read["CreatedDate"].as_f64().unwrap();
        let now = endpoint.clock.now_ms() as f64 / 1000.0;
        assert!((now - made_at).abs() < 60.0, "{made_at}");
    }
    let other = format!("{partial}-zzzzzz");
    for id in [
        other.as_str(),
        "prod/database-zzzzzz",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/database",
    ] {
        let absent = ask(&endpoint, "GetSecretValue", json!({"SecretId": id})).await;
        assert_eq!(absent.code(), "ResourceNotFoundException", "{id}");
        assert_eq!(
            absent.message(),
            "Secrets Manager can't find the specified secret."
        );
    }
}

#[tokio::test]
async fn a_name_that_looks_like_the_end_of_an_arn_is_found_too() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "prod/key-abcdef").await;
    let partial = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/key-abcdef";
    let read = done(&endpoint, "GetSecretValue", json!({"SecretId": partial})).await;
    assert_eq!(read["Name"], "prod/key-abcdef");
}

#[tokio::test]
async fn versions_are_read_by_id_by_stage_and_by_both() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    let answer = done(
        &endpoint,
        "PutSecretValue",
        put("a", 2, "second", &["AWSPENDING"]),
    )
    .await;
    assert_eq!(answer["VersionStages"], json!(["AWSPENDING"]));
    let get = async |id: Option<u32>, stage: Option<&str>| {
        let body = json!({"SecretId": "a", "VersionId": id.map(token), "VersionStage": stage});
        ask(&endpoint, "GetSecretValue", body).await
    };
    assert_eq!(get(None, None).await.body["SecretString"], "first");
    assert_eq!(get(Some(2), None).await.body["SecretString"], "second");
    assert_eq!(
        get(None, Some("AWSPENDING")).await.body["SecretString"],
        "second"
    );
    assert_eq!(
        get(Some(2), Some("AWSPENDING")).await.body["SecretString"],
        "second"
    );
    let mismatched = get(Some(2), Some("AWSCURRENT")).await;
    assert_eq!(mismatched.code(), "InvalidRequestException");
    assert_eq!(
        mismatched.message(),
        "You provided a VersionStage that is not associated to the provided VersionId."
    );
    let unlabelled = get(None, Some("AWSPREVIOUS")).await;
    assert_eq!(unlabelled.code(), "ResourceNotFoundException");
    assert_eq!(
        unlabelled.message(),
        "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS"
    );
    let absent = get(Some(3), None).await;
    let message = format!(
        "Secrets Manager can't find the specified secret value for VersionId: {}",
        token(3)
    );
    assert_eq!(absent.message(), message);
}

#[tokio::test]
async fn a_token_is_one_value() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    let first = done(&endpoint, "PutSecretValue", put("a", 2, "second", &[])).await;
    let again = done(&endpoint, "PutSecretValue", put("a", 2, "second", &[])).await;
    assert_eq!(first, again);
    let other = ask(&endpoint, "PutSecretValue", put("a", 2, "third", &[])).await;
    assert_eq!(other.code(), "ResourceExistsException");
    let words = format!(
        "You can't use ClientRequestToken {} because that value is already in use for a version of the secret.",
        token(2)
    );
    assert_eq!(other.message(), words);
    let updated =
        json!({"SecretId": "a", "SecretString": "second", "ClientRequestToken": token(2)});
    assert_eq!(
        ask(&endpoint, "UpdateSecret", updated).await.message(),
        words
    );
    let wrong = ask(&endpoint, "GetSecretValue", json!({"SecretId": "a b"})).await;
    assert_eq!(wrong.code(), "ValidationException");
    assert!(
        wrong.message().starts_with("Invalid name."),
        "{}",
        wrong.message()
    );
    // CreateSecret with its own token is the same call again, with another one it is another secret.
    create(&endpoint, "a").await;
    let body = json!({"Name": "a", "SecretString": "first", "ClientRequestToken": token(9)});
    let taken = ask(&endpoint, "CreateSecret", body).await;
    assert_eq!(taken.code(), "ResourceExistsException");
    assert_eq!(
        taken.message(),
        "The operation failed because the secret a already exists."
    );
}

// Long because it is a table and what follows from it.
#[tokio::test]
async fn labels_move_only_from_who_holds_them() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    done(
        &endpoint,
        "PutSecretValue",
        put("a", 2, "second", &["AWSPENDING"]),
    )
    .await;
    let update = async |from: Option<u32>, to: Option<u32>, stage: &str| {
        let body = json!({
            "SecretId": "a", "VersionStage": stage,
            "RemoveFromVersionId": from.map(token), "MoveToVersionId": to.map(token),
        });
        ask(&endpoint, "UpdateSecretVersionStage", body).await
    };
    for (from, to, stage, words) in [
        (
            None,
            Some(2),
            "AWSCURRENT",
            "The parameter RemoveFromVersionId can't be empty.",
        ),
        (
            Some(2),
            Some(2),
            "AWSCURRENT",
            "The parameter RemoveFromVersionId is incorrect.",
        ),
        (
            Some(1),
            None,
            "AWSCURRENT",
            "You can only move staging label AWSCURRENT",
        ),
        (
            Some(1),
            None,
            "AWSPENDING",
            "The parameter RemoveFromVersionId is incorrect.",
        ),
        (
            Some(1),
            None,
            "MINE",
            "The parameter RemoveFromVersionId is incorrect.",
        ),
    ] {
        let refused = update(from, to, stage).await;
        assert_eq!(
            refused.code(),
            "InvalidParameterException",
            "{stage} {}",
            refused.body
        );
        assert!(
            refused.message().starts_with(words),
            "{}",
            refused.message()
        );
    }
    assert_eq!(
        update(Some(1), Some(3), "AWSCURRENT").await.code(),
        "ResourceNotFoundException"
    );
    let moved = update(Some(1), Some(2), "AWSCURRENT").await;
    assert_eq!(
        (moved.status, moved.body["Name"].as_str()),
        (200, Some("a"))
    );
    let described = done(&endpoint, "DescribeSecret", json!({"SecretId": "a"})).await;
    let stages = &described["VersionIdsToStages"];
    assert_eq!(stages[token(1)], json!(["AWSPREVIOUS"]));
    assert_eq!(stages[token(2)], json!(["AWSCURRENT", "AWSPENDING"]));
}

// Long because it is one table.
#[tokio::test]
async fn members_are_held_to_awss_types_and_bounds_and_never_quoted() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    let long = "x".repeat(65_537);
    let table = [
        ("GetSecretValue", json!({}), "ValidationException"),
        (
            "GetSecretValue",
            json!({"SecretId": ""}),
            "ValidationException",
        ),
        (
            "GetSecretValue",
            json!({"SecretId": 7}),
            "SerializationException",
        ),
        (
            "GetSecretValue",
            json!({"SecretId": "x".repeat(2_049)}),
            "ValidationException",
        ),
        (
            "GetSecretValue",
            json!({"SecretId": "a", "VersionId": "short"}),
            "ValidationException",
        ),
        (
            "GetSecretValue",
            json!({"SecretId": "a", "VersionStage": ""}),
            "ValidationException",
        ),
        (
            "CreateSecret",
            json!({"Name": "b c", "SecretString": "xyzzy", "ClientRequestToken": token(2)}),
            "ValidationException",
        ),
        (
            "CreateSecret",
            json!({"Name": "x".repeat(513), "SecretString": "xyzzy", "ClientRequestToken": token(2)}),
            "ValidationException",
        ),
        (
            "CreateSecret",
            json!({"Name": "b", "SecretString": "xyzzy"}),
            "InvalidRequestException",
        ),
        (
            "CreateSecret",
            json!({"Name": "b", "SecretString": long, "ClientRequestToken": token(2)}),
            "ValidationException",
        ),
        (
            "CreateSecret",
            json!({"Name": "b", "SecretString": "xyzzy", "Description": "x".repeat(2_049), "ClientRequestToken": token(2)}),
            "ValidationException",
        ),
        (
            "CreateSecret",
            json!({"Name": "b", "SecretBinary": "xyzzy", "ClientRequestToken": token(2)}),
            "InvalidParameterException",
        ),
        (
            "CreateSecret",
            json!({"Name": "b", "SecretBinary": "eA==", "SecretString": "xyzzy", "ClientRequestToken": token(2)}),
            "InvalidParameterException",
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "a", "ClientRequestToken": token(2)}),
            "InvalidRequestException",
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "a", "SecretString": "", "ClientRequestToken": token(2)}),
            "ValidationException",
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "a", "SecretString": "xyzzy", "VersionStages": [], "ClientRequestToken": token(2)}),
            "ValidationException",
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "a", "SecretString": "xyzzy", "VersionStages": [1], "ClientRequestToken": token(2)}),
            "SerializationException",
        ),
        (
            "PutSecretValue",
            json!({"SecretId": "a", "SecretString": "xyzzy", "VersionStages": "A", "ClientRequestToken": token(2)}),
            "SerializationException",
        ),
        (
            "ListSecrets",
            json!({"MaxResults": 0}),
            "ValidationException",
        ),
        (
            "ListSecrets",
            json!({"MaxResults": 101}),
            "ValidationException",
        ),
        (
            "ListSecrets",
            json!({"MaxResults": 1.5}),
            "SerializationException",
        ),
        (
            "ListSecrets",
            json!({"NextToken": "xyzzy!"}),
            "InvalidNextTokenException",
        ),
        (
            "ListSecrets",
            json!({"SortOrder": "up"}),
            "ValidationException",
        ),
        (
            "ListSecrets",
            json!({"Filters": [{"Key": "colour", "Values": ["a"]}]}),
            "ValidationException",
        ),
        (
            "ListSecrets",
            json!({"Filters": [{"Key": "name"}]}),
            "ValidationException",
        ),
    ];
    for (operation, body, code) in table {
        let refused = ask(&endpoint, operation, body.clone()).await;
        assert_eq!(
            refused.code(),
            code,
            "{operation} {body:.100}: {}",
            refused.body
        );
        assert_eq!(refused.status, 400);
        assert!(
            !refused.body.to_string().contains("xyzzy"),
            "{}",
            refused.body
        );
    }
    // Members that are null or unknown are not there.
    let read = json!({"SecretId": "a", "VersionId": null, "Extra": {"x": 1}});
    done(&endpoint, "GetSecretValue", read).await;
}

#[tokio::test]
async fn nothing_is_changed_without_a_line_in_the_audit_trail() {
    let endpoint = Endpoint::start().await.unwrap();
    create(&endpoint, "a").await;
    *locked(&endpoint.around.trail_is_full) = true;
    let refused = ask(&endpoint, "PutSecretValue", put("a", 2, "second", &[])).await;
    assert_eq!(
        (refused.status, refused.code()),
        (500, "InternalServiceError")
    );
    let read = done(&endpoint, "GetSecretValue", json!({"SecretId": "a"})).await;
    assert_eq!(read["SecretString"], "first");
    *locked(&endpoint.around.trail_is_full) = false;
    done(&endpoint, "PutSecretValue", put("a", 2, "second", &[])).await;
    let changes = locked(&endpoint.around.changes);
    let last = changes.last().unwrap();
    assert_eq!(
        (last.operation, last.version.as_str()),
        ("PutSecretValue", token(2).as_str())
    );
}

#[tokio::test]
async fn several_are_read_at_once_and_what_fails_is_told_beside_them() {
    let endpoint = Endpoint::start().await.unwrap();
    for name in ["prod/a", "prod/b", "staging/a"] {
        create(&endpoint, name).await;
    }
    let ids = json!({"SecretIdList": ["prod/a", "nowhere", "staging/a"]});
    let answer = done(&endpoint, "BatchGetSecretValue", ids).await;
    let names: Vec<_> = answer["SecretValues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| &value["Name"])
        .collect();
    assert_eq!(names, ["prod/a", "staging/a"]);
    assert_eq!(answer["SecretValues"][0]["SecretString"], "first");
    assert_eq!(answer["Errors"][0]["SecretId"], "nowhere");
    assert_eq!(
        answer["Errors"][0]["ErrorCode"],
        "ResourceNotFoundException"
    );
    {
        let requests = locked(&endpoint.around.requests);
        let told = &requests.last().unwrap().secrets;
        assert_eq!(
            format!("{told:?}"),
            r#"[SecretName("prod/a"), SecretName("staging/a")]"#
        );
    }
    let filters = json!([{"Key": "name", "Values": ["prod/"]}]);
    let first = done(
        &endpoint,
        "BatchGetSecretValue",
        json!({"Filters": filters, "MaxResults": 1}),
    )
    .await;
    assert_eq!(first["SecretValues"][0]["Name"], "prod/a");
    let next = json!({"Filters": filters, "MaxResults": 1, "NextToken": first["NextToken"]});
    let second = done(&endpoint, "BatchGetSecretValue", next).await;
    assert_eq!(second["SecretValues"][0]["Name"], "prod/b");
    assert_eq!(second["NextToken"], Value::Null);
    for body in [
        json!({}),
        json!({"Filters": filters, "SecretIdList": ["prod/a"]}),
        json!({"SecretIdList": ["prod/a"], "MaxResults": 1}),
    ] {
        let refused = ask(&endpoint, "BatchGetSecretValue", body).await;
        assert_eq!(refused.code(), "InvalidParameterException");
    }
}

#[tokio::test]
async fn random_passwords_have_what_is_asked_for() {
    let endpoint = Endpoint::start().await.unwrap();
    let password = async |options: Value| {
        let answer = done(&endpoint, "GetRandomPassword", options).await;
        answer["RandomPassword"].as_str().unwrap().to_owned()
    };
    let usual = password(json!({})).await;
    assert_eq!(usual.len(), 32);
    assert!(usual != password(json!({})).await);
    for _ in 0..50 {
        let short = password(json!({"PasswordLength": 4})).await;
        let has = |is: fn(&char) -> bool| short.chars().any(|c| is(&c));
        assert!(
            has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase),
            "{short}"
        );
        assert!(
            has(char::is_ascii_digit) && has(char::is_ascii_punctuation),
            "{short}"
        );
    }
    let digits = json!({"ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludePunctuation": true, "ExcludeCharacters": "01234", "PasswordLength": 200});
    assert!(password(digits).await.chars().all(|c| "56789".contains(c)));
    for impossible in [
        json!({"ExcludeLowercase": true, "ExcludeUppercase": true, "ExcludePunctuation": true, "ExcludeNumbers": true}),
        json!({"ExcludeCharacters": "0123456789"}),
        json!({"PasswordLength": 3}),
    ] {
        let refused = ask(&endpoint, "GetRandomPassword", impossible).await;
        assert_eq!(refused.code(), "InvalidParameterException");
    }
    assert_eq!(
        ask(
            &endpoint,
            "GetRandomPassword",
            json!({"PasswordLength": 4097})
        )
        .await
        .code(),
        "ValidationException"
    );
}
