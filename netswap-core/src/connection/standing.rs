//! Watches and waiting reads: transactions that stand open until something happens elsewhere
//! (docs/PROTOCOL.md §3.21, §3.22).

use super::Connection;
use crate::engine::{Engine, Mail, Post, Told};
use crate::types::Xid;

impl Connection {
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
                if self.standing.contains(&xid) {
                    self.tell(xid, told);
                }
                return;
            }
        };
        for mail in mail {
            match mail {
                Mail::Answer(xid, reply) => {
                    if self.standing.remove(&xid) {
                        self.reply(xid, *reply, engine);
                    }
                }
                Mail::News(xid) => {
                    if self.standing.contains(&xid) {
                        self.newsworthy.push_back(xid);
                    }
                }
                Mail::Last(xid, notifications) => {
                    if self.standing.remove(&xid) {
                        self.newsworthy.retain(|it| *it != xid);
                        notifications.into_iter().for_each(|it| self.output.push(xid, it.encode()));
                    }
                }
            }
        }
        self.tell_news(engine);
    }

    /// Sends the news of watches, of each only when its earlier ones have left: what happens meanwhile folds into one.
    pub(super) fn tell_news(&mut self, engine: &mut impl Engine) {
        for _ in 0..self.newsworthy.len() {
            let Some(room) = self.room_for_news() else { break };
            let Some(xid) = self.newsworthy.pop_front() else { break };
            let told =
                if self.output.is_waiting(xid) { None } else { engine.take_news(self.peer, xid, room) };
            match told {
                Some(told) => self.tell(xid, told),
                None => self.newsworthy.push_back(xid),
            }
        }
    }

    fn tell(&mut self, xid: Xid, told: Told) {
        told.into_iter().for_each(|it| self.output.push(xid, it.encode()));
    }

    /// Ends a watch or a waiting read; whether it was one.
    pub(super) fn give_up_standing(&mut self, xid: Xid, engine: &mut impl Engine) -> bool {
        let stood = self.standing.remove(&xid);
        if stood {
            self.newsworthy.retain(|it| *it != xid);
            engine.forget(self.peer, xid);
        }
        stood
    }
}
