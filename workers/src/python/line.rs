//! Who waits for a seat, and whose turn it is: by class, as in the queue. A batch that has filled
//! the worker's slots does not stand before those whom somebody waits for.

use std::collections::VecDeque;

use queue::Class;

use super::event::Ask;

/// Who waits for a seat.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Those of each class, in the order of [`Class::ALL`].
    waiting: [VecDeque<Ask>; Class::ALL.len()],
    /// What each class was given, for its weight.
    passes: [u64; Class::ALL.len()],
}

impl Line {
    pub(super) fn push(&mut self, ask: Ask) {
        let at = place(ask.class);
        match self.next() {
            None => self.passes = Default::default(),
            // For the time in which nobody of it waited, a class is owed nothing.
            Some(next) if self.waiting[at].is_empty() => {
                self.passes[at] = self.passes[at].max(self.passes[next]);
            }
            Some(_) => {}
        }
        self.waiting[at].push_back(ask);
    }

    /// Takes the one whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Ask> {
        let at = self.next()?;
        self.passes[at] += u64::from(Class::Interactive.weight() / Class::ALL[at].weight());
        self.waiting[at].pop_front()
    }

    /// Forgets those who have gone.
    pub(super) fn tidy(&mut self) {
        for class in &mut self.waiting {
            while class.pop_front_if(|it| it.reply.is_closed()).is_some() {}
        }
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Ask> {
        self.waiting.iter_mut().flat_map(|it| it.drain(..))
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    fn next(&self) -> Option<usize> {
        let some = (0..self.waiting.len()).filter(|it| !self.waiting[*it].is_empty());
        some.min_by_key(|it| self.passes[*it])
    }
}

fn place(class: Class) -> usize {
    match class {
        Class::Interactive => 0,
        Class::Normal => 1,
        Class::Bulk => 2,
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn ask(class: Class) -> Ask {
        let (reply, _gone) = oneshot::channel();
        Ask { alone: false, class, reply }
    }

    fn line(classes: &[(Class, usize)]) -> Line {
        let mut line = Line::default();
        for (class, count) in classes {
            (0..*count).for_each(|_| line.push(ask(*class)));
        }
        line
    }

    fn next(line: &mut Line, count: usize) -> String {
        (0..count).filter_map(|_| line.pop()).map(|it| it.class.letter()).collect()
    }

    #[test]
    fn who_is_waited_for_goes_before_a_batch_that_came_first() {
        let mut line = line(&[(Class::Bulk, 100), (Class::Interactive, 1), (Class::Normal, 1)]);

        assert_eq!(next(&mut line, 3), "inb");
    }

    #[test]
    fn a_batch_gets_its_share() {
        let mut line = line(&[(Class::Interactive, 100), (Class::Bulk, 100)]);

        let bulk = next(&mut line, 85).matches('b').count();

        assert_eq!(bulk, 5);
        assert_eq!(line.len(), 115);
    }

    #[test]
    fn who_was_away_is_owed_nothing() {
        let mut line = line(&[(Class::Bulk, 100)]);
        next(&mut line, 50);

        (0..100).for_each(|_| line.push(ask(Class::Interactive)));

        assert!(next(&mut line, 34).matches('b').count() >= 2);
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let mut line = line(&[(Class::Bulk, 3), (Class::Normal, 1)]);
        let (reply, heard) = oneshot::channel();
        line.push(Ask { alone: false, class: Class::Normal, reply });

        line.tidy();

        assert_eq!(line.len(), 1);
        drop(heard);
        line.tidy();
        assert!(line.is_empty());
    }
}
