//! What the server presents: a certificate with the chain behind it, and a private key that nobody else may read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// An RSA key of 8,192 bits has seven thousand bytes: a buffer that does not grow leaves no copy behind.
const KEY_BYTES: usize = 16 * 1024;

/// From PEM files.
///
/// # Errors
/// In words, without the key.
pub fn tls(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let pem = fs::read(certificate).map_err(failed(certificate))?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificate is not a PEM file: {error}"))?;
    if chain.is_empty() {
        return Err(
            "the certificate's file holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned(),
        );
    }
    // Its error could quote the text.
    let key = PrivateKeyDer::from_pem_slice(&private_key(key)?)
        .map_err(|_| "the key's file holds no private key in PEM form".to_owned())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and key cannot be used together: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn private_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut file = File::open(path).map_err(failed(path))?;
    // Asked of the open file, not of the path, so that what is checked is what is read.
    let mode = file.metadata().map_err(failed(path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(format!(
            "the private key {path} can be read by others (mode {mode:04o}) and is not used; run: chmod 600 {path}"
        ));
    }
    let mut key = Zeroizing::new(Vec::with_capacity(KEY_BYTES));
    let bytes = Read::by_ref(&mut file)
        .take(KEY_BYTES as u64)
        .read_to_end(&mut key)
        .map_err(failed(path))?;
    if bytes == KEY_BYTES {
        return Err(format!("{} is too long for a private key", path.display()));
    }
    Ok(key)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}
