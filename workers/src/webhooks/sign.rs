//! Signatures by which a receiver knows who calls: HMAC-SHA256 of id, time and body.

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How many bytes a secret has, by the standard.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// What calls are signed with. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Arc<[u8]>);

/// A text that is no secret of Standard Webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be whsec_ and the base64 of 24 to 64 bytes, as `echo whsec_$(openssl rand -base64 32)` \
     makes one; several with commas between them"
)]
pub struct BadSecret;

impl FromStr for SigningSecret {
    type Err = BadSecret;

    fn from_str(text: &str) -> Result<Self, BadSecret> {
        let bytes = text.trim().strip_prefix(PREFIX).and_then(|it| STANDARD.decode(it).ok());
        let bytes = bytes.filter(|it| BYTES.contains(&it.len())).ok_or(BadSecret)?;
        Ok(Self(bytes.into()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The signatures by each secret, with spaces between them: `v1,BASE64`.
pub(super) fn all(secrets: &[SigningSecret], id: &str, seconds: i64, body: &[u8]) -> String {
    let signatures = secrets.iter().filter_map(|secret| one(secret, id, seconds, body));
    signatures.collect::<Vec<_>>().join(" ")
}

fn one(secret: &SigningSecret, id: &str, seconds: i64, body: &[u8]) -> Option<String> {
    // Keys of every length are taken.
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).ok()?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard's own example.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let body = br#"{"test": 2432232314}"#;

        let signed = all(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);

        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs() {
        let secret: SigningSecret = format!("whsec_{}", STANDARD.encode([7; 32])).parse().unwrap();
        let signed = all(&[secret.clone(), secret.clone()], "msg", 1, b"{}");
        let (first, second) = signed.split_once(' ').unwrap();
        assert_eq!(first, second);
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
    }

    #[test]
    fn what_can_be_guessed_is_no_secret() {
        for text in ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_no base64 at all, I fear!!!!"]
        {
            assert_eq!(text.parse::<SigningSecret>(), Err(BadSecret), "{text}");
        }
    }
}
