//! Images, audio and files: what a message carries beside text.

use std::net::Ipv6Addr;

use serde_json::json;

use super::{
    Coerced, Coercer, Dict, Extra, Issue, Object, Type, entries, fields_of, has, marked, model,
    optional_text, refuse, required, stripped, taken, value_error,
};

const DOWNLOAD: &str = "`download` and `verify` are only valid with a positional image source; \
                        use Image.from_url(url, verify=...) to download a remote image.";
const NO_FILE: &str =
    "Value of `dspy.File` must contain at least one of: file_data, file_id, or filename";
const NO_AUDIO: &str = "String audio inputs must be data URIs. Load local files with \
                        Audio.from_path() and remote resources with Audio.from_url().";

/// `dspy.Image`: `{"url": …}`.
pub(super) fn image(coercer: &Coercer<'_>, value: &Object) -> Coerced {
    let Object::Dict(given) = value else {
        let message = "Input should be a valid dictionary or instance of Image";
        return refuse("model_type", message, value);
    };
    if has(given, &["download", "verify"]) {
        return Err(vec![Issue::new(Issue::RAISED, DOWNLOAD, value)]);
    }
    let mut fields = given.clone();
    if let Some(url) = given.get("url") {
        match image_url(url) {
            Ok(url) => fields.insert(Object::Str("url".to_owned()), Object::Str(url)),
            Err(message) => return Err(value_error(&message, value)),
        }
    }
    let class = model(vec![required("url", Type::Str)], Extra::Forbid);
    let (made, fit) = fields_of(coercer.model(Object::Dict(fields), "Image", &class)?);
    let url = stripped(taken(&made, "url")).into_json();
    Ok((marked(&json!([{"type": "image_url", "image_url": {"url": url}}])), fit))
}

/// The URL of an image: a remote one, or one with the image in it. Never a file's.
fn image_url(value: &Object) -> Result<String, String> {
    match value {
        Object::Str(text) if text.starts_with("data:") || is_url(text) => Ok(text.clone()),
        Object::Str(text) => Err(format!(
            "Unrecognized image string: {text}. Local files must be loaded with Image.from_path()."
        )),
        Object::Dict(dict) if dict.contains("url") => image_url(&taken(dict, "url")),
        other => Err(format!("Unsupported image type: <class '{}'>", other.type_name())),
    }
}

/// Whether `urlparse` finds a host of a web or storage address in it.
fn is_url(text: &str) -> bool {
    let text = text.trim_start_matches(|c| c <= ' ').replace(['\t', '\r', '\n'], "");
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    if !["http", "https", "gs"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return false;
    }
    let Some(rest) = rest.strip_prefix("//") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match (host.split_once('['), host.split_once(']')) {
        (None, None) => !host.is_empty(),
        (Some((_, inner)), Some(_)) => {
            let inner = inner.split(']').next().unwrap_or_default();
            let address = inner.split('%').next().unwrap_or_default();
            inner.starts_with('v') || address.parse::<Ipv6Addr>().is_ok()
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// `dspy.Audio`: `{"data": …, "audio_format": …}` or a data URI.
pub(super) fn audio(coercer: &Coercer<'_>, value: &Object) -> Coerced {
    let fields = match audio_fields(value) {
        Ok(fields) => fields,
        Err(message) => return Err(value_error(&message, value)),
    };
    let fields_wanted = vec![required("data", Type::Str), required("audio_format", Type::Str)];
    let class = model(fields_wanted, Extra::Forbid);
    let (made, fit) = fields_of(coercer.model(Object::Dict(fields), "Audio", &class)?);
    let data = taken(&made, "data").into_json();
    let format = taken(&made, "audio_format").into_json();
    let part = json!({"type": "input_audio", "input_audio": {"data": data, "format": format}});
    Ok((marked(&json!([part])), fit))
}

fn audio_fields(value: &Object) -> Result<Dict, String> {
    match value {
        Object::Dict(dict) if dict.contains("data") && dict.contains("audio_format") => {
            Ok(dict.clone())
        }
        Object::Str(text) if text.starts_with("data:audio/") => {
            let (header, data) = text.split_once(',').unwrap_or((text, ""));
            let mime = header.trim_start_matches("data:").split(';').next().unwrap_or_default();
            let format = mime.split_once('/').map_or("", |(_, format)| format);
            if format.is_empty() || !text.contains(',') {
                return Err("Malformed audio data URI".to_owned());
            }
            Ok(recording(data.to_owned(), format.strip_prefix("x-").unwrap_or(format)))
        }
        Object::Str(_) => Err(NO_AUDIO.to_owned()),
        Object::Bytes(bytes) => Ok(recording(base64(bytes), "wav")),
        other => Err(format!("Unsupported type for encode_audio: <class '{}'>", other.type_name())),
    }
}

fn recording(data: String, format: &str) -> Dict {
    let format = Object::Str(format.to_owned());
    entries(vec![("data", Object::Str(data)), ("audio_format", format)])
}

/// `dspy.File`: `{"file_data" | "file_id" | "filename": …}` or a data URI.
pub(super) fn file(coercer: &Coercer<'_>, value: &Object) -> Coerced {
    const NAMES: [&str; 3] = ["file_data", "file_id", "filename"];
    let fields = match value {
        Object::Dict(dict) if has(dict, &NAMES) => dict.clone(),
        Object::Dict(_) => return Err(value_error(NO_FILE, value)),
        Object::Str(text) if text.starts_with("data:") => {
            entries(vec![("file_data", Object::Str(text.clone()))])
        }
        Object::Str(text) => {
            let message = format!(
                "String file inputs must be data URIs, received: {text}. Load local files with \
                 File.from_path()."
            );
            return Err(value_error(&message, value));
        }
        Object::Bytes(bytes) => {
            let data = format!("data:application/octet-stream;base64,{}", base64(bytes));
            entries(vec![("file_data", Object::Str(data))])
        }
        other => {
            let message = format!("Unsupported file input type: <class '{}'>", other.type_name());
            return Err(value_error(&message, value));
        }
    };
    let class = model(NAMES.map(optional_text).to_vec(), Extra::Forbid);
    let (made, fit) = fields_of(coercer.model(Object::Dict(fields), "File", &class)?);
    let shown = NAMES.map(|name| (name, stripped(taken(&made, name))));
    let shown: Vec<_> = shown.into_iter().filter(|(_, it)| it.is_truthy()).collect();
    let shown = Object::Dict(entries(shown)).into_json();
    Ok((marked(&json!([{"type": "file", "file": shown}])), fit))
}

/// Whether a text stands for an image where a URL is: what `dspy.Image(text)` takes.
pub(crate) fn is_media_text(text: &str) -> bool {
    text.starts_with("data:") || is_url(text)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let digit = (bits >> (18 - 6 * i)) as usize & 63;
            out.push(if i <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::json::dumps;

    #[test]
    fn hosts_are_found_where_python_finds_them() {
        for url in ["https://e.com/a", "HTTP://E", "gs://b", " http://e", "http://[::1]:80/x"] {
            assert!(is_url(url), "{url}");
        }
        for text in
            ["/etc/passwd", "file:///x", "http:///x", "https://[::1", "ftp://e", "e.com", ""]
        {
            assert!(!is_url(text), "{text}");
        }
    }

    #[test]
    fn bytes_are_written_in_base64() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];

        for (bytes, want) in cases {
            assert_eq!(base64(bytes.as_bytes()), want);
        }
    }

    #[test]
    fn a_marker_holds_json() {
        let Object::Str(text) = marked(&json!([{"a": "é"}])) else { panic!("a text") };

        assert!(text.contains(&dumps(&json!([{"a": "é"}]))));
    }
}
