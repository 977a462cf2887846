//! Blue-green behind nginx, here or on hosts: one upstream file names the colour that gets the
//! traffic, or both with their weights.
//!
//! `nginx -s reload` ends with 0 while the old configuration stays in force, so only requests
//! through nginx prove a switch; without that proof the file is put back.

pub(crate) mod upstream;

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use config::file::NginxTarget;
use futures_util::future::join_all;

use crate::answers::{self, PROOFS, Streak};
use crate::context::Context;
use crate::machines::Machines;
use crate::place::{Effect, Place};
use crate::question::Question;
use crate::sudo;
use crate::target::{Asking, Door, Idle, Move, Proving, Step, Target};
use upstream::Upstream;

/// From the first right answer on, workers of before may still accept for so long: nginx tells
/// them to go 100 ms after it has started new ones (`ngx_master_process_cycle`).
const DRAIN: Duration = Duration::from_millis(105);
/// After an answer of before, at most, and between two questions of what is served.
const PAUSE: Duration = Duration::from_millis(10);

/// A shorter pause is none: no timer is finer.
const SOON: Duration = Duration::from_millis(1);

pub(crate) struct Nginx<'a> {
    config: &'a NginxTarget,
    machines: Machines<'a>,
    question: Question,
    /// When the last place was first seen to have its new configuration.
    answered: Cell<Option<Instant>>,
}

impl<'a> Nginx<'a> {
    pub(crate) fn new(config: &'a NginxTarget, context: &Context<'a>) -> Result<Self, String> {
        let question = Question::of(config.release.as_ref(), context, "nginx")?;
        let machines = Machines::new(config.hosts.as_ref(), context);
        Ok(Nginx {
            config,
            machines,
            question,
            answered: Cell::default(),
        })
    }

    fn does(&self, release: &str) -> String {
        format!(
            "let {} give all traffic to the colour that runs {release}, test, reload, prove through {}",
            self.config.upstream_file.display(),
            self.question.url
        )
    }

    async fn read(&self, place: &Place) -> Result<String, String> {
        let (path, limit) = (&self.config.upstream_file, self.config.timeout.get());
        let text = self.machines.places.read(place, path, limit).await?;
        text.ok_or_else(|| upstream::no_file(path))
    }

    async fn write(&self, place: &Place, text: &str) -> Result<(), String> {
        let (path, limit) = (&self.config.upstream_file, self.config.timeout.get());
        let places = self.machines.places;
        places.replace(place, path, text, limit).await
    }

    fn upstream<'t>(&self, text: &'t str) -> Result<Upstream<'t>, String> {
        Upstream::of(text, self.config).map_err(|why| why.to_string())
    }

    async fn ask(
        &self,
        place: &Place,
        at: Option<&str>,
        likely: &str,
        limit: Duration,
    ) -> Result<String, String> {
        let around = &self.machines.around;
        self.question
            .ask_from(place, around, at, likely, limit)
            .await
    }

    /// The release that is served through nginx. Shortly after a reload workers of before it may
    /// still answer, so it is `likely` only if each colour that gets traffic and every answer say
    /// so.
    async fn served(&self, place: &Place, likely: &str) -> Result<String, String> {
        let limit = self.config.timeout.get();
        let text = self.read(place).await?;
        let upstream = self.upstream(&text)?;
        answers::served(&upstream.active(), likely, async |at| {
            self.ask(place, at, likely, limit).await
        })
        .await
    }

    async fn planned(&self, step: &Step, release: &str) -> Result<String, String> {
        let place = &step.place;
        let address = self.colour_of(place, release).await?;
        let text = self.read(place).await?;
        let switched = self.upstream(&text)?.all_to(&address);
        let (path, limit) = (&self.config.upstream_file, self.config.timeout.get());
        let places = self.machines.places;
        places.may_replace(place, path, limit).await?;
        for command in [&self.config.test, &self.config.reload] {
            if let Some(proof) = sudo::proof(command) {
                let what = format!("`{command}`");
                places
                    .script(place, &what, &proof, Effect::Reads, limit)
                    .await?;
            }
        }
        let mut does = step.does.clone();
        if switched == text {
            does.push_str(" (the file already does)");
        }
        Ok(does)
    }

    /// The address of the colour that runs this release.
    async fn colour_of(&self, place: &Place, release: &str) -> Result<String, String> {
        let limit = self.config.timeout.get();
        let (blue, green) = (&self.config.blue, &self.config.green);
        let (at_blue, at_green) = tokio::join!(
            self.ask(place, Some(blue), release, limit),
            self.ask(place, Some(green), release, limit),
        );
        for (address, answer) in [(blue, &at_blue), (green, &at_green)] {
            if answer.as_deref() == Ok(release) {
                return Ok(address.clone());
            }
        }
        let say = |answer: Result<String, String>| match answer {
            Ok(release) => format!("runs {release}"),
            Err(reason) => format!("cannot be asked ({reason})"),
        };
        Err(format!(
            "no colour runs {release}: blue {blue} {}, green {green} {}",
            say(at_blue),
            say(at_green)
        ))
    }

    /// Switches and proves. On an error the file is `before` again, and nginx has it.
    async fn switch(
        &self,
        place: &Place,
        release: &str,
        before: Option<&str>,
    ) -> Result<String, String> {
        let address = self.colour_of(place, release).await?;
        let text = self.read(place).await?;
        let before = before.unwrap_or(&text);
        let switched = self.upstream(&text)?.all_to(&address);
        let proof = match self.upstream(before) {
            Ok(before) => Proof {
                streak: Streak::new(before.rarest()),
                tells: !before.may_ask(&address),
            },
            Err(_) => Proof {
                streak: Streak::new(1),
                tells: false,
            },
        };
        if switched != text {
            self.write(place, &switched).await?;
        }
        match self.reload_and_prove(place, release, proof).await {
            Ok(proof) => Ok(format!("{address} has the traffic; {proof}")),
            Err(reason) => Err(match self.restore(place, before).await {
                Ok(done) => format!("{reason}; {done}"),
                Err(error) => format!("{reason}; {error}"),
            }),
        }
    }

    async fn restore(&self, place: &Place, before: &str) -> Result<String, String> {
        let path = self.config.upstream_file.display();
        self.write(place, before)
            .await
            .map_err(|error| format!("putting {path} back failed too: {error}"))?;
        match self.command(place, &self.config.reload).await {
            Ok(_) => Ok(format!("{path} was put back")),
            Err(error) => Err(format!(
                "{path} was put back, but nginx did not read it: {error}"
            )),
        }
    }

    async fn reload_and_prove(
        &self,
        place: &Place,
        release: &str,
        Proof { mut streak, tells }: Proof,
    ) -> Result<String, String> {
        self.command(place, &self.config.test).await?;
        self.command(place, &self.config.reload).await?;
        let reloaded = Instant::now();
        let deadline = reloaded + self.config.timeout.get();
        let (mut drained, mut last) = (false, String::new());
        while !streak.proves() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let within = self.config.timeout;
                return Err(if last.is_empty() {
                    format!(
                        "only {} of {} requests that prove the switch were answered within {within}",
                        streak.count(),
                        streak.wanted()
                    )
                } else {
                    format!(
                        "after the reload nginx does not serve {release}: {last} (within {within}{})",
                        streak.mixture()
                    )
                });
            }
            let asked = if drained { streak.next() } else { 1 };
            let asking = (0..asked).map(|_| self.ask(place, None, release, left));
            let mut wrong = false;
            for answer in join_all(asking).await {
                match answer {
                    Ok(answer) if answer == release => {
                        if drained {
                            streak.right();
                        } else {
                            if tells {
                                self.answered.set(Some(Instant::now()));
                            }
                            tokio::time::sleep(DRAIN.min(left)).await;
                            drained = true;
                        }
                        continue;
                    }
                    Ok(answer) => last = format!("{answer} answers"),
                    // A question that the deadline cut off says less than the answer before it.
                    Err(_) if Instant::now() >= deadline && !last.is_empty() => continue,
                    Err(reason) => last = reason,
                }
                streak.wrong();
                wrong = true;
            }
            // At once at first: the new workers are there within milliseconds.
            let pause = (reloaded.elapsed() / 8).min(PAUSE);
            if wrong && pause >= SOON {
                tokio::time::sleep(pause).await;
            }
        }
        if !tells {
            self.answered.set(Some(Instant::now()));
        }
        Ok(self.proven(streak.wanted(), release))
    }

    fn proven(&self, proofs: u32, release: &str) -> String {
        format!(
            "{proofs} requests in a row through {} were answered by {release}",
            self.question.url
        )
    }

    /// One of the user's own commands, as they wrote it.
    async fn command(&self, place: &Place, text: &str) -> Result<String, String> {
        let (places, limit) = (self.machines.places, self.config.timeout.get());
        places.command(place, text, limit).await
    }
}

/// What it takes to believe a switch.
#[derive(Clone, Copy)]
struct Proof {
    /// Right answers in a row, so many as it takes.
    streak: Streak,
    /// Whether the first one tells that nginx has its new configuration: with the old one nothing
    /// of the destination could have answered.
    tells: bool,
}

impl Target for Nginx<'_> {
    fn steps(&self, moving: Move<'_>) -> Vec<Step> {
        self.machines.steps("nginx", &self.does(moving.destination))
    }

    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> Asking<'a, Option<String>> {
        Box::pin(async move { self.served(&step.place, likely).await.map(Some) })
    }

    fn plan<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Asking<'a, String> {
        Box::pin(self.planned(step, moving.destination))
    }

    fn idle<'a>(&'a self, step: &'a Step, destination: &'a str) -> Asking<'a, Option<Idle>> {
        Box::pin(async move {
            let at = self.colour_of(&step.place, destination).await?;
            let front = self.question.url.clone();
            Ok(Some(Idle { at, front }))
        })
    }

    fn doors(&self) -> Asking<'_, Vec<Door>> {
        let colours = [
            ("blue", self.config.blue.as_str()),
            ("green", self.config.green.as_str()),
        ];
        Box::pin(async move {
            let asking = self.machines.all().iter().map(|place| async move {
                let text = self.read(place).await;
                let upstream = text.as_ref().map_err(String::clone);
                let upstream = upstream.and_then(|text| self.upstream(text));
                let active = upstream.as_ref().map(Upstream::active);
                let active = active.map_err(Clone::clone);
                Door::of_proxy("nginx", place, &self.question, &colours, active)
            });
            Ok(join_all(asking).await.concat())
        })
    }

    fn looks<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, Asking<'a, String>)> {
        let errors = Path::new("/var/log/nginx/error.log");
        vec![
            ("upstream-file", Box::pin(self.read(&step.place))),
            self.machines.tail(&step.place, "nginx-errors", errors),
        ]
    }

    fn before<'a>(&'a self, step: &'a Step, _moving: Move<'a>) -> Asking<'a, Option<String>> {
        Box::pin(async move { self.read(&step.place).await.map(Some) })
    }

    fn act<'a>(
        &'a self,
        step: &'a Step,
        moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String> {
        Box::pin(self.switch(&step.place, moving.destination, before))
    }

    fn undo<'a>(
        &'a self,
        step: &'a Step,
        _moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String> {
        Box::pin(async move {
            let before = before.ok_or("what the file held before is not known")?;
            self.restore(&step.place, before).await
        })
    }

    fn undoes(&self) -> bool {
        true
    }

    fn shares(&self) -> bool {
        true
    }

    fn answered(&self) -> Option<Instant> {
        self.answered.get()
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        // Every step ended with it.
        Box::pin(async move { Some(self.proven(PROOFS, destination)) })
    }
}
