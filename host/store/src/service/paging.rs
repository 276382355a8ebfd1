//! Tokens that say where the next page of a list begins: opaque to clients, and refused if they are not ours. A token
//! names the last thing that was told, so that what is added or removed meanwhile shifts nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ErrorKind, StoreError};

/// A token for a list of this name.
pub fn token(list: &str, last: &impl Serialize) -> Result<String, StoreError> {
    let json = serde_json::to_vec(&(list, last)).map_err(|error| {
        StoreError::new(
            ErrorKind::Internal,
            "the place in a list could not be written down",
            "please report this as a bug with the cause",
        )
        .with_source(error)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// What [`token`] was given.
///
/// # Errors
/// [`ErrorKind::InvalidNextToken`] for anything that is no token of this list.
pub fn last<T: DeserializeOwned>(list: &str, token: &str) -> Result<T, StoreError> {
    let json = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    match serde_json::from_slice::<(String, T)>(&json) {
        Ok((of, last)) if of == list => Ok(last),
        // The parser's message would quote it.
        Ok(_) | Err(_) => Err(StoreError::new(
            ErrorKind::InvalidNextToken,
            "this token is not from an earlier page of the same list",
            "begin the list again without one",
        )
        .for_clients("Invalid token.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_by_its_own_list_only() {
        let token = token("secrets by name", &("shop/\u{f6}", 7)).unwrap();
        assert!(!token.contains("shop"));
        let read: (String, i64) = last("secrets by name", &token).unwrap();
        assert_eq!(read, ("shop/\u{f6}".to_owned(), 7));
        let cut = &token[..token.len() - 1];
        for (list, token) in [
            ("secrets by date", token.as_str()),
            ("secrets by name", cut),
            ("secrets by name", ""),
            ("secrets by name", "!"),
            ("secrets by name", "bnVsbA"),
        ] {
            let error = last::<(String, i64)>(list, token).unwrap_err();
            assert_eq!(error.code(), "InvalidNextTokenException", "{token:?}");
        }
        assert!(last::<(i64, i64)>("secrets by name", &token).is_err());
    }
}
