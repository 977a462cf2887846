//! Which share each side has: as configured, as loaded, as observed; and which release it answers.

use cli::{Failure, Job};
use config::value::Side;
use futures_util::future::join_all;
use model::{Outcome, Report, Table, Verdict};
use operation::shares::observe::{Answers, Releases, answers_needed, sample, shows};
use operation::shares::sides::BothSides;
use place::{Error, Place};
use router::{Router, Split};
use state::Rollout;

use crate::session::{Session, rollout};

/// Requests where no split says how many it takes.
const ANSWERS: u32 = 44;
/// Samples before answers contradict a split: each is wrong by chance in one of a hundred.
const SAMPLES: u32 = 3;

/// What was seen at one place.
struct Seen {
    outcome: Outcome,
    row: Vec<String>,
}

pub(crate) async fn status(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let work = session.work(document.as_ref());
    let context = work.context();
    let router = work.router(&context)?;
    let router = &*router;
    let recorded = rollout(document.as_ref());
    let looking = router
        .places()
        .iter()
        .map(|place| look(router, place, recorded));
    let (mut outcomes, mut rows) = (Vec::new(), Vec::new());
    for seen in join_all(looking).await {
        outcomes.push(seen.outcome);
        rows.push(seen.row);
    }
    if let Some(rollout) = recorded {
        outcomes.push(Outcome::pass("rollout", &rollout.release).actual(format!(
            "{rollout} since {:.0}, begun by {}",
            rollout.changed, rollout.by
        )));
    }
    let mut report = session.report(outcomes);
    report.tables.push(Table {
        title: "Shares".to_owned(),
        header: vec![
            "place",
            "side",
            "release",
            "configured",
            "loaded",
            "observed",
        ],
        rows: rows.into_iter().flat_map(split_rows).collect(),
        only_in_summary: false,
    });
    Ok(report)
}

/// A place has two sides: its row holds both, one after another.
fn split_rows(row: Vec<String>) -> Vec<Vec<String>> {
    row.chunks(6).map(<[String]>::to_vec).collect()
}

async fn look(router: &dyn Router, place: &Place, recorded: Option<&Rollout>) -> Seen {
    let id = match place {
        Place::Here => "share".to_owned(),
        Place::Host(name) => format!("share/{name}"),
    };
    let likely = recorded.map_or("", |rollout| rollout.release.as_str());
    let (configured, loaded, both) = futures_util::future::join3(
        router.configured(place),
        router.loaded(place),
        BothSides::ask(router, place, likely),
    )
    .await;
    let configured = match configured {
        Ok(split) => split,
        Err(error) => {
            let outcome = Outcome::error(id, place.to_string())
                .expected("the router's configuration")
                .actual(error.to_string())
                .reason(error.to_string())
                .hint("see whether the router runs and its file can be read");
            return Seen {
                outcome,
                row: Vec::new(),
            };
        }
    };
    let mut wrong = Vec::new();
    let loaded = loaded.unwrap_or_else(|error| {
        wrong.push(unclear(router, &error));
        None
    });
    let in_use = loaded.unwrap_or(configured);
    let answers = match (&both.blue.release, &both.green.release) {
        (Ok(blue), Ok(green)) if blue != green => {
            Some(observed(router, place, Releases { blue, green }, in_use).await)
        }
        // One release on both sides, or a side that is silent: who answers tells less.
        (Ok(one), Err(_)) => Some(sample(router, place, only(one, Side::Blue), ANSWERS).await),
        (Err(_), Ok(one)) => Some(sample(router, place, only(one, Side::Green), ANSWERS).await),
        _ => None,
    };
    if let Some(loaded) = loaded.filter(|loaded| *loaded != configured) {
        wrong.push(format!(
            "{} uses {loaded}, and its configuration has {configured}: a restart would change it",
            router.kind()
        ));
    }
    if let Some(answers) = &answers
        && !shows(answers, in_use)
    {
        wrong.push(format!("{in_use} should be in effect, and {answers}"));
    }
    if let Some(foreign) = recorded.and_then(|rollout| differs(rollout, place, configured)) {
        wrong.push(foreign);
    }
    for side in Side::BOTH {
        if !in_use.of(side).is_none()
            && let Err(error) = &both.of(side).release
        {
            wrong.push(format!(
                "{side} has {} and cannot be asked ({error})",
                in_use.of(side)
            ));
        }
    }
    let told = format!("{in_use}: {}", both.told(router));
    let outcome = Outcome::new(id, place.to_string(), Verdict::Pass).actual(told);
    let outcome = if wrong.is_empty() {
        outcome
    } else {
        Outcome {
            verdict: Verdict::Fail,
            ..outcome
        }
        .expected("the configuration, the router and the answers agree")
        .reason(wrong.join("; "))
        .hint("`traffic set SHARE --release R` sets a share and proves it")
    };
    let row = Side::BOTH.into_iter().flat_map(|side| {
        // Where nothing was recognised, nothing was observed.
        let observed = answers
            .as_ref()
            .filter(|answers| answers.blue + answers.green > 0)
            .map(|answers| answers.share(side).to_string());
        [
            place.to_string(),
            format!("{side} {}", router.name(side)),
            both.of(side)
                .release
                .clone()
                .unwrap_or_else(|_| "no answer".to_owned()),
            configured.of(side).to_string(),
            loaded.map_or_else(|| "–".to_owned(), |split| split.of(side).to_string()),
            observed.unwrap_or_else(|| "–".to_owned()),
        ]
    });
    Seen {
        outcome,
        row: row.collect(),
    }
}

/// Who answers. Where users are divided by chance, one sample in a hundred seems to be of another split:
/// what disagrees is asked for again, and all answers count.
async fn observed(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    split: Split,
) -> Answers {
    let wanted = answers_needed(split, split).unwrap_or(ANSWERS).max(ANSWERS);
    let mut answers = sample(router, place, releases, wanted).await;
    for _ in 1..SAMPLES {
        if shows(&answers, split) {
            break;
        }
        answers.merge(sample(router, place, releases, wanted).await);
    }
    answers
}

/// The router does not tell what it uses, or it uses no split.
fn unclear(router: &dyn Router, error: &Error) -> String {
    format!("it is not clear what {} uses: {error}", router.kind())
}

/// The other side does not answer: what is not of this release counts as unknown.
fn only(release: &str, side: Side) -> Releases<'_> {
    match side {
        Side::Blue => Releases {
            blue: release,
            green: "",
        },
        Side::Green => Releases {
            blue: "",
            green: release,
        },
    }
}

/// Where the configuration is not what the rollout set.
fn differs(rollout: &Rollout, place: &Place, configured: Split) -> Option<String> {
    let side = rollout.sides.get(&place.to_string())?;
    let has = configured.of(*side);
    (has != rollout.share).then(|| {
        format!(
            "the rollout of {} recorded {}, and the configuration has {has}: another changed it, or a change was interrupted",
            rollout.release, rollout.share
        )
    })
}
