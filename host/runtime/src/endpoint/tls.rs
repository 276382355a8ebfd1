//! TLS towards a target: which roots, which checks, and errors that name the fix. There is no
//! downgrade: the mode is decided before the first byte and nothing the peer does changes it.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};

use super::net_error::{NetError, NetErrorKind};
use super::verifier::{AnyName, AnyServer};
use crate::grant::TlsMode;

/// Whom to trust: the system's roots, read on first use (they cost tens of milliseconds), or a CA
/// bundle, read when it is granted.
pub(crate) struct TlsTrust {
    provider: Arc<CryptoProvider>,
    /// Trusted beside the system's roots.
    more: Vec<CertificateDer<'static>>,
    verifier: OnceLock<Result<Arc<dyn ServerCertVerifier>, String>>,
}

impl TlsTrust {
    pub(crate) fn system() -> Self {
        Self {
            provider: provider(),
            more: Vec::new(),
            verifier: OnceLock::new(),
        }
    }

    /// The system's roots and a PEM bundle with at least one certificate.
    pub(crate) fn system_and(path: &Path) -> Result<Self, String> {
        let more = certificates(path)?;
        Ok(Self {
            more,
            ..Self::system()
        })
    }

    /// A PEM bundle with at least one certificate.
    pub(crate) fn from_file(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| {
                format!("{shown} holds a certificate that cannot be used: {error}")
            })?;
        }
        let provider = provider();
        let verifier: Arc<dyn ServerCertVerifier> =
            WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone())
                .build()
                .map_err(|error| format!("{shown} cannot be used: {error}"))?;
        Ok(Self {
            provider,
            more: Vec::new(),
            verifier: OnceLock::from(Ok(verifier)),
        })
    }

    /// The client's configuration; a fresh one each time, so that no session is resumed and every
    /// login is a full handshake. None if the mode has no TLS.
    pub(crate) fn client(&self, mode: TlsMode) -> Result<Option<Arc<ClientConfig>>, NetError> {
        let verifier: Arc<dyn ServerCertVerifier> = match mode {
            TlsMode::Disable => return Ok(None),
            TlsMode::Require => Arc::new(AnyServer {
                algorithms: self.provider.signature_verification_algorithms,
            }),
            TlsMode::VerifyCa => Arc::new(AnyName {
                inner: self.verifier()?,
            }),
            TlsMode::VerifyFull => self.verifier()?,
        };
        let config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| NetError::new(NetErrorKind::Tls, error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Some(Arc::new(config)))
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, NetError> {
        let verifier = self.verifier.get_or_init(|| {
            let (more, provider) = (self.more.clone(), self.provider.clone());
            match rustls_platform_verifier::Verifier::new_with_extra_roots(more, provider) {
                Ok(verifier) => Ok(Arc::new(verifier)),
                Err(error) => Err(error.to_string()),
            }
        });
        verifier.clone().map_err(|cause| {
            let fix = "install ca-certificates, or set `ca` in the endpoint's grant";
            NetError::new(
                NetErrorKind::Tls,
                format!("the system's CA roots cannot be read ({cause}); {fix}"),
            )
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = read.map_err(|error| format!("{shown} is not a PEM bundle: {error}"))?;
    if certificates.is_empty() {
        return Err(format!(
            "{shown} holds no certificate; give a PEM bundle (-----BEGIN CERTIFICATE-----)"
        ));
    }
    Ok(certificates)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What a failed handshake means and what to do.
pub(super) fn handshake_error(
    error: &io::Error,
    label: &str,
    endpoint: &str,
    name: &ServerName<'_>,
) -> NetError {
    let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
    else {
        let network = NetError::from_io(error, label);
        let message = format!("{} during the TLS handshake", network.message);
        return NetError { message, ..network };
    };
    let name = name.to_str();
    let message = match tls {
        // A bad signature is what a CA looks like that was made anew under its old name.
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => format!(
            "the certificate of {label} comes from an authority that is not trusted; set \
             grant.endpoint.{endpoint}.ca to the file with its CA"
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "the certificate of {label} is not valid for \"{name}\"; set \
             grant.endpoint.{endpoint}.server_name to a name that it carries"
        ),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!("the certificate of {label} has expired; renew it on the server"),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => format!(
            "the certificate of {label} is not valid yet; check the clocks of both machines"
        ),
        Error::InvalidMessage(_) => {
            format!("{label} does not answer in TLS; check that the server has TLS switched on")
        }
        other => format!("TLS with {label} failed: {other}"),
    };
    NetError::new(NetErrorKind::Tls, message)
}
