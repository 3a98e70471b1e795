//! Files and batches of a provider: what is in them, and how they go on.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{lm_answer, stub_lm::completion};

/// The bounds of the specification.
const LINES_MAX: usize = 50_000;
const FILE_BYTES_MAX: usize = 200 * 1024 * 1024;

/// How batches go.
#[derive(Clone, Debug, Default)]
pub enum Course {
    /// All is answered, last lines first.
    #[default]
    Usual,
    /// The same, but requests that hold the text are answered with an error of that status.
    But(String, u16),
    /// The window ends when the first so many lines are answered.
    Expires(usize),
    /// The file is refused when it is looked through.
    Fails(String),
}

/// A file at the provider.
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) purpose: String,
    pub(crate) filename: String,
    pub(crate) content: String,
}

impl File {
    pub(crate) fn view(&self) -> Value {
        json!({
            "id": self.id, "object": "file", "bytes": self.content.len(), "purpose": self.purpose,
            "filename": self.filename, "created_at": 1_700_000_000, "status": "processed",
        })
    }

    pub(crate) fn parsed(&self) -> Vec<Value> {
        let parse = |it: &str| serde_json::from_str(it).unwrap_or_default();
        self.content.lines().map(parse).collect()
    }
}

/// A batch at the provider.
pub(crate) struct Batch {
    pub(crate) id: String,
    pub(crate) status: &'static str,
    pub(crate) output: Option<String>,
    pub(crate) errors: Option<String>,
    asked: Value,
    lines: Vec<Value>,
    wrong: Option<String>,
    counts: (usize, usize),
}

impl Batch {
    pub(crate) fn new(id: String, asked: &Value, file: &File, course: &Course) -> Self {
        let lines = file.parsed();
        let wrong = match course {
            Course::Fails(why) => Some(why.clone()),
            Course::Usual | Course::But(..) | Course::Expires(_) => wrong(asked, file, &lines),
        };
        let (asked, counts) = (asked.clone(), (0, 0));
        Self { id, status: "validating", output: None, errors: None, asked, lines, wrong, counts }
    }

    pub(crate) fn view(&self) -> Value {
        let is_failed = self.status == "failed";
        let error = |it: &String| {
            json!({"object": "list", "data": [
            {"code": "invalid_file", "message": it, "param": null, "line": 1}]})
        };
        let total = if self.status == "validating" { 0 } else { self.lines.len() };
        json!({
            "id": self.id, "object": "batch", "endpoint": self.asked["endpoint"],
            "errors": self.wrong.as_ref().filter(|_| is_failed).map(error),
            "input_file_id": self.asked["input_file_id"], "completion_window": "24h",
            "status": self.status, "output_file_id": self.output, "error_file_id": self.errors,
            "created_at": 1_700_000_000, "metadata": self.asked["metadata"],
            "request_counts":
                {"total": total, "completed": self.counts.0, "failed": self.counts.1},
        })
    }

    /// Calls it off, if it is not over.
    pub(crate) fn cancel(&mut self) -> bool {
        let runs = matches!(self.status, "validating" | "in_progress" | "finalizing");
        if runs {
            self.status = "cancelling";
        }
        runs
    }

    /// Makes a step, and gives the files that it made: whether one is of outputs, and its content.
    pub(crate) fn go_on(&mut self, course: &Course) -> Vec<(bool, String)> {
        let (next, answered) = match (self.status, course) {
            ("validating", _) if self.wrong.is_some() => ("failed", None),
            ("validating", _) => ("in_progress", None),
            ("in_progress", Course::Expires(count)) => ("expired", Some(*count)),
            ("in_progress", _) => ("finalizing", None),
            ("finalizing", _) => ("completed", Some(self.lines.len())),
            // What was answered until then is kept.
            ("cancelling", _) => ("cancelled", Some(self.lines.len() / 2)),
            (over, _) => (over, None),
        };
        self.status = next;
        answered.map(|count| self.answer(count, course)).unwrap_or_default()
    }

    fn answer(&mut self, count: usize, course: &Course) -> Vec<(bool, String)> {
        let (mut outputs, mut errors) = (Vec::new(), Vec::new());
        for (at, line) in self.lines.iter().enumerate() {
            let (body, id) = (&line["body"], format!("batch_req_{at}"));
            let answer = |response: Value, error: Value| {
                json!({"id": id, "custom_id": line["custom_id"], "response": response,
                    "error": error})
            };
            let of_status = |status: u16, body: Value| {
                let request = format!("req_{at}");
                json!({"status_code": status, "request_id": request, "body": body})
            };
            match course {
                _ if at >= count => {
                    let text = "This request could not be executed before the completion window \
                                expired.";
                    let error = json!({"code": "batch_expired", "message": text});
                    errors.push(answer(Value::Null, error));
                }
                Course::But(text, status) if body.to_string().contains(text.as_str()) => {
                    let said = json!({"error": {"message": "it cannot be done"}});
                    errors.push(answer(of_status(*status, said), Value::Null));
                }
                Course::Usual | Course::But(..) | Course::Expires(_) | Course::Fails(_) => {
                    let said = completion(body, &lm_answer::answer(body));
                    let said = serde_json::from_str(&said).unwrap_or_default();
                    outputs.push(answer(of_status(200, said), Value::Null));
                }
            }
        }
        self.counts = (outputs.len(), errors.len());
        let text = |lines: Vec<Value>| {
            let lines: Vec<String> = lines.iter().rev().map(Value::to_string).collect();
            lines.join("\n")
        };
        let made = [(true, text(outputs)), (false, text(errors))];
        made.into_iter().filter(|(_, content)| !content.is_empty()).collect()
    }
}

/// What is wrong with a file, by the specification.
fn wrong(asked: &Value, file: &File, lines: &[Value]) -> Option<String> {
    if lines.is_empty() || lines.len() > LINES_MAX || file.content.len() > FILE_BYTES_MAX {
        return Some(format!("{} lines of {} bytes", lines.len(), file.content.len()));
    }
    let (mut names, model) = (HashSet::new(), &lines[0]["body"]["model"]);
    for (at, line) in lines.iter().enumerate() {
        let is_new = line["custom_id"].as_str().is_some_and(|it| names.insert(it));
        let is_request = line["method"] == "POST" && line["url"] == asked["endpoint"];
        let asks = line["body"]["messages"].is_array() && line["body"]["stream"].is_null();
        if !(is_new && is_request && asks && line["body"]["model"] == *model) {
            return Some(format!("line {}: {line}", at + 1));
        }
    }
    None
}

/// The `purpose` of a form, and the name and the content of its `file`.
pub(crate) fn read_form(content_type: &str, body: &[u8]) -> Option<(String, String, String)> {
    let (_, boundary) = content_type.split_once("boundary=")?;
    let body = std::str::from_utf8(body).ok()?;
    let (mut purpose, mut file) = (None, None);
    for part in body.split(&format!("--{boundary}")) {
        let Some((head, content)) = part.split_once("\r\n\r\n") else { continue };
        let content = content.strip_suffix("\r\n")?.to_owned();
        if head.contains("name=\"purpose\"") {
            purpose = Some(content);
        } else if head.contains("name=\"file\"") {
            let name = head.split("filename=\"").nth(1)?.split('"').next()?;
            file = Some((name.to_owned(), content));
        }
    }
    let (name, content) = file?;
    Some((purpose?, name, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        let body = "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n\
                    content-disposition: form-data; name=\"file\"; filename=\"x.jsonl\"\r\n\
                    content-type: application/jsonl\r\n\r\n{}\n{}\n\r\n--b--\r\n";
        let form = read_form("multipart/form-data; boundary=b", body.as_bytes()).unwrap();
        assert_eq!(form, ("batch".to_owned(), "x.jsonl".to_owned(), "{}\n{}\n".to_owned()));
        assert_eq!(read_form("multipart/form-data; boundary=b", b"{}"), None);
    }
}
