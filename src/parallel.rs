//! Work that is independent of each other, done side by side. Knows nothing of
//! what is done.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The most threads that work at a time.
const MOST_THREADS: usize = 8;

/// Does all of the work, on as many threads as there are processors; the
/// results have the work's order. Every thread begins with tools of its own.
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
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = work.get(at) else { return done };
            done.push((at, perform(&mut tools, item)));
        }
    };
    let mut done = thread::scope(|scope| {
        // This thread works too.
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
