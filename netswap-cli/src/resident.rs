//! What the allocator keeps for itself.
//!
//! Each thread has a heap, in which it keeps pages that other threads have freed until it looks at them, and free pages go
//! back to the system some time later, when a thread asks for a large block. So an idle server would keep the memory of
//! deleted records for good.

use std::hint::black_box;

/// A heap is looked through after so many requests that none of its small pages can serve at once.
const REQUESTS: usize = 10_000;

/// Too much for the short way to a small page.
const BEYOND_SMALL: usize = 2 << 10;

/// Free pages that are due go back to the system with a request for so much.
const LARGE: usize = 1 << 20;

/// Has the allocator look through the heap of this thread, and give memory back to the system. It takes some 300 µs.
pub(crate) fn give_back() {
    for _ in 0..REQUESTS {
        drop(black_box(Vec::<u8>::with_capacity(BEYOND_SMALL)));
    }
    drop(black_box(Vec::<u8>::with_capacity(LARGE)));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::give_back;

    #[test]
    fn it_takes_a_part_of_a_turn() {
        // The fastest of some: the machine may be busy.
        let took = (0..20).map(|_| {
            let begun = Instant::now();
            give_back();
            begun.elapsed()
        });
        let fastest = took.min();
        assert!(fastest < Some(Duration::from_millis(2)), "{fastest:?}");
    }
}
