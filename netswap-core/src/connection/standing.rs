//! Watches and waiting reads: transactions that stand open until something happens elsewhere
//! (docs/PROTOCOL.md §3.21, §3.22).

use super::Connection;
use crate::engine::{Engine, Mail, Post, Told};
use crate::types::Xid;

/// So much mail takes as long as a packet that is handled.
const MAIL_OF_A_PACKET: usize = 2;

/// So many watches with news that cannot be sent yet take as long as a packet that is handled.
const NEWS_OF_A_PACKET: usize = 64;

/// A watch or a waiting read: where it is in the queue of those that have news.
#[derive(Debug, Default)]
pub(crate) struct Stand {
    newsworthy: Option<u32>,
}

impl Connection {
    /// From now on there is a watch or a waiting read under this XID.
    pub(super) fn stand(&mut self, xid: Xid) {
        self.standing.insert(xid, Stand::default());
    }

    /// There is none any more; whether there was one.
    fn stand_down(&mut self, xid: Xid) -> bool {
        let Some(stand) = self.standing.remove(&xid) else { return false };
        if let Some(at) = stand.newsworthy {
            self.newsworthy.remove(at);
        }
        true
    }

    /// A watch has news.
    fn has_news(&mut self, xid: Xid) {
        if let Some(stand) = self.standing.get_mut(&xid).filter(|stand| stand.newsworthy.is_none()) {
            stand.newsworthy = Some(self.newsworthy.push_back(xid));
        }
    }

    /// Takes what there is for this connection: answers that were waited for, and ends of watches, go out at once, news
    /// of watches as there is room.
    #[inline]
    pub(super) fn take_mail(&mut self, engine: &mut impl Engine) {
        if !self.standing.is_empty() {
            self.take_mail_of_standing(engine);
        }
    }

    fn take_mail_of_standing(&mut self, engine: &mut impl Engine) {
        // Nothing that waits to be sent goes before the news of a watch.
        let at_once = self.newsworthy.is_empty() && self.output.is_empty();
        let room = if at_once { self.room_for_news() } else { None };
        let mail = match engine.take_mail(self.peer, room) {
            Post::Mail(mail) => mail,
            Post::News(xid, told) => {
                if self.standing.contains_key(&xid) {
                    self.tell(xid, told);
                }
                return;
            }
        };
        self.spend(mail.len() / MAIL_OF_A_PACKET);
        if mail.len() >= self.config.portions.watches {
            // There may be more. It goes before the next request, or how the stream was cut would decide.
            (self.has_mail, self.turn) = (true, 0);
        }
        for mail in mail {
            match mail {
                Mail::Answer(xid, reply) => {
                    if self.stand_down(xid) {
                        self.reply(xid, *reply, engine);
                    }
                }
                Mail::News(xid) => self.has_news(xid),
                Mail::Last(xid, notifications) => {
                    if self.stand_down(xid) {
                        notifications.into_iter().for_each(|it| self.output.push(xid, it.encode()));
                    }
                }
            }
        }
        self.tell_news(engine);
    }

    /// Sends the news of watches, of each only when its earlier ones have left: what happens meanwhile folds into one.
    pub(super) fn tell_news(&mut self, engine: &mut impl Engine) {
        if self.newsworthy.is_empty() {
            return;
        }
        self.spend(self.newsworthy.len() / NEWS_OF_A_PACKET);
        for _ in 0..self.newsworthy.len() {
            let Some(room) = self.room_for_news() else { break };
            let Some(&mut xid) = self.newsworthy.front_mut() else { break };
            let told =
                if self.output.is_waiting(xid) { None } else { engine.take_news(self.peer, xid, room) };
            let Some(told) = told else {
                self.newsworthy.rotate();
                continue;
            };
            self.newsworthy.pop_front();
            if let Some(stand) = self.standing.get_mut(&xid) {
                stand.newsworthy = None;
            }
            self.tell(xid, told);
        }
    }

    fn tell(&mut self, xid: Xid, told: Told) {
        told.into_iter().for_each(|it| self.output.push(xid, it.encode()));
    }

    /// Ends a watch or a waiting read; whether it was one.
    pub(super) fn give_up_standing(&mut self, xid: Xid, engine: &mut impl Engine) -> bool {
        let stood = self.stand_down(xid);
        if stood {
            engine.forget(self.peer, xid);
        }
        stood
    }
}
