//! The side of the queue where a running execution tells what it does, to whoever follows it. What
//! it says, the queue does not know.
//!
//! Nothing here is a result, and nothing is kept for long: a store that is restarted may have
//! forgotten it. Who tells never waits for those who follow.

use std::{fmt, str::FromStr, time::Duration};

use async_trait::async_trait;

use crate::{ExecutionId, Result};

/// The most that is kept of what one execution tells; the oldest is forgotten first.
pub const NEWS_KEPT: usize = 10_000;

/// The most that one look gives.
pub const NEWS_PAGE: usize = 500;

/// How long what was told is kept at least, after more was told.
pub const NEWS_TIME: Duration = Duration::from_hours(1);

/// Takes what running executions tell, and gives it to those who follow them.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Begins an attempt: what others have told of the execution is forgotten, and from now on only
    /// this teller is heard. If there was something, `void` is told in its place. Repeated by the
    /// same teller, it changes nothing.
    async fn begin(&self, execution: ExecutionId, teller: &str, void: &News) -> Result<()>;

    /// Tells more, in order; dropped if another teller has begun. It is forgotten after `kept`,
    /// unless more is told.
    async fn tell(
        &self,
        execution: ExecutionId,
        teller: &str,
        news: &[News],
        kept: Duration,
    ) -> Result<()>;

    /// What was told after a mark, or all that is kept, at most [`NEWS_PAGE`]. Waits up to `wait`
    /// for something if there is nothing.
    async fn follow(
        &self,
        execution: ExecutionId,
        after: Option<Mark>,
        wait: Duration,
    ) -> Result<Vec<(Mark, News)>>;
}

/// One thing that an execution tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// What kind of thing it is.
    pub event: String,
    /// The thing, in JSON.
    pub data: String,
}

/// Where in a feed something stands: `1700000000000-0`. Later things have larger marks, also after
/// the store was restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    pub(crate) millis: u64,
    pub(crate) number: u64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

/// A text that is no mark of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mark is two numbers with a dash between them")]
pub struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let (millis, number) = text.split_once('-').ok_or(NoMark)?;
        let number_of = |it: &str| {
            let digits = it.bytes().all(|byte| byte.is_ascii_digit());
            it.parse().ok().filter(|_| digits).ok_or(NoMark)
        };
        Ok(Self { millis: number_of(millis)?, number: number_of(number)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_are_written() {
        let mark = Mark { millis: 1_700_000_000_000, number: 7 };
        assert_eq!(mark.to_string().parse(), Ok(mark));
        for text in ["", "1", "1-", "-1", "1-+2", "+1-2", "1-2-3", "1-99999999999999999999", "a-b"]
        {
            assert_eq!(text.parse::<Mark>(), Err(NoMark), "{text}");
        }
    }
}
