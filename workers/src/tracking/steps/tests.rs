//! Steps are read as they were kept.

use std::{path::Path, sync::Arc, time::Duration};

use chrono::Utc;
use dspy::{Fields, LmReply, LmRequest, LmSettings, LmStep, Message, Role, ToolStep, Trace};
use queue::{Clock, ExecutionId, Limits, Report, Spec, SqliteQueue, State};
use serde_json::json;

use super::{
    super::{kept, texts::Texts},
    *,
};

/// Long enough to be kept once for all.
const INSTRUCTIONS: &str = "Your input fields are: 1. `question` (str). Your output fields are: \
     1. `answer` (str). All interactions will be structured in the following way, with the \
     appropriate values filled in. In adhering to this structure, your objective is: answer.";

/// What all questions end with.
const ENDING: &str = "Respond with the corresponding output fields, starting with the field \
     `[[ ## answer ## ]]`, and then ending with the marker for `[[ ## completed ## ]]`.";

fn queue(folder: &Path) -> SqliteQueue {
    SqliteQueue::open(&folder.join("queue.db"), Limits::default(), Clock::Store).unwrap()
}

fn fields(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

/// A call, one of a tool, and a call that failed; the later one ended first.
fn trace() -> Trace {
    let trace = Trace::on();
    let call = |question: &str, at_ms: f64| LmStep {
        predictor: "agent.react".to_owned(),
        adapter: "ChatAdapter".into(),
        request: LmRequest {
            messages: vec![
                Message::text(Role::System, INSTRUCTIONS.to_owned()),
                Message::text(Role::User, format!("{question}\n\n{ENDING}")),
            ],
            settings: LmSettings { model: Some("openai/stub".to_owned()), ..Default::default() },
            response_format: None,
        },
        reply: Some(LmReply { text: Some("Blue.".to_owned()), ..LmReply::default() }),
        outputs: Some(fields(json!({ "answer": "Blue." }))),
        error: None,
        render_at_ms: at_ms,
        render_ms: 0.25,
        lm_at_ms: at_ms + 0.25,
        lm_ms: 412.5,
        parse_at_ms: at_ms + 412.75,
        parse_ms: 0.125,
    };
    let failed = LmStep {
        reply: None,
        outputs: None,
        error: Some("it is away".to_owned()),
        ..call("Why?", 500.0)
    };
    let tool = ToolStep {
        predictor: "agent.react".to_owned(),
        name: "search".to_owned(),
        args: fields(json!({ "q": "sky" })),
        result: Some(json!(["blue"])),
        error: None,
        at_ms: 450.0,
        ms: 1.5,
    };
    trace.push(|| dspy::Step::Lm(Box::new(failed)));
    trace.push(|| dspy::Step::Lm(Box::new(call("What colour?", 0.0))));
    trace.push(|| dspy::Step::Tool(Box::new(tool)));
    trace
}

fn execution(report: Report) -> Execution {
    let spec = Arc::new(Spec::new("qa", "me", Duration::ZERO));
    Execution {
        state: State::Succeeded,
        report: Some(report),
        ..Execution::queued(ExecutionId::new(), spec, Fields::new(), Utc::now())
    }
}

#[tokio::test]
async fn steps_that_are_kept_tell_what_a_debug_trace_tells() {
    let folder = tempfile::tempdir().unwrap();
    let (queue, texts) = (queue(folder.path()), Texts::default());
    let result = fields(json!({ "answer": "Blue." }));
    let outputs = Some(result.clone());
    let debug_trace = Some(serde_json::to_value(trace()).unwrap());
    let debugged = Report { outputs: outputs.clone(), debug_trace, ..Report::default() };
    let expected = of(&execution(debugged), &queue).await.unwrap();

    let trace = kept::write(&trace().into_steps(), Some(&result), &texts, &queue).await;
    let names: Vec<Value> = trace.as_ref().unwrap().read().unwrap();
    let report = Report { outputs, trace, ..Report::default() };
    let steps = of(&execution(report), &queue).await.unwrap();

    let messages = &names[1]["q"]["m"];
    assert_eq!(messages[0]["content"]["text"], TextId::of(INSTRUCTIONS).to_string());
    assert_eq!(messages[1]["content"][1]["text"], TextId::of(ENDING).to_string());
    assert_eq!((&names[1]["o"], &names[1]["s"]), (&Value::Null, &json!(true)));
    let kinds = |steps: &[Step]| steps.iter().map(|it| it.kind.clone()).collect::<Vec<_>>();
    assert_eq!(kinds(&steps), ["lm", "tool", "lm"]);
    assert_eq!(steps, expected);
}

#[tokio::test]
async fn trace_whose_texts_are_gone_says_so() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [queue, another] = folders.each_ref().map(|it| queue(it.path()));
    let trace = kept::write(&trace().into_steps(), None, &Texts::default(), &queue).await;

    let steps = of(&execution(Report { trace, ..Report::default() }), &another).await.unwrap();

    assert_eq!(steps[2].request.messages[0]["content"], INSTRUCTIONS, "seen for the first time");
    assert_eq!(steps[0].request.messages[0]["content"], LOST);
    assert_eq!(steps[0].request.messages[1]["content"], format!("What colour?\n\n{LOST}"));
}
