//! A bounded number of connections, none of which can keep the others out by
//! doing nothing: when all seats are taken, the one that has been idle longest
//! is given up for the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All seats.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    taken: Mutex<Taken>,
    /// Told whenever a seat is left or its connection becomes idle.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    /// Counts what happens, so that idle ones can be told by their age.
    turn: u64,
    by: BTreeMap<u64, Occupied>,
}

#[derive(Debug)]
struct Occupied {
    /// Since which turn its connection has been idle, or that it is at work.
    idle: Option<u64>,
    /// Asks the connection to go.
    asked: Arc<Notify>,
}

/// One seat, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    asked: Arc<Notify>,
}

impl Seats {
    /// So many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            taken: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// A seat, as soon as there is one: at once, or when the idle connection
    /// that is asked to go has gone.
    pub(super) async fn take(self: &Arc<Self>) -> Seat {
        loop {
            let changed = self.changed.notified();
            if let Some(seat) = self.try_take() {
                return seat;
            }
            changed.await;
        }
    }

    /// A seat that is free now. If there is none, the connection that has been
    /// idle longest is asked to go.
    fn try_take(self: &Arc<Self>) -> Option<Seat> {
        let mut taken = self.lock();
        if taken.by.len() >= self.most {
            let idle = taken.by.values().filter_map(|seat| Some((seat.idle?, seat)));
            if let Some((_, oldest)) = idle.min_by_key(|(since, _)| *since) {
                oldest.asked.notify_one();
            }
            return None;
        }
        taken.turn += 1;
        let (number, asked) = (taken.turn, Arc::<Notify>::default());
        taken.by.insert(
            number,
            Occupied {
                idle: Some(number),
                asked: Arc::clone(&asked),
            },
        );
        Some(Seat {
            seats: Arc::clone(self),
            number,
            asked,
        })
    }

    /// Only ever changed by whole steps.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Completes when the connection is to make room.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The connection has a request in hand, and stays.
    pub(super) fn works(&self) {
        if let Some(seat) = self.seats.lock().by.get_mut(&self.number) {
            seat.idle = None;
        }
    }

    /// The connection waits for another request.
    pub(super) fn rests(&self) {
        let mut taken = self.seats.lock();
        taken.turn += 1;
        let turn = taken.turn;
        if let Some(seat) = taken.by.get_mut(&self.number) {
            seat.idle = Some(turn);
        }
        drop(taken);
        self.seats.changed.notify_one();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().by.remove(&self.number);
        self.seats.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_idle_makes_room_and_who_works_stays() {
        let seats = Seats::new(3);
        let [a, b, c] = [seats.take().await, seats.take().await, seats.take().await];
        a.works();
        b.rests();
        // Now `c` has been idle longer than `b`, and `a` is at work.
        let waiting = {
            let seats = Arc::clone(&seats);
            tokio::spawn(async move { seats.take().await })
        };
        c.asked().await;
        assert!(!waiting.is_finished());
        drop(c);
        let d = waiting.await.unwrap();
        d.works();
        assert!(seats.try_take().is_none());
        b.asked().await;
        // With everybody at work, whoever is done first makes room.
        b.works();
        let waiting = {
            let seats = Arc::clone(&seats);
            tokio::spawn(async move { seats.take().await })
        };
        tokio::task::yield_now().await;
        a.rests();
        a.asked().await;
        drop(a);
        waiting.await.unwrap();
    }
}
