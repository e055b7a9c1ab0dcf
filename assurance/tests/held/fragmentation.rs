//! Records that are left of many, in rounds of growing sizes: what the others took goes back.

use assurance::raw::{Raw, loopback};
use assurance::scale::quick_or_long;
use assurance::servers::Adapter;
use netswap_core::types::Access;
use netswap_core::wire::Request;

use crate::{Held, MIB, until_refused};

/// Sizes of data, each in another size class of most allocators. The last are of chunks that are not full.
const SIZES: [usize; 27] = [
    80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 2048, 3072,
    5120, 7168, 10_240, 14_336, 19_460, 24_000, 27_000,
];

/// One record remains of this many bytes of data.
fn page(len: usize) -> usize {
    if len > 7168 { 512 << 10 } else { 64 << 10 }
}

pub(crate) fn small_records_that_are_left_of_many(adapter: Adapter) {
    let rounds: &[usize] = quick_or_long(&[320, 768, 3072, 14_336, 24_000], &SIZES);
    let total = quick_or_long(32, 64) * MIB;
    let limits = [("grace_ms", 200), ("connections", 10), ("places", 1000)];
    let mut held = Held::start(adapter, "records left of many", total, 0, &limits);
    let mut owner = Raw::connect(loopback(1), held.server.address).unwrap();
    let mut left = Vec::new();
    for len in rounds {
        let mut pointers = Vec::new();
        let create = || Request::CreateRecord { access: Access::READ, data: vec![7; *len] };
        until_refused(
            &mut owner,
            |_| (0..500).map(|_| create()).collect(),
            |_, answer| pointers.push(answer.pointer()),
        );
        held.is_dense(left.len() + pointers.len());
        let (keep, gone): (Vec<_>, Vec<_>) =
            (0..).zip(pointers).partition(|(n, _)| n % (page(*len) / len) == 0);
        let gone = gone.into_iter().map(|(_, pointer)| Request::DeleteRecord { pointer });
        owner.pipeline(gone, |answer| assert_eq!(answer.code, 0, "{answer:?}")).unwrap();
        left.extend(keep.into_iter().map(|(_, pointer)| pointer));
    }
    held.is_dense(left.len());
    for pointer in left {
        assert_eq!(owner.ask(Request::DeleteRecord { pointer }).unwrap().code, 0);
    }
    drop(owner);
    held.ends_empty();
}
