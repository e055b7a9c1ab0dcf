//! What the allocator keeps for itself.
//!
//! It keeps what was freed for a second or more, and looks at it only when it is asked for a large block: an idle server
//! would keep the memory of deleted records for good.

use std::hint::black_box;

/// The allocator gives back what has been free for long when it is asked for so much.
const LARGE: usize = 1 << 20;

/// Has the allocator give memory back to the system.
pub(crate) fn give_back() {
    drop(black_box(Vec::<u8>::with_capacity(LARGE)));
}
