//! Sqitch: a plan with changes in their order, a script each for deploying, reverting and verifying,
//! and tables with what is deployed and what ever happened.
//!
//! A change's id is a SHA-1 of its line of the plan and of the id of the change before it: so an id that
//! the plan does not give any more tells that the plan was rewritten. What is before the last deployed
//! change in the plan is never deployed.

use database::System;
use sections::migrate::Sqitch;

use crate::checksum::sha1;
use crate::command::{Command, Pending, Transactions, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree, join};
use crate::finding::{Finding, FindingKind};
use crate::handover::{HandedOver, Handover, HandoverError, is_postgres, without_password};
use crate::ini::Ini;
use crate::kinds::Configured;
use crate::reading::{Applied, Migration, Reading, Tracking, Undo};
use crate::session::LimitTransport;
use crate::sql::undo_of_sql;
use crate::steps::{scripts, undo_each};
use crate::tool::{Tool, usual_next};
use crate::tool_query::{Query, Table, ToolAnswers, cell, maybe};

/// What `sqitch.conf` says of the files.
struct Layout {
    plan: String,
    deploy: String,
    revert: String,
    registry: String,
}

impl Configured<Sqitch> {
    fn folder(&self) -> &str {
        self.config.folder.as_deref().unwrap_or(".")
    }

    fn layout(&self, files: &Tree) -> Layout {
        let text = files
            .text(&join(self.folder(), "sqitch.conf"))
            .unwrap_or_default();
        let conf = Ini::parse(&text, true);
        let engine = conf.get("core", "engine").unwrap_or("pg");
        let section = format!("engine \"{engine}\"");
        let get = |key: &str| conf.get(&section, key).or_else(|| conf.get("core", key));
        let top = join(self.folder(), get("top_dir").unwrap_or("."));
        let of_top = |key: &str, usual: &str| match get(key) {
            Some(path) => join(self.folder(), path),
            None => join(&top, usual),
        };
        let own = self.config.registry.as_deref();
        Layout {
            plan: of_top("plan_file", "sqitch.plan"),
            deploy: of_top("deploy_dir", "deploy"),
            revert: of_top("revert_dir", "revert"),
            registry: own
                .or_else(|| get("registry"))
                .unwrap_or("sqitch")
                .to_owned(),
        }
    }

    fn call<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Command {
        let call = self.config.command.as_ref();
        let mut command =
            Command::calling(call, "sqitch", words).in_folder(self.config.folder.as_deref());
        if let Some(registry) = &self.config.registry {
            command = command.and(["--registry", registry.as_str()]);
        }
        if let Some(target) = &self.config.target {
            command = command.and(["--target", target.as_str()]);
        }
        command
    }
}

/// A change of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    id: String,
    name: String,
    /// A later line of the same name reworks it: its scripts have the tag between them in their names.
    reworked_by: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    project: String,
    changes: Vec<Change>,
    broken: Option<String>,
}

impl Plan {
    fn parse(text: &str) -> Plan {
        let mut plan = Plan::default();
        let (mut uri, mut tags): (Option<String>, Vec<(usize, String)>) = (None, Vec::new());
        for (nth, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(pragma) = line.strip_prefix('%') {
                let pragma = pragma.split('#').next().unwrap_or(pragma);
                match pragma
                    .split_once('=')
                    .map(|(key, value)| (key.trim(), value.trim()))
                {
                    Some(("project", value)) => value.clone_into(&mut plan.project),
                    Some(("uri", value)) => uri = Some(value.to_owned()),
                    _ => {}
                }
                continue;
            }
            if line.starts_with('@') {
                let tag = line.split_whitespace().next().unwrap_or(line);
                tags.push((plan.changes.len(), tag.to_owned()));
                continue;
            }
            let parent = plan.changes.last().map(|change| change.id.as_str());
            match Entry::parse(line) {
                Some(entry) => {
                    let id = entry.id(&plan.project, uri.as_deref(), parent);
                    let name = entry.name;
                    plan.changes.push(Change {
                        id,
                        name,
                        reworked_by: None,
                    });
                }
                None => {
                    plan.broken
                        .get_or_insert(format!("line {} of the plan is not understood", nth + 1));
                }
            }
        }
        plan.find_reworked(&tags);
        plan
    }

    /// Scripts of a reworked change are those of the first tag behind it.
    fn find_reworked(&mut self, tags: &[(usize, String)]) {
        for nth in 0..self.changes.len() {
            let name = &self.changes[nth].name;
            let again = self.changes[nth + 1..]
                .iter()
                .any(|later| later.name == *name);
            let tag = tags
                .iter()
                .find(|(at, _)| *at > nth)
                .map(|(_, tag)| tag.clone());
            self.changes[nth].reworked_by = tag.filter(|_| again);
        }
    }
}

/// A line of the plan, in its parts.
struct Entry {
    name: String,
    requires: Vec<String>,
    conflicts: Vec<String>,
    date: String,
    planner: String,
    note: String,
}

impl Entry {
    fn parse(line: &str) -> Option<Entry> {
        let (head, note) = match line.find(" #") {
            Some(at) if line[..at].contains('>') => (&line[..at], line[at + 2..].trim()),
            _ => (line, ""),
        };
        let head = head.trim_start_matches('+').trim();
        let name_end = head.find(char::is_whitespace)?;
        let (name, rest) = head.split_at(name_end);
        let rest = rest.trim();
        let (needs, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let (date, planner) = rest.trim().split_once(char::is_whitespace)?;
        if !date.ends_with('Z') || !planner.ends_with('>') {
            return None;
        }
        let (mut requires, mut conflicts): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for need in needs.split_whitespace() {
            let (list, need) = match need.strip_prefix('!') {
                Some(need) => (&mut conflicts, need),
                None => (&mut requires, need.trim_start_matches(':')),
            };
            if list.iter().all(|other| other != need) {
                list.push(need.to_owned());
            }
        }
        Some(Entry {
            name: name.to_owned(),
            requires,
            conflicts,
            date: date.to_owned(),
            planner: planner.trim().to_owned(),
            note: note
                .replace("\\n", "\n")
                .replace("\\r", "\r")
                .replace("\\\\", "\\"),
        })
    }

    /// As `App::Sqitch::Plan::Change` makes it.
    fn id(&self, project: &str, uri: Option<&str>, parent: Option<&str>) -> String {
        let own_project = format!("{project}:");
        let plain = |need: &String| need.strip_prefix(&own_project).unwrap_or(need).to_owned();
        let list = |name: &str, sign: &str, needs: &[String]| {
            let needs: Vec<String> = needs.iter().map(plain).collect();
            (!needs.is_empty())
                .then(|| format!("{name}\n  {sign} {}", needs.join(&format!("\n  {sign} "))))
        };
        let lines = [
            Some(format!("project {project}")),
            uri.map(|uri| format!("uri {uri}")),
            Some(format!("change {}", self.name)),
            parent.map(|parent| format!("parent {parent}")),
            Some(format!("planner {}", self.planner)),
            Some(format!("date {}", self.date)),
            list("requires", "+", &self.requires),
            list("conflicts", "-", &self.conflicts),
            (!self.note.is_empty()).then(|| format!("\n{}", self.note)),
        ];
        let content = lines.into_iter().flatten().collect::<Vec<_>>().join("\n");
        sha1(format!("change {}\0{content}", content.len()).as_bytes())
    }
}

impl Tool for Configured<Sqitch> {
    fn settings(&self) -> Vec<FileRequest> {
        vec![FileRequest::File(join(self.folder(), "sqitch.conf"))]
    }

    fn migration_files(&self, settings: &Tree) -> Result<Vec<FileRequest>, Error> {
        let layout = self.layout(settings);
        let scripts = |path: String| FileRequest::Folder {
            path,
            depth: 10,
            names: vec!["*".to_owned()],
            skip: &[],
        };
        Ok(vec![
            FileRequest::File(layout.plan),
            scripts(layout.deploy),
            scripts(layout.revert),
        ])
    }

    fn queries(&self, system: System, files: &Tree) -> Vec<Query> {
        let registry = self.layout(files).registry;
        let table = |name: &str| Table::new(Some(&registry), name);
        let changes = [
            "change_id",
            "change",
            "script_hash",
            "committed_at",
            "project",
        ];
        let events = ["event", "change_id", "change", "committed_at", "project"];
        vec![
            Query::of(table("changes"), &changes, "ORDER BY committed_at", system),
            Query::of(table("events"), &events, "ORDER BY committed_at", system),
        ]
    }

    fn own_tables(&self) -> &'static [&'static str] {
        &["dependencies", "projects", "releases", "tags"]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        let layout = self.layout(seen.files);
        let Some(text) = seen.files.text(&layout.plan) else {
            return Err(Error::NoConfig(layout.plan));
        };
        let plan = Plan::parse(&text);
        let of_project = |row: &&Vec<Option<String>>| cell(row, 4) == plan.project;
        let deployed: Vec<Applied> = seen
            .rows(0)
            .iter()
            .filter(of_project)
            .map(|row| Applied {
                id: cell(row, 0).to_owned(),
                name: Some(cell(row, 1).to_owned()),
                checksum: maybe(row, 2),
                at: maybe(row, 3),
            })
            .collect();
        let mut reading = Reading::new(seen.standing(!deployed.is_empty()));
        reading.files = plan
            .changes
            .iter()
            .map(|change| file(change, &layout, seen.files))
            .collect();
        reading.heads = plan
            .changes
            .last()
            .map(|change| change.id.clone())
            .into_iter()
            .collect();
        reading.current = deployed
            .last()
            .map(|one| one.id.clone())
            .into_iter()
            .collect();
        reading.applied = deployed;
        if let Some(reason) = plan.broken {
            reading.find(FindingKind::Broken { reason }, None);
        }
        if reading.standing != Tracking::Tracked {
            let is_empty = seen.is_empty;
            reading.find(FindingKind::NotMigrated { is_empty }, None);
        }
        compare(&mut reading);
        let last = seen.rows(1).iter().rfind(of_project);
        let last = last.filter(|row| cell(row, 0) == "fail");
        if let Some(row) = last {
            let message = Some(format!("{}, at {}", cell(row, 2), cell(row, 3)));
            reading.find(FindingKind::Failed { message }, Some(cell(row, 1)));
        }
        Ok(reading)
    }

    fn apply(&self, _: &Reading) -> Command {
        self.call(["deploy"])
    }

    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        undo_each(reading, to)?;
        let words = match to {
            None => vec!["revert", "-y", "--to", "@HEAD^"],
            Some("") => vec!["revert", "-y"],
            Some(to) => vec!["revert", "-y", "--to", to],
        };
        if to.is_none() && reading.applied.len() == 1 {
            return Ok(vec![self.call(["revert", "-y"])]);
        }
        Ok(vec![self.call(words)])
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        scripts(reading)
    }

    /// Each script has its own `BEGIN` and `COMMIT`.
    fn transactions(&self, system: System) -> Transactions {
        match system {
            System::Postgres => Transactions::Files,
            System::MySql => Transactions::None,
        }
    }

    fn limit_transport(&self, system: System) -> LimitTransport {
        match system {
            System::Postgres => LimitTransport::PgOptions,
            System::MySql => LimitTransport::None,
        }
    }

    fn handover(&self) -> Handover {
        Handover::Own(hand_over)
    }

    fn next(&self, reading: &Reading, finding: &Finding) -> String {
        let call = |words: &[&str]| format!("`{}`", self.call(words.iter().copied()).text());
        match &finding.kind {
            FindingKind::Failed { .. } => format!(
                "Sqitch has no transaction of its own: look what of the script was done, repair it, then {}",
                call(&["deploy"])
            ),
            FindingKind::Changed { .. } => format!(
                "restore the script, and write what is new as a change of its own ({} for one that is tagged)",
                call(&["rework"])
            ),
            FindingKind::Diverged { .. } => format!(
                "the plan was rewritten: restore its lines from the release that deployed them; {} shows where they part",
                call(&["check"])
            ),
            FindingKind::OutOfOrder { .. } => {
                "Sqitch never deploys it: move its line to the end of the plan".to_owned()
            }
            _ => usual_next("sqitch", &self.apply(reading).text(), reading, finding),
        }
    }
}

fn file(change: &Change, layout: &Layout, files: &Tree) -> Migration {
    let name = match &change.reworked_by {
        Some(tag) => format!("{}{tag}.sql", change.name),
        None => format!("{}.sql", change.name),
    };
    let path = join(&layout.deploy, &name);
    let back = join(&layout.revert, &name);
    let undo_sql = files.text(&back).map(std::borrow::Cow::into_owned);
    Migration {
        id: change.id.clone(),
        name: Some(change.name.clone()),
        checksum: files.bytes(&path).map(sha1),
        undo: match &undo_sql {
            Some(text) => undo_of_sql(Some(text)),
            None => Undo::Absent,
        },
        sql: files.text(&path).map(std::borrow::Cow::into_owned),
        undo_sql,
        without_transaction: false,
        path,
    }
}

/// What is deployed against what is planned.
fn compare(reading: &mut Reading) {
    let done: Vec<Applied> = reading.applied.clone();
    let planned = reading.files.clone();
    let is_done = |id: &str| done.iter().any(|one| one.id == id);
    let last = planned.iter().rposition(|file| is_done(&file.id));
    let first_open = last.map_or(0, |last| last + 1);
    for one in &done {
        let Some(file) = planned.iter().find(|file| file.id == one.id) else {
            let same = |file: &&Migration| file.name == one.name && !is_done(&file.id);
            let kind = match planned.iter().find(same) {
                Some(same) => FindingKind::Diverged {
                    instead: vec![same.id.clone()],
                },
                None if first_open == planned.len() => FindingKind::Ahead,
                None => FindingKind::Unknown,
            };
            reading.find(kind, Some(&one.id));
            continue;
        };
        if let (Some(recorded), Some(found)) = (&one.checksum, &file.checksum)
            && recorded != found
        {
            let (recorded, found) = (recorded.clone(), found.clone());
            reading.find(FindingKind::Changed { recorded, found }, Some(&one.id));
        }
    }
    for (nth, file) in planned.iter().enumerate() {
        if is_done(&file.id) {
            continue;
        }
        reading.pending.push(file.id.clone());
        let after = planned[nth..].iter().find(|later| is_done(&later.id));
        let kind = match after {
            Some(after) => FindingKind::OutOfOrder {
                after: after.name.clone().unwrap_or_default(),
            },
            None => FindingKind::Pending,
        };
        reading.find(kind, Some(&file.id));
        if file.sql.is_none() {
            let reason = format!("{} is in the plan, and does not exist", file.path);
            reading.find(FindingKind::Broken { reason }, Some(&file.id));
        }
    }
}

/// A variable with the URL, and one with the password.
pub(crate) fn hand_over(url: &str) -> Result<HandedOver, HandoverError> {
    let mut given = HandedOver::default();
    let (url, _, password) = without_password(url)?;
    let (scheme, rest) = url.as_str().split_once(':').ok_or(HandoverError::Url)?;
    let engine = if is_postgres(scheme) { "pg" } else { "mysql" };
    given.set("SQITCH_TARGET", &format!("db:{engine}:{rest}"));
    if let Some(password) = password {
        given.set("SQITCH_PASSWORD", &password);
    }
    Ok(given)
}
