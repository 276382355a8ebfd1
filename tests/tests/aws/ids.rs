//! Secrets by their ARNs and by their tags, as a rotation function finds them.

use keyturn_store::{ErrorKind, SecretName, SecretStore};

use crate::support::on_aws;

fn name(text: &str) -> SecretName {
    SecretName::new(text).unwrap()
}

#[tokio::test]
async fn an_arn_means_the_secret_that_the_service_names() {
    let on_aws = on_aws().await;
    // A name that ends like an ARN does.
    for text in ["shop/database", "shop/database-backup"] {
        let suffix = on_aws.create(text).await;
        let arn = format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{text}-{suffix}");
        assert_eq!(on_aws.store.name_of(&arn).await.unwrap(), name(text));
    }
    let elsewhere = "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/database-AbCdEf";
    let error = on_aws.store.name_of(elsewhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn tags_and_notes_tell_whose_secrets_are_keyturns() {
    let on_aws = on_aws().await;
    for text in ["noted", "nobodys", "tagged"] {
        on_aws.create(text).await;
    }
    let tag = |key: &str| [(key.to_owned(), "jwt".to_owned())].into();
    let embedded = &on_aws.endpoint.store;
    embedded
        .tag(&name("tagged"), &tag("keyturn:plugin"))
        .await
        .unwrap();
    embedded
        .tag(&name("nobodys"), &tag("plugin:keyturn:"))
        .await
        .unwrap();
    on_aws
        .store
        .write_notes(&name("noted"), 0, "{}")
        .await
        .unwrap();
    let tagged = on_aws.store.tagged().await.unwrap();
    assert_eq!(tagged, [name("noted"), name("tagged")]);
}
