//! A queue of callers for a turn, which one at a time has. The lowest rank is
//! next; among equals, the first to arrive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The queue.
#[derive(Default)]
pub(super) struct PriorityQueue(Mutex<State>);

#[derive(Default)]
struct State {
    /// Whether a caller has the turn.
    is_taken: bool,
    /// How many callers have arrived.
    came: u64,
    /// By rank and arrival. Callers that gave up remain until they are called.
    waiting: BTreeMap<(usize, u64), oneshot::Sender<Turn>>,
}

/// The turn. It passes on when it is dropped, even if that happens on its way
/// to a caller that no longer waits.
pub(super) struct Turn(Option<Arc<PriorityQueue>>);

impl PriorityQueue {
    /// Waits for the turn. Dropping the future leaves the queue.
    pub(super) async fn turn(self: &Arc<Self>, rank: usize) -> Turn {
        let called = {
            let mut state = self.state();
            if !state.is_taken {
                state.is_taken = true;
                return Turn(Some(self.clone()));
            }
            let (call, called) = oneshot::channel();
            state.came += 1;
            let standing = (rank, state.came);
            state.waiting.insert(standing, call);
            called
        };
        // The queue outlives its callers and owns the only sender.
        called.await.unwrap_or(Turn(None))
    }

    /// Passes the turn to the next caller that still waits.
    fn pass(self: Arc<Self>) {
        loop {
            let mut state = self.state();
            let Some((_, call)) = state.waiting.pop_first() else {
                state.is_taken = false;
                return;
            };
            drop(state);
            match call.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // Not dropped here, because each caller that gave up would
                // recurse once more.
                Err(mut turn) => turn.0 = None,
            }
        }
    }

    /// Poisoning is ignored: every change of the state is complete before
    /// anything can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.pass();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Coming = Pin<Box<dyn Future<Output = Turn>>>;

    fn come(line: &Arc<PriorityQueue>, rank: usize) -> Coming {
        let line = line.clone();
        let mut coming: Coming = Box::pin(async move { line.turn(rank).await });
        assert!(called(&mut coming).is_none(), "another caller has the turn");
        coming
    }

    fn called(coming: &mut Coming) -> Option<Turn> {
        match pin!(coming).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn the_lowest_rank_is_next_and_among_equals_the_first() {
        let line = Arc::<PriorityQueue>::default();
        let mut turn = called(
            &mut (Box::pin({
                let line = line.clone();
                async move { line.turn(9).await }
            }) as Coming),
        );
        assert!(turn.is_some(), "no other caller is there");
        let ranks = [5, 3, 5, 0, 3];
        let mut waiting: Vec<_> = ranks.iter().map(|rank| come(&line, *rank)).collect();
        for next in [3, 1, 4, 0, 2] {
            drop(turn.take());
            let mut calls = waiting.iter_mut().map(called);
            let which = calls.by_ref().position(|call| {
                turn = call;
                turn.is_some()
            });
            assert_eq!(which, Some(next));
            // A caller that was called is not polled again.
            waiting[next] = Box::pin(std::future::pending());
        }
        drop(turn);
        assert!(!line.state().is_taken);
    }

    #[test]
    fn callers_that_give_up_do_not_block_others() {
        let line = Arc::<PriorityQueue>::default();
        let turn = Turn(Some(line.clone()));
        line.state().is_taken = true;
        let mut waiting: Vec<_> = (0..100_000).map(|rank| come(&line, rank)).collect();
        let mut last = waiting.pop().unwrap();
        // One gives up after it was called, the others before.
        drop(waiting.split_off(1));
        drop(turn);
        assert!(line.state().is_taken && called(&mut last).is_none());
        drop(waiting);
        assert!(called(&mut last).is_some(), "it is the last one's turn");
        assert!(!line.state().is_taken && line.state().waiting.is_empty());
    }
}
