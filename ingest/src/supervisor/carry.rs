//! Does what the policy decided.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rackcast_service::notify;
use rackcast_service::reload::Takes;

use super::control::Order;
use super::held::Supervisor;
use super::member::Member;
use super::set::Do;

impl Supervisor {
    pub(super) async fn carry_out(&mut self, orders: Vec<Do>) {
        let mut orders = VecDeque::from(orders);
        while let Some(order) = orders.pop_front() {
            match order {
                Do::Start(number) => orders.extend(self.start(number).await),
                Do::Introduce => self.introduce().await,
                Do::Retire(number) => self.order(number, &Order::Retire).await,
                Do::Leave(number, why) => {
                    log::warn!(
                        rackcast_generation = number, rackcast_reason = why.to_string();
                        "generation {number} sends its publishers away: {why}"
                    );
                    self.order(number, &Order::Leave).await;
                }
                Do::Stop(number) => self.order(number, &Order::Stop).await,
                Do::Kill(number, why) => self.ended(number, &format!("{why}; it was killed")).await,
                Do::TookOver(number) => self.took_over(number),
                Do::HandoverFailed(number) => self.failed(number).await,
            }
        }
    }

    async fn start(&mut self, number: u64) -> Vec<Do> {
        self.starting = self.candidate.take();
        let text = match &self.starting {
            Some(candidate) => candidate.text.clone(),
            None => self.live.text(),
        };
        let peer = self.folder.peer(number);
        match Member::start(number, peer, &self.listeners, self.live.path(), &text) {
            Ok(member) => {
                log::info!(
                    rackcast_generation = number;
                    "generation {number} starts as process {}", member.child.id().unwrap_or(0)
                );
                self.members.push(member);
                // It accepts nothing before it knows whom to ask.
                self.introduce_to(number).await;
                Vec::new()
            }
            Err(e) => {
                log::error!(
                    rackcast_generation = number, rackcast_reason = e.to_string();
                    "generation {number} cannot be started: {e}"
                );
                self.starting = None;
                self.set.ended(number, Instant::now(), rand::random())
            }
        }
    }

    fn took_over(&mut self, number: u64) {
        log::info!(rackcast_generation = number; "generation {number} is ready and accepts");
        if let Some(candidate) = self.starting.take() {
            match self.keep(candidate.text) {
                Ok(outcome) => log::info!("it works by the file on disk: {}", outcome.summary()),
                // Its program knows more than this one.
                Err(e) => log::warn!("what is started next works by the file of before: {e}"),
            }
        }
        // It began with all that a generation can.
        self.live.settle(Takes::Handover);
        self.tell();
        notify::ready();
        notify::status(&format!("generation {number} serves"));
    }

    /// A new generation came to nothing; the one before never stopped serving.
    async fn failed(&mut self, number: u64) {
        let serving = self.set.serving().unwrap_or_default();
        self.refuse_hand_over(&format!("generation {number} did not become ready"))
            .await;
        notify::status(&format!(
            "generation {serving} serves; the hand-over to generation {number} failed"
        ));
    }

    /// Says that what runs goes on, and why.
    pub(super) async fn refuse_hand_over(&mut self, why: &str) {
        log::error!(
            rackcast_reason = why;
            "no new generation takes over, what runs serves on: {why}"
        );
        if let Some(serving) = self.set.serving() {
            self.order(serving, &Order::HandoverFailed).await;
        }
        notify::status(&format!("no hand-over: {why}"));
        notify::ready();
    }

    async fn introduce(&mut self) {
        for number in self.set.all() {
            if !self.set.is_ending(number) {
                self.introduce_to(number).await;
            }
        }
    }

    async fn introduce_to(&mut self, number: u64) {
        let others = self.set.others_of(number).into_iter();
        let others = others.map(|other| self.folder.peer(other)).collect();
        self.order(number, &Order::Peers { others }).await;
    }

    pub(super) async fn order(&mut self, number: u64, order: &Order) {
        if let Some(member) = self.members.iter_mut().find(|m| m.number == number) {
            member.order(order, Bytes::new()).await;
        }
    }
}
