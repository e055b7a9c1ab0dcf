//! How a protocol patches and downloads a large record.

use std::net::TcpStream;

use anyhow::Result;

use crate::patches::Patch;

/// How a protocol patches and downloads a large record.
pub(crate) trait Join: Sync {
    /// Makes the record, which all may read. Returns how to name it.
    fn make(&self, stream: &mut TcpStream, data: &[u8]) -> Result<u64>;

    /// The request that makes a patch, and its reply. Patches are made one after the other, from number 1 on.
    fn patch(&self, record: u64, patch: Patch, len: usize) -> (Vec<u8>, Vec<u8>);

    /// A PING and its reply.
    fn ping(&self) -> (Vec<u8>, Vec<u8>);

    /// A download of a record of `len` bytes.
    fn download(&self, record: u64, len: usize) -> Box<dyn Download>;
}

/// A download under way on one connection.
pub(crate) trait Download {
    /// What is to be sent now, if anything. Asked at the beginning, and whenever something was taken.
    fn request(&mut self) -> Option<Vec<u8>>;

    /// Takes what has come.
    fn take(&mut self, input: &[u8], to: &mut Take<'_>) -> Result<()>;

    /// Whether all has come.
    fn is_complete(&self) -> bool;
}

/// Takes the record's next bytes. Where the protocol tells it, they come with the count of patches that had been made in
/// the state that they are part of.
pub(crate) type Take<'a> = dyn FnMut(Option<u64>, &[u8]) -> Result<()> + 'a;
