//! A message ready to be sent: a code, the flag byte, a few operand bytes and the data behind them.

/// The fixed-size fields at the start of a message's payload: at most 28 bytes, built field by field.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operands {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Operands {
    const CAPACITY: usize = 28;

    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more field behind the others.
    ///
    /// # Panics
    ///
    /// When the fields together are longer than 28 bytes, which no message of the protocol is.
    #[must_use]
    pub fn with(mut self, field: &[u8]) -> Self {
        self.bytes[self.len..self.len + field.len()].copy_from_slice(field);
        self.len += field.len();
        self
    }

    /// One more 64-bit field.
    #[must_use]
    pub fn with_u64(self, field: u64) -> Self {
        self.with(&field.to_be_bytes())
    }

    /// One more 32-bit field.
    #[must_use]
    pub fn with_u32(self, field: u32) -> Self {
        self.with(&field.to_be_bytes())
    }

    /// The bytes so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A request or a reply as it goes onto the wire, before it is cut into packets.
#[derive(Clone, Debug)]
pub struct Message<B> {
    /// The operation or the reply's code.
    pub opcode: u8,
    /// The ACCESS byte.
    pub access: u8,
    /// The fields at the start of the payload.
    pub operands: Operands,
    /// The data behind them.
    pub body: B,
}

impl<B: Default> Message<B> {
    /// A message of operands alone.
    #[must_use]
    pub fn bare(opcode: u8, access: u8, operands: Operands) -> Self {
        Self { opcode, access, operands, body: B::default() }
    }
}

/// Reads fixed-size fields off the front of a payload whose length was checked before.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*field))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*field))
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*field))
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (field, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*field)
    }
}
