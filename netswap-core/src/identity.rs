//! Who a client is: the keyed hash of its address (docs/PROTOCOL.md §6.1).

use core::fmt;
use core::hash::Hasher;
use core::net::{IpAddr, Ipv6Addr};

use siphasher::sip::SipHasher24;

use crate::types::Owner;

/// The server's secret 128-bit key under which addresses become [`Owner`] hashes.
///
/// Keep it to keep the hashes over a restart; keep it secret, or hashes can be turned back into addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityKey(pub [u8; 16]);

impl IdentityKey {
    /// The identity of a peer at this address.
    ///
    /// 1.2.3.4 and ::ffff:1.2.3.4 are one identity. The port is no part of it.
    #[must_use]
    pub fn owner(&self, address: IpAddr) -> Owner {
        let address: Ipv6Addr = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&address.octets());
        Owner::from_hash(hasher.finish())
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> IdentityKey {
        IdentityKey(core::array::from_fn(|i| i as u8))
    }

    #[test]
    fn the_hash_is_siphash_2_4_of_the_16_bytes() {
        // The published SipHash-2-4 vector for the 16-byte message 00 01 .. 0f under the key 00 01 .. 0f.
        let address = Ipv6Addr::from(core::array::from_fn::<u8, 16, _>(|i| i as u8));
        assert_eq!(key().owner(IpAddr::V6(address)).get(), 0x3f2a_cc7f_57c2_9bdb);
    }

    #[test]
    fn every_spelling_of_an_address_is_one_identity() {
        let spellings = [
            ["1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304"],
            ["::1", "0:0:0:0:0:0:0:1", "0::1"],
            ["2001:db8::1", "2001:0DB8:0000::0001", "2001:db8:0:0:0:0:0:1"],
        ];
        for same in spellings {
            let owners = same.map(|text| key().owner(text.parse().unwrap()));
            assert!(owners.iter().all(|owner| *owner == owners[0]), "{same:?}");
        }
        let different = ["1.2.3.4", "1.2.3.5", "::1.2.3.4", "127.0.0.1", "::1"];
        let owners: alloc::collections::BTreeSet<_> =
            different.iter().map(|text| key().owner(text.parse().unwrap())).collect();
        assert_eq!(owners.len(), different.len());
    }

    #[test]
    fn nobody_has_the_hash_zero() {
        assert_eq!(Owner::from_hash(0).get(), 1);
    }
}
