//! What watches are told of rights, owners and the end of their record (docs/PROTOCOL.md §3.24, §4.3, §6.5).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::engine::Peer;
use support::wire::{
    self, ACCESS_LOST, DELETED, EXPIRED, Message, access_changed, access_violation, address_fault, append,
    ended, ok, op, owner_changed, ownership_requested, patched, permit, ping, pushed, transfer, version,
    watch,
};
use support::{GRACE, NS, World};

/// A server, an owner with a record, and two others, all of whom watch it under XID 9.
struct Scene {
    world: World,
    owner: Peer,
    reader: Peer,
    third: Peer,
    record: u64,
}

fn scene(access: u8) -> Scene {
    let mut world = World::new();
    let [owner, reader, third] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|it| world.connect(it));
    let record = world.create(owner, access, "hello");
    let mut scene = Scene { world, owner, reader, third, record };
    for peer in [owner, reader, third] {
        if peer == owner || access & 1 != 0 {
            scene.world.exchange(peer, watch(9, record, peer == reader));
        }
    }
    scene
}

impl Scene {
    /// Somebody does something that succeeds; what the watches of owner, reader and third are told.
    #[track_caller]
    fn tells(&mut self, who: Peer, sent: Vec<u8>) -> [Vec<Message>; 3] {
        self.world.send(who, sent);
        let told = [self.owner, self.reader, self.third].map(|peer| {
            let mut replies = self.world.replies(peer);
            if peer == who {
                assert_eq!(replies.remove(0), ok(1, []), "the reply comes first");
            }
            replies
        });
        self.world.assert_silence();
        told
    }

    #[track_caller]
    fn tells_all(&mut self, who: Peer, sent: Vec<u8>, expected: &[Message]) {
        assert_eq!(self.tells(who, sent), [expected; 3]);
    }

    /// The XID 9 of this peer is no watch any more, and those of the others are.
    #[track_caller]
    fn assert_ended(&mut self, peer: Peer) {
        assert_eq!(self.world.ask(peer, ping(9, "x")), ok(9, "x"));
        let record = self.record;
        self.world.send(self.owner, append(1, record, "!"));
        assert_eq!(self.world.replies(peer).iter().filter(|it| it.xid == 9).count(), 0);
        for other in [self.owner, self.reader, self.third] {
            self.world.replies(other);
        }
    }
}

fn hash(peer: Peer) -> u64 {
    peer.owner.get()
}

#[test]
fn new_rights_are_told_when_the_bits_really_changed() {
    let mut scene = scene(3);
    let (owner, record) = (scene.owner, scene.record);
    scene.tells_all(owner, permit(1, record, 7), &[access_changed(9, 7)]);
    scene.tells_all(owner, permit(1, record, 7), &[]);
    scene.tells_all(owner, permit(1, record, 1), &[access_changed(9, 1)]);
    // Who has no right to change them changes nothing.
    assert_eq!(scene.world.ask(scene.reader, permit(1, record, 3)), access_violation(1));
}

#[test]
fn who_loses_the_right_to_read_is_told_that_alone_and_the_owner_never_loses_it() {
    let mut scene = scene(7);
    let (owner, reader, record) = (scene.owner, scene.reader, scene.record);
    let lost = vec![ended(9, ACCESS_LOST)];
    let told = scene.tells(owner, permit(1, record, 6));
    assert_eq!(told, [vec![access_changed(9, 6)], lost.clone(), lost]);
    scene.assert_ended(reader);
    // The right comes back, the watch does not.
    assert_eq!(scene.tells(owner, permit(1, record, 7)), [vec![access_changed(9, 7)], vec![], vec![]]);
    let again = scene.world.exchange(reader, watch(9, record, true));
    assert_eq!(again, [version(9, 2), pushed(9, 2, "hello!")]);
}

#[test]
fn a_new_owner_is_told_and_then_the_takeover_bit_where_it_was_set() {
    let mut scene = scene(7);
    let (owner, reader, third, record) = (scene.owner, scene.reader, scene.third, scene.record);
    let taken = wire::about(1, op::TAKEOVER, record, []);
    scene.tells_all(reader, taken.clone(), &[owner_changed(9, hash(reader)), access_changed(9, 3)]);
    // Without the bit there is nothing to be told of the rights.
    scene.tells_all(reader, transfer(1, record, hash(third)), &[owner_changed(9, hash(third))]);
    scene.tells_all(third, permit(1, record, 7), &[access_changed(9, 7)]);
    let told = [owner_changed(9, hash(owner)), access_changed(9, 3)];
    scene.tells_all(third, transfer(1, record, hash(owner)), &told);
    // To whom it belongs already: nothing changes.
    scene.tells_all(owner, permit(1, record, 7), &[access_changed(9, 7)]);
    scene.tells_all(owner, transfer(1, record, hash(owner)), &[]);
    scene.tells_all(owner, taken, &[]);
}

#[test]
fn a_former_owner_loses_its_watch_where_others_may_not_read() {
    let mut scene = scene(1);
    let (owner, reader, third, record) = (scene.owner, scene.reader, scene.third, scene.record);
    let told = scene.tells(owner, permit(1, record, 4));
    assert_eq!(told[0], [access_changed(9, 4)]);
    let told = scene.tells(reader, wire::about(1, op::TAKEOVER, record, []));
    assert_eq!(told, [vec![ended(9, ACCESS_LOST)], vec![], vec![]]);
    // The new owner watches; then it hands the record over, and loses its watch in its turn.
    scene.world.exchange(reader, watch(9, record, true));
    let told = scene.tells(reader, transfer(1, record, hash(third)));
    assert_eq!(told, [vec![], vec![ended(9, ACCESS_LOST)], vec![]]);
    assert_eq!(scene.world.ask(owner, watch(9, record, true)), access_violation(9));
}

#[test]
fn requests_for_the_record_are_told_to_its_owner_alone() {
    let mut scene = scene(1);
    let (owner, reader, third, record) = (scene.owner, scene.reader, scene.third, scene.record);
    let second = scene.world.connect("127.0.0.1");
    scene.world.exchange(second, watch(3, record, false));
    scene.world.exchange(second, watch(4, record, true));
    let ask = wire::about(1, op::REQUEST_OWNERSHIP, record, []);
    scene.world.send(third, &ask);
    assert_eq!(scene.world.replies(third), [ok(1, [])]);
    assert_eq!(scene.world.replies(owner), [ownership_requested(9, hash(third))]);
    let told = [3, 4].map(|xid| ownership_requested(xid, hash(third)));
    assert_eq!(scene.world.replies(second), told);
    // By the owner itself, on whichever connection: nobody is told.
    assert_eq!(scene.world.ask(second, &ask), ok(1, []));
    assert_eq!(scene.world.ask(owner, &ask), ok(1, []));
    // After a change of owner it is the new one's.
    scene.world.send(owner, transfer(1, record, hash(reader)));
    for peer in [owner, second, reader, third] {
        scene.world.replies(peer);
    }
    scene.world.reset(second);
    let told = scene.tells(owner, ask.clone());
    assert_eq!(told, [vec![], vec![ownership_requested(9, hash(owner))], vec![]]);
    // It needs the right to read, and a record.
    scene.tells(reader, permit(1, record, 6));
    assert_eq!(scene.world.ask(third, &ask), access_violation(1));
    assert_eq!(scene.world.ask(third, wire::about(1, op::REQUEST_OWNERSHIP, 7, [])), address_fault(1));
}

#[test]
fn the_end_of_a_record_is_told_last() {
    let mut deleted = scene(1);
    let (owner, record) = (deleted.owner, deleted.record);
    deleted.tells_all(owner, wire::about(1, op::DELETE, record, []), &[ended(9, DELETED)]);
    for peer in [deleted.owner, deleted.reader, deleted.third] {
        assert_eq!(deleted.world.ask(peer, ping(9, "x")), ok(9, "x"));
        assert_eq!(deleted.world.ask(peer, watch(9, record, true)), address_fault(9));
    }

    let mut expired = scene(1);
    expired.world.reset(expired.owner);
    expired.world.wait(GRACE - NS);
    expired.world.assert_silence();
    expired.world.wait(NS);
    for peer in [expired.reader, expired.third] {
        assert_eq!(expired.world.replies(peer), [ended(9, EXPIRED)]);
    }
    assert_eq!(expired.world.bytes(), 0);
    expired.world.assert_silence();
}

#[test]
fn whoever_comes_first_after_a_deadline_has_the_end_told_to_all() {
    let mut scene = scene(1);
    scene.world.reset(scene.owner);
    scene.world.skip(GRACE);
    // No timer has come; somebody else's request, about something else, finds it out. Its own end comes after its reply.
    scene.world.send(scene.third, wire::request(1, op::LIST, 0, []));
    assert_eq!(scene.world.replies(scene.third), [ok(1, []), ended(9, EXPIRED)]);
    assert_eq!(scene.world.replies(scene.reader), [ended(9, EXPIRED)]);
}

#[test]
fn a_takeover_in_the_grace_is_told_and_so_is_an_heir() {
    let mut scene = scene(7);
    let (reader, third, record) = (scene.reader, scene.third, scene.record);
    scene.world.send(scene.owner, wire::lifetime(1, record, 60, 0, hash(third)));
    assert_eq!(scene.world.replies(scene.owner), [ok(1, [])]);
    scene.world.reset(scene.owner);
    scene.world.wait(GRACE / 5);
    let told = [owner_changed(9, hash(third)), access_changed(9, 3)];
    assert_eq!(scene.world.replies(reader), told);
    assert_eq!(scene.world.replies(third), told);
    assert_eq!(
        scene.world.ask(reader, wire::about(1, op::STAT, record, [])).payload[12..20],
        hash(third).to_be_bytes()
    );
}

#[test]
fn an_heir_may_watch_what_nobody_else_may_read() {
    let mut scene = scene(7);
    let (owner, reader, record) = (scene.owner, scene.reader, scene.record);
    scene.tells(owner, permit(1, record, 0));
    scene.world.send(owner, wire::lifetime(1, record, 0, 0, hash(reader)));
    assert_eq!(scene.world.replies(owner), [ok(1, [])]);
    scene.world.end(owner);
    assert_eq!(scene.world.replies(owner), [wire::aborted(9)]);
    scene.world.wait(NS);
    let told = scene.world.exchange(reader, watch(9, record, true));
    assert_eq!(told, [version(9, 1), pushed(9, 1, "hello")]);
    scene.world.send(reader, append(1, record, "!"));
    assert_eq!(scene.world.replies(reader), [wire::appended(1, 2, 5), patched(9, 2, 5, "!")]);
}
