//! Resource policies: kept, checked and told as on AWS. They decide nothing here: what an access key may do stands in
//! the server's configuration, where no client can change it.

use keyturn_store::SecretName;
use keyturn_store::service::policy;
use serde_json::{Value, json};

use super::Call;
use crate::error::Answer;

const POLICY_CHARS: std::ops::RangeInclusive<usize> = 1..=policy::POLICY_CHARS_MAX;

pub(super) async fn get(call: &mut Call<'_>) -> Answer {
    let (name, arn_suffix) = call.existing().await?;
    let held = call.options().store.resource_policy(&name).await?;
    let mut answer = call.naming(&name, &arn_suffix);
    if let Some(held) = held {
        answer["ResourcePolicy"] = json!(held);
    }
    Ok(answer)
}

pub(super) async fn put(call: &mut Call<'_>) -> Answer {
    let secret = call.existing().await?;
    let text = call.members.required_text("ResourcePolicy", POLICY_CHARS)?;
    let block = call.members.flag("BlockPublicPolicy")?.unwrap_or(false);
    set(call, &secret, Some(text), block).await
}

pub(super) async fn delete(call: &mut Call<'_>) -> Answer {
    let secret = call.existing().await?;
    set(call, &secret, None, false).await
}

async fn set(
    call: &Call<'_>,
    (name, arn_suffix): &(SecretName, String),
    text: Option<&str>,
    block: bool,
) -> Answer {
    let store = &call.options().store;
    let set = async { Ok(store.set_resource_policy(name, text, block).await?) };
    call.change(name, "", set).await?;
    Ok(call.naming(name, arn_suffix))
}

pub(super) async fn validate(call: &mut Call<'_>) -> Answer {
    if call.members.has("SecretId") {
        call.existing().await?;
    }
    let text = call.members.required_text("ResourcePolicy", POLICY_CHARS)?;
    let errors: Vec<Value> = match policy::check(text) {
        Ok(facts) if facts.is_public => vec![json!({
            "CheckName": "BlockPublicPolicy",
            "ErrorMessage": "The resource policy grants broad access to the secret.",
        })],
        Ok(_) => Vec::new(),
        Err(error) => vec![json!({
            "CheckName": "SyntaxCheck",
            "ErrorMessage": error.client_message(),
        })],
    };
    Ok(json!({"PolicyValidationPassed": errors.is_empty(), "ValidationErrors": errors}))
}
