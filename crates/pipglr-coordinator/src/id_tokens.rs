//! `id_tokens`: JSON Web Tokens that say which job this is, signed with a key of this process.
//!
//! Compat: GitLab lib/gitlab/ci/jwt_v2.rb (claims); GitLab signs with RSA, this coordinator with ECDSA, because the
//! libraries at hand make no RSA keys.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pipglr_protocol::Secret;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The coordinator's key.
pub(crate) struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    key_id: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Makes a key that lives as long as the process.
    pub(crate) fn generate() -> Result<Self, crate::Error> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let failed = |what: &str| crate::Error::Key(what.to_owned());
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| failed("no random numbers"))?;
        let pair =
            EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).map_err(|e| failed(&e.to_string()))?;
        let key_id = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(pair.public_key().as_ref()));
        Ok(Self { pair, random, key_id })
    }

    /// A token with these claims. It is empty, and the log says so, if the system has no random numbers.
    pub(crate) fn sign(&self, claims: &Value) -> Secret {
        let header = json!({ "alg": "ES256", "kid": self.key_id, "typ": "JWT" });
        let [header, claims] = [&header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let text = format!("{header}.{claims}");
        match self.pair.sign(&self.random, text.as_bytes()) {
            Ok(signature) => {
                let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref());
                Secret::new(format!("{text}.{signature}"))
            }
            Err(error) => {
                tracing::error!(%error, "an id token was not signed");
                Secret::default()
            }
        }
    }

    /// The public key, as verifiers fetch it.
    pub(crate) fn key_set(&self) -> Value {
        // An uncompressed point: 4, then both coordinates.
        let point = self.pair.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.key_id, "x": x, "y": y,
        }] })
    }
}
