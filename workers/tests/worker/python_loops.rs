//! Programs that are asynchronous: what they do in their loop, in threads, and in other loops.

use std::time::Duration;

use queue::State;
use serde_json::json;
use testkit::{Reply, until_true};

use super::{
    module::{outputs, program, submit},
    site::{SOON, spec},
};

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

#[tokio::test]
async fn what_blocks_a_loop_holds_up_the_next_few_and_not_the_others() {
    let text = aforward(&[
        "if question == 'block':\n            time.sleep(4)",
        "return {'pid': os.getpid()}",
    ]);
    let mut site = program(&text, "");
    site.config.slots = 64;
    let worker = site.start();
    let first = outputs(&site, json!({"question": "which process?"})).await;
    let blocking = submit(&site, json!({"question": "block"})).await;
    site.until(blocking, State::Running).await;

    let others = (0..20).map(|_| submit(&site, json!({})));
    let others = futures::future::join_all(others).await;

    let elsewhere = async || {
        let ended = others.iter().map(async |it| site.queue.execution(*it).await.unwrap());
        let ended = futures::future::join_all(ended).await;
        let reports = ended.into_iter().filter_map(|it| it.report);
        reports.filter(|it| it.outputs.as_ref().unwrap()["pid"] != first["pid"]).count() >= 16
    };
    until_true("another process runs the others", SOON, elsewhere).await;
    assert_eq!(site.queue.execution(blocking).await.unwrap().state, State::Running);
    worker.end().await;
}

#[tokio::test]
async fn what_no_loop_has_begun_waits_in_the_worker() {
    let text = aforward(&["if question == 'block':\n            time.sleep(2)", "return {}"]);
    let mut site = program(&text, "");
    (site.config.slots, site.python.processes) = (64, 1);
    let worker = site.start();
    outputs(&site, json!({})).await;
    let blocking = submit(&site, json!({"question": "block"})).await;
    site.until(blocking, State::Running).await;

    let others = (0..20).map(|_| submit(&site, json!({})));
    let others = futures::future::join_all(others).await;

    let waiting = async || worker.metrics.python_waiting.get() >= 16;
    until_true("they wait in the worker", SOON, waiting).await;
    for id in others {
        site.until(id, State::Succeeded).await;
    }
    assert_eq!(worker.metrics.python_waiting.get(), 0);
    worker.end().await;
}

#[tokio::test]
async fn who_is_waited_for_goes_before_the_batch_that_waits_in_the_worker() {
    let text = aforward(&[
        "if question == 'hold':\n            await self.ask.acall(question=question)",
        "P.turns = getattr(P, 'turns', 0) + 1",
        "return {'turn': P.turns}",
    ]);
    let mut site = program(&text, "concurrency: 1");
    (site.config.slots, site.python.processes) = (64, 1);
    site.lm.then(Reply::Fitting.at_gate());
    let worker = site.start();
    let holding = submit(&site, json!({"question": "hold"})).await;
    until_true("it holds", SOON, async || site.lm.calls() == 1).await;
    let batch = site.submit_batch(spec("p"), (0..8).map(|it| it.to_string())).await;
    let waiting = async || worker.metrics.python_waiting.get() == 8;
    until_true("the batch waits in the worker", SOON, waiting).await;

    let late = submit(&site, json!({"question": "soon?"})).await;
    let waiting = async || worker.metrics.python_waiting.get() == 9;
    until_true("it waits too", SOON, waiting).await;
    site.lm.open_gate();

    let ended = site.until(late, State::Succeeded).await.report.unwrap().outputs.unwrap();
    assert_eq!(ended["turn"], 2, "the second to run");
    site.until(holding, State::Succeeded).await;
    for n in 0..8 {
        site.until(batch.item(n), State::Succeeded).await;
    }
    worker.end().await;
}

#[tokio::test]
async fn what_is_called_off_before_its_loop_comes_to_it_harms_nobody() {
    let text = aforward(&[
        "if question == 'block':\n            time.sleep(0.5)",
        "await asyncio.sleep(1.5 if question == 'last' else 0)",
        "return {'pid': os.getpid()}",
    ]);
    let mut site = program(&text, "");
    site.python.grace = Duration::from_secs(1);
    let worker = site.start();
    let first = outputs(&site, json!({"question": "which process?"})).await;
    let blocking = submit(&site, json!({"question": "block"})).await;
    site.until(blocking, State::Running).await;

    let off = submit(&site, json!({})).await;
    site.until(off, State::Running).await;
    site.queue.cancel(off).await.unwrap();
    site.until(off, State::Cancelled).await;

    let last = outputs(&site, json!({"question": "last"})).await;
    assert_eq!(last["pid"], first["pid"]);
    assert_eq!(worker.metrics.python_killed.get(), 0);
    worker.end().await;
}

#[tokio::test]
async fn a_prompt_says_what_a_signature_says_now() {
    let text = aforward(&[
        "signature = self.ask.signature",
        "signature.output_fields['answer'].json_schema_extra['desc'] = question",
        "await self.ask.acall(question='?')",
        "self.ask.signature = signature.with_instructions(question + ' in detail')",
        "return {'answer': (await self.ask.acall(question='?')).answer}",
    ]);
    let site = program(&text, "concurrency: 1");
    let worker = site.start();

    for question in ["Why so?", "How so?"] {
        outputs(&site, json!({"question": question})).await;
    }

    let requests = site.lm.requests();
    let asked: Vec<_> = requests.iter().map(|it| it.body["messages"][0].to_string()).collect();
    let says = |at: usize, text: &str| asked[at].contains(text);
    assert!(says(0, "(str): Why so?") && !says(0, "in detail"), "{}", asked[0]);
    assert!(says(1, "(str): Why so?") && says(1, "Why so? in detail"), "{}", asked[1]);
    assert!(says(2, "(str): How so?") && says(2, "Why so? in detail"), "{}", asked[2]);
    assert!(says(3, "(str): How so?") && says(3, "How so? in detail"), "{}", asked[3]);
    worker.end().await;
}

#[tokio::test]
async fn an_execution_leaves_nothing_that_has_to_be_searched_for() {
    let text = aforward(&[
        "if question == 'look': return {'found': gc.collect()}",
        "print('here')",
        "return {'answer': (await self.ask.acall(question='?')).answer}",
    ]);
    let site = program(&format!("import gc\ngc.disable()\n{text}"), "");
    let worker = site.start();
    outputs(&site, json!({"question": "look"})).await;

    for _ in 0..20 {
        outputs(&site, json!({})).await;
    }

    let found = outputs(&site, json!({"question": "look"})).await;
    assert!(found["found"].as_u64().unwrap() < 20, "{found:?}");
    worker.end().await;
}
