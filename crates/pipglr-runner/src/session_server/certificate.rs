//! The certificate of this process: made at its start, known to GitLab because it is told.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A self-signed certificate and its key.
pub(super) struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// For a host name or an IP address.
    ///
    /// Compat: gitlab-runner helpers/certificate/x509.go: two years, one name. Its key is RSA, which takes seconds to
    /// make on a small machine; this one is P-256.
    pub(super) fn new(host: &str) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new([host.to_owned()])?;
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, "GitLab Runner");
        params.distinguished_name = name;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // The day before, for clocks that are late.
        let today = Offset::UTC.to_datetime(Timestamp::now()).date();
        let begin = today.saturating_sub(Span::new().days(1));
        let end = today.saturating_add(Span::new().years(2));
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        let time = |date: Date| rcgen::date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()));
        params.not_before = time(begin);
        params.not_after = time(end);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// The certificate as GitLab is told.
    pub(super) fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.certificate);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}
