//! Secrets page by page: filtered, in an order, from where the last page ended.

use serde::{Deserialize, Serialize};

use super::{EmbeddedStore, records};
use crate::error::StoreError;
use crate::service::{ListQuery, Page, SecretRecord, SortBy, filter, paging, rules};
use crate::types::SecretName;

/// Where a secret stands in its list. All keys of one list are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Time(u64),
    Name(String),
}

impl EmbeddedStore {
    /// Lists the secrets that `is_visible` lets through, a page at a time. What it does not is left out before a page
    /// is cut, so that neither a page's length nor its token says that there is more. Every secret is looked at for each
    /// page, so that filters cost no index; only those on the page are read with their versions.
    ///
    /// # Errors
    /// `InvalidParameter` for filters or a limit that AWS would refuse; `InvalidNextToken` for a token that is not from
    /// a page in the same order.
    pub async fn records(
        &self,
        query: ListQuery,
        is_visible: impl Fn(&SecretName) -> bool + Send + 'static,
    ) -> Result<Page, StoreError> {
        rules::check_query(&query)?;
        let list = format!("{:?} {}", query.sort_by, query.descending);
        let after: Option<(Key, String)> = match &query.token {
            Some(token) => Some(paging::last(&list, token)?),
            None => None,
        };
        self.read(move |file| {
            let mut found: Vec<_> = records::without_versions(file)?
                .into_iter()
                .filter(|(_, record)| is_visible(&record.description.name))
                .filter(|(_, record)| query.with_deleted || record.deletion.is_none())
                .filter(|(_, record)| {
                    filter::pass(&query.filters, &record.description, &query.region)
                })
                .map(|(secret, record)| (place(query.sort_by, &record), secret, record))
                .filter(|(place, ..)| match &after {
                    Some(after) if query.descending => place < after,
                    Some(after) => place > after,
                    None => true,
                })
                .collect();
            found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
            if query.descending {
                found.reverse();
            }
            let is_last = found.len() <= query.limit;
            found.truncate(query.limit);
            let next_token = match found.last() {
                Some((place, ..)) if !is_last => Some(paging::token(&list, place)?),
                _ => None,
            };
            let mut records = Vec::with_capacity(found.len());
            for (_, secret, mut record) in found {
                records::add_versions(file, secret, &mut record)?;
                records.push(record);
            }
            Ok(Page {
                records,
                next_token,
            })
        })
        .await
    }
}

/// The name parts secrets of one moment: how many rows there are is nobody's business.
fn place(sort_by: SortBy, record: &SecretRecord) -> (Key, String) {
    let name = record.description.name.as_str().to_owned();
    let key = match sort_by {
        SortBy::Created => Key::Time(record.description.created_at_ms),
        SortBy::Changed => Key::Time(record.description.changed_at_ms),
        SortBy::Accessed => Key::Time(record.accessed_at_ms.unwrap_or(0)),
        SortBy::Name => Key::Name(name.clone()),
    };
    (key, name)
}
