//! Copies that follow their records.

use netswap_core::types::{Access, Version};
use netswap_smol::{Change, Ending, Error};

use crate::support::{options, run, start};
use crate::{client, client_from, soon};

#[test]
fn a_mirror_follows_its_record() {
    run(async {
        let server = start(options()).await;
        let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);
        let pointer = owner.create("hello", Access::READ).await.unwrap();
        let mut mirror = soon(other.mirror(pointer)).await.unwrap();
        assert_eq!((mirror.pointer(), mirror.version(), mirror.is_live()), (pointer, Version(1), true));
        assert_eq!(mirror.data(), "hello");
        owner.write_range(pointer, 7, "you").await.unwrap();
        assert_eq!(soon(mirror.changed()).await.unwrap(), Version(2));
        assert_eq!(mirror.data(), "hello\0\0you");
        let snapshot = mirror.data().clone();
        for version in 3..50 {
            owner.write_range(pointer, 0, format!("{version}")).await.unwrap();
        }
        while soon(mirror.changed()).await.unwrap() < Version(49) {}
        assert_eq!((mirror.data(), snapshot), (&"49llo\0\0you".into(), "hello\0\0you".into()));

        // What is not about the data is no change of them, and can be heard all the same.
        owner.set_permissions(pointer, Access::READ | Access::WRITE).await.unwrap();
        let change = soon(mirror.next()).await.unwrap().unwrap();
        assert_eq!(change, Change::AccessChanged(Access::READ | Access::WRITE));
        owner.replace(pointer, "last").await.unwrap();
        owner.set_permissions(pointer, Access::READ).await.unwrap();
        owner.delete(pointer).await.unwrap();
        assert_eq!(soon(mirror.changed()).await.unwrap(), Version(50));
        for _ in 0..2 {
            assert!(matches!(soon(mirror.changed()).await, Err(Error::Ended(Ending::Deleted))));
            assert_eq!((mirror.data(), mirror.is_live()), (&"last".into(), false));
        }
    })
}
