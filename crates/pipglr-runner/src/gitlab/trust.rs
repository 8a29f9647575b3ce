//! TLS towards a GitLab instance: which server is believed, and with which certificate we answer.

use super::client::{Error, TlsFiles};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// What an HTTP client needs, with the system's certificates and those of `tls` trusted.
///
/// # Errors
/// [`Error::Configuration`]: a file of `tls` cannot be read or used.
pub(super) fn client_config(tls: &TlsFiles) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = Trust::new(trusted(tls)?, &provider)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS set-up", error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let mut config = match identity(tls)? {
        None => config.with_no_client_auth(),
        Some(Identity { what, chain, key }) => config
            .with_client_auth_cert(chain, key)
            .map_err(|error| wrong(&what, error))?,
    };
    config.alpn_protocols = vec!["http/1.1".into()];
    Ok(config)
}

/// Believes a server whose certificate comes from a trusted authority, and one whose own certificate is trusted. The latter is
/// what `openssl req -x509` makes: a certificate of an authority, which webpki takes for authorities only.
///
/// Compat: gitlab-runner trusts as Go's crypto/x509 does: a certificate that is among the roots is a chain of its own.
#[derive(Debug)]
struct Trust {
    authorities: Arc<WebPkiServerVerifier>,
    /// Besides the system's.
    configured: Vec<CertificateDer<'static>>,
}

impl Trust {
    fn new(configured: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in &configured {
            roots
                .add(certificate.clone())
                .map_err(|error| wrong("CA certificates", error))?;
        }
        let (system, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if system == 0 {
            // A bare container.
            roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| wrong("CA certificates", error))?;
        Ok(Self {
            authorities,
            configured,
        })
    }

    /// The system's are read anew, as they are many and hardly ever needed here.
    fn is_trusted_itself(&self, certificate: &CertificateDer<'_>) -> bool {
        self.configured.iter().any(|trusted| trusted == certificate)
            || rustls_native_certs::load_native_certs().certs.contains(certificate)
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self
            .authorities
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // It is looked at after the time, which is right then.
            Err(error) if is_of_an_authority(&error) && self.is_trusted_itself(end_entity) => {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&certificate, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Whether a server was refused because its certificate says that it is an authority's.
fn is_of_an_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(error)) = error else {
        return false;
    };
    matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

fn trusted(tls: &TlsFiles) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut all = Vec::new();
    if let Some(path) = tls.ca.as_deref().filter(|path| path.exists()) {
        let what = format!("tls-ca-file {}", path.display());
        all.extend(certificates(&read(path, &what)?, &what)?);
    }
    if let Some(text) = &tls.ca_text {
        all.extend(certificates(text.as_bytes(), "CA certificates")?);
    }
    Ok(all)
}

/// Ours.
struct Identity {
    what: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn identity(tls: &TlsFiles) -> Result<Option<Identity>, Error> {
    let (what, pem) = match (&tls.identity_text, &tls.cert, &tls.key) {
        (Some(text), ..) => ("client certificate".to_owned(), text.expose().as_bytes().to_vec()),
        (None, Some(cert), Some(key)) => {
            let what = format!("tls-cert-file {}", cert.display());
            let mut pem = read(cert, &what)?;
            // The file before may end without.
            pem.push(b'\n');
            pem.extend(read(key, &format!("tls-key-file {}", key.display()))?);
            (what, pem)
        }
        _ => return Ok(None),
    };
    let chain = certificates(&pem, &what)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| wrong(&what, error))?;
    Ok(Some(Identity { what, chain, key }))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.map_err(|error| wrong(what, error))
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| wrong(what, error))
}

fn wrong(what: &str, reason: impl std::fmt::Display) -> Error {
    Error::Configuration {
        what: what.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{TlsFiles, Trust, client_config};
    use pipglr_protocol::Secret;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use std::sync::Arc;
    use std::time::Duration;

    /// 2026-01-01, and four years later.
    const NOW: u64 = 1_767_225_600;
    const LATER: u64 = NOW + 4 * 366 * 86400;

    fn params(authority: bool) -> CertificateParams {
        let mut params = CertificateParams::new(["gitlab.example".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2028, 1, 1));
        if authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    }

    fn self_signed(authority: bool) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        params(authority).self_signed(&key).unwrap().der().clone()
    }

    fn verify(trusted: &CertificateDer<'static>, shown: &CertificateDer<'_>, name: &str, at: u64) -> String {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = Trust::new(vec![trusted.clone()], &provider).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let verified = trust.verify_server_cert(shown, &[], &name, &[], at);
        verified.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_certificate_that_is_trusted_itself_is_believed_for_its_names_and_time() {
        for authority in [true, false] {
            let own = self_signed(authority);
            for (name, at, refused) in [
                ("gitlab.example", NOW, ""),
                ("127.0.0.1", NOW, ""),
                ("other.example", NOW, "not valid for name"),
                ("gitlab.example", LATER, "expired"),
                ("gitlab.example", 0, "not valid yet"),
            ] {
                let said = verify(&own, &own, name, at);
                assert_eq!(said.is_empty(), refused.is_empty(), "{authority} {name} {said}");
                assert!(said.contains(refused), "{authority} {name} {said}");
            }
            assert!(!verify(&self_signed(true), &own, "gitlab.example", NOW).is_empty());
        }
    }

    #[test]
    fn one_of_a_trusted_authority_is_believed() {
        let key = KeyPair::generate().unwrap();
        let authority = params(true).self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params(true), key);
        let leaf = params(false).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        assert_eq!(verify(&authority, leaf.der(), "gitlab.example", NOW), "");
        // An authority below is none that is trusted itself.
        let below = params(true).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        assert!(verify(&authority, below.der(), "gitlab.example", NOW).contains("CaUsedAsEndEntity"));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let files = TlsFiles {
            ca: path("ca.pem", broken),
            ..TlsFiles::default()
        };
        assert!(
            client_config(&files)
                .unwrap_err()
                .to_string()
                .starts_with("CA certificates: ")
        );
        let missing = Some(directory.path().join("none.pem"));
        let files = TlsFiles {
            cert: missing.clone(),
            key: missing,
            ..TlsFiles::default()
        };
        let said = client_config(&files).unwrap_err().to_string();
        assert!(
            said.starts_with("tls-cert-file ") && said.contains("No such file"),
            "{said}"
        );
        let files = TlsFiles {
            identity_text: Some(Secret::new("no PEM")),
            ..TlsFiles::default()
        };
        let said = client_config(&files).unwrap_err().to_string();
        assert!(said.starts_with("client certificate: "), "{said}");
    }
}
