//! Whether a pool takes a job, from all that is known. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use github::Jobs;
use github::runners::Listing;
use model::HintedError;

use crate::gather::Knowledge;
use crate::merge::{Merged, merge};
use crate::{Evidence, Pool, Source, State, Supply, Trust, jobs, metric};

/// What counts as old, and as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Evidence older than this decides nothing.
    pub max_evidence_age: Duration,
    /// How long a job may wait for a runner.
    pub max_queue_time: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            max_evidence_age: Duration::from_secs(15 * 60),
            max_queue_time: Duration::from_secs(120),
        }
    }
}

/// One runner of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedRunner {
    pub name: String,
    pub merged: Merged,
    pub evidence: Vec<Evidence>,
    /// The remedy that its machine suggests, or what to do to be able to ask it.
    pub remedy: Option<String>,
}

/// What is known of a pool, and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub state: State,
    pub runners: Vec<JudgedRunner>,
    /// Evidence about the pool as a whole.
    pub about_pool: Vec<Evidence>,
    /// Whether every runner that could be meant is known.
    pub complete: bool,
    /// Runners that GitHub counts and does not show.
    pub unlisted: u64,
    /// How many are online as Prometheus counts, where no list says it.
    pub counted: Option<u64>,
    /// Why the list could not be read.
    pub refusal: Option<HintedError>,
    /// A job waits although a runner seems free.
    pub passed_over: bool,
    /// Where its runners come from.
    pub supply: Supply,
    /// Runners took its jobs a short while ago and are gone: perhaps it scales from zero.
    pub vanished: bool,
}

/// Judges a pool.
pub fn judge(pool: &Pool, known: &Knowledge, rules: &Rules) -> Judgement {
    let listing = known.listings.get(&pool.scope.to_string());
    let supply = supply(pool, listing, known);
    // No list is asked for GitHub's own machines; another pool's may be there.
    let listing = listing.filter(|_| !matches!(supply, Supply::Hosted { .. }));
    let mut about_pool = Vec::new();
    let mut named: BTreeMap<String, Vec<Evidence>> = BTreeMap::new();
    for name in &pool.members {
        named.entry(name.clone()).or_default();
    }
    let mut sort =
        |evidence: Evidence, named: &mut BTreeMap<String, Vec<Evidence>>| match &evidence.runner {
            Some(name) => named.entry(name.clone()).or_default().push(evidence),
            None => about_pool.push(evidence),
        };
    let complete = matches!(listing, Some(Ok(listing)) if listing.unlisted == 0);
    listed(pool, listing, &mut named, &mut sort);
    for evidence in from_jobs(pool, supply, known, rules) {
        // Of a runner that is listed no more, only work that goes on matters: one that lives for
        // a single job is taken off the list after it.
        let gone = evidence.trust == Trust::Hearsay
            && complete
            && evidence
                .runner
                .as_ref()
                .is_some_and(|name| !named.contains_key(name));
        if !gone {
            sort(evidence, &mut named);
        }
    }
    let answer = known.metrics.get(&pool.name);
    let mut measured = false;
    if let (Some(metric), Some(answer)) = (&pool.metric, answer) {
        for evidence in metric::evidence(metric, answer) {
            measured |= evidence.runner.is_some();
            sort(evidence, &mut named);
        }
    }
    if let Some(Ok(listing)) = listing {
        for (name, evidence) in &mut named {
            unlisted(name, pool, listing, evidence);
        }
    }
    if pool.only_members {
        named.retain(|name, _| pool.members.contains(name));
    }
    let runners = named
        .into_iter()
        .map(|(name, evidence)| judge_runner(name, evidence, known, rules))
        .collect();
    // Without the list those are all that the configuration names, or that its query finds.
    let readable = matches!(listing, Some(Ok(_)));
    let counted = match (readable, &pool.metric, answer) {
        (false, Some(metric), Some(Ok(answer))) => {
            metric::count(answer, metric, rules.max_evidence_age)
        }
        _ => None,
    };
    let named_elsewhere = !pool.members.is_empty() || measured;
    let mut judgement = Judgement {
        state: State::Unknown,
        runners,
        about_pool,
        complete: pool.only_members || complete || !readable && named_elsewhere,
        unlisted: listing
            .and_then(|l| l.as_ref().ok())
            .map_or(0, |l| l.unlisted),
        counted,
        refusal: listing.and_then(|l| l.as_ref().err()).cloned(),
        passed_over: false,
        supply,
        vanished: supply == Supply::Registered && vanished(pool, known, rules),
    };
    judgement.decide(pool, rules);
    judgement
}

/// As it is declared; GitHub's standard labels speak for themselves where no runner has them.
fn supply(
    pool: &Pool,
    listing: Option<&Result<Listing, HintedError>>,
    known: &Knowledge,
) -> Supply {
    let is_listed = matches!(listing, Some(Ok(listing))
        if listing.runners.iter().any(|runner| runner.has(&pool.labels)));
    let is_standard = known.offers_machines && pool.has_standard_label() && !is_listed;
    match pool.supply {
        Supply::Registered if is_standard => Pool::HOSTED,
        supply => supply,
    }
}

/// Whether runners finished jobs of this pool a short while ago.
fn vanished(pool: &Pool, known: &Knowledge, rules: &Rules) -> bool {
    let jobs = pool
        .repositories
        .iter()
        .filter_map(|name| known.jobs.get(name));
    jobs.flatten()
        .any(|jobs| jobs::finished_lately(pool, jobs, known.at, rules.max_evidence_age))
}

fn listed(
    pool: &Pool,
    listing: Option<&Result<Listing, HintedError>>,
    named: &mut BTreeMap<String, Vec<Evidence>>,
    sort: &mut impl FnMut(Evidence, &mut BTreeMap<String, Vec<Evidence>>),
) {
    match listing {
        None => {}
        Some(Err(refusal)) => sort(
            Evidence::silent(Source::List, refusal.reason.clone()),
            named,
        ),
        Some(Ok(listing)) => {
            for runner in listing
                .runners
                .iter()
                .filter(|runner| runner.has(&pool.labels))
            {
                let (state, says) = match (runner.status.as_str(), runner.busy) {
                    ("online", false) => (State::Online, "online, free".to_owned()),
                    ("online", true) => (State::Busy, "online, busy".to_owned()),
                    ("offline", _) => (State::Offline, "offline".to_owned()),
                    (other, _) => (State::Unknown, format!("status `{other}`")),
                };
                sort(
                    Evidence::new(Source::List, state, Trust::Report, says).of(&runner.name),
                    named,
                );
            }
        }
    }
}

/// What the jobs of the pool's repositories say, taken together.
fn from_jobs(pool: &Pool, supply: Supply, known: &Knowledge, rules: &Rules) -> Vec<Evidence> {
    let mut found = Vec::new();
    let mut all: Option<Jobs> = None;
    let mut asked = Vec::new();
    for name in &pool.repositories {
        match known.jobs.get(name) {
            None => {}
            Some(Ok(jobs)) => {
                let all = all.get_or_insert_default();
                all.jobs.extend(jobs.jobs.iter().cloned());
                all.with_finished |= jobs.with_finished;
                all.unseen += jobs.unseen;
                asked.push(name.as_str());
            }
            Some(Err(refusal)) => {
                let says = format!("{name}: {}", refusal.reason);
                found.push(Evidence::silent(Source::Jobs, says));
            }
        }
    }
    if let Some(jobs) = all {
        let of_pool = pool.scope.repository().is_none();
        for mut evidence in jobs::evidence(pool, supply, &jobs, known.at, rules.max_queue_time) {
            if of_pool && evidence.runner.is_none() {
                evidence.says.push_str(&format!(" in {}", asked.join(", ")));
            }
            found.push(evidence);
        }
    }
    if pool.repositories.is_empty() {
        let says = "cannot know: jobs are listed by repository, and none is named";
        found.push(Evidence::silent(Source::Jobs, says));
    }
    found
}

/// What it means that others speak of a runner which GitHub's list does not show in this pool.
fn unlisted(name: &str, pool: &Pool, listing: &Listing, evidence: &mut Vec<Evidence>) {
    if evidence.iter().any(|e| e.source == Source::List) {
        return;
    }
    match listing.runners.iter().find(|runner| runner.name == name) {
        Some(runner) => {
            let has = |label: &&String| !runner.has(std::slice::from_ref(*label));
            let lacks: Vec<&str> = pool.labels.iter().filter(has).map(String::as_str).collect();
            let says = format!("{}, without the label {}", runner.status, lacks.join(", "));
            evidence.push(Evidence::new(Source::List, State::Offline, Trust::Proof, says).of(name));
        }
        None if listing.unlisted == 0 => {
            let says = "not registered with GitHub";
            evidence
                .push(Evidence::new(Source::List, State::Offline, Trust::Report, says).of(name));
        }
        None => {}
    }
}

fn judge_runner(
    name: String,
    mut evidence: Vec<Evidence>,
    known: &Knowledge,
    rules: &Rules,
) -> JudgedRunner {
    let mut remedy = None;
    match known.hosts.get(&name) {
        None => {}
        Some(Ok(seen)) => {
            remedy = seen.remedy(&name);
            evidence.push(seen.evidence(&name));
        }
        Some(Err(refusal)) => {
            remedy = Some(refusal.hint.clone());
            evidence.push(Evidence::silent(Source::Host, refusal.reason.clone()).of(&name));
        }
    }
    evidence.sort_by_key(|e| e.source);
    JudgedRunner {
        merged: merge(&evidence, rules.max_evidence_age),
        name,
        evidence,
        remedy,
    }
}

impl Judgement {
    /// How many are in this state.
    pub fn count(&self, state: State) -> usize {
        self.runners
            .iter()
            .filter(|r| r.merged.state == state)
            .count()
    }

    /// How many are known to be up.
    pub fn online(&self) -> u64 {
        let named = self.count(State::Online) + self.count(State::Busy);
        (named as u64).max(self.counted.unwrap_or(0))
    }

    /// Whether any source answered, whatever the answer was.
    pub fn answered(&self) -> bool {
        let all = self
            .runners
            .iter()
            .flat_map(|r| &r.evidence)
            .chain(&self.about_pool);
        all.into_iter().any(|e| e.answered)
    }

    /// Every contradiction, with the runner that it is about.
    pub fn contradictions(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for runner in &self.runners {
            let texts = runner.merged.contradictions.iter();
            all.extend(texts.map(|text| format!("{}: {text}", runner.name)));
        }
        if self.passed_over {
            let waits = self.about_pool.iter().find(|e| e.source == Source::Jobs);
            let waits = waits.map_or("a job waits", |e| e.says.as_str());
            all.push(format!("a runner seems free, yet {waits}"));
        }
        let none = self
            .about_pool
            .iter()
            .find(|e| e.source == Source::Prometheus);
        if let Some(metric) = none
            && metric.state == State::Offline
            && self.online() > 0
        {
            all.push(format!(
                "prometheus reports offline ({}), others report online",
                metric.says
            ));
        }
        all
    }

    /// A pool that starts machines for jobs is judged by its jobs: no online runner proves nothing,
    /// and late jobs are a doubt, not proof.
    fn decide_on_demand(&mut self) {
        let jobs = || self.about_pool.iter().filter(|e| e.source == Source::Jobs);
        let late = jobs().any(|e| e.state == State::Offline);
        let told = jobs().any(|e| e.answered);
        let free = self.count(State::Online) > 0;
        self.passed_over = late && free;
        self.state = match (late, free, told) {
            (true, _, _) | (false, false, false) => State::Unknown,
            (false, true, _) => State::Online,
            (false, false, true) => State::OnDemand,
        };
    }

    fn decide(&mut self, pool: &Pool, rules: &Rules) {
        if self.supply.max_start_time().is_some() {
            return self.decide_on_demand();
        }
        let wanted = u64::from(pool.min_online.get());
        let online = self.online();
        let reports_offline = |source: Source| {
            self.about_pool.iter().any(|e| {
                e.source == source && e.state == State::Offline && e.counts(rules.max_evidence_age)
            })
        };
        if online >= wanted {
            let free = self.count(State::Online) > 0 || self.counted.is_some();
            self.passed_over = free && reports_offline(Source::Jobs);
            self.state = match (self.passed_over, free) {
                (true, _) => State::Unknown,
                (false, true) => State::Online,
                (false, false) => State::Busy,
            };
            return;
        }
        let contested = self.runners.iter().any(|r| r.merged.contested);
        // Runners of an organisation may be busy with other repositories.
        let waits = reports_offline(Source::Jobs) && pool.scope.repository().is_some();
        let told =
            (waits || reports_offline(Source::Prometheus)) && !contested && self.unlisted == 0;
        let could = online + self.count(State::Unknown) as u64 + self.unlisted;
        self.state = if told || self.complete_or_counted() && could < wanted {
            State::Offline
        } else {
            State::Unknown
        };
    }

    /// Whether the evidence leaves no room for an unmentioned runner.
    fn complete_or_counted(&self) -> bool {
        self.complete || self.unlisted > 0 || self.counted.is_some()
    }
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (idle, busy) = (self.count(State::Online), self.count(State::Busy));
        let offline = self.count(State::Offline);
        let unknown = self.count(State::Unknown);
        let by_design = match self.supply {
            Supply::Registered => None,
            Supply::FromZero { .. } => Some("it scales from zero"),
            Supply::Hosted { .. } => Some("GitHub's own machines, one for each job"),
        };
        match (self.runners.is_empty(), self.counted) {
            (_, Some(counted)) if counted > (idle + busy) as u64 => {
                write!(f, "{counted} online as Prometheus counts")?;
            }
            (true, Some(_)) => f.write_str("none online as Prometheus counts")?,
            (true, None) if by_design.is_some() => f.write_str(by_design.unwrap_or_default())?,
            (true, None) if self.refusal.is_some() => f.write_str("its runners are not known")?,
            (true, None) => f.write_str("no runner has these labels")?,
            (false, _) => write!(
                f,
                "{} online ({idle} idle, {busy} busy), {offline} offline",
                idle + busy
            )?,
        }
        if unknown > 0 {
            write!(f, ", {unknown} of unknown status")?;
        }
        if self.unlisted > 0 {
            write!(
                f,
                "; GitHub counts {} more and does not list them",
                self.unlisted
            )?;
        }
        Ok(())
    }
}
