//! The changes of an execution, as they happen: server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response, Sse,
    sse::{Event, KeepAlive},
};
use futures::{Stream, StreamExt, stream};
use queue::{Execution, State};

use crate::{App, record::ExecutionRecord};

/// How long a change may go unseen, other than the end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a stream may be silent, for the sake of proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The record at every change of its state, of its attempts or of its being called off; the last
/// event is that of its end, or of the server's.
pub(crate) fn stream(app: App, execution: Execution) -> Response {
    let look = Look { app, last: Mark::of(&execution), over: execution.state.is_terminal() };
    let first = stream::once(std::future::ready(event(execution)));
    let changes = stream::unfold(look, |mut look| async { Some((look.next().await?, look)) });
    let all = first.chain(changes).map(Ok::<_, Infallible>);
    sse(all)
}

fn sse(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

struct Look {
    app: App,
    last: Mark,
    over: bool,
}

/// What makes one sight of an execution different from another.
#[derive(PartialEq)]
struct Mark {
    id: queue::ExecutionId,
    state: State,
    attempts: usize,
    generation: u32,
    cancel_requested: bool,
}

impl Mark {
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

impl Look {
    async fn next(&mut self) -> Option<Event> {
        while !self.over && !self.app.stop.is_cancelled() {
            let found = self.app.wait(self.last.id, LOOK_EVERY).await;
            let execution = match found {
                Ok(execution) => execution,
                Err(error) => return Some(self.lost(&error)),
            };
            self.over = execution.state.is_terminal();
            let mark = Mark::of(&execution);
            if mark != self.last {
                self.last = mark;
                return Some(event(execution));
            }
        }
        None
    }

    /// The end of a stream whose store is gone: the client is to connect again.
    fn lost(&mut self, error: &queue::Error) -> Event {
        tracing::warn!(%error, "a stream of events lost its store");
        self.over = true;
        Event::default().comment("the store cannot be reached; connect again")
    }
}

fn event(execution: Execution) -> Event {
    let record = serde_json::to_string(&ExecutionRecord::from(execution)).unwrap_or_default();
    Event::default().event("status").data(record)
}
