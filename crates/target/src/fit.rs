//! Whether a rollback could ever switch the configured target: known without touching anything, and
//! long before the emergency in which it would be found.

use std::time::Duration;

use config::file::{
    ComposeTarget, Config, HaproxyTarget, HostList, NginxTarget, Rollback, SystemdTarget,
};
use futures_util::future::join_all;
use remote::quote;

use crate::compose::project_files;
use crate::error::Error;
use crate::haproxy::socket::{self, Proxy};
use crate::nginx::upstream::{self, Upstream};
use crate::place::{Effect, Place, Places, ours, word};
use crate::systemd;

/// How long a machine may take to be looked at.
const LOOK: Duration = Duration::from_secs(15);
/// How a script ends that found what can never be switched, or nothing to switch.
const NEVER: i32 = 45;
const MISSING: i32 = 44;

/// What was found at a place.
#[derive(Clone, Debug)]
pub struct Found {
    pub place: Place,
    /// The file, socket, unit or folder that was looked at.
    pub subject: String,
    pub fit: Fit,
}

#[derive(Clone, Debug)]
pub enum Fit {
    /// Nothing in the way is known; what was seen.
    Fits(String),
    /// As it is, it can never be switched.
    Never(Misfit),
    /// What would be switched is not on that machine, or not as a deployment may yet make it.
    Missing(Misfit),
    /// It could not be looked at; why.
    Unknown(Error),
}

/// Why nothing can be switched, and how it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    pub reason: String,
    pub hint: String,
}

impl Found {
    /// What was looked at, and where.
    pub fn whole(&self) -> String {
        match &self.place {
            Place::Here => self.subject.clone(),
            Place::Host(host) => format!("{} on {host}", self.subject),
        }
    }
}

impl Fit {
    /// Why a rollback to any release would be refused.
    pub fn misfit(&self) -> Option<&Misfit> {
        match self {
            Fit::Never(misfit) | Fit::Missing(misfit) => Some(misfit),
            Fit::Fits(_) | Fit::Unknown(_) => None,
        }
    }
}

/// Looks at the configured target on each of its machines, side by side. Empty where the target
/// tells nothing before it is used: a command of the user, ECS, a workflow.
pub async fn look(section: &Rollback, config: &Config, places: &Places) -> Vec<Found> {
    let Some(kind) = Kind::of(section) else {
        return Vec::new();
    };
    let all = Place::all(kind.hosts(), config);
    let asking = all.into_iter().map(|place| async {
        let fit = tokio::time::timeout(LOOK, kind.fit(places, &place)).await;
        let late = |_| {
            Fit::Unknown(Error::Late {
                what: "no answer",
                within: LOOK,
            })
        };
        Found {
            fit: fit.unwrap_or_else(late),
            subject: kind.subject(),
            place,
        }
    });
    join_all(asking).await
}

/// What is looked at, in words: a fragment that fits after "would look at".
pub fn subject(section: &Rollback) -> Option<String> {
    Kind::of(section).map(|kind| kind.subject())
}

enum Kind<'a> {
    Nginx(&'a NginxTarget),
    Haproxy(&'a HaproxyTarget),
    Compose(&'a ComposeTarget),
    Systemd(&'a SystemdTarget),
}

impl<'a> Kind<'a> {
    fn of(section: &'a Rollback) -> Option<Kind<'a>> {
        let nginx = section.nginx.as_ref().map(Kind::Nginx);
        let haproxy = section.haproxy.as_ref().map(Kind::Haproxy);
        let compose = section.compose.as_ref().map(Kind::Compose);
        let systemd = section.systemd.as_ref().map(Kind::Systemd);
        nginx.or(haproxy).or(compose).or(systemd)
    }

    fn hosts(&self) -> Option<&'a HostList> {
        match self {
            Kind::Nginx(target) => target.hosts.as_ref(),
            Kind::Haproxy(target) => target.hosts.as_ref(),
            Kind::Compose(target) => target.hosts.as_ref(),
            Kind::Systemd(target) => target.hosts.as_ref(),
        }
    }

    fn subject(&self) -> String {
        match self {
            Kind::Nginx(target) => target.upstream_file.display().to_string(),
            Kind::Haproxy(target) => target.socket.display().to_string(),
            Kind::Compose(target) => target.folder.display().to_string(),
            Kind::Systemd(target) => target.unit.clone(),
        }
    }

    async fn fit(&self, places: &Places, place: &Place) -> Fit {
        let fit = match self {
            Kind::Nginx(target) => nginx(target, places, place).await,
            Kind::Haproxy(target) => haproxy(target, places, place).await,
            Kind::Compose(target) => project(target, places, place).await,
            Kind::Systemd(target) => unit(target, places, place).await,
        };
        fit.unwrap_or_else(Fit::Unknown)
    }
}

async fn nginx(target: &NginxTarget, places: &Places, place: &Place) -> Result<Fit, Error> {
    let path = &target.upstream_file;
    let Some(text) = places.read(place, path, LOOK).await? else {
        return Ok(Fit::Missing(Misfit {
            reason: upstream::no_file(path),
            hint: upstream::hint(target),
        }));
    };
    Ok(match Upstream::of(&text, target) {
        Ok(upstream) => Fit::Fits(match upstream.active().as_slice() {
            [] => "neither colour has traffic".to_owned(),
            active => format!("{} has the traffic", active.join(", ")),
        }),
        Err(why) => {
            let misfit = Misfit {
                reason: why.to_string(),
                hint: why.hint(target),
            };
            match why {
                upstream::Error::Elsewhere { .. } => Fit::Missing(misfit),
                upstream::Error::NoLine { .. }
                | upstream::Error::TooMany { .. }
                | upstream::Error::Apart { .. } => Fit::Never(misfit),
            }
        }
    })
}

async fn haproxy(target: &HaproxyTarget, places: &Places, place: &Place) -> Result<Fit, Error> {
    let asked = Proxy::new(target, places).switchable(place).await;
    Ok(match asked {
        Ok(servers) => Fit::Fits(
            servers
                .iter()
                .map(|(name, server)| format!("{name} {}", server.state()))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        Err(error) => {
            let misfit = |hint| Misfit {
                reason: error.to_string(),
                hint,
            };
            match (&error, socket::hint(&error, target)) {
                (_, None) => return Err(error),
                (Error::NoSocket(_), Some(hint)) => Fit::Missing(misfit(hint)),
                (_, Some(hint)) => Fit::Never(misfit(hint)),
            }
        }
    })
}

async fn project(target: &ComposeTarget, places: &Places, place: &Place) -> Result<Fit, Error> {
    let hint = "name the folder and the files of the project as a deployment does: `rollback.compose.folder`, `files`";
    let text = project_files::project_is_there(target);
    let found = script(places, place, &text, hint).await?;
    if let Some(fit) = found {
        return Ok(fit);
    }
    let file = target.folder.join(&target.override_file);
    let text = places.read(place, &file, LOOK).await?;
    Ok(
        match text.as_deref().and_then(project_files::more_than_images) {
            None => Fit::Fits("the project's files are there".to_owned()),
            Some(more) => Fit::Never(Misfit {
                reason: project_files::not_ours(&file, &more),
                hint: "the file is written whole at each rollback: what else it has would be lost"
                    .to_owned(),
            }),
        },
    )
}

async fn unit(target: &SystemdTarget, places: &Places, place: &Place) -> Result<Fit, Error> {
    let link = target.link();
    let text = format!(
        "systemctl show -p Version --value >/dev/null\nunit={} link={}\n{}",
        quote(&target.unit),
        word(&link),
        systemd::SWITCHABLE
    );
    let hint = format!(
        "name the unit under `rollback.systemd.unit`, and let it run what the link {} points to, which may not be a folder or a file",
        link.display()
    );
    let found = script(places, place, &text, &hint).await?;
    Ok(found.unwrap_or_else(|| Fit::Fits("the unit is loaded".to_owned())))
}

/// Runs a script that calls `no WHY`, or `absent WHY` where there is nothing to switch.
async fn script(
    places: &Places,
    place: &Place,
    text: &str,
    hint: &str,
) -> Result<Option<Fit>, Error> {
    let text = format!(
        "no() {{ printf '%s\\n' \"$*\"; exit {NEVER}; }}\n\
         absent() {{ printf '%s\\n' \"$*\"; exit {MISSING}; }}\n{text}"
    );
    let ran = places.run(place, &ours(&text), Effect::Reads, LOOK).await?;
    let misfit = || Misfit {
        reason: String::from_utf8_lossy(&ran.stdout).trim().to_owned(),
        hint: hint.to_owned(),
    };
    match ran.status {
        Some(0) => Ok(None),
        Some(MISSING) => Ok(Some(Fit::Missing(misfit()))),
        Some(NEVER) => Ok(Some(Fit::Never(misfit()))),
        _ => Err(Error::ended(ran)),
    }
}
