//! Replies of a protocol that answers in order.

use std::collections::VecDeque;

use anyhow::{Context, Result};

use super::script::{Script, excerpt};

/// The replies of one connection.
#[derive(Clone, Debug)]
pub(crate) struct InOrder {
    /// For every slot what is answered.
    replies: Vec<Script>,
    /// The slots whose replies are to come.
    waiting: VecDeque<usize>,
}

impl InOrder {
    /// For every slot what is answered.
    pub(crate) fn new(replies: Vec<Script>) -> Self {
        Self { replies, waiting: VecDeque::new() }
    }

    pub(crate) fn expect(&mut self, slot: usize) {
        self.waiting.push_back(slot);
    }

    pub(crate) fn take(&mut self, mut input: &[u8], done: &mut Vec<usize>) -> Result<()> {
        while !input.is_empty() {
            let Some(&slot) = self.waiting.front() else {
                anyhow::bail!("bytes that nobody asked for: {}", excerpt(input));
            };
            let reply = self.replies.get_mut(slot).context("no such slot")?;
            reply.take(&mut input)?;
            if reply.is_done() {
                reply.rewind();
                self.waiting.pop_front();
                done.push(slot);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::Piece;
    use super::*;

    #[test]
    fn replies_come_in_the_order_of_the_requests_and_only_when_asked_for() {
        let words = |text: &str| Script::new(vec![Piece::Words(text.as_bytes().to_vec())]);
        let mut replies = InOrder::new(vec![words("one\r\n"), words("two\r\n")]);
        [1, 0, 1].into_iter().for_each(|slot| replies.expect(slot));
        let mut done = Vec::new();
        replies.take(b"two\r\no", &mut done).unwrap();
        assert_eq!(done, [1]);
        replies.take(b"ne\r\ntwo\r\n", &mut done).unwrap();
        assert_eq!(done, [1, 0, 1]);
        assert!(replies.take(b"t", &mut done).is_err());
        replies.expect(0);
        assert!(replies.take(b"two\r\n", &mut done).is_err());
    }
}
