//! BatchGetSecretValue: the current values of several secrets. One that cannot be read is reported beside the others.

use keyturn_store::{SecretName, Which};
use serde_json::{Value, json};

use super::{Call, Operation, SECRET_ID_CHARS, list, values};
use crate::error::{Answer, ApiError};

const SECRETS_MAX: usize = 20;

pub(super) async fn get(call: &mut Call<'_>) -> Answer {
    let ids = call
        .members
        .texts("SecretIdList", &(1..=SECRETS_MAX), &SECRET_ID_CHARS)?;
    let filtered = call.members.has("Filters");
    let mut answer = json!({});
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    match ids {
        Some(_) if filtered => {
            return Err(ApiError::parameter(
                "Either 'SecretIdList' or 'Filters' must be provided, but not both.",
            ));
        }
        Some(_) if call.members.has("MaxResults") => {
            return Err(ApiError::parameter(
                "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
            ));
        }
        Some(ids) => {
            for id in ids {
                match one(call, &id).await {
                    Ok(value) => found.push(value),
                    Err(error) => errors.push(failed(&id, &error)),
                }
            }
        }
        None if !filtered => {
            return Err(ApiError::parameter(
                "Either 'SecretIdList' or 'Filters' must be provided, but not both.",
            ));
        }
        None => {
            call.check_also(Operation::ListSecrets, "")?;
            let most = i64::try_from(SECRETS_MAX).unwrap_or(i64::MAX);
            let page = list::page(call, list::query(call, most)?).await?;
            list::say_next(&mut answer, page.next_token);
            for record in page.records {
                let name = &record.description.name;
                match value(call, name).await {
                    Ok(value) => found.push(value),
                    Err(error) => errors.push(failed(name.as_str(), &error)),
                }
            }
        }
    }
    answer["SecretValues"] = json!(found);
    answer["Errors"] = json!(errors);
    Ok(answer)
}

async fn one(call: &mut Call<'_>, id: &str) -> Answer {
    let name = call.find(id).await?;
    value(call, &name).await
}

async fn value(call: &mut Call<'_>, name: &SecretName) -> Answer {
    call.check_also(Operation::GetSecretValue, name.as_str())?;
    let value = values::read(call, name, &Which::current()).await?;
    call.told.push(name.clone());
    Ok(value)
}

fn failed(id: &str, error: &ApiError) -> Value {
    json!({"SecretId": id, "ErrorCode": error.code, "Message": error.message})
}
