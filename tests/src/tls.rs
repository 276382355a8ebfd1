//! Certificates for servers under test: an authority of our own and the faulty ones that a client
//! must refuse (another authority's, an expired one, one for another name). Nothing here is written
//! to disk; the caller decides who gets which PEM.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

#[derive(Debug, thiserror::Error)]
#[error("making a certificate: {0}")]
pub struct TlsError(#[from] rcgen::Error);

/// A certificate authority; two of them do not trust each other.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a server presents. Both fields are PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl Authority {
    /// `name` is the common name, so that an error message tells two authorities apart.
    pub fn new(name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// The authority's own certificate: what a client is given as CA bundle.
    pub fn certificate_pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server certificate for these DNS names and IP addresses. For "wrong name", issue one for
    /// a name that nobody connects to.
    pub fn issue(&self, names: &[&str]) -> Result<Identity, TlsError> {
        self.issue_with(Self::server_params(names)?)
    }

    /// The same, but its validity ended in 2001.
    pub fn issue_expired(&self, names: &[&str]) -> Result<Identity, TlsError> {
        let mut params = Self::server_params(names)?;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.issue_with(params)
    }

    fn server_params(names: &[&str]) -> Result<CertificateParams, TlsError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "server under test");
        params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ServerAuth);
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn issue_with(&self, params: CertificateParams) -> Result<Identity, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}
