//! A unit of systemd that runs what is behind a link: `releases/v1`, `releases/v2`, and `current`
//! that points to one of them.

use std::path::PathBuf;
use std::time::Duration;

use config::file::{SystemdProbe, SystemdTarget};
use config::value::Span;
use model::Severity;
use probe::settle::{self, Settling};
use remote::quote;

use crate::fit::CheckFit;
use crate::kinds::Kind;
use crate::target::{Applied, Capabilities, Observe, Proving, Switch, Target, Transition};
use place::{Context, Effect, Error, Machines, Place, Step, StepFuture, alone, host, word};

/// What is only looked at is there at once.
const QUERY_TIMEOUT: Duration = Duration::from_secs(15);

/// Whether the user may restart the unit by sudo: sudo is asked for the very command, which is not
/// run.
const SUDO: &str = r#"said=$(sudo -n -l -- systemctl restart -- "$unit" 2>&1) ||
no "sudo may not restart $unit without a password: $said""#;

/// A part of a script that calls `no WHY`, or `absent WHY` where there is nothing to switch, with the
/// variables `unit` and `link` set.
pub(crate) const SWITCHABLE: &str = r#"[ -L "$link" ] || [ ! -e "$link" ] || no "$link is not a symbolic link"
[ "$(systemctl show -p LoadState --value -- "$unit")" = loaded ] || absent "there is no unit $unit""#;

pub(crate) struct Systemd<'a> {
    config: &'a SystemdTarget,
    machines: Machines<'a>,
}

impl<'a> Systemd<'a> {
    pub(crate) fn new(config: &'a SystemdTarget, context: &Context<'a>) -> Self {
        let machines = Machines::new(config.hosts.as_ref(), context);
        Systemd { config, machines }
    }

    fn describe_switch(&self, release: &str) -> String {
        format!(
            "point {} to {}, restart {} and see it stay active for {}",
            self.config.link().display(),
            self.config.releases.join(release).display(),
            self.config.unit,
            self.config.settle
        )
    }

    fn folder(&self, release: &str) -> Result<PathBuf, Error> {
        if release.is_empty() || matches!(release, "." | "..") || release.contains(['/', '\0']) {
            return Err(Error::Unfit(format!(
                "`{release}` cannot be the name of a folder"
            )));
        }
        Ok(self.config.releases.join(release))
    }

    fn systemctl(&self) -> &'static str {
        if self.config.sudo {
            "sudo -n systemctl"
        } else {
            "systemctl"
        }
    }

    /// The release that the unit's process was started from.
    async fn running(&self, place: &Place) -> Result<Option<String>, Error> {
        let text = format!(
            "tell() {{ \"$@\" 2>/dev/null || :; printf '\\0'; }}
unit={unit} link={link}
pid=$(systemctl show -p MainPID --value -- \"$unit\")
tell readlink -fn -- {releases}
tell readlink -n -- \"$link\"
tell readlink -n -- \"/proc/$pid/cwd\"
tell readlink -n -- \"/proc/$pid/exe\"
tell stat -c %Z -- \"$link\"
tell date +%s
tell cat /proc/uptime
tell systemctl show -p ExecMainStartTimestampMonotonic --value -- \"$unit\"",
            unit = quote(&self.config.unit),
            link = word(&self.config.link()),
            releases = word(&self.config.releases),
        );
        let printed = self
            .machines
            .places
            .script(
                place,
                "the link and the unit",
                &text,
                Effect::Reads,
                QUERY_TIMEOUT,
            )
            .await?;
        let mut parts = printed.split('\0');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let seen = UnitState {
            releases: next(),
            link: next(),
            folder: next(),
            program: next(),
            linked_at: number(&next()),
            now: number(&next()),
            uptime: number(&next()),
            started_after_boot: number(&next()).map(|micros| micros / 1e6),
        };
        seen.release(&self.config.releases.display().to_string())
            .map(Some)
    }

    /// Whether the release could be made live: its folder exists, and the link to be replaced is
    /// ours.
    async fn check(&self, place: &Place, release: &str) -> Result<(), Error> {
        let text = format!(
            "no() {{ printf '%s\\n' \"$*\" >&2; exit 1; }}
absent() {{ no \"$@\"; }}
to={to} link={link} beside={beside} unit={unit}
[ -d \"$to\" ] || no \"there is no folder $to\"
[ -n \"$(ls -A -- \"$to\")\" ] || no \"the folder $to is empty\"
{SWITCHABLE}
[ -w \"$beside\" ] || no \"cannot write in $beside\"
{sudo}",
            sudo = if self.config.sudo { SUDO } else { "" },
            to = word(&self.folder(release)?),
            link = word(&self.config.link()),
            beside = word(&self.link_folder()),
            unit = quote(&self.config.unit),
        );
        self.machines
            .places
            .script(place, "the release", &text, Effect::Reads, QUERY_TIMEOUT)
            .await
            .map(drop)
    }

    /// Where the link points to; empty if it does not exist.
    async fn linked(&self, place: &Place) -> Result<String, Error> {
        let link = word(&self.config.link());
        let text = format!("[ ! -L {link} ] || readlink -n -- {link}");
        self.machines
            .places
            .script(place, "the link", &text, Effect::Reads, QUERY_TIMEOUT)
            .await
    }

    /// Makes the release live; safe to do twice.
    async fn switch(&self, place: &Place, release: &str) -> Result<String, Error> {
        self.check(place, release).await?;
        let to = self.folder(release)?;
        let within = self.config.timeout.get();
        let text = format!(
            "{}{}\n{}",
            alone(&self.link_folder(), within),
            self.point_to(&to.display().to_string()),
            self.restart()
        );
        self.machines
            .places
            .script(place, "the switch", &text, Effect::Changes, within)
            .await
            .map_err(|error| {
                error.then(format!(
                    "see `systemctl status {unit}; journalctl -u {unit} -n 100`",
                    unit = self.config.unit
                ))
            })?;
        let stayed = self.stays(place).await?;
        Ok(format!(
            "{} is {}: {stayed}",
            self.config.link().display(),
            to.display()
        ))
    }

    /// Puts the link back and restarts the unit.
    async fn put_back(&self, place: &Place, before: &str) -> Result<String, Error> {
        let link = self.config.link();
        let back = if before.is_empty() {
            format!("rm -f -- {}", word(&link))
        } else {
            self.point_to(before)
        };
        let within = self.config.timeout.get();
        let alone = alone(&self.link_folder(), within);
        let text = format!("{alone}{back}\n{}", self.restart());
        self.machines
            .places
            .script(place, "putting it back", &text, Effect::Changes, within)
            .await?;
        Ok(format!("{} is {before} again", link.display()))
    }

    fn link_folder(&self) -> PathBuf {
        let link = self.config.link();
        link.parent().map(PathBuf::from).unwrap_or_default()
    }

    /// One move, so that there is a link at every moment, the old one or the new one.
    fn point_to(&self, to: &str) -> String {
        let link = self.config.link();
        let new = state::atomic::with_suffix(&link, "deploy-guard-new");
        format!(
            "rm -f -- {new}\nln -s -- {to} {new}\nmv -T -f -- {new} {link}\nsync -- {beside} || sync",
            new = word(&new),
            to = quote(to),
            link = word(&link),
            beside = word(&self.link_folder()),
        )
    }

    fn restart(&self) -> String {
        // A unit that crashed too often is not started again before this.
        let (systemctl, unit) = (self.systemctl(), quote(&self.config.unit));
        format!(
            "{systemctl} reset-failed -- {unit} 2>/dev/null || :\n{systemctl} restart -- {unit}"
        )
    }

    async fn stays(&self, place: &Place) -> Result<String, Error> {
        let probe = SystemdProbe {
            name: "settle".to_owned(),
            unit: self.config.unit.clone(),
            host: host(place),
            hosts: None,
            require: None,
            max_restarts: 0,
            // `settle` says how long.
            min_uptime: Some(Span::ZERO),
            policy: None,
            severity: Severity::Required,
        };
        let settling = Settling {
            within: self.config.timeout.get(),
            stays: self.config.settle.get(),
        };
        let settled = settle::systemd(probe, &self.machines.around, settling);
        Ok(settled.await?)
    }
}

impl Kind for SystemdTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(Systemd::new(self, context)))
    }

    fn fits(&self) -> Option<&dyn CheckFit> {
        Some(self)
    }
}

impl Observe for Systemd<'_> {
    fn current<'a>(&'a self, step: &'a Step, _likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(self.running(&step.place))
    }

    fn diagnostics<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, StepFuture<'a, String>)> {
        let unit = quote(&self.config.unit);
        let sudo = if self.config.sudo { "sudo -n " } else { "" };
        let state = format!("{sudo}systemctl status --no-pager --full --lines=50 -- {unit}");
        let log = format!("{sudo}journalctl --no-pager --quiet -o short-iso -n 500 -u {unit}");
        vec![
            self.machines
                .run_diagnostic(&step.place, "systemctl-status", state),
            self.machines.run_diagnostic(&step.place, "journal", log),
        ]
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        Box::pin(async move {
            let running = |place| -> StepFuture<'a, _> { Box::pin(self.running(place)) };
            let all = self.machines.all_run(destination, running).await;
            all.then(|| format!("{} was started from {destination}", self.config.unit))
        })
    }
}

impl Switch for Systemd<'_> {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        self.machines
            .steps("systemd", &self.describe_switch(transition.to))
    }

    fn plan<'a>(&'a self, step: &'a Step, transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(async move {
            self.check(&step.place, transition.to).await?;
            Ok(step.does.clone())
        })
    }

    fn snapshot<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async move { self.linked(&step.place).await.map(Some) })
    }

    fn apply<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        _snapshot: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(async move {
            let made = self.switch(&step.place, transition.to).await?;
            Ok(made.into())
        })
    }

    fn revert<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(self.put_back(&step.place, before.unwrap_or_default()))
    }
}

impl Target for Systemd<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            proves_retention: true,
            ..Capabilities::default()
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// What a machine reports about the link and the process.
#[derive(Debug, Default)]
struct UnitState {
    /// The releases' folder without links in its path.
    releases: String,
    link: String,
    /// The process's working folder and program, where we may see them.
    folder: String,
    program: String,
    /// Seconds, the first two since 1970.
    linked_at: Option<f64>,
    now: Option<f64>,
    uptime: Option<f64>,
    started_after_boot: Option<f64>,
}

impl UnitState {
    /// The process decides; the link only shows what the next start would run.
    fn release(&self, configured: &str) -> Result<String, Error> {
        let below = |path: &str| {
            let roots = [self.releases.as_str(), configured];
            let rest = roots
                .iter()
                .find_map(|root| path.strip_prefix(root)?.strip_prefix('/'))?;
            let name = rest.split('/').next().unwrap_or_default();
            (!name.is_empty()).then(|| name.to_owned())
        };
        if let Some(release) = below(&self.folder).or_else(|| below(&self.program)) {
            return Ok(release);
        }
        if self.link.is_empty() {
            return Err(Error::Missing("there is no link to a release".to_owned()));
        }
        let relative = || {
            let name = self.link.rsplit('/').next().unwrap_or_default();
            (!self.link.starts_with('/') && !name.is_empty()).then(|| name.to_owned())
        };
        let release = below(&self.link).or_else(relative).ok_or_else(|| {
            Error::Contradicts(format!(
                "the link points to {}, which is not a release",
                self.link
            ))
        })?;
        let ages = (
            self.linked_at,
            self.now,
            self.uptime,
            self.started_after_boot,
        );
        let (Some(linked), Some(now), Some(uptime), Some(started)) = ages else {
            return Err(Error::Contradicts(format!(
                "the link points to {release}, but what the unit runs is not known"
            )));
        };
        // Whole seconds: a start within the link's own second is one after it.
        if started == 0.0 || now - uptime + started + 2.0 < linked {
            return Err(Error::Contradicts(format!(
                "the link points to {release}, but the unit was not started since it was made"
            )));
        }
        Ok(release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running_release(link: &str, folder: &str, program: &str, started: f64) -> Option<String> {
        let text = str::to_owned;
        UnitState {
            releases: text("/data/releases"),
            link: text(link),
            folder: text(folder),
            program: text(program),
            linked_at: Some(1000.0),
            now: Some(2000.0),
            uptime: Some(1900.0),
            started_after_boot: Some(started),
        }
        .release("/srv/releases")
        .ok()
    }

    #[test]
    fn the_process_knows_better_than_the_link() {
        let v1 = Some("v1".to_owned());
        assert_eq!(
            running_release("/srv/releases/v2", "/data/releases/v1", "/bin/sh", 901.0),
            v1
        );
        assert_eq!(
            running_release(
                "/srv/releases/v2",
                "/",
                "/data/releases/v1/shop (deleted)",
                901.0
            ),
            v1
        );
        // 901 s after boot is a second after the link was made.
        assert_eq!(
            running_release("/srv/releases/v1", "/", "/bin/sh", 901.0),
            v1
        );
        assert_eq!(running_release("releases/v1", "", "", 901.0), v1);
    }

    #[test]
    fn a_link_that_nothing_was_started_from_says_nothing() {
        for (link, started) in [
            ("/srv/releases/v1", 800.0),
            ("/srv/releases/v1", 0.0),
            ("", 901.0),
            ("/srv/else", 901.0),
        ] {
            assert!(
                running_release(link, "", "", started).is_none(),
                "{link} {started}"
            );
        }
        assert!(running_release("/srv/releases/", "/srv/releases-old/v1", "", 901.0).is_none());
    }
}
