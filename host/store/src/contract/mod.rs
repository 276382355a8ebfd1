//! What every store must do, as cases that run against any of them: the rules under "Labels" of the AWS semantics one
//! by one, with their error names, and the notes. It exists so that a second store cannot quietly mean something
//! else; it knows no store, and a case that fails panics like the test that it is.
//!
//! [`store_contract!`](crate::store_contract) makes one test of each case; [`cases`] gives them as values.

// The cases are assertions: a panic is their answer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod labels;
pub mod notes;
pub mod reads;
pub mod service;
pub mod tags;
pub mod versions;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Changed, ErrorKind, StoreError};
use crate::limits;
use crate::store::SecretStore;
use crate::types::{NewSecret, Put, SecretDescription, SecretName, VersionId, Which};

/// A store under test, empty, with the handles that a rotation does not have.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The store.
    fn store(&self) -> &dyn SecretStore;
    /// What the service does before it calls a rotation function: a version without a value, under AWSPENDING.
    async fn reserve(&self, name: &SecretName, id: &VersionId) -> Result<(), StoreError>;
    /// Adds tags to a secret, and gives those that are there already the new values.
    async fn tag(
        &self,
        name: &SecretName,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), StoreError>;
    /// Removes the tags with these keys.
    async fn untag(&self, name: &SecretName, keys: &[String]) -> Result<(), StoreError>;
    /// Lets time pass for the store.
    fn advance_ms(&self, by_ms: u64);
    /// The largest notes that the store can keep, in bytes.
    fn notes_bytes_max(&self) -> usize {
        limits::NOTES_BYTES_MAX
    }
    /// Whether versions of one millisecond are told in the order in which they were made. On AWS nobody promises that.
    fn keeps_order_within_a_millisecond(&self) -> bool {
        true
    }
    /// Whether writing notes counts as a change of the secret: it does where they are tags.
    fn notes_count_as_change(&self) -> bool {
        false
    }
}

/// One case of the suite.
pub struct Case {
    /// Group and name, such as `labels::a_label_is_on_one_version_only`.
    pub name: &'static str,
    /// Runs it against an empty store; panics if the store breaks the rule.
    pub run: for<'a> fn(&'a dyn Subject) -> Running<'a>,
}

/// A case in progress.
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Hands the one list of cases to the macro that it is given.
#[doc(hidden)]
#[macro_export]
macro_rules! store_contract_cases {
    ([$($then:tt)*] $($argument:tt)*) => {
        $($then)*! {
            $($argument)*;
            labels {
                the_first_version_gets_current
                put_without_labels_moves_current
                put_of_pending_leaves_current
                put_moves_a_label_held_elsewhere
                put_of_current_moves_previous_to_the_loser
                a_label_is_on_one_version_only
                at_most_20_labels_in_one_call
                at_most_20_labels_on_one_secret
                a_label_has_1_to_256_characters
                moving_a_label_needs_its_present_holder
                moving_a_label_without_naming_its_holder_is_refused
                moving_a_label_that_nobody_holds_needs_no_holder
                a_holder_named_for_an_unheld_label_is_refused
                removing_a_label_needs_its_present_holder
                moving_from_nowhere_to_nowhere_is_refused
                attaching_a_label_where_it_is_changes_nothing
                current_is_never_removed
                a_label_moves_only_to_a_version_that_exists
                promotion_is_compare_and_swap
                of_two_promotions_at_once_one_wins
                promotion_moves_previous_by_itself
                promotion_leaves_pending_where_it_is
                a_rollback_puts_previous_on_the_bad_version
                a_label_of_ones_own_survives_a_rollback
                a_hand_written_value_abandons_the_rotation
                a_hand_written_value_leaves_other_labels_alone
                a_put_that_names_pending_beside_current_keeps_it
                a_put_of_another_label_keeps_pending
                refused_moves_say_what_to_do
            }
            versions {
                the_same_token_and_value_is_a_no_op
                a_repeated_put_moves_no_label_back
                the_same_token_with_another_value_exists_already
                a_value_has_1_to_65536_bytes
                a_value_keeps_every_byte
                an_unlabelled_version_stays_readable_by_its_id
                the_100_newest_versions_are_kept
                no_version_younger_than_24_hours_is_removed
                a_labelled_version_is_never_removed
                creating_twice_alike_is_a_no_op
                creating_over_another_secret_is_refused
                a_description_has_at_most_2048_characters
                changes_are_dated
            }
            service {
                an_announced_version_has_no_value
                an_announced_version_is_filled_by_put
                an_announced_version_cannot_become_current
                announcing_twice_is_a_no_op
                announcing_a_stored_version_is_refused
                announcing_while_another_version_is_pending_is_refused
                a_pending_left_on_current_moves_to_the_announced_version
            }
            reads {
                a_version_is_read_by_label_by_id_and_by_both
                an_id_without_the_label_asked_for_is_an_invalid_request
                what_is_not_there_is_not_found
                a_name_means_itself
                every_method_needs_the_secret
                secrets_are_listed_by_name
                versions_are_described_in_order
                secrets_do_not_share_labels_or_versions
            }
            tags {
                a_new_secret_has_no_tags
                tags_are_described_and_listed
                a_tag_gets_another_value_and_is_removed
                a_key_begins_with_aws_for_nobody
                there_are_50_tags_at_most
                tags_and_versions_leave_each_other_alone
            }
            notes {
                unwritten_notes_are_an_empty_object
                written_notes_are_read_back
                notes_are_compare_and_swap
                of_two_writers_of_notes_one_wins
                notes_are_a_json_object
                notes_have_at_most_65536_bytes
                notes_and_versions_leave_each_other_alone
            }
        }
    };
}

/// Makes a module of tests out of the suite, one per case: `store_contract!(make)`, where `make` is an async function
/// without arguments that answers a [`Subject`] with a fresh store. The crate needs tokio with its macros.
#[macro_export]
macro_rules! store_contract {
    ($make:path) => {
        $crate::store_contract_cases!([$crate::store_contract_tests] $make);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! store_contract_tests {
    ($make:path; $($group:ident { $($case:ident)* })*) => {
        $(mod $group {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    let subject = $make().await;
                    $crate::contract::$group::$case(&subject).await;
                }
            )*
        })*
    };
}

macro_rules! case_values {
    (all; $($group:ident { $($case:ident)* })*) => {
        vec![$($(Case {
            name: concat!(stringify!($group), "::", stringify!($case)),
            run: |subject| Box::pin($group::$case(subject)),
        }),*),*]
    };
}

/// Every case, to run where tests cannot be generated.
pub fn cases() -> Vec<Case> {
    store_contract_cases!([case_values] all)
}

/// The secret of a case, made with version 1 as its first.
struct Bench<'a> {
    subject: &'a dyn Subject,
    name: SecretName,
}

impl<'a> Bench<'a> {
    async fn new(subject: &'a dyn Subject) -> Bench<'a> {
        Self::named(subject, "contract/secret").await
    }

    async fn named(subject: &'a dyn Subject, name: &str) -> Bench<'a> {
        let name = SecretName::new(name).unwrap();
        let new = NewSecret {
            id: id(1),
            value: value("value 1"),
            description: None,
        };
        subject.store().create_secret(&name, new).await.unwrap();
        Bench { subject, name }
    }

    fn store(&self) -> &dyn SecretStore {
        self.subject.store()
    }

    /// Puts version `number` with the value "value `number`".
    async fn put(&self, number: u32, labels: &[&str]) -> Result<Put, StoreError> {
        self.store()
            .put(
                &self.name,
                &id(number),
                &value(&format!("value {number}")),
                labels,
            )
            .await
    }

    async fn move_label(
        &self,
        label: &str,
        from: Option<u32>,
        to: Option<u32>,
    ) -> Result<(), StoreError> {
        let (from, to) = (from.map(id), to.map(id));
        self.store()
            .move_label(&self.name, label, from.as_ref(), to.as_ref())
            .await
    }

    async fn describe(&self) -> SecretDescription {
        self.store().describe(&self.name).await.unwrap()
    }

    /// Asserts the complete state of the labels.
    async fn assert_labels(&self, expected: &[(&str, u32)]) {
        let mut found = BTreeMap::new();
        for version in self.describe().await.versions {
            for label in version.labels {
                let other = found.insert(label.clone(), version.id.clone());
                assert_eq!(other, None, "{label} is on two versions");
            }
        }
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(label, number)| ((*label).to_owned(), id(*number)))
            .collect();
        assert_eq!(found, expected);
    }

    /// Asserts that the secret is as it was described in `before`.
    async fn assert_unchanged(&self, before: &SecretDescription) {
        assert_eq!(self.describe().await, *before);
    }

    async fn read(&self, which: &Which) -> Result<String, StoreError> {
        let version = self.store().get(&self.name, which).await?;
        Ok(version.value.expose_secret().to_owned())
    }
}

/// Asserts that a call was refused as `kind`, under AWS's name `code`, with nothing changed.
fn assert_refused<T: Debug>(result: Result<T, StoreError>, kind: ErrorKind, code: &str) {
    let error = result.expect_err("this should have been refused");
    assert_eq!((error.kind(), error.code()), (kind, code), "{error}");
    assert_eq!(error.changed(), Changed::No, "{error}");
    assert!(!error.is_retryable(), "{error}");
}

fn assert_not_found<T: Debug>(result: Result<T, StoreError>) {
    assert_refused(result, ErrorKind::NotFound, "ResourceNotFoundException");
}

fn assert_invalid_parameter<T: Debug>(result: Result<T, StoreError>) {
    assert_refused(
        result,
        ErrorKind::InvalidParameter,
        "InvalidParameterException",
    );
}

fn assert_invalid_request<T: Debug>(result: Result<T, StoreError>) {
    assert_refused(result, ErrorKind::InvalidRequest, "InvalidRequestException");
}

fn assert_exists<T: Debug>(result: Result<T, StoreError>) {
    assert_refused(result, ErrorKind::AlreadyExists, "ResourceExistsException");
}

/// The id of version `number`, in the form of a UUID.
fn id(number: u32) -> VersionId {
    VersionId::new(format!("00000000-0000-4000-8000-{number:012}")).unwrap()
}

fn value(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A case that is written and not listed would never run.
    #[test]
    fn every_case_is_listed() {
        let sources = [
            include_str!("labels.rs"),
            include_str!("versions.rs"),
            include_str!("service.rs"),
            include_str!("tags.rs"),
            include_str!("reads.rs"),
            include_str!("notes.rs"),
        ];
        let written: usize = sources
            .iter()
            .map(|source| source.matches("\npub async fn ").count())
            .sum();
        assert_eq!(written, cases().len());
    }
}
