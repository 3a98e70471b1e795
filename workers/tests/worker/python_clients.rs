//! Programs that ask models by other clients than DSPy's: their calls go through the gateway too.

use std::time::Duration;

use queue::{CacheKey, State};
use serde_json::json;
use testkit::{Reply, StubLm};
use workers::Keys;

use super::{
    module::{HEAD, failure, outputs, submit},
    site::Site,
};

/// A site with a program of this text, whose gateway alone has the key.
fn site(text: &str) -> Site {
    let mut site = super::module::program("", "");
    site.write_python("p", &format!("{HEAD}{text}"), "");
    site.gateway.keys = Keys::new(|name| {
        let known = ["OPENAI_API_KEY", "GROQ_API_KEY"].contains(&name);
        known.then(|| "the real one".to_owned())
    });
    site
}

const BY_OPENAI: &str = "
import openai

class P(dspy.Module):
    def __init__(self):
        super().__init__()
        self.client = openai.OpenAI()

    def forward(self, question: str, stream: bool = False):
        messages = [{'role': 'user', 'content': question}]
        create = self.client.chat.completions.create
        said = create(model='gpt-4o-mini', messages=messages, n=2, stream=stream)
        if stream:
            texts = [it.choices[0].delta.content for it in said if it.choices]
        else:
            texts = [it.message.content for it in said.choices]
        return dspy.Prediction(texts=texts, key=self.client.api_key)
";

#[tokio::test]
async fn openais_package_asks_through_the_gateway() {
    let site = site(BY_OPENAI);
    for text in ["one", "two", "three", "four"] {
        site.lm.then(Reply::Text(text.to_owned()));
    }
    let worker = site.start();

    let whole = outputs(&site, json!({"question": "why?"})).await;
    let streamed = outputs(&site, json!({"question": "how?", "stream": true})).await;

    assert_eq!((&whole["texts"], &streamed["texts"]), (&json!(["one", "two"]), &json!(["three"])));
    assert_eq!(whole["key"], "the gateway has it");
    let calls = site.lm.requests();
    assert!(calls.iter().all(|it| it.authorization == "Bearer the real one"), "{calls:#?}");
    assert_eq!(calls[0].body["model"], "gpt-4o-mini");
    worker.end().await;
}

/// Asks by the asynchronous client, and gives the error that it raises.
const ASYNC: &str = "
import openai

class P(dspy.Module):
    async def aforward(self, question: str):
        messages = [{'role': 'user', 'content': question}]
        create = openai.AsyncOpenAI().chat.completions.create
        try:
            said = await create(model='openai/stub', messages=messages)
        except openai.OpenAIError as error:
            return dspy.Prediction(error=type(error).__name__, said=str(error))
        return dspy.Prediction(text=said.choices[0].message.content)
";

#[tokio::test]
async fn a_cache_does_not_answer_all_completions_of_a_call_alike() {
    let site = site(BY_OPENAI);
    site.lm.then(Reply::Text("one".to_owned())).then(Reply::Text("two".to_owned()));
    let worker = site.start();
    let key = CacheKey { fingerprint: "f".to_owned(), ttl: Duration::from_secs(60) };

    let id = site
        .submit(|it| {
            it.spec.program = "p".to_owned();
            it.cache = Some(key);
        })
        .await;

    let outputs = site.until(id, State::Succeeded).await.report.unwrap().outputs.unwrap();
    assert_eq!(outputs["texts"], json!(["one", "two"]));
    worker.end().await;
}

#[tokio::test]
async fn calls_at_the_same_time_are_each_of_their_execution() {
    let site = site(ASYNC);
    site.lm.usually(Reply::Text("yes".to_owned()).at_gate());
    let worker = site.start();
    let mut ids = Vec::new();
    for question in ["1", "2", "3"] {
        ids.push(submit(&site, json!({"question": question})).await);
    }
    site.until_called(3).await;

    site.lm.open_gate();

    for id in ids {
        let report = site.until(id, State::Succeeded).await.report.unwrap();
        assert_eq!(report.usage["openai/stub"]["total_tokens"], 12);
        assert_eq!(report.outputs.unwrap()["text"], "yes");
    }
    worker.end().await;
}

#[tokio::test]
async fn a_client_raises_its_own_error_for_what_the_gateway_gave_up() {
    let cases = [
        (Reply::error(400), "BadRequestError"),
        (Reply::error(401), "AuthenticationError"),
        (Reply::error(503), "InternalServerError"),
        (Reply::Cut, "InternalServerError"),
    ];
    let site = site(ASYNC);
    let worker = site.start();

    for (calls, (reply, error)) in (1..).zip(cases) {
        site.lm.then(reply);
        let made = outputs(&site, json!({"question": error})).await;
        assert_eq!(made["error"], error, "{made:?}");
        assert_eq!(site.lm.calls(), calls, "neither tries again: the client is told not to");
    }
    worker.end().await;
}

#[tokio::test]
async fn keys_of_the_environment_are_the_gateways() {
    let site = site(
        "
class P(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict('question -> answer')
        self.ask.set_lm(dspy.LM('openai/mine', api_key=os.environ['OPENAI_API_KEY']))

    def forward(self, question: str):
        import litellm
        messages = [{'role': 'user', 'content': question}]
        said = litellm.completion(model='openai/other', messages=messages)
        answer = self.ask(question=question).answer
        return dspy.Prediction(said=said.choices[0].message.content, answer=answer)
",
    );
    site.lm.then(Reply::Text("hello".to_owned()));
    let worker = site.start();

    let made = outputs(&site, json!({"question": "?"})).await;

    assert_eq!(json!(made), json!({"said": "hello", "answer": "a answer"}));
    let asked = site.lm.requests();
    let models: Vec<_> = asked.iter().map(|it| it.body["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["other", "mine"]);
    assert!(asked.iter().all(|it| it.authorization == "Bearer the real one"), "{asked:#?}");
    worker.end().await;
}

/// Finds the nearest of two texts, as DSPy's tutorials do, and asks with it.
const BY_EMBEDDER: &str = "
import asyncio
import openai

class P(dspy.Module):
    def __init__(self):
        super().__init__()
        self.embed = dspy.Embedder('openai/text-embedding-3-small', dimensions=2, caching=False)
        self.ask = dspy.Predict('context, question -> answer')

    def forward(self, question: str):
        corpus = ['Bees make honey.', 'Cows give milk.']
        search = dspy.retrievers.Embeddings(corpus=corpus, embedder=self.embed, k=1)
        answer = self.ask(context=search(question).passages, question=question).answer
        vector = asyncio.run(vector_of(question))
        return dspy.Prediction(answer=answer, vector=vector)


async def vector_of(text):
    made = await openai.AsyncOpenAI().embeddings.create(model='own', input=text)
    return made.data[0].embedding
";

/// What an endpoint makes of texts.
fn vectors(vectors: &[[f64; 2]]) -> Reply {
    let item = |(index, it)| json!({"object": "embedding", "index": index, "embedding": it});
    let data: Vec<_> = vectors.iter().enumerate().map(item).collect();
    let usage = json!({"prompt_tokens": 3, "total_tokens": 3});
    let body = json!({"object": "list", "data": data, "model": "m", "usage": usage});
    Reply::Status(200, Vec::new(), body.to_string())
}

#[tokio::test]
async fn embeddings_are_made_through_the_gateway() {
    let site = site(BY_EMBEDDER);
    site.lm.then(vectors(&[[1.0, 0.0], [0.0, 1.0]])).then(vectors(&[[0.0, 1.0]]));
    site.lm.then(Reply::Fitting).then(vectors(&[[0.25, 0.5]]));
    let worker = site.start();

    let id = submit(&site, json!({"question": "What do cows give?"})).await;
    let report = site.until(id, State::Succeeded).await.report.unwrap();

    assert_eq!(
        json!(report.outputs.unwrap()),
        json!({"answer": "a answer", "vector": [0.25, 0.5]})
    );
    let calls = site.lm.requests();
    let paths: Vec<_> = calls.iter().map(|it| &*it.path).collect();
    let (chat, embeddings) = ("/v1/chat/completions", "/v1/embeddings");
    assert_eq!(paths, [embeddings, embeddings, chat, embeddings]);
    assert!(calls.iter().all(|it| it.authorization == "Bearer the real one"), "{calls:#?}");
    let texts = ["Bees make honey.", "Cows give milk."];
    let body = json!({"model": "text-embedding-3-small", "input": texts, "dimensions": 2});
    assert_eq!(calls[0].body, body);
    assert!(calls[2].body["messages"].to_string().contains("Cows give milk."));
    assert_eq!(report.usage["openai/text-embedding-3-small"]["total_tokens"], 6);
    assert_eq!(report.usage["openai/own"]["total_tokens"], 3);
    worker.end().await;
}

#[tokio::test]
async fn embeddings_that_are_refused_are_the_clients_own_error() {
    let site = site(BY_EMBEDDER);
    site.lm.usually(Reply::error(401));
    let worker = site.start();

    let id = submit(&site, json!({"question": "?"})).await;
    let execution = site.until(id, State::Failed).await;

    let (_, message) = failure(&execution);
    assert!(message.contains("AuthenticationError"), "{message}");
    worker.end().await;
}

#[tokio::test]
async fn a_model_at_an_address_of_the_programs_own_is_asked_directly_and_that_is_said() {
    let direct = StubLm::new(Reply::Fitting);
    let site = site(&format!(
        "
import warnings

class P(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict('question -> answer')
        self.lm = dspy.LM('openai/mine', api_base='{}', api_key='of the program')

    def forward(self, question: str):
        with warnings.catch_warnings(record=True) as told, dspy.context(lm=self.lm):
            warnings.simplefilter('always')
            answer = self.ask(question=question).answer
        return dspy.Prediction(answer=answer, told=[str(it.message) for it in told])
",
        direct.url()
    ));
    let worker = site.start();

    let id = submit(&site, json!({"question": "?"})).await;
    let report = site.until(id, State::Succeeded).await.report.unwrap();

    assert_eq!(report.usage["openai/mine"]["total_tokens"], 12);
    let outputs = json!(report.outputs.unwrap());
    assert_eq!(outputs["answer"], "a answer");
    let told = outputs["told"].to_string();
    let why = "calls of openai/mine do not go through dspyx: the program sets api_key, api_base";
    assert!(told.contains(why), "{told}");
    assert_eq!((site.lm.calls(), direct.calls()), (0, 1));
    assert_eq!(direct.requests()[0].authorization, "Bearer of the program");
    worker.end().await;
}

#[tokio::test]
async fn what_the_gateway_does_not_answer_is_told() {
    let site = site(
        "
import openai

class P(dspy.Module):
    def forward(self, question: str):
        openai.OpenAI().images.generate(prompt=question)
",
    );
    let worker = site.start();

    let id = submit(&site, json!({"question": "?"})).await;
    let execution = site.until(id, State::Failed).await;

    let (_, message) = failure(&execution);
    assert!(message.contains("NotFoundError") && message.contains("PYTHON_ENV"), "{message}");
    worker.end().await;
}
