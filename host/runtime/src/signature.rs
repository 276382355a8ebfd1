//! Signs requests with this host's own AWS credentials (Signature Version 4). A plugin asks for a request and sees its
//! answer; keys, session token and signature stay on this side.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};

use crate::endpoint::{NetError, NetErrorKind};
use crate::http::HttpResponse;
use crate::scrub::Scrubber;
use crate::signing::Scope;

/// Credentials under way; the text says why there are none.
pub type Identifying<'a> = Pin<Box<dyn Future<Output = Result<Credentials, String>> + Send + 'a>>;

/// Where this host's own AWS credentials come from.
pub trait AwsIdentity: Send + Sync {
    /// Those to sign with now. Asked before each signed request, so it remembers them until they are about to expire.
    fn credentials(&self) -> Identifying<'_>;
}

/// Whoever embeds the runtime has none.
pub(crate) struct NoIdentity;

impl AwsIdentity for NoIdentity {
    fn credentials(&self) -> Identifying<'_> {
        Box::pin(async { Err("this program has none".to_owned()) })
    }
}

/// Whom requests are signed for, and when.
pub(crate) struct Signer {
    pub(crate) identity: Arc<dyn AwsIdentity>,
    pub(crate) now_ms: u64,
}

/// What one request is signed with.
pub(crate) struct Signing<'a> {
    scope: &'a Scope,
    credentials: Credentials,
    now_ms: u64,
}

impl Signer {
    pub(crate) async fn begin<'a>(&self, scope: &'a Scope) -> Result<Signing<'a>, NetError> {
        let credentials = self.identity.credentials().await.map_err(|cause| {
            let message = format!(
                "the request has to be signed for {}, and there are no AWS credentials: {cause}",
                scope.service
            );
            NetError::new(NetErrorKind::Denied, message)
        })?;
        Ok(Signing {
            scope,
            credentials,
            now_ms: self.now_ms,
        })
    }
}

impl Signing<'_> {
    /// Signs what is sent as it is sent: all headers that are there by now, and the body.
    pub(crate) fn sign<B>(
        &self,
        request: &mut Request<B>,
        origin: &str,
        body: &[u8],
    ) -> Result<(), NetError> {
        let wrong = |cause: String| {
            NetError::new(
                NetErrorKind::Other,
                format!("the request cannot be signed: {cause}"),
            )
        };
        let identity = self.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.scope.region)
            .name(&self.scope.service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(self.now_ms))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| wrong(error.to_string()))?
            .into();
        let mut headers = Vec::new();
        for (name, value) in request.headers() {
            let value = value.to_str().map_err(|error| wrong(error.to_string()))?;
            headers.push((name.as_str(), value));
        }
        let url = format!("https://{origin}{}", request.uri());
        let signable = SignableRequest::new(
            request.method().as_str(),
            &url,
            headers.into_iter(),
            SignableBody::Bytes(body),
        )
        .map_err(|error| wrong(error.to_string()))?;
        let signed = sign(signable, &params).map_err(|error| wrong(error.to_string()))?;
        let (headers, _) = signed.into_parts().0.into_parts();
        for header in headers {
            let mut value = HeaderValue::try_from(header.value())
                .map_err(|_| wrong("the credentials hold characters that no header may".into()))?;
            value.set_sensitive(true);
            let name = HeaderName::try_from(header.name())
                .map_err(|_| wrong("the signer names a header that is none".into()))?;
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }

    /// A server that does not like a signature may repeat all that it covers, the session token included.
    pub(crate) fn keep_back(&self, answer: &mut HttpResponse) {
        let mut keys = Scrubber::default();
        keys.add(self.credentials.secret_access_key());
        if let Some(token) = self.credentials.session_token() {
            keys.add(token);
        }
        for (_, value) in &mut answer.headers {
            *value = keys.scrub(value);
        }
        let is_encoded = answer
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
        answer.body = match std::str::from_utf8(&answer.body) {
            Ok(text) if !is_encoded => keys.scrub(text).into_bytes(),
            Ok(_) | Err(_) => Vec::new(),
        };
    }
}
