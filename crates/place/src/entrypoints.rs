//! What is the same of every proxy that has two releases behind it: which of them is served, which
//! server runs a release, and what proves a switch.

use std::time::{Duration, Instant};

use config::file::{HostList, ReleaseSource};
use config::value::Span;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesOrdered;

use crate::context::Context;
use crate::entrypoint::{Entrypoint, Standby};
use crate::error::Error;
use crate::machines::Machines;
use crate::place::Place;
use crate::question::ReleaseEndpoint;
use crate::visitor::Visitor;

/// Right answers in a row that prove what a proxy serves. Where half of the answers are of another
/// release, so many in a row come by chance once in a million times.
pub const PROOFS: u32 = 20;
/// The maximum, for a colour with a share so small that a few answers prove nothing.
const MAX_PROOFS: u32 = 2000;
/// Requests at the same time: hundreds of them must fit into the time of a switch, also where each
/// takes long. Few, because they may go through one connection to a host.
const MAX_CONCURRENT: u32 = 4;
/// The shortest pause: no timer is finer.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(1);

/// The two kinds of proxy, in words.
#[derive(Clone, Copy, Debug)]
pub struct ProxyNames {
    /// The section of the configuration that has it.
    pub section: &'static str,
    /// As the configuration calls it.
    pub kind: &'static str,
    /// As people call it.
    pub shown: &'static str,
    /// Its name for what is behind it.
    pub behind: &'static str,
}

/// A proxy as its users see it: what answers through it, and behind it.
pub struct Entrypoints<'a> {
    names: ProxyNames,
    pub machines: Machines<'a>,
    pub question: ReleaseEndpoint,
    pub timeout: Span,
    /// Who asks through it; `None` where it takes all users for the same.
    pub visitor: Option<Visitor>,
}

/// What it takes to believe a switch.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Right answers in a row, so many as it takes.
    pub streak: Streak,
    /// From the first right answer on, processes of before may still answer for so long.
    pub drain: Duration,
    /// The longest pause after a wrong answer.
    pub pause: Duration,
    /// After what, in words.
    pub after: &'static str,
}

/// A switch that was proved.
#[derive(Clone, Debug)]
pub struct ProvedSwitch {
    /// By what, in words.
    pub told: String,
    /// When the release answered for the first time.
    pub first: Instant,
}

impl<'a> Entrypoints<'a> {
    pub fn new(
        names: ProxyNames,
        hosts: Option<&HostList>,
        release: Option<&ReleaseSource>,
        timeout: Span,
        context: &Context<'a>,
    ) -> Result<Self, Error> {
        Ok(Entrypoints {
            names,
            machines: Machines::new(hosts, context),
            question: ReleaseEndpoint::of(release, context, (names.section, names.kind))?,
            timeout,
            visitor: None,
        })
    }

    /// The release that answers through it, or at one of the servers behind it.
    pub async fn query(
        &self,
        place: &Place,
        at: Option<&str>,
        likely: &str,
        limit: Duration,
    ) -> Result<String, Error> {
        let around = &self.machines.around;
        let new_user = match (&self.visitor, at) {
            (Some(visitor), None) => Some(visitor.asks(&self.question)),
            _ => None,
        };
        let question = new_user.as_ref().unwrap_or(&self.question);
        question.query_from(place, around, at, likely, limit).await
    }

    /// The release that is served: `likely` only where each server that gets traffic (`active`, by
    /// address) and every answer through the front name it.
    ///
    /// # Errors
    /// Where several servers get traffic and one cannot be asked, or the front does not answer.
    pub async fn served(
        &self,
        place: &Place,
        active: &[&str],
        likely: &str,
    ) -> Result<String, Error> {
        let limit = self.timeout.get();
        for address in active {
            match self.query(place, Some(address), likely, limit).await {
                Ok(release) if release != likely => return Ok(release),
                // The front hides one of two behind the other.
                Err(reason) if active.len() > 1 => {
                    return Err(Error::Unanswered(format!(
                        "{address} gets traffic and cannot be queried ({reason})"
                    )));
                }
                _ => {}
            }
        }
        for _ in 0..PROOFS / MAX_CONCURRENT {
            let asking = (0..MAX_CONCURRENT).map(|_| self.query(place, None, likely, limit));
            for release in join_all(asking).await {
                let release = release?;
                if release != likely {
                    return Ok(release);
                }
            }
        }
        Ok(likely.to_owned())
    }

    /// The first of the servers (name and address) that runs the release.
    pub async fn running<'s>(
        &self,
        place: &Place,
        servers: &[(&'s str, &'s str)],
        release: &str,
    ) -> Result<(&'s str, &'s str), Error> {
        let limit = self.timeout.get();
        let asking = servers.iter().map(|&(name, at)| async move {
            (name, at, self.query(place, Some(at), release, limit).await)
        });
        let mut asking: FuturesOrdered<_> = asking.collect();
        let mut said = Vec::new();
        while let Some((name, at, answer)) = asking.next().await {
            said.push(match answer {
                Ok(answer) if answer == release => return Ok((name, at)),
                Ok(answer) => format!("{name} {at} runs {answer}"),
                Err(reason) => format!("{name} {at} cannot be queried ({reason})"),
            });
        }
        let behind = self.names.behind;
        let said = said.join(", ");
        Err(Error::Missing(format!(
            "no {behind} runs {release}: {said}"
        )))
    }

    /// Asks through it until so many answers in a row name the release that it cannot be chance.
    pub async fn prove(
        &self,
        place: &Place,
        release: &str,
        proof: Proof,
    ) -> Result<ProvedSwitch, Error> {
        let Proof {
            mut streak,
            drain,
            pause,
            after,
        } = proof;
        let begun = Instant::now();
        let deadline = begun + self.timeout.get();
        let (mut first, mut last) = (None, String::new());
        while !streak.proves() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (within, shown) = (self.timeout, self.names.shown);
                return Err(Error::Unproved(if last.is_empty() {
                    format!(
                        "only {} of {} requests that prove the switch were answered within {within}",
                        streak.count(),
                        streak.wanted()
                    )
                } else {
                    format!(
                        "after {after} {shown} does not serve {release}: {last} (within {within}{})",
                        streak.mixture()
                    )
                }));
            }
            let waits = first.is_none() && !drain.is_zero();
            let asked = if waits { 1 } else { streak.next() };
            let asking = (0..asked).map(|_| self.query(place, None, release, left));
            let mut wrong = false;
            for answer in join_all(asking).await {
                match answer {
                    Ok(answer) if answer == release => {
                        first.get_or_insert_with(Instant::now);
                        if waits {
                            tokio::time::sleep(drain.min(left)).await;
                        } else {
                            streak.right();
                        }
                        continue;
                    }
                    Ok(answer) => last = format!("{answer} answers"),
                    // A question that the deadline cut off says less than the answer before it.
                    Err(_) if Instant::now() >= deadline && !last.is_empty() => continue,
                    Err(error) => last = error.to_string(),
                }
                streak.wrong();
                wrong = true;
            }
            // At once at first: what was switched is there within milliseconds.
            let pause = (begun.elapsed() / 8).min(pause);
            if wrong && pause >= MIN_RETRY_DELAY {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(ProvedSwitch {
            told: self.proven(streak.wanted(), release),
            first: first.unwrap_or_else(Instant::now),
        })
    }

    /// Describes a proof by this many answers.
    pub fn proven(&self, proofs: u32, release: &str) -> String {
        format!(
            "{proofs} requests in a row through {} were answered by {release}",
            self.question.url
        )
    }

    /// The server at this address, before it gets the traffic.
    pub fn standby(&self, at: &str) -> Standby {
        Standby {
            at: at.to_owned(),
            front: self.question.url.clone(),
        }
    }

    /// The front door and the servers behind it (name and address), at one of its machines. Where
    /// several are `active`, each has traffic of its own: one user in twenty is not seen through the
    /// front door.
    pub fn entrypoints(
        &self,
        place: &Place,
        servers: &[(&str, &str)],
        active: Result<Vec<&str>, Error>,
    ) -> Vec<Entrypoint> {
        let (active, unsure) = match active {
            Ok(active) => (active, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let shared = |at: &str| active.len() > 1 && active.contains(&at);
        let entrypoint = |name: &str, at: Option<&str>| Entrypoint {
            name: match place {
                Place::Here => name.to_owned(),
                Place::Host(host) => format!("{name}/{host}"),
            },
            question: self.question.clone(),
            at: at.map(str::to_owned),
            place: place.clone(),
            traffic: at.is_none_or(shared),
            unsure: unsure.clone().filter(|_| at.is_none()),
        };
        let mut all = vec![entrypoint(self.names.kind, None)];
        all.extend(servers.iter().map(|(name, at)| entrypoint(name, Some(at))));
        all
    }
}

/// Right answers in a row, until they prove a switch.
#[derive(Clone, Copy, Debug)]
pub struct Streak {
    wanted: u32,
    right: u32,
    /// Since the switch could be seen, right and wrong ones.
    all: u32,
    wrong: u32,
}

impl Streak {
    /// One in `rarest` requests went to the release that is left: if it had one in twenty, a few
    /// right answers prove nothing.
    pub fn new(rarest: u32) -> Streak {
        Streak {
            wanted: PROOFS.saturating_mul(rarest.max(1)).min(MAX_PROOFS),
            right: 0,
            all: 0,
            wrong: 0,
        }
    }

    pub fn right(&mut self) {
        self.right += 1;
        self.all += 1;
    }

    /// An answer that names another release, or none. Before the first right one it is a process of
    /// before that is about to end. Later it may be one that stays: a second master, or another
    /// machine behind the same address. As many right answers in a row are then wanted as do not come
    /// by chance.
    pub fn wrong(&mut self) {
        self.right = 0;
        if self.all > 0 {
            self.all += 1;
            self.wrong += 1;
            let one_in = self.all.div_ceil(self.wrong);
            self.wanted = self.wanted.max(PROOFS * one_in).min(MAX_PROOFS);
        }
    }

    pub fn proves(&self) -> bool {
        self.right >= self.wanted
    }

    /// How many requests to make next, at the same time: no more than are still wanted.
    pub fn next(&self) -> u32 {
        self.wanted.saturating_sub(self.right).min(MAX_CONCURRENT)
    }

    pub fn wanted(&self) -> u32 {
        self.wanted
    }

    pub fn count(&self) -> u32 {
        self.right
    }

    /// What share of the answers was wrong, in words; empty where all were right.
    pub fn mixture(&self) -> String {
        match self.wrong {
            0 => String::new(),
            wrong => format!("; {wrong} of {} answers were wrong", self.all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_row_prove_a_switch() {
        let mut streak = Streak::new(1);
        for _ in 0..PROOFS {
            assert!(!streak.proves());
            streak.right();
        }
        assert!(streak.proves());
        assert_eq!(PROOFS % MAX_CONCURRENT, 0);
    }

    #[test]
    fn no_more_requests_are_made_than_are_wanted() {
        let mut streak = Streak::new(1);
        assert_eq!(streak.next(), MAX_CONCURRENT);
        (0..PROOFS - 1).for_each(|_| streak.right());
        assert_eq!(streak.next(), 1);
        streak.right();
        assert_eq!(streak.next(), 0);
    }

    #[test]
    fn answers_of_before_cost_nothing() {
        let mut streak = Streak::new(1);
        (0..1000).for_each(|_| streak.wrong());
        (0..PROOFS).for_each(|_| streak.right());
        assert!(streak.proves());
    }

    #[test]
    fn where_half_of_the_answers_stay_wrong_no_streak_by_chance_proves_anything() {
        // By a generator of its own, so that every run is the same.
        let mut seed = 1_u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        for one_in in [2, 5, 10] {
            let mut streak = Streak::new(1);
            for _ in 0..20_000 {
                if random() % one_in == 0 {
                    streak.wrong();
                } else {
                    streak.right();
                }
                // One in ten may be missed by the first twenty: what was seen once is not.
                assert!(streak.wrong == 0 || !streak.proves(), "one in {one_in}");
            }
        }
    }
}
