//! The server's certificate: read at the start, and again on SIGHUP; sessions that are open keep theirs.

use super::channel_binding;
use arc_swap::ArcSwap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What connections are encrypted with.
pub struct Tls {
    cert_file: PathBuf,
    key_file: PathBuf,
    loaded: ArcSwap<Loaded>,
}

/// What was read last.
struct Loaded {
    config: Arc<ServerConfig>,
    end_point: Option<Vec<u8>>,
}

/// How a session is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// `TLSv1.3`
    pub version: String,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: String,
    /// Of the key.
    pub bits: i32,
    /// What a password's proof can be tied to.
    pub end_point: Option<Vec<u8>>,
}

impl Tls {
    /// Reads both files; the error says which is wrong, and why.
    pub fn open(cert_file: &Path, key_file: &Path) -> Result<Self, String> {
        let loaded = ArcSwap::from_pointee(read(cert_file, key_file)?);
        Ok(Self { cert_file: cert_file.into(), key_file: key_file.into(), loaded })
    }

    /// Reads them again; if they are wrong, all stays as it is.
    pub fn reload(&self) -> Result<(), String> {
        self.loaded.store(Arc::new(read(&self.cert_file, &self.key_file)?));
        Ok(())
    }

    /// What the next connection is encrypted with, and what it can be told by.
    pub fn acceptor(&self) -> (TlsAcceptor, Option<Vec<u8>>) {
        let loaded = self.loaded.load();
        (TlsAcceptor::from(Arc::clone(&loaded.config)), loaded.end_point.clone())
    }
}

fn read(cert_file: &Path, key_file: &Path) -> Result<Loaded, String> {
    let wrong =
        |what: &str, file: &Path, error: &dyn std::fmt::Display| format!("could not load {what} file \"{}\": {error}", file.display());
    let certificates = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong("server certificate", cert_file, &error))?;
    if certificates.is_empty() {
        return Err(wrong("server certificate", cert_file, &"it holds no certificate"));
    }
    check_permissions(key_file)?;
    let end_point = certificates.first().and_then(|certificate| channel_binding::end_point(certificate));
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| wrong("private key", key_file, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| wrong("private key", key_file, &error))?;
    Ok(Loaded { config: Arc::new(config), end_point })
}

/// As PostgreSQL: nobody but its owner reads the key; root's may be read by a group.
fn check_permissions(key_file: &Path) -> Result<(), String> {
    let shown = key_file.display();
    let metadata = std::fs::metadata(key_file).map_err(|error| format!("could not access private key file \"{shown}\": {error}"))?;
    if !metadata.is_file() {
        return Err(format!("private key file \"{shown}\" is not a regular file"));
    }
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(format!("private key file \"{shown}\" must be owned by the database user or root"));
    }
    let forbidden = if metadata.uid() == 0 && own != 0 { 0o037 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(format!(
            "private key file \"{shown}\" has group or world access\nhint: File must have permissions u=rw (0600) or less if owned by the \
             database user, or permissions u=rw,g=r (0640) or less if owned by root."
        ));
    }
    Ok(())
}
