//! HMAC-SHA256 for `jsonwebtoken`. The providers that it brings come with RSA and elliptic curves,
//! of which the RSA one has an open advisory, and none is of use here.

use std::sync::Once;

use hmac::{Hmac, Mac};
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind, new_error},
    signature::{self, Signer, Verifier},
};
use sha2::Sha256;

/// Makes this the way in which the process signs and verifies. Harmless to repeat.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| Ok(Box::new(keyed(*algorithm, key.as_bytes())?)),
        verifier_factory: |algorithm, key| Ok(Box::new(keyed(*algorithm, verifying(key)?)?)),
        key_utils: KeyUtils::new_unimplemented(),
    };
    // It fails only if another provider is there already, and that one can do HS256 too.
    ONCE.call_once(|| {
        let _ = PROVIDER.install_default();
    });
}

struct Hs256(Hmac<Sha256>);

fn keyed(algorithm: Algorithm, key: &[u8]) -> Result<Hs256, Error> {
    if algorithm != Algorithm::HS256 {
        return Err(new_error(ErrorKind::UnsupportedAlgorithm));
    }
    let keyed = Hmac::new_from_slice(key);
    keyed.map(Hs256).map_err(|_| new_error(ErrorKind::InvalidKeyFormat))
}

fn verifying(key: &DecodingKey) -> Result<&[u8], Error> {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(secret) => Ok(secret),
        DecodingKeyKind::RsaModulusExponent { .. } => Err(new_error(ErrorKind::InvalidKeyFormat)),
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let compared = self.0.clone().chain_update(message).verify_slice(signature);
        compared.map_err(signature::Error::from_source)
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
