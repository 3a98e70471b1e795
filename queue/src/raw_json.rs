//! JSON that is carried from one to another and read by neither store nor queue: it is written
//! once, and copied as it is.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};

/// JSON as it was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Writes a value.
    pub fn write<T: Serialize>(value: &T) -> serde_json::Result<Self> {
        to_raw_value(value).map(Self)
    }

    /// JSON as it was kept.
    pub(crate) fn from_text(text: String) -> serde_json::Result<Self> {
        RawValue::from_string(text).map(Self)
    }

    /// As it is kept.
    pub(crate) fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads it.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
    }

    /// How long it is, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.0.get().len()
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Report;

    #[test]
    fn it_is_within_other_json_as_it_was_written() {
        let trace = RawJson::write(&json!([{ "text": "a \"b\"" }])).unwrap();
        let report = Report { trace: Some(trace.clone()), ..Report::default() };

        let written = serde_json::to_string(&report).unwrap();

        assert_eq!(written, r#"{"t":[{"text":"a \"b\""}]}"#);
        assert_eq!(serde_json::from_str::<Report>(&written).unwrap().trace, Some(trace));
    }
}
