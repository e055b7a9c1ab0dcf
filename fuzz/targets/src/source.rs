//! Choices from bytes: each takes a few off the front, and when they are used up everything is 0.

/// The bytes that decide.
#[derive(Clone)]
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let taken = self.take(N);
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes())
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// The next bytes, as many of them as there are.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A length: mostly short, or about a packet, or some packets.
    pub(crate) fn len(&mut self, most: usize) -> usize {
        let len = match self.u8() {
            short @ 0..=159 => usize::from(short),
            packet @ 160..=199 => 1370 + usize::from(packet - 160),
            more @ 200..=239 => 2760 + usize::from(more - 200) + 1390 * usize::from(more & 1),
            _ => usize::from(self.u16()) % (most + 1),
        };
        len.min(most)
    }

    /// How a stream is cut: lengths of pieces that come over and over.
    pub(crate) fn cuts(&mut self) -> Vec<usize> {
        let cuts: [u8; 3] = self.bytes();
        cuts.into_iter()
            .map(|cut| if cut < 200 { 1 + usize::from(cut) } else { 20 * usize::from(cut) - 3800 })
            .collect()
    }
}

/// The pieces of `bytes` when it is cut in these lengths, over and over.
pub(crate) fn pieces<'a>(mut bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at((*cut).clamp(1, bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}
