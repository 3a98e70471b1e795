//! A file of requests: those of as many items in turn as a provider takes in one file. Made a
//! chunk of items at a time, and small enough to be held in memory.

use std::collections::HashSet;

use queue::{BatchId, CHUNK_ITEMS, Execution, Filter, Queue};

use super::{Problem, name::Name, questions::Questions};

/// The most requests of a file, as the protocol says.
const LINES_MAX: usize = 50_000;

/// From how many bytes on a file gets no more items. The protocol allows 200 MB; this is what a
/// worker can hold.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Requests, a line each.
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// How many there are.
    pub(super) lines: usize,
    /// The index of the first item that is not in it.
    pub(super) next: u32,
}

impl File {
    /// Writes the requests of the items from `first` on that have not ended. Of equal ones, only
    /// the first if they are to be `shared`. An item that can ask nothing gets no line: it fails
    /// when it runs.
    pub(super) async fn write(
        queue: &dyn Queue,
        questions: &Questions<'_>,
        (id, first): (BatchId, u32),
        shared: bool,
    ) -> Result<Self, Problem> {
        let mut file = Self { bytes: Vec::new(), lines: 0, next: first };
        let mut seen = HashSet::new();
        loop {
            let items = page(queue, id, file.next).await?;
            if items.is_empty() {
                return Ok(file);
            }
            for (index, item) in items {
                let mut names = Vec::new();
                for line in asked(questions, &item).await {
                    let Some(name) = Name::new(index, &line.request) else { continue };
                    if !shared || !seen.contains(&line.request) {
                        names.push((name, line));
                    }
                }
                if file.is_full(&names) {
                    return Ok(file);
                }
                for (name, line) in names {
                    line.write(&name.to_string(), &mut file.bytes);
                    file.lines += 1;
                    if shared {
                        seen.insert(line.request);
                    }
                }
                file.next = index + 1;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Whether so many more lines are too many. A file has one item at least.
    fn is_full(&self, more: &[(Name, crate::gateway::Line)]) -> bool {
        let bytes: usize = more.iter().map(|(_, line)| line.body.len()).sum();
        self.lines > 0
            && (self.lines + more.len() > LINES_MAX || self.bytes.len() + bytes > BYTES_MAX)
    }
}

/// The items from an index on, a chunk of them at most, with their indexes; none past the last.
pub(super) async fn page(
    queue: &dyn Queue,
    id: BatchId,
    from: u32,
) -> queue::Result<Vec<(u32, Execution)>> {
    let filter = Filter { batch: Some(id), ..Filter::default() };
    let page = queue.executions(&filter, Some(&from.to_string()), CHUNK_ITEMS).await?;
    let indexed = |it: Execution| it.id.item_of().map(|(_, index)| (index, it));
    Ok(page.items.into_iter().filter_map(indexed).collect())
}

/// What an item would ask; nothing if it has ended, or cannot.
pub(super) async fn asked(
    questions: &Questions<'_>,
    item: &Execution,
) -> Vec<crate::gateway::Line> {
    if item.state.is_terminal() {
        return Vec::new();
    }
    questions.lines(&item.inputs).await.unwrap_or_default()
}
