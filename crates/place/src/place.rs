//! Where a step is made: here, or at a host of the configuration. Scripts and files in the same
//! way at both.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use config::file::{Config, HostList, Hosts as Configured};
use config::value::ShellText;
use model::Env;
use net::hosts::Hosts;
use remote::local::{Script, Stream};
use remote::ssh::Limits;
use remote::{CommandResult, exports, quote, quote_path, with_variables};

use crate::error::Error;

/// Far more than a file that a target rewrites.
const MAX_FILE: usize = 1 << 20;
/// Linux takes no argument of a program that is longer (`MAX_ARG_STRLEN`).
const MAX_ARGUMENT: usize = (128 << 10) - 1;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// This machine, or a service that is asked from here.
    Here,
    /// A name under `hosts:`.
    Host(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Place::Here => "localhost",
            Place::Host(name) => name,
        })
    }
}

impl Place {
    /// The machines of a list; without one, this machine.
    pub fn from_hosts(list: Option<&HostList>, config: &Config) -> Vec<Place> {
        let Some(list) = list else {
            return vec![Place::Here];
        };
        let mut all = Vec::new();
        for selector in list.selectors() {
            for name in config.hosts_named(selector) {
                let place = Place::Host(name.to_owned());
                if !all.contains(&place) {
                    all.push(place);
                }
            }
        }
        all
    }
}

/// What a script does where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It only reads: where the connection to a host is cut under it, it is run once more.
    Reads,
    /// It may change something: it is run once.
    Changes,
}

/// The ways to all places; one login a host, for everything that asks there.
#[derive(Clone, Debug)]
pub struct PlaceAccess {
    hosts: Hosts,
    /// A command that runs the words after it inside a container of a place.
    inside: Option<ShellText>,
    /// Variables with secrets that no script of ours needs.
    withheld: Vec<String>,
}

impl PlaceAccess {
    pub fn new(hosts: &Configured, env: &Env) -> PlaceAccess {
        PlaceAccess {
            hosts: Hosts::new(hosts, env),
            inside: None,
            withheld: Vec::new(),
        }
    }

    /// The same places, where scripts of ours that only read do not get this variable: its value would be in the
    /// environment of every program that they start. Commands of the user's get it.
    #[must_use]
    pub fn withholding(mut self, variable: &str) -> PlaceAccess {
        self.withheld.push(variable.to_owned());
        self
    }

    /// The same logins, for probes.
    pub fn hosts(&self) -> Hosts {
        self.hosts.clone()
    }

    /// The same places, whose scripts and files are those inside a container: `exec` is a command of
    /// the user's, such as `docker exec nginx`, that runs the words after it there.
    #[must_use]
    pub fn inside(&self, exec: Option<&ShellText>) -> PlaceAccess {
        PlaceAccess {
            inside: exec.cloned(),
            ..self.clone()
        }
    }

    /// A script as the place gets it.
    fn handed<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Error> {
        let Some(exec) = &self.inside else {
            return Ok(Cow::Borrowed(text));
        };
        let handed = format!("{} sh -c {}", with_variables(exec), quote(text));
        // It is one argument of a program, for which the kernel has a limit.
        if handed.len() > MAX_ARGUMENT {
            return Err(Error::TooLarge.at(format!("a script for `{exec}`")));
        }
        Ok(Cow::Owned(handed))
    }

    /// Runs a script in `sh`. Values go into it as [`quote`]d words.
    pub async fn run(
        &self,
        place: &Place,
        text: &str,
        effect: Effect,
        timeout: Duration,
    ) -> Result<CommandResult, Error> {
        match place {
            Place::Here => {
                let script = Script {
                    text: &self.handed(text)?,
                    env: Vec::new(),
                    timeout,
                };
                let ran = remote::local::run_command(&script, &mut |_, _| ()).await;
                ran.map(CommandResult::from).map_err(not_started)
            }
            Place::Host(name) => {
                let limits = Limits {
                    timeout,
                    max_output: MAX_FILE,
                };
                self.on_host(name, text, effect, limits).await
            }
        }
    }

    async fn on_host(
        &self,
        name: &str,
        text: &str,
        effect: Effect,
        limits: Limits,
    ) -> Result<CommandResult, Error> {
        let host = self.hosts.get(name)?;
        let text = &*self.handed(text)?;
        let ran = match effect {
            Effect::Reads => host.read(text, limits).await,
            Effect::Changes => host.script(text, limits).await,
        };
        Ok(ran?.into())
    }

    /// The same, which must end with 0; what it printed. `what` names it in errors.
    pub async fn must(
        &self,
        place: &Place,
        what: &str,
        text: &str,
        effect: Effect,
        timeout: Duration,
    ) -> Result<String, Error> {
        let ran = self.run(place, text, effect, timeout).await?;
        let ran = ended(ran, what)?;
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    }

    /// The same for a script of ours.
    pub async fn script(
        &self,
        place: &Place,
        what: &str,
        text: &str,
        effect: Effect,
        timeout: Duration,
    ) -> Result<String, Error> {
        self.must(place, what, &strict_script(text), effect, timeout)
            .await
    }

    /// The same with its own variables; returns all output. Values are not passed as program arguments,
    /// where every user of the machine can read them.
    pub async fn full_output(
        &self,
        place: &Place,
        what: &str,
        text: &str,
        env: &[(String, String)],
        effect: Effect,
        timeout: Duration,
    ) -> Result<String, Error> {
        let text = strict_script(text);
        let (ran, printed) = match place {
            Place::Here if self.inside.is_none() => {
                let script = Script {
                    text: &text,
                    env: env.to_vec(),
                    timeout,
                };
                let (mut printed, mut dropped) = (String::new(), false);
                let mut keep = |stream, line: &str| {
                    if stream == Stream::Stdout && !dropped {
                        dropped = printed.len() + line.len() > MAX_FILE;
                        if !dropped {
                            printed.push_str(line);
                            printed.push('\n');
                        }
                    }
                };
                let ran = remote::local::run(&script, &mut keep).await;
                let ran = ran.map(CommandResult::from).map_err(not_started)?;
                (CommandResult { dropped, ..ran }, printed)
            }
            _ => {
                let text = exports(env) + &text;
                let limits = Limits {
                    timeout,
                    max_output: MAX_FILE,
                };
                let ran = self.run_whole(place, &text, effect, limits).await?;
                let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
                (ran, printed)
            }
        };
        if ran.status == Some(0) && ran.dropped {
            return Err(Error::TooLong(MAX_FILE).at(what));
        }
        ended(ran, what).map(|_| printed)
    }

    /// Every byte that a script of ours prints, at most `max_output`; it only reads, and must end with 0.
    pub async fn output(
        &self,
        place: &Place,
        what: &str,
        text: &str,
        max_output: usize,
        timeout: Duration,
    ) -> Result<Vec<u8>, Error> {
        let limits = Limits {
            timeout,
            max_output,
        };
        let ran = self
            .run_whole(place, &strict_script(text), Effect::Reads, limits)
            .await?;
        // What is cut ends the script before its own end.
        if ran.dropped || ran.stdout.len() > max_output {
            return Err(Error::TooLong(max_output).at(what));
        }
        ended(ran, what).map(|ran| ran.stdout)
    }

    /// Runs a script of which every byte that it prints is wanted.
    async fn run_whole(
        &self,
        place: &Place,
        text: &str,
        effect: Effect,
        limits: Limits,
    ) -> Result<CommandResult, Error> {
        if let Place::Host(name) = place {
            return self.on_host(name, text, effect, limits).await;
        }
        // A command of the user's that leads inside may need what it has here.
        let withheld = self.withheld.iter().filter(|_| self.inside.is_none());
        let script = Script {
            text: &self.handed(text)?,
            env: withheld.map(|name| (name.clone(), String::new())).collect(),
            timeout: limits.timeout,
        };
        let ran = remote::local::full_output(&script, limits.max_output as u64).await;
        ran.map(CommandResult::from).map_err(not_started)
    }

    /// One of the user's own commands, as they wrote it, which must end with 0.
    pub async fn command(
        &self,
        place: &Place,
        text: &ShellText,
        timeout: Duration,
    ) -> Result<String, Error> {
        let what = format!("`{text}`");
        let text = match place {
            Place::Here if self.inside.is_none() => text.to_string(),
            Place::Here => with_variables(text),
            // In a shell of its own, which it may leave: a script's end is how it proves that it ran.
            Place::Host(_) => format!("(\n{}\n)", with_variables(text)),
        };
        self.must(place, &what, &text, Effect::Changes, timeout)
            .await
    }

    /// A text file; `None` if it does not exist.
    pub async fn read(
        &self,
        place: &Place,
        path: &Path,
        timeout: Duration,
    ) -> Result<Option<String>, Error> {
        let failed = |cause: Error| cause.at(format!("failed to read {}", path.display()));
        let bytes = match place {
            Place::Here if self.inside.is_none() => match files::read(path, MAX_FILE as u64) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(error.into())),
                Ok(bytes) => bytes,
            },
            _ => {
                let word = path_word(path)?;
                let script = format!(
                    "if [ -e {word} ] && [ ! -f {word} ]; then echo it is not a regular file >&2; exit 1; fi
if [ -e {word} ] || [ -L {word} ]; then cat <{word}; else exit 44; fi"
                );
                let limits = Limits {
                    timeout,
                    max_output: MAX_FILE,
                };
                let ran = self
                    .run_whole(place, &script, Effect::Reads, limits)
                    .await?;
                match ran.status {
                    Some(0) if ran.dropped => return Err(failed(Error::TooLarge)),
                    Some(0) => ran.stdout,
                    Some(44) => return Ok(None),
                    _ => return Err(failed(Error::ended(ran))),
                }
            }
        };
        if bytes.len() > MAX_FILE {
            return Err(failed(Error::TooLarge));
        }
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| failed(Error::Malformed("it is not UTF-8 text".to_owned())))
    }

    /// Whether [`PlaceAccess::replace`] may write where it has to.
    pub async fn may_replace(
        &self,
        place: &Place,
        path: &Path,
        timeout: Duration,
    ) -> Result<(), Error> {
        if *place == Place::Here && self.inside.is_none() {
            use rustix::fs::{Access, access};
            let file = path.canonicalize();
            let file = file.map_err(|error| Error::from(error).at(path.display()))?;
            let folder = state::atomic::folder(&file);
            let may = access(&folder, Access::WRITE_OK | Access::EXEC_OK);
            return may.map_err(|error| {
                let what = format!("cannot write in {}", folder.display());
                Error::from(std::io::Error::from(error)).at(what)
            });
        }
        let check = format!(
            "path=$(readlink -f -- {})\nfolder=$(dirname -- \"$path\")\n\
             [ -w \"$folder\" ] || {{ printf 'cannot write in %s\\n' \"$folder\" >&2; exit 1; }}\n{NOT_MOUNTED}",
            path_word(path)?
        );
        let what = "the upstream file";
        let checked = self
            .script(place, what, &check, Effect::Reads, timeout)
            .await;
        checked.map(drop)
    }

    /// Replaces a text file whole: a reader sees the old or the new content, after a crash and
    /// on a full disk too. A link is followed; mode and owner stay.
    pub async fn replace(
        &self,
        place: &Place,
        path: &Path,
        text: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let failed = |cause: Error| cause.at(format!("failed to write {}", path.display()));
        match place {
            Place::Here if self.inside.is_none() => {
                state::atomic::replace(path, text.as_bytes()).map_err(|error| failed(error.into()))
            }
            _ => {
                if text.contains('\0') {
                    return Err(failed(Error::Unfit("it holds a NUL".to_owned())));
                }
                // In a shell of its own: a script's end is how it proves that it ran.
                let script = format!(
                    "path={}\ntext={}\n(\nset -eu\n\
                     if [ -L \"$path\" ]; then path=$(readlink -f -- \"$path\"); fi\n{NOT_MOUNTED}{REPLACE})",
                    path_word(path)?,
                    quote(text)
                );
                let ran = self.run(place, &script, Effect::Changes, timeout).await?;
                match ran.status {
                    Some(0) => Ok(()),
                    _ => Err(failed(Error::ended(ran))),
                }
            }
        }
    }
}

/// A script of ours: what fails ends it, and programs speak English.
pub fn strict_script(text: &str) -> String {
    format!("set -eu\nexport LC_ALL=C\n{text}\n")
}

/// What a script did, where it ended with 0.
pub fn ended(ran: CommandResult, what: &str) -> Result<CommandResult, Error> {
    match ran.status {
        Some(0) => Ok(ran),
        _ => Err(Error::ended(ran).at(what)),
    }
}

fn not_started(cause: std::io::Error) -> Error {
    Error::NotStarted {
        what: "a command",
        cause: cause.into(),
    }
}

/// Temporary file beside it, sync, rename, sync the folder; with the options that busybox has too.
const REPLACE: &str = r#"folder=$(dirname -- "$path")
new=$(mktemp -- "$folder/.deploy-guard-XXXXXX")
trap 'rm -f -- "$new"' EXIT
printf %s "$text" >"$new"
if [ -e "$path" ]; then
  chmod "$(stat -c %a -- "$path")" -- "$new"
  chown "$(stat -c %u:%g -- "$path")" -- "$new" 2>/dev/null || :
else
  chmod 0644 -- "$new"
  chown "$(stat -c %u:%g -- "$folder")" -- "$new" 2>/dev/null || :
fi
sync -- "$new"
mv -f -- "$new" "$path"
sync -- "$folder"
"#;

/// Ends a script where `$path` is a file that is mounted by itself, as `-v FILE:FILE` does with a
/// container: a mount cannot be replaced, and what is outside of it would stay as it is. The table
/// writes a space as `\040`.
const NOT_MOUNTED: &str = r#"if [ -r /proc/self/mountinfo ]; then
  while read -r _ _ _ _ at _; do
    case $at in *\\*) at=$(printf %b "$at") ;; esac
    if [ "$at" = "$path" ]; then
      printf '%s is mounted as a single file, which cannot be replaced: mount its folder\n' "$path" >&2
      exit 1
    fi
  done </proc/self/mountinfo
fi
"#;

/// A path as one word of a shell that no program takes for an option.
fn path_word(path: &Path) -> Result<String, Error> {
    let text = path
        .to_str()
        .ok_or_else(|| Error::Unfit(format!("the path {} is not UTF-8 text", path.display())))?;
    if text.starts_with('-') {
        return Ok(quote(&format!("./{text}")));
    }
    Ok(quote_path(text))
}

/// An absolute path, or one from the user's home, as one word of a script.
pub fn word(path: &Path) -> String {
    quote_path(&path.display().to_string())
}
