//! Where pointers come from (docs/PROTOCOL.md §6.2).

use blowfish::Blowfish;
use blowfish::cipher::{BlockCipherEncrypt, KeyInit};

use crate::types::Pointer;

/// A sequence of pointers that nobody without the seed can continue and in which none ever comes twice.
///
/// It is a 64-bit block cipher, keyed with the seed, over a counter: being a permutation, it needs no memory of what
/// it gave out, which random numbers would.
pub(super) struct Pointers {
    cipher: Blowfish,
    count: u64,
}

impl Pointers {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        let key: [u8; 56] = core::array::from_fn(|i| seed[i % seed.len()]);
        Self { cipher: Blowfish::new(&key.into()), count: 0 }
    }

    /// The next pointer; never 0.
    pub(super) fn draw(&mut self) -> Pointer {
        loop {
            self.count += 1;
            let pointer = self.encrypt(self.count);
            if pointer != 0 {
                return Pointer(pointer);
            }
        }
    }

    /// A secret number for keying hash tables, which is no pointer.
    pub(super) fn hash_seed(&self) -> u64 {
        self.encrypt(0)
    }

    fn encrypt(&self, number: u64) -> u64 {
        let mut block = number.to_be_bytes().into();
        self.cipher.encrypt_block(&mut block);
        u64::from_be_bytes(block.into())
    }
}

impl core::fmt::Debug for Pointers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Pointers({} given out)", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn pointers_come_from_the_seed_alone_and_never_twice() {
        let draw = |seed| {
            let mut pointers = Pointers::new([seed; 32]);
            (0..10_000).map(|_| pointers.draw()).collect::<BTreeSet<_>>()
        };
        let (one, other) = (draw(1), draw(2));
        assert_eq!((one.len(), &one), (10_000, &draw(1)));
        assert!(one.is_disjoint(&other));
        assert!(!one.contains(&Pointer(0)));
    }
}
