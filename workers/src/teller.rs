//! What an attempt tells to those who follow its execution: gathered while it runs, and sent on
//! some times a second.
//!
//! Nothing waits for it but the end of the attempt, and that only for a moment: what cannot be
//! sent is dropped, and the record has it all the same.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dspy::{Progress, Told};
use queue::{End, ExecutionId, NEWS_TIME, News, Queue, Task};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

/// How long what is told is gathered: twenty messages a second are enough for eyes.
const EVERY: Duration = Duration::from_millis(50);

/// The most that one attempt tells, in bytes.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// About how long an event is without its text.
const EVENT_BYTES: usize = 150;

/// How long what was told is there after the end, for followers that are late.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// How long a store may take to hear it.
const SENDING_MAX: Duration = Duration::from_secs(2);

/// Tells of one attempt.
pub(crate) struct Teller {
    queue: Arc<dyn Queue>,
    execution: ExecutionId,
    /// This attempt, among others at the same execution.
    name: String,
    pile: Arc<Pile>,
    progress: Progress,
}

/// What is to be sent.
#[derive(Default)]
struct Pile {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    told: Vec<Told>,
    /// How much the attempt has told so far.
    bytes: usize,
}

impl Teller {
    /// One for an execution that is to be followed; none for others.
    pub(crate) fn of(queue: &Arc<dyn Queue>, task: &Task) -> Option<Self> {
        if !task.spec.stream {
            return None;
        }
        let pile = Arc::<Pile>::default();
        let progress = Progress::new({
            let pile = Arc::clone(&pile);
            move |told| pile.add(told)
        });
        let name = Uuid::new_v4().simple().to_string();
        Some(Self { queue: Arc::clone(queue), execution: task.id, name, pile, progress })
    }

    /// Where the attempt tells what it does.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Runs the attempt, and sends what it tells meanwhile. All of it is sent before it ends.
    pub(crate) async fn beside(&self, attempt: impl Future<Output = End>) -> End {
        let over = CancellationToken::new();
        let attempt = async {
            let guard = over.clone().drop_guard();
            let end = attempt.await;
            drop(guard);
            end
        };
        let (end, begun) = tokio::join!(attempt, self.send(&over));
        let mut rest = self.pile.take_news();
        let mut kept = AFTERWARDS;
        if !end.is_final() {
            // Another attempt follows: whoever listens may know it at once.
            rest.push(void());
            kept = NEWS_TIME;
        }
        self.send_now(begun, &rest, kept).await;
        end
    }

    /// Sends on and on until the attempt is over. Says whether it could begin.
    async fn send(&self, over: &CancellationToken) -> bool {
        let mut begun = self.begin().await;
        while over.run_until_cancelled(self.pile.more.notified()).await.is_some() {
            begun = self.send_now(begun, &self.pile.take_news(), NEWS_TIME).await;
            over.run_until_cancelled(sleep(EVERY)).await;
        }
        begun
    }

    async fn begin(&self) -> bool {
        let (id, void) = (self.execution, void());
        match timeout(SENDING_MAX, self.queue.begin(id, &self.name, &void)).await {
            Ok(Ok(())) => true,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Sends some, and says whether it has begun.
    async fn send_now(&self, begun: bool, some: &[News], kept: Duration) -> bool {
        let begun = begun || self.begin().await;
        if some.is_empty() {
            return begun;
        }
        let sending = self.queue.tell(self.execution, &self.name, some, kept);
        match timeout(SENDING_MAX, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "those who follow an execution miss a part of it"),
            Err(_) => warn!("the store is slow: those who follow an execution miss a part of it"),
        }
        begun
    }
}

impl Pile {
    /// Takes what is told; a text that grows stays one event until it is sent.
    fn add(&self, told: Told) {
        let waiting = &mut *self.waiting();
        if waiting.bytes + bytes(&told) > BYTES_MAX {
            waiting.bytes = BYTES_MAX;
            return;
        }
        match (last_of(&mut waiting.told, &told), told) {
            (
                Some(Told::Field { field: before, delta: text, .. }),
                Told::Field { field, delta, .. },
            ) if *before == field => {
                waiting.bytes += delta.len();
                text.push_str(&delta);
            }
            (_, told) => {
                waiting.bytes += bytes(&told);
                waiting.told.push(told);
            }
        }
        self.more.notify_one();
    }

    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.waiting().told)
    }

    fn take_news(&self) -> Vec<News> {
        self.take().iter().filter_map(news).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last event of the same call.
fn last_of<'a>(all: &'a mut [Told], told: &Told) -> Option<&'a mut Told> {
    let call = call(told);
    all.iter_mut().rfind(|it| self::call(it) == call)
}

fn call(told: &Told) -> u64 {
    match told {
        Told::Field { call, .. } | Told::Outputs { call, .. } | Told::Restart { call, .. } => *call,
    }
}

fn bytes(told: &Told) -> usize {
    match told {
        Told::Field { delta, .. } => EVENT_BYTES + delta.len(),
        Told::Outputs { outputs, .. } => {
            EVENT_BYTES + outputs.values().map(|it| it.to_string().len()).sum::<usize>()
        }
        Told::Restart { .. } => EVENT_BYTES,
    }
}

/// The event as followers get it.
fn news(told: &Told) -> Option<News> {
    let event = match told {
        Told::Field { .. } => "field",
        Told::Outputs { .. } => "outputs",
        Told::Restart { .. } => "restart",
    };
    let data = serde_json::to_string(told).ok()?;
    Some(News { event: event.to_owned(), data })
}

/// All that an attempt has told is void.
fn void() -> News {
    let data = r#"{"predictor":null,"call":null}"#.to_owned();
    News { event: "restart".to_owned(), data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(call: u64, offset: usize, delta: &str) -> Told {
        let (predictor, field) = ("self".to_owned(), "answer".to_owned());
        Told::Field { predictor, call, field, offset, delta: delta.to_owned() }
    }

    #[test]
    fn a_text_that_grows_is_one_event_until_it_is_sent() {
        let pile = Pile::default();
        let restart = || Told::Restart { predictor: "self".to_owned(), call: 2 };

        for (call, offset, delta) in [(1, 0, "a"), (2, 0, "x"), (1, 1, "b"), (2, 1, "y")] {
            pile.add(field(call, offset, delta));
        }
        pile.add(restart());
        pile.add(field(2, 0, "z"));

        let sent = pile.take();
        assert_eq!(sent, [field(1, 0, "ab"), field(2, 0, "xy"), restart(), field(2, 0, "z")]);
        pile.add(field(1, 2, "c"));
        assert_eq!(pile.take(), [field(1, 2, "c")]);
    }

    #[test]
    fn an_attempt_that_tells_too_much_falls_silent() {
        let pile = Pile::default();
        let long = "x".repeat(BYTES_MAX / 2);

        for offset in [0, long.len(), 2 * long.len()] {
            pile.add(field(1, offset, &long));
        }

        let told: usize = pile.take().iter().map(bytes).sum();
        assert!((BYTES_MAX / 2..=BYTES_MAX).contains(&told), "{told}");
        pile.add(field(2, 0, "more"));
        assert_eq!(pile.take(), []);
    }

    #[test]
    fn events_are_what_the_documentation_says() {
        let data = news(&field(3, 2, "ca")).map(|it| (it.event, it.data)).unwrap();
        let expected = r#"{"predictor":"self","call":3,"field":"answer","offset":2,"delta":"ca"}"#;
        assert_eq!(data, ("field".to_owned(), expected.to_owned()));
    }
}
