//! What is looked at of each kind of target before it is used.

use config::file::{ComposeTarget, HaproxyTarget, HostList, NginxTarget, SystemdTarget};
use model::HintedError;
use remote::quote;

use crate::compose::project_files;
use crate::fit::{CHECK_TIMEOUT, CheckFit, Switchability};
use crate::systemd;
use place::{Effect, Error, Place, PlaceAccess, StepFuture, strict_script, word};
use router::haproxy::socket::{self, Proxy};
use router::nginx::division::{self, Division};
use router::nginx::site::Site;
use router::nginx::upstream;

/// The section that has the targets.
const SECTION: &str = "rollback";

/// How a script ends that found what can never be switched, or nothing to switch.
const NEVER: i32 = 45;
const MISSING: i32 = 44;

macro_rules! fits {
    ($($target:ident: $look:ident at $subject:expr;)*) => {$(
        impl CheckFit for $target {
            fn hosts(&self) -> Option<&HostList> {
                self.hosts.as_ref()
            }

            fn subject(&self) -> String {
                ($subject)(self)
            }

            fn check_fit<'a>(&'a self, places: &'a PlaceAccess, place: &'a Place) -> StepFuture<'a, Switchability> {
                Box::pin($look(self, places, place))
            }
        }
    )*};
}
fits! {
    NginxTarget: nginx at |target: &Self| target.upstream_file.display().to_string();
    HaproxyTarget: haproxy at |target: &Self| target.socket.to_string();
    ComposeTarget: project at |target: &Self| target.folder.display().to_string();
    SystemdTarget: unit at |target: &Self| target.unit.clone();
}

async fn nginx(
    target: &NginxTarget,
    places: &PlaceAccess,
    place: &Place,
) -> Result<Switchability, Error> {
    let site = Site::new(target, SECTION, places);
    let Some(text) = site.find(place, CHECK_TIMEOUT).await? else {
        return Ok(Switchability::Missing(HintedError {
            reason: upstream::no_file(&target.upstream_file),
            hint: division::hint(target, SECTION),
        }));
    };
    Ok(match Division::of(&text, target, SECTION) {
        Ok(division) => Switchability::Fits(match division.active().as_slice() {
            [] => "neither colour has traffic".to_owned(),
            active => format!("{} has the traffic", active.join(", ")),
        }),
        Err(why) => {
            let misfit = HintedError {
                reason: why.to_string(),
                hint: why.hint(target, SECTION),
            };
            if why.may_come() {
                Switchability::Missing(misfit)
            } else {
                Switchability::Never(misfit)
            }
        }
    })
}

async fn haproxy(
    target: &HaproxyTarget,
    places: &PlaceAccess,
    place: &Place,
) -> Result<Switchability, Error> {
    let asked = Proxy::new(target, places).switchable(place).await;
    Ok(match asked {
        Ok(servers) => Switchability::Fits(
            servers
                .values()
                .flatten()
                .map(|(name, server)| format!("{name} {}", server.state()))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        Err(error) => {
            let misfit = |hint| HintedError {
                reason: error.to_string(),
                hint,
            };
            match (&error, socket::hint(&error, SECTION)) {
                (_, None) => return Err(error),
                (Error::NoSocket(_), Some(hint)) => Switchability::Missing(misfit(hint)),
                (_, Some(hint)) => Switchability::Never(misfit(hint)),
            }
        }
    })
}

async fn project(
    target: &ComposeTarget,
    places: &PlaceAccess,
    place: &Place,
) -> Result<Switchability, Error> {
    let hint = "name the folder and the files of the project as a deployment does: `rollback.compose.folder`, `files`";
    let text = project_files::project_is_there(target);
    let found = script(places, place, &text, hint).await?;
    if let Some(fit) = found {
        return Ok(fit);
    }
    let file = target.folder.join(&target.override_file);
    let text = places.read(place, &file, CHECK_TIMEOUT).await?;
    Ok(
        match text.as_deref().and_then(project_files::more_than_images) {
            None => Switchability::Fits("the project's files are there".to_owned()),
            Some(more) => Switchability::Never(HintedError {
                reason: project_files::not_ours(&file, &more),
                hint: "the file is written whole at each rollback: what else it has would be lost"
                    .to_owned(),
            }),
        },
    )
}

async fn unit(
    target: &SystemdTarget,
    places: &PlaceAccess,
    place: &Place,
) -> Result<Switchability, Error> {
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
    Ok(found.unwrap_or_else(|| Switchability::Fits("the unit is loaded".to_owned())))
}

/// Runs a script that calls `no WHY`, or `absent WHY` where there is nothing to switch.
async fn script(
    places: &PlaceAccess,
    place: &Place,
    text: &str,
    hint: &str,
) -> Result<Option<Switchability>, Error> {
    let text = format!(
        "no() {{ printf '%s\\n' \"$*\"; exit {NEVER}; }}\n\
         absent() {{ printf '%s\\n' \"$*\"; exit {MISSING}; }}\n{text}"
    );
    let ran = places
        .run(place, &strict_script(&text), Effect::Reads, CHECK_TIMEOUT)
        .await?;
    let misfit = || HintedError {
        reason: String::from_utf8_lossy(&ran.stdout).trim().to_owned(),
        hint: hint.to_owned(),
    };
    match ran.status {
        Some(0) => Ok(None),
        Some(MISSING) => Ok(Some(Switchability::Missing(misfit()))),
        Some(NEVER) => Ok(Some(Switchability::Never(misfit()))),
        _ => Err(Error::ended(ran)),
    }
}
