//! Who may do what, as a signed text that its bearer shows. Knows nothing of HTTP.

mod hs256;

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::SecretKey;

/// What a token allows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// Put work in, call it off, run it again.
    Execute,
    /// Read what is the subject's own, the programs, and the statistics.
    Read,
    /// Register and remove programs.
    Programs,
    /// All of these, on everybody's work, and steering the queue.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Scope; 4] = [Scope::Execute, Scope::Read, Scope::Programs, Scope::Admin];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Execute => "execute",
            Scope::Read => "read",
            Scope::Programs => "programs",
            Scope::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        let found = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
        found.ok_or_else(|| Error::Scope(word.to_owned()))
    }
}

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Whose it is.
    #[serde(rename = "sub")]
    pub subject: String,
    /// When it becomes worthless.
    #[serde(rename = "exp", with = "chrono::serde::ts_seconds")]
    pub expires: DateTime<Utc>,
    /// When it was made.
    #[serde(rename = "iat", with = "chrono::serde::ts_seconds")]
    pub issued: DateTime<Utc>,
    /// Its name, by which it can be revoked.
    #[serde(rename = "jti")]
    pub id: String,
    /// What it allows. A word that this version does not know allows nothing.
    #[serde(rename = "scope", with = "words")]
    pub scopes: Vec<Scope>,
}

/// Why a token is not accepted, or not made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// It was never good, or not here.
    #[error("the token is not valid")]
    Invalid,
    /// There is no such scope.
    #[error("`{0}` is no scope; there are execute, read, programs and admin")]
    Scope(String),
    /// Nobody can be named so.
    #[error("a subject has 1 to {SUBJECT_CHARS_MAX} printable characters without spaces")]
    Subject,
}

/// The longest name of an owner.
const SUBJECT_CHARS_MAX: usize = 128;

/// How far the clocks of two servers may be apart.
const LEEWAY: Duration = Duration::from_secs(5);

/// Makes a token that is good for the time given.
pub fn mint(
    key: &SecretKey,
    subject: &str,
    scopes: &[Scope],
    expires: Duration,
    now: DateTime<Utc>,
) -> Result<String, Error> {
    let readable = subject.chars().all(|it| !it.is_control() && !it.is_whitespace());
    if subject.is_empty() || subject.chars().count() > SUBJECT_CHARS_MAX || !readable {
        return Err(Error::Subject);
    }
    let claims = Claims {
        subject: subject.to_owned(),
        expires: now + expires,
        issued: now,
        id: Uuid::new_v4().simple().to_string(),
        scopes: scopes.to_vec(),
    };
    hs256::install();
    let key = EncodingKey::from_secret(key.as_bytes());
    let header = Header::new(Algorithm::HS256);
    jsonwebtoken::encode(&header, &claims, &key).map_err(|_| Error::Invalid)
}

/// What a token says, if it was signed with the key and has not expired.
pub fn read(key: &SecretKey, token: &str) -> Result<Claims, Error> {
    Verifier::new(key).read(token)
}

/// Reads many tokens with one key.
pub(crate) struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    pub(crate) fn new(key: &SecretKey) -> Self {
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY.as_secs();
        validation.set_required_spec_claims(&["exp", "sub"]);
        Self { key: DecodingKey::from_secret(key.as_bytes()), validation }
    }

    pub(crate) fn read(&self, token: &str) -> Result<Claims, Error> {
        let read = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation);
        match read {
            Ok(token) => Ok(token.claims),
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                Err(Error::Expired)
            }
            Err(_) => Err(Error::Invalid),
        }
    }
}

/// Scopes as words with spaces between them, as OAuth writes them.
mod words {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Scope;

    pub(super) fn serialize<S: Serializer>(
        scopes: &[Scope],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        serializer.serialize_str(&words.join(" "))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(it: D) -> Result<Vec<Scope>, D::Error> {
        let text = String::deserialize(it)?;
        Ok(text.split_whitespace().filter_map(|word| word.parse().ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn what_was_minted_reads_back() {
        let key = SecretKey::random();
        let scopes = [Scope::Execute, Scope::Read];

        let token = mint(&key, "alice", &scopes, DAY, Utc::now()).unwrap();
        let claims = read(&key, &token).unwrap();

        assert_eq!((claims.subject.as_str(), claims.scopes.as_slice()), ("alice", &scopes[..]));
        assert!(!claims.id.is_empty());
    }

    #[test]
    fn token_of_another_key_is_invalid() {
        let key = SecretKey::random();
        let token = mint(&key, "alice", &[Scope::Read], DAY, Utc::now()).unwrap();
        assert_eq!(read(&SecretKey::random(), &token), Err(Error::Invalid));
    }

    #[test]
    fn old_token_has_expired() {
        let key = SecretKey::random();
        let token = mint(&key, "a", &[Scope::Read], DAY, Utc::now() - 2 * DAY).unwrap();
        assert_eq!(read(&key, &token), Err(Error::Expired));
    }

    #[test]
    fn changed_token_is_invalid() {
        let key = SecretKey::random();
        let token = mint(&key, "alice", &[Scope::Read], DAY, Utc::now()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let other = mint(&key, "bob", &[Scope::Admin], DAY, Utc::now()).unwrap();
        let claims = other.split('.').nth(1).unwrap();
        assert_eq!(read(&key, &format!("{}.{claims}.{}", parts[0], parts[2])), Err(Error::Invalid));
        for broken in ["", ".", "..", "a.b.c", &token[..token.len() - 1]] {
            assert_eq!(read(&key, broken), Err(Error::Invalid), "{broken}");
        }
    }

    #[test]
    fn unsigned_token_is_invalid() {
        // {"alg":"none"} and {"sub":"alice","exp":9999999999,"iat":0,"jti":"x","scope":"admin"}
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6OTk5OTk5OTk5OSwiaWF0Ijow\
                     LCJqdGkiOiJ4Iiwic2NvcGUiOiJhZG1pbiJ9.";
        assert_eq!(read(&SecretKey::random(), token), Err(Error::Invalid));
    }

    #[test]
    fn nobody_is_named_nothing() {
        for subject in ["", "a b", "a\n", &"x".repeat(129)] {
            let minted = mint(&SecretKey::random(), subject, &[], DAY, Utc::now());
            assert_eq!(minted, Err(Error::Subject), "{subject:?}");
        }
    }
}
