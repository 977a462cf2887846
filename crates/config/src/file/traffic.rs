//! `traffic:` — which side gets which share of the requests.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::file::rollback::{HaproxyTarget, NginxTarget, Rollback, TargetConfig};
use crate::value::{Portion, Share, ShellText, Span, StateAddress};
use sections::KeyPosition;

mod alb;
mod caddy;
mod command;

pub use alb::AlbRouter;
pub use caddy::CaddyRouter;
pub use command::CommandRouter;

/// The kinds of router, a row each: the key under `traffic:` and its type. `$with!` gets the rows.
#[macro_export]
macro_rules! router_kinds {
    ($with:ident) => {
        $with! {
            /// The weights in an upstream file of nginx.
            nginx: NginxTarget,
            /// The weights of two servers of HAProxy, over its runtime socket.
            haproxy: HaproxyTarget,
            /// Commands of yours set and print the share.
            command: CommandRouter,
            /// The weights of two upstreams of Caddy, over its admin API.
            caddy: CaddyRouter,
            /// The weights of two target groups behind an Application Load Balancer of AWS.
            alb: AlbRouter,
        }
    };
}

macro_rules! section {
    ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {
        /// Which side gets which share of the requests. Exactly one router: `nginx`, `haproxy`, `caddy`,
        /// `alb` or `command`.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Traffic {
            /// Where the state is kept, as under `rollback.state`. Default: that one.
            pub state: Option<StateAddress>,
            /// The shares that a ramp gives to the new release, one after another. Default 10%, 25%, 50%,
            /// 100%.
            #[serde(default = "stages")]
            pub stages: Vec<Share>,
            /// How long the new release is judged at each share before the ramp goes on, at most: it goes on
            /// earlier where `healthgate.canary` has passed, and never before the probes have. Default 10m.
            #[serde(default = "stage_duration")]
            pub stage_duration: Span,
            /// Whether the ramp goes on by itself. `false`: at the end of each stage it waits for
            /// `traffic promote`, from any job or machine. Default true.
            #[serde(default = "yes")]
            pub auto_promote: bool,
            /// The most that the new release gets until `traffic promote` is called. Default: no limit.
            pub max_share: Option<Share>,
            /// What follows a stage whose judge could not decide within `stage-duration`. Default: abort.
            #[serde(default)]
            pub on_inconclusive: OnInconclusiveStage,
            /// The pause between the proof that the idle side is healthy and the switch. Default: none.
            #[serde(default)]
            pub switch_delay: Span,
            /// Whether the side that a switch leaves goes on running. `false`: after `keep-for` and the drain,
            /// `stop` is run. Default true.
            #[serde(default = "yes")]
            pub keep_old: bool,
            /// How long the old side is kept before it is drained and stopped, where `keep-old` is false.
            /// Default: no time.
            #[serde(default)]
            pub keep_for: Span,
            /// Stops the old side; run by `sh -c` with `SIDE`, `RELEASE` and `HOST` in its environment, where the
            /// router is. `RELEASE` is empty where that side did not answer. Needs `keep-old: false`.
            pub stop: Option<ShellText>,
            /// How long requests and connections that are still open on the side that was left are waited for.
            /// Default 30s.
            #[serde(default = "drain_timeout")]
            pub drain_timeout: Span,
            /// How many machines are changed side by side, a count or a share. A way back is made on all at once.
            /// Default: all at once.
            #[serde(default = "whole")]
            pub batch: Portion,
            /// How many machines may fail to take a share, a count or a share; those that fail keep what they
            /// had, and are reported. Default 0.
            #[serde(default = "none")]
            pub max_failed: Portion,
            /// How long one change of the share may take on all machines, with its proof. Default 1m.
            #[serde(default = "deadline")]
            pub deadline: Span,
            /// How often a ramp looks whether another changed the share behind its back. Default 5s.
            #[serde(default = "watch_interval")]
            pub watch_interval: Span,
            /// How long an operation may hold the lock before another may take it over. Default 30m.
            #[serde(default = "lock_ttl")]
            pub lock_ttl: Span,
            /// How long to wait for a lock that another holds. Default: not at all.
            #[serde(default)]
            pub lock_wait: Span,
            $(
                $(#[$doc])*
                pub $kind: Option<$config>,
            )*
        }

        impl Traffic {
            /// Every router that the section has, by its key: a section that passes the rules has one.
            fn routers(&self) -> Vec<(&'static str, &dyn TargetConfig)> {
                let mut routers = Vec::new();
                $(if let Some(router) = &self.$kind {
                    routers.push((stringify!($kind), router as &dyn TargetConfig));
                })*
                routers
            }

            pub(crate) const ROUTERS: &[&str] = &[$(stringify!($kind)),*];
        }
    };
}
router_kinds!(section);

/// What follows a stage whose judge could not decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInconclusiveStage {
    /// Back to 0 %.
    #[default]
    Abort,
    /// The share stays, and the ramp waits for `traffic promote` or `traffic abort`.
    Hold,
    /// On to the next stage. The last one, at 100 %, must still pass.
    Continue,
}

impl Traffic {
    /// Every `match` of the section.
    pub(crate) fn release_rules(&self) -> Vec<model::release::Match> {
        let routers = self.routers().into_iter();
        routers
            .filter_map(|(_, router)| router.release_rule())
            .collect()
    }

    /// The rules of the section; `rollback` is the section of that name, which has a state too.
    pub(crate) fn check(
        &self,
        rollback: Option<&Rollback>,
        spot: KeyPosition<'_>,
    ) -> Result<(), Fault> {
        let of_rollback = rollback.map(|rollback| &rollback.state);
        let hint = "a rollback must know the rollout: leave `traffic.state` out";
        spot.own_state(self.state.as_ref(), of_rollback, hint)?;
        if self.state.is_none() && !spot.defined.has_rollback {
            let fault = spot.fault("neither `traffic.state` nor `rollback.state` is given");
            return Err(fault.hint("add `state: .deploy-guard/state.json`"));
        }
        match self.routers()[..] {
            [] => {
                let names: Vec<String> = Self::ROUTERS
                    .iter()
                    .map(|name| format!("`{name}:`"))
                    .collect();
                let fault = spot.fault("no router is given");
                return Err(fault.hint(format!("add one of {}", names.join(", "))));
            }
            [(key, router)] => router.check(spot.key(key))?,
            [(first, _), (second, _), ..] => {
                let fault = spot.key(second);
                let fault = fault.fault(format!("`{first}` and `{second}` exclude each other"));
                return Err(fault.hint("a service has one router"));
            }
        }
        self.check_file(rollback, spot)?;
        self.check_stages(spot)?;
        if self.max_share.is_some_and(Share::is_none) {
            return spot.refuse("max-share", "a ramp that may have 0% never begins");
        }
        if self.stage_duration.get().is_zero() {
            return spot.refuse("stage-duration", "`stage-duration` must be longer than 0s");
        }
        if self.deadline.get().is_zero() {
            return spot.refuse("deadline", "`deadline` must be longer than 0s");
        }
        if self.watch_interval.get().is_zero() {
            return spot.refuse("watch-interval", "`watch-interval` must be longer than 0s");
        }
        match &self.stop {
            Some(stop) if stop.trim().is_empty() => spot.refuse("stop", "`stop` is empty"),
            Some(_) if self.keep_old => {
                let fault = spot
                    .key("stop")
                    .fault("the old side is kept, so it is not stopped");
                Err(fault.hint("add `keep-old: false`"))
            }
            None if !self.keep_old => {
                let fault = spot.key("keep-old").fault("`stop` is not given");
                Err(fault
                    .hint("add `stop: docker compose stop \"$SIDE\"`, or leave `keep-old` out"))
            }
            _ => Ok(()),
        }
    }

    /// A file of nginx has either weights or `split_clients`: a rollback could not use it otherwise, which would be found
    /// after the deployment.
    fn check_file(&self, rollback: Option<&Rollback>, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let there = rollback.and_then(|rollback| rollback.nginx.as_ref());
        match self.nginx.as_ref().zip(there) {
            Some((here, there))
                if here.upstream_file == there.upstream_file
                    && here.hosts == there.hosts
                    && here.exec == there.exec
                    && here.sticky != there.sticky =>
            {
                let same = "`traffic.nginx` and `rollback.nginx` have the same `upstream-file`, and not the same `sticky`";
                let fault = spot.key("nginx").fault(same);
                Err(fault.hint("write the same `sticky` under both, or under neither"))
            }
            _ => Ok(()),
        }
    }

    fn check_stages(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let spot = spot.key("stages");
        let Some(last) = self.stages.last() else {
            return Err(spot
                .fault("no stage is given")
                .hint("write `stages: [10%, 50%, 100%]`"));
        };
        if !last.is_all() {
            let fault = spot.item(self.stages.len() - 1);
            let fault = fault.fault(format!("the last stage is {last}, not 100%"));
            return Err(fault.hint("add 100%; `max-share` keeps a ramp below until it is promoted"));
        }
        for (nth, share) in self.stages.iter().enumerate() {
            let item = spot.item(nth);
            if share.is_none() {
                return Err(item.fault("a stage of 0% shows nothing"));
            }
            if let Some(before) = nth.checked_sub(1).map(|before| self.stages[before])
                && before >= *share
            {
                return Err(item.fault(format!("{share} comes after {before}: shares must grow")));
            }
        }
        Ok(())
    }
}

fn stages() -> Vec<Share> {
    [1000, 2500, 5000, 10_000].map(Share::from_steps).to_vec()
}

fn stage_duration() -> Span {
    Span::from_secs(10 * 60)
}

fn drain_timeout() -> Span {
    Span::from_secs(30)
}

fn deadline() -> Span {
    Span::from_secs(60)
}

fn watch_interval() -> Span {
    Span::from_secs(5)
}

fn lock_ttl() -> Span {
    Span::from_secs(30 * 60)
}

fn whole() -> Portion {
    Portion::ALL
}

fn none() -> Portion {
    Portion::Count(0)
}

fn yes() -> bool {
    true
}
