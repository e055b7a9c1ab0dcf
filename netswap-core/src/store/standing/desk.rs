//! What a connection stands for, and what there is for it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::config::STANDING;
use crate::engine::{ConnectionId, Mail, Post, Told};
use crate::error::{Quota, Refusal};
use crate::memory::Data;
use crate::store::records::Records;
use crate::store::{Attendance, Store};
use crate::types::{Pointer, Xid};
use crate::wire::Reply;

/// What a connection stands for, and what there is for it.
#[derive(Debug)]
pub(in crate::store) struct Desk {
    standing: HashMap<Xid, Stand, FixedState>,
    /// How many of those have not ended.
    open: usize,
    pub(super) mail: Vec<Mail>,
    /// How much was taken of the mail since there was none.
    taken: u32,
}

/// A watch or a waiting read of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stand {
    pub(super) pointer: Pointer,
    /// Where in the mail its end is, counted with what was taken, until the connection has taken it.
    end: Option<u32>,
}

impl Desk {
    pub(in crate::store) fn new(hasher: FixedState) -> Self {
        Self { standing: HashMap::with_hasher(hasher), open: 0, mail: Vec::new(), taken: 0 }
    }

    /// The record of a watch or a waiting read that has not ended.
    pub(super) fn pointer(&self, xid: Xid) -> Option<Pointer> {
        self.standing.get(&xid).filter(|stand| stand.end.is_none()).map(|stand| stand.pointer)
    }
}

impl Store {
    /// The connections for which there is mail since this was last asked.
    #[must_use]
    pub fn take_woken(&mut self) -> Vec<ConnectionId> {
        core::mem::take(&mut self.woken)
    }

    /// What there is for a connection: answers it waited for, ends of its watches, and which watches have news. With
    /// `room` for them, news of one watch that are all that there is are taken at once. Of much it is a
    /// [portion](crate::config::Portions::watches), and more is left.
    pub fn take_mail(&mut self, id: ConnectionId, room: Option<u64>) -> Post {
        let Some(attendance) = self.connections.get_mut(&id) else { return Post::Mail(Vec::new()) };
        let desk = &mut attendance.desk;
        if let [Mail::News(xid)] = desk.mail[..]
            && let Some(room) = room
            && let Some(told) = tell(&mut self.records, desk.pointer(xid), (id, xid), room)
        {
            (_, desk.taken) = (desk.mail.pop(), 0);
            if desk.mail.capacity() > 1 {
                desk.mail.shrink_to(1);
            }
            return Post::News(xid, told);
        }
        let most = self.config.portions.watches.max(1);
        let mail: Vec<Mail> = if desk.mail.len() > most {
            desk.taken += most as u32;
            desk.mail.drain(..most).collect()
        } else {
            desk.taken = 0;
            core::mem::take(&mut desk.mail)
        };
        for mail in &mail {
            if let Mail::Answer(xid, _) | Mail::Last(xid, _) = mail {
                desk.standing.remove(xid);
            }
        }
        Post::Mail(mail)
    }

    /// What a watch has not been told; from now on it has been. `None`, and it has not, when that has more than `room`
    /// bytes of data.
    pub fn take_news(&mut self, id: ConnectionId, xid: Xid, room: u64) -> Option<Told> {
        let pointer = self.connections.get(&id).and_then(|it| it.desk.pointer(xid));
        tell(&mut self.records, pointer, (id, xid), room)
    }

    /// A connection gives up a watch or a waiting read. What there is for it is dropped, taken or not: the next
    /// transaction with its XID must not get it.
    pub fn forget(&mut self, id: ConnectionId, xid: Xid) {
        let Some(Attendance { desk, .. }) = self.connections.get_mut(&id) else { return };
        let Some(stand) = desk.standing.remove(&xid) else { return };
        match stand.end {
            // News that are not there any more can wait to be taken, but data cannot.
            Some(at) => desk.mail[(at - desk.taken) as usize] = Mail::News(xid),
            None => desk.open -= 1,
        }
        if desk.standing.is_empty() {
            (desk.mail, desk.taken) = (Vec::new(), 0);
        }
        self.drop_stand(id, xid, stand);
    }

    /// A connection gives up all its watches and waiting reads: many of them in portions, of which nothing is told any more.
    pub(in crate::store) fn forget_all(&mut self, id: ConnectionId) {
        let Some(Attendance { desk, .. }) = self.connections.get_mut(&id) else { return };
        let nothing = Desk::new(desk.standing.hasher().clone());
        let standing = core::mem::replace(desk, nothing).standing;
        if standing.len() > self.config.portions.watches {
            self.backlog.push_departed(id, standing.into_iter());
            return;
        }
        for (xid, stand) in standing {
            self.drop_stand(id, xid, stand);
        }
    }

    pub(super) fn answer(&mut self, id: ConnectionId, pointer: Pointer, xid: Xid, reply: Reply<Data>) {
        if let Reply::Refused(refusal) = &reply {
            self.counters.refused(None, refusal);
        }
        self.end_standing(id, pointer, Mail::Answer(xid, Box::new(reply)));
    }

    /// Ends a watch or a waiting read, unless its connection has given it up.
    pub(super) fn end_standing(&mut self, id: ConnectionId, pointer: Pointer, mail: Mail) {
        let Some(Attendance { desk, .. }) = self.connections.get_mut(&id) else { return };
        let stand = desk.standing.get_mut(&mail.xid());
        let Some(stand) = stand.filter(|stand| stand.pointer == pointer && stand.end.is_none()) else {
            return;
        };
        stand.end = Some(desk.taken + desk.mail.len() as u32);
        desk.open -= 1;
        self.post(id, mail);
    }

    pub(super) fn post(&mut self, id: ConnectionId, mail: Mail) {
        let Some(attendance) = self.connections.get_mut(&id) else { return };
        let all = &mut attendance.desk.mail;
        if all.is_empty() {
            self.woken.push(id);
            // Mostly it stays the only one.
            all.reserve_exact(1);
        }
        all.push(mail);
    }

    /// Counts one more watch or waiting read of a connection.
    pub(super) fn stand(&mut self, id: ConnectionId, xid: Xid, pointer: Pointer) -> Result<(), Refusal> {
        let limit = self.config.limits.watches;
        let over = Refusal::QuotaExceeded { quota: Quota::Watches, limit: u64::from(limit) };
        let attendance = self.connections.get_mut(&id).ok_or(over)?;
        if attendance.desk.open >= limit as usize {
            return Err(over);
        }
        if !self.budget.has_places(STANDING) {
            let limit = self.config.limits.places / STANDING as u64;
            return Err(Refusal::QuotaExceeded { quota: Quota::Watches, limit });
        }
        attendance.desk.standing.insert(xid, Stand { pointer, end: None });
        attendance.desk.open += 1;
        Ok(())
    }

    /// Has a record know no more of a watch or a waiting read that a connection has given up.
    pub(super) fn drop_stand(&mut self, id: ConnectionId, xid: Xid, stand: Stand) {
        if stand.end.is_some() {
            return;
        }
        match self.records.find(stand.pointer) {
            Some(slot) => drop(self.records.edit_any(slot, |_, more| more.standing.remove(&(id, xid)))),
            None => self.backlog.forget(stand.pointer, &(id, xid)),
        }
    }
}

/// Takes the news of a watch of the record with this pointer, if there are any; `None` when they need more room.
fn tell(
    records: &mut Records,
    pointer: Option<Pointer>,
    watch: (ConnectionId, Xid),
    room: u64,
) -> Option<Told> {
    let slot = pointer.and_then(|pointer| records.find(pointer));
    let Some((record, more)) = slot.and_then(|slot| records.more_mut(slot)) else {
        return Some(Told::default());
    };
    match more.standing.up_to_date(&watch) {
        Some(watch) if watch.news.len(watch.push, record) as u64 > room => None,
        Some(watch) => Some(watch.news.tell(watch.push, record)),
        None => Some(Told::default()),
    }
}
