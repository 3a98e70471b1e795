//! The files of a provider's batch: a request a line, and what became of each a line.
//!
//! Source: OpenAI's API reference, "The request input object" and "The request output object"
//! (<https://platform.openai.com/docs/api-reference/batch/request-input>).

use dspy::{LmError, LmReply};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::{
    batches::BatchEndpoint,
    client::{Refusal, failed},
    reply,
};

/// The path of every request in a file.
pub(super) const PATH: &str = "/v1/chat/completions";

/// A request that goes into a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// A hash of all that the reply depends on: by it the reply is looked for.
    pub(crate) request: String,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// The model as the program names it.
    pub(crate) model: String,
    /// Who is asked.
    pub(crate) at: BatchEndpoint,
}

impl Line {
    /// Writes it into a file, under a name by which its reply is known.
    pub(crate) fn write(&self, custom_id: &str, file: &mut Vec<u8>) {
        let head = format!(r#"{{"custom_id":"{custom_id}","method":"POST","url":"{PATH}","body":"#);
        file.extend_from_slice(head.as_bytes());
        file.extend_from_slice(&self.body);
        file.extend_from_slice(b"}\n");
    }
}

/// A line of a file of outputs or errors.
#[derive(Deserialize)]
struct Answered {
    custom_id: String,
    #[serde(default)]
    response: Option<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    status_code: u16,
    #[serde(default)]
    body: Value,
}

/// What became of a request in a file.
pub(crate) enum Outcome {
    /// A reply.
    Reply(Box<LmReply>),
    /// A refusal that would come again.
    Refused(LmError),
    /// Nothing that lasts: it was too late, or the provider failed.
    Nothing,
}

/// The lines of a file that is being read.
pub(crate) struct Lines {
    response: Response,
    /// What came behind the last whole line.
    rest: Vec<u8>,
}

impl Lines {
    pub(super) fn of(response: Response) -> Self {
        Self { response, rest: Vec::new() }
    }

    /// The next lines, as many as came; none at the end. A line of more than so many bytes is an
    /// error.
    pub(crate) async fn next(&mut self, bytes_max: usize) -> Result<Option<Vec<Vec<u8>>>, Refusal> {
        while let Some(chunk) = self.response.chunk().await.map_err(|error| failed(&error))? {
            // Only what is new is looked through: a long line comes in many pieces.
            let end = chunk.iter().rposition(|it| *it == b'\n').map(|at| self.rest.len() + at);
            self.rest.extend_from_slice(&chunk);
            if let Some(end) = end {
                let rest = self.rest.split_off(end + 1);
                let whole = std::mem::replace(&mut self.rest, rest);
                return Ok(Some(split(&whole)));
            }
            if self.rest.len() > bytes_max {
                let text = format!("a line of the batch's file has more than {bytes_max} bytes");
                return Err(LmError::InvalidResponse(text).into());
            }
        }
        let last = split(&std::mem::take(&mut self.rest));
        Ok((!last.is_empty()).then_some(last))
    }
}

fn split(lines: &[u8]) -> Vec<Vec<u8>> {
    let lines = lines.split(|it| *it == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|it| !it.is_empty()).map(<[u8]>::to_vec).collect()
}

/// What a line of a file of outputs or errors says, and of which request; none if it is no such
/// line.
pub(crate) fn outcome(line: &[u8], model: &str) -> Option<(String, Outcome)> {
    let Answered { custom_id, response } = serde_json::from_slice(line).ok()?;
    let Some(Answer { status_code, body }) = response else {
        return Some((custom_id, Outcome::Nothing));
    };
    let body = body.to_string();
    if (200..300).contains(&status_code) {
        let reply = reply::read(body.as_bytes(), model);
        // What cannot be read is asked for again, as always.
        let outcome = reply.map_or(Outcome::Nothing, |it| Outcome::Reply(Box::new(it)));
        return Some((custom_id, outcome));
    }
    let status = StatusCode::from_u16(status_code).ok()?;
    let error = reply::error_of(status, None, &body);
    let comes_again = matches!(
        error,
        LmError::BadRequest(_) | LmError::ContextWindowExceeded(_) | LmError::Unsupported(_)
    );
    Some((custom_id, if comes_again { Outcome::Refused(error) } else { Outcome::Nothing }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_the_protocol_says() {
        let at = BatchEndpoint::open("https://x/v1");
        let body = br#"{"model":"m"}"#.to_vec();
        let line = Line { request: "h".to_owned(), body, model: "openai/m".to_owned(), at };
        let mut file = Vec::new();

        line.write("7", &mut file);

        let expected = r#"{"custom_id":"7","method":"POST","url":"/v1/chat/completions","#
            .to_owned()
            + r#""body":{"model":"m"}}"#;
        assert_eq!(String::from_utf8(file).unwrap(), expected + "\n");
    }

    #[test]
    fn outcomes_are_told_apart() {
        let read = |response: &str| {
            let line = format!(r#"{{"custom_id":"7","response":{response},"error":null}}"#);
            let (id, outcome) = outcome(line.as_bytes(), "openai/m").unwrap();
            assert_eq!(id, "7");
            match outcome {
                Outcome::Reply(reply) => reply.text.unwrap_or_default(),
                Outcome::Refused(error) => error.to_string(),
                Outcome::Nothing => "nothing".to_owned(),
            }
        };

        let said = r#"{"status_code":200,"body":{"choices":[{"message":{"content":"hi"}}]}}"#;
        let refused = r#"{"status_code":400,"body":{"error":{"message":"no"}}}"#;
        assert_eq!(read(said), "hi");
        assert_eq!(read(refused), "the model's endpoint answered 400: no");
        for lost in [r#"{"status_code":429,"body":{}}"#, "null", r#"{"status_code":200}"#] {
            assert_eq!(read(lost), "nothing", "{lost}");
        }
        assert!(outcome(b"<html>", "m").is_none());
    }
}
