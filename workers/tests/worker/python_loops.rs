//! Programs that are asynchronous: what they do in their loop, in threads, and in other loops.

use serde_json::json;

use super::module::{outputs, program};

/// The class of a program with this `aforward`, which has `ask`.
fn aforward(lines: &[&str]) -> String {
    let body = lines.join("\n        ");
    format!(
        "import asyncio\nclass P(dspy.Module):\n    def __init__(self):\n        \
         super().__init__()\n        self.ask = dspy.Predict('question -> answer')\n\n    \
         async def aforward(self, question: str = '?'):\n        {body}\n"
    )
}

#[tokio::test]
async fn models_are_asked_in_the_loop_in_threads_and_in_loops_of_its_own() {
    let text = aforward(&[
        "asked = [await self.ask.acall(question='in the loop')]",
        "asked.append(await asyncio.to_thread(self.ask, question='in a thread'))",
        "def apart(): return asyncio.run(self.ask.acall(question='in another loop'))",
        "asked.append(await asyncio.to_thread(apart))",
        "asked.append(self.ask(question='in the loop, which waits'))",
        "asked += await asyncio.gather(*[self.ask.acall(question=str(it)) for it in range(20)])",
        "return {'answers': [it.answer for it in asked]}",
    ]);
    let site = program(&text, "");
    let worker = site.start();

    let outputs = outputs(&site, json!({})).await;

    assert_eq!(outputs["answers"], json!(vec!["a answer"; 24]));
    assert_eq!(site.lm.calls(), 24);
    worker.end().await;
}

#[tokio::test]
async fn a_call_of_a_model_hops_to_no_thread_and_what_a_program_sends_to_one_does() {
    let text = aforward(&[
        "await self.ask.acall(question='?')",
        "names = [it.name for it in threading.enumerate()]",
        "there = await asyncio.to_thread(threading.get_ident)",
        "return {'hopped': [it for it in names if it.startswith('asyncio')],",
        "        'is_apart': there != threading.get_ident()}",
    ]);
    let site = program(&text, "");
    let worker = site.start();

    let outputs = outputs(&site, json!({})).await;

    assert_eq!(json!(outputs), json!({"hopped": [], "is_apart": true}));
    worker.end().await;
}

#[tokio::test]
async fn an_adapter_that_looks_at_what_a_model_can_do_finds_what_the_list_says() {
    let text = aforward(&[
        "lm = dspy.LM('openai/gpt-4o-mini', cache=False)",
        "with dspy.context(lm=lm, adapter=dspy.JSONAdapter()):",
        "    found = await self.ask.acall(question='?')",
        "return {'answer': found.answer}",
    ]);
    let site = program(&text, "");
    let worker = site.start();

    let outputs = outputs(&site, json!({})).await;

    assert_eq!(outputs["answer"], "a answer");
    let body = &site.lm.requests()[0].body;
    assert_eq!(body["response_format"]["type"], "json_schema", "{body}");
    worker.end().await;
}

#[tokio::test]
async fn outputs_that_fill_the_socket_come_whole_and_beside_each_other() {
    let text = aforward(&["await asyncio.sleep(0)", "return {'text': question * 300_000}"]);
    let site = program(&text, "");
    let worker = site.start();

    let one = |text: &'static str| outputs(&site, json!({"question": text}));
    let all = tokio::join!(one("a"), one("bc"), one("ü"), one("d"));

    let lengths = [&all.0, &all.1, &all.2, &all.3].map(|it| it["text"].as_str().unwrap().len());
    assert_eq!(lengths, [300_000, 600_000, 600_000, 300_000]);
    worker.end().await;
}
