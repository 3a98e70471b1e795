//! An execution as it happens, as server-sent events: its record at every change, and what it tells
//! while it runs, if it was asked to.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response, Sse,
    sse::{Event, KeepAlive},
};
use futures::{StreamExt, future::BoxFuture, stream};
use queue::{Execution, Mark, News, State};

use crate::{App, record::ExecutionRecord};

/// How long a change may go unseen, other than the end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a stream may be silent, for the sake of proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The record at every change of its state, of its attempts or of its being called off, and what
/// is told after a mark; the last event is that of its end, or of the server's.
pub(crate) fn stream(app: App, execution: Execution, after: Option<Mark>) -> Response {
    let view = View {
        sight: Sight::of(&execution),
        is_over: execution.state.is_terminal(),
        is_told: execution.spec.stream && !execution.state.is_terminal(),
        after,
        look: look(&app, execution.id),
        ready: VecDeque::from([status(execution)]),
        app,
    };
    let events = stream::unfold(view, |mut view| async { Some((view.next().await?, view)) });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(keep_alive).into_response()
}

/// One client's view of an execution.
struct View {
    app: App,
    sight: Sight,
    is_over: bool,
    /// Whether it tells what it does.
    is_told: bool,
    /// What was told up to here is sent.
    after: Option<Mark>,
    /// A look at the record that is under way: it comes when there may be a change.
    look: BoxFuture<'static, queue::Result<Execution>>,
    /// Events to send next.
    ready: VecDeque<Event>,
}

/// What makes one sight of an execution different from another.
#[derive(PartialEq)]
struct Sight {
    id: queue::ExecutionId,
    state: State,
    attempts: usize,
    generation: u32,
    cancel_requested: bool,
}

impl Sight {
    fn of(execution: &Execution) -> Self {
        Self {
            id: execution.id,
            state: execution.state,
            attempts: execution.attempts.len(),
            generation: execution.generation,
            cancel_requested: execution.cancel_requested,
        }
    }
}

fn look(app: &App, id: queue::ExecutionId) -> BoxFuture<'static, queue::Result<Execution>> {
    let app = app.clone();
    Box::pin(async move { app.wait(id, LOOK_EVERY).await })
}

impl View {
    async fn next(&mut self) -> Option<Event> {
        while self.ready.is_empty() {
            if self.is_over || self.app.stop.is_cancelled() {
                return None;
            }
            if let Err(error) = self.find_more().await {
                self.lose(&error);
            }
        }
        self.ready.pop_front()
    }

    /// Waits for a change, or for something to be told.
    async fn find_more(&mut self) -> queue::Result<()> {
        let id = self.sight.id;
        let told = self.app.queue.follow(id, self.after, LOOK_EVERY);
        let execution = tokio::select! {
            biased;
            told = told, if self.is_told => return told.map(|it| self.take(it)),
            execution = &mut self.look => execution?,
        };
        self.is_over = execution.state.is_terminal();
        if self.is_over && self.is_told {
            self.take_rest().await?;
        } else if !self.is_over {
            self.look = look(&self.app, id);
        }
        let sight = Sight::of(&execution);
        if sight != self.sight {
            self.sight = sight;
            self.ready.push_back(status(execution));
        }
        Ok(())
    }

    fn take(&mut self, told: Vec<(Mark, News)>) {
        for (mark, News { event, data }) in told {
            self.after = Some(mark);
            self.ready.push_back(Event::default().event(event).id(mark.to_string()).data(data));
        }
    }

    /// All was told before the end; it is bounded.
    async fn take_rest(&mut self) -> queue::Result<()> {
        loop {
            let told = self.app.queue.follow(self.sight.id, self.after, Duration::ZERO).await?;
            if told.is_empty() {
                return Ok(());
            }
            self.take(told);
        }
    }

    /// The end of a stream whose store is gone: the client is to connect again.
    fn lose(&mut self, error: &queue::Error) {
        tracing::warn!(%error, "a stream of events lost its store");
        self.is_over = true;
        let text = "the store cannot be reached; connect again";
        self.ready.push_back(Event::default().comment(text));
    }
}

fn status(execution: Execution) -> Event {
    let record = serde_json::to_string(&ExecutionRecord::from(execution)).unwrap_or_default();
    Event::default().event("status").data(record)
}
