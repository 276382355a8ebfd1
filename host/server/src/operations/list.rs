//! What there is: secrets and versions.

use keyturn_store::SecretName;
use keyturn_store::service::filter::{Filter, FilterKey};
use keyturn_store::service::{ListQuery, Page, SortBy, paging};
use serde_json::{Value, json};

use super::{Call, seconds, secrets};
use crate::error::{Answer, ApiError};
use crate::members::{Members, missing};

const PAGE_MAX: i64 = 100;
const TOKEN_CHARS_MAX: usize = 4096;
const FILTERS_MAX: usize = 10;
const VALUE_CHARS_MAX: usize = 512;

/// Secrets that the key may do this with; the others are not there for it.
pub(super) async fn list(call: &mut Call<'_>) -> Answer {
    let mut query = query(call, PAGE_MAX)?;
    query.with_deleted = call
        .members
        .flag("IncludePlannedDeletion")?
        .unwrap_or(false);
    query.sort_by = match call.members.text("SortBy", 1..=64)? {
        None | Some("created-date") => SortBy::Created,
        Some("last-changed-date") => SortBy::Changed,
        Some("last-accessed-date") => SortBy::Accessed,
        Some("name") => SortBy::Name,
        Some(_) => {
            return Err(ApiError::constraint(
                "SortBy",
                "satisfy enum value set: [created-date, last-accessed-date, last-changed-date, name]",
            ));
        }
    };
    query.descending = match call.members.text("SortOrder", 1..=64)? {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => {
            return Err(ApiError::constraint(
                "SortOrder",
                "satisfy enum value set: [asc, desc]",
            ));
        }
    };
    let page = page(call, query).await?;
    let entries = page.records.iter().map(|record| {
        let mut entry = secrets::entry(call, record);
        entry.insert("SecretVersionsToStages".to_owned(), secrets::stages(record));
        Value::Object(entry)
    });
    let mut answer = json!({"SecretList": entries.collect::<Vec<_>>()});
    say_next(&mut answer, page.next_token);
    Ok(answer)
}

/// Filters, MaxResults and NextToken.
pub(super) fn query(call: &Call<'_>, most: i64) -> Answer<ListQuery> {
    let members = &call.members;
    Ok(ListQuery {
        filters: filters(members)?,
        region: call.options().place.region.clone(),
        limit: limit(members, most)?,
        token: token(members)?.map(str::to_owned),
        ..ListQuery::default()
    })
}

/// What the key may not see is not there: not on the page, nor in what the page says of the next one.
pub(super) async fn page(call: &Call<'_>, query: ListQuery) -> Answer<Page> {
    let grant = call.key.grant.clone();
    let is_visible = move |name: &SecretName| grant.allows_secret(name.as_str());
    Ok(call.options().store.records(query, is_visible).await?)
}

pub(super) fn say_next(answer: &mut Value, token: Option<String>) {
    if let Some(token) = token {
        answer["NextToken"] = json!(token);
    }
}

pub(super) async fn versions(call: &mut Call<'_>) -> Answer {
    let record = call.record_seen().await?;
    let limit = limit(&call.members, PAGE_MAX)?;
    let deprecated = call.members.flag("IncludeDeprecated")?.unwrap_or(false);
    let list = format!("versions {}", record.arn_suffix);
    // Times and ids tell versions apart, and removed ones shift nothing.
    let after: Option<(u64, String)> = match token(&call.members)? {
        Some(token) => Some(paging::last(&list, token)?),
        None => None,
    };
    let mut versions: Vec<_> = record
        .description
        .versions
        .iter()
        .filter(|version| deprecated || !version.labels.is_empty())
        .map(|version| ((version.created_at_ms, version.id.to_string()), version))
        .filter(|(place, _)| after.as_ref().is_none_or(|after| place > after))
        .collect();
    versions.sort_by(|(one, _), (other, _)| one.cmp(other));
    let is_last = versions.len() <= limit;
    versions.truncate(limit);
    let mut answer = call.naming(&record.description.name, &record.arn_suffix);
    if let Some((place, _)) = versions.last()
        && !is_last
    {
        say_next(&mut answer, Some(paging::token(&list, place)?));
    }
    let shown = versions.into_iter().map(|(_, version)| {
        json!({
            "VersionId": version.id,
            "VersionStages": version.labels,
            "CreatedDate": seconds(version.created_at_ms),
            "KmsKeyIds": [record.kms_key_id.as_deref().unwrap_or("DefaultEncryptionKey")],
        })
    });
    answer["Versions"] = shown.collect();
    Ok(answer)
}

fn limit(members: &Members, most: i64) -> Answer<usize> {
    let asked = members.integer("MaxResults", &(1..=most))?.unwrap_or(most);
    Ok(usize::try_from(asked).unwrap_or(1))
}

fn token(members: &Members) -> Answer<Option<&str>> {
    members.text("NextToken", 1..=TOKEN_CHARS_MAX)
}

fn filters(members: &Members) -> Answer<Vec<Filter>> {
    let filters = members.objects("Filters", &(0..=FILTERS_MAX))?;
    let filter = |members: &Members| {
        let key = members.required_text("Key", 1..=64)?;
        let key: FilterKey = key.parse().map_err(|_| {
            ApiError::constraint(
                "Key",
                "satisfy enum value set: [all, name, tag-key, description, tag-value, primary-region, owning-service]",
            )
        })?;
        let values = members.texts("Values", &(1..=FILTERS_MAX), &(0..=VALUE_CHARS_MAX))?;
        let values = values.ok_or_else(|| missing("Values"))?;
        Ok(Filter { key, values })
    };
    filters.unwrap_or_default().iter().map(filter).collect()
}
