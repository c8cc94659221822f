//! Runs independent work on several threads.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Most threads used at a time.
const MOST_THREADS: usize = 8;

/// Applies `perform` to every item, on as many threads as there are processors.
/// Results are in the order of the items. Each thread gets tools of its own,
/// which it reuses from item to item.
pub(crate) fn map_parallel<W: Sync, T, R: Send>(
    work: &[W],
    tools: impl Fn() -> T + Sync,
    perform: impl Fn(&mut T, &W) -> R + Sync,
) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = processors.min(MOST_THREADS).min(work.len());
    let next = AtomicUsize::new(0);
    let some = || {
        let mut tools = tools();
        let mut done = Vec::new();
        // Items are taken one by one rather than split up front, because their
        // cost varies widely: a picture may be 1 kB or 5 MB.
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = work.get(at) else { return done };
            done.push((at, perform(&mut tools, item)));
        }
    };
    let mut done = thread::scope(|scope| {
        // The calling thread works too.
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(some)).collect();
        let mut done = some();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_keeps_its_order() {
        let work: Vec<u32> = (0..1_000).collect();
        assert_eq!(
            map_parallel(&work, || (), |(), n| n * 2),
            work.iter().map(|n| n * 2).collect::<Vec<_>>()
        );
        assert!(map_parallel(&[] as &[u32], || (), |(), n| *n).is_empty());
    }
}
