//! Planned steps at two places: made, put back, interrupted and gone on with, by whatever stage.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use config::file::Config;
use config::value::{Portion, Span};
use engine::{
    Conclusion, CurrentRelease, Execution, ExecutionContext, ExecutionEnd, Grounds, Operator, Plan,
    Reverted, Settings, Watch,
};
use jiff::Timestamp;
use model::{Env, Redactor, Verdict};
use state::{Claim, Holder, Lease, Store};
use target::{
    Applied, Capabilities, Context, Error, Observe, Place, PlaceAccess, Proving, Step, StepFuture,
    Switch, Target, Transition,
};
use tempfile::TempDir;

/// Two places that run v2; they record each step.
#[derive(Default)]
struct Pair {
    runs: RefCell<BTreeMap<String, String>>,
    done: RefCell<Vec<String>>,
    /// The place whose step fails.
    broken: Cell<Option<&'static str>>,
    /// After so many steps a signal comes.
    signal_after: Cell<Option<usize>>,
}

impl Pair {
    fn new() -> Pair {
        let pair = Pair::default();
        for place in ["a", "b"] {
            let mut runs = pair.runs.borrow_mut();
            runs.insert(place.to_owned(), "v2".to_owned());
        }
        pair
    }

    fn run(&self) -> String {
        let runs = self.runs.borrow();
        let all: Vec<String> = runs
            .iter()
            .map(|(at, runs)| format!("{at} {runs}"))
            .collect();
        all.join(", ")
    }

    fn done(&self) -> String {
        self.done.borrow().join(", ")
    }
}

impl Observe for Pair {
    fn current<'a>(&'a self, step: &'a Step, _likely: &'a str) -> StepFuture<'a, Option<String>> {
        let runs = self.runs.borrow().get(&step.place.to_string()).cloned();
        Box::pin(async move { Ok(runs) })
    }

    fn proof<'a>(&'a self, _destination: &'a str) -> Proving<'a> {
        Box::pin(async { None })
    }
}

impl Switch for Pair {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        let step = |place: &str| Step {
            name: format!("pair/{place}"),
            does: format!("run {} at {place}", transition.to),
            place: Place::Host(place.to_owned()),
        };
        ["a", "b"].map(step).into()
    }

    fn plan<'a>(&'a self, step: &'a Step, _transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(async { Ok(step.does.clone()) })
    }

    fn snapshot<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        self.current(step, "")
    }

    fn apply<'a>(
        &'a self,
        step: &'a Step,
        transition: Transition<'a>,
        _snapshot: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(async move {
            let place = step.place.to_string();
            self.done.borrow_mut().push(format!("apply {place}"));
            if self.broken.get() == Some(place.as_str()) {
                return Err(Error::Down("it is broken".to_owned()));
            }
            self.runs
                .borrow_mut()
                .insert(place, transition.to.to_owned());
            Ok("made".to_owned().into())
        })
    }

    fn revert<'a>(
        &'a self,
        step: &'a Step,
        _transition: Transition<'a>,
        snapshot: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(async move {
            let place = step.place.to_string();
            self.done.borrow_mut().push(format!("revert {place}"));
            let before = snapshot.ok_or(Error::Unnoted("no snapshot"))?;
            self.runs.borrow_mut().insert(place, before.to_owned());
            Ok("put back".to_owned())
        })
    }
}

impl Target for Pair {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

impl Operator for Pair {
    fn begins(&self, _place: &str, _what: &'static str) {}

    fn ends(&self, _place: &str, _what: &'static str, _worked: bool) {}

    fn say(&self, _text: &str) {}

    fn draw(&self) {}

    fn tick(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn interrupted(&self) -> bool {
        let after = self.signal_after.get();
        after.is_some_and(|after| self.done.borrow().len() >= after)
    }

    fn interruption(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::pending())
    }
}

/// A state of its own, and the lease of one operation.
struct Bench {
    _folder: TempDir,
    store: Store,
    lease: Lease,
    redactor: Redactor,
}

impl Bench {
    async fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("state.json"));
        let claim = Claim {
            holder: Holder::this_process(None, None),
            operation: "move",
            ttl: Duration::from_secs(60),
            gone: None,
        };
        let (lease, ()) = store.acquire(&claim, |_, _| ()).await.unwrap();
        Bench {
            _folder: folder,
            store,
            lease,
            redactor: Redactor::default(),
        }
    }

    fn means<'a>(&'a self, pair: &'a Pair) -> ExecutionContext<'a> {
        ExecutionContext {
            target: pair,
            store: &self.store,
            lease: &self.lease,
            watch: Watch {
                operator: pair,
                redactor: &self.redactor,
                clock: Instant::now(),
            },
            settings: Settings {
                stage: "move",
                batch: Portion::Count(1),
                max_failed: Portion::Count(0),
                restores: true,
                deadline: Span::from_secs(60),
                last_query: Duration::from_secs(1),
                lock_ttl: Span::from_secs(60),
            },
        }
    }

    async fn current(&self, pair: &Pair) -> CurrentRelease {
        let (config, env) = (Config::default(), Env::default());
        let places = PlaceAccess::new(&config::file::Hosts::default(), &env);
        let context = Context {
            config: &config,
            env: &env,
            redactor: &self.redactor,
            places: &places,
            release: None,
            repository: None,
            known: Vec::new(),
            github: Rc::new(|_, _, _| unreachable!("it is not asked")),
            say: Rc::new(|_| ()),
        };
        CurrentRelease::find(pair, &context, "v1", None, None).await
    }

    /// Plans and begins the way to v1.
    async fn begin<'a>(&'a self, pair: &'a Pair) -> (Execution<'a>, CurrentRelease) {
        let current = self.current(pair).await;
        let means = self.means(pair);
        let way = ("v1", current.release.as_deref());
        let (plan, _) =
            Plan::draft(means.watch, pair, way, &current, until() - Instant::now()).await;
        assert_eq!(
            (plan.from(), plan.evidence()),
            (Some("v2"), "the target reports it")
        );
        assert!(plan.unready().is_empty() && pair.done().is_empty());
        let begun = Execution::begin(means, &plan, Grounds::plain(Timestamp::now()), until()).await;
        (begun.unwrap(), current)
    }
}

fn until() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn run(execution: &mut Execution<'_>, current: &CurrentRelease) -> Conclusion<ExecutionEnd> {
    let ran = execution.run(current, &BTreeMap::new(), Vec::new()).await;
    ran.unwrap()
}

fn outcomes<E>(conclusion: &Conclusion<E>) -> String {
    let told = conclusion.outcomes.iter();
    let told: Vec<String> = told
        .map(|one| format!("{} {}", one.id, one.verdict))
        .collect();
    told.join(", ")
}

#[tokio::test]
async fn every_step_is_made_and_its_place_asked_afterwards() {
    let (bench, pair) = (Bench::new().await, Pair::new());
    let (mut execution, current) = bench.begin(&pair).await;
    let conclusion = run(&mut execution, &current).await;
    assert_eq!(pair.run(), "a v1, b v1");
    assert_eq!(
        outcomes(&conclusion),
        "step/pair/a pass, step/pair/b pass, runs/a pass, runs/b pass"
    );
    let ExecutionEnd::Live { failed, wrong, .. } = conclusion.end else {
        panic!("{conclusion:?}");
    };
    assert_eq!((failed, wrong, conclusion.bars.len()), (0, 0, 2));
    execution.end(Verdict::Pass).await.unwrap();
    assert!(bench.store.unfinished("move").await.unwrap().is_none());
}

#[tokio::test]
async fn where_more_fail_than_may_what_was_before_is_put_back_the_last_step_first() {
    let (bench, pair) = (Bench::new().await, Pair::new());
    pair.broken.set(Some("b"));
    let (mut execution, current) = bench.begin(&pair).await;
    let conclusion = run(&mut execution, &current).await;
    assert_eq!(pair.run(), "a v2, b v2");
    assert_eq!(pair.done(), "apply a, apply b, revert b, revert a");
    let ExecutionEnd::Reverted(reverted) = &conclusion.end else {
        panic!("{conclusion:?}");
    };
    let all_back = Reverted {
        tried: 2,
        failed: 0,
        wrong: 0,
    };
    assert_eq!(*reverted, all_back);
    let hint = conclusion.outcomes[1].hint.as_deref();
    assert_eq!(
        hint,
        Some("repair it, then `move resume`; or `move abort`; see `move status`")
    );
}

#[tokio::test]
async fn what_was_interrupted_is_gone_on_with_and_nothing_is_made_twice() {
    let (bench, pair) = (Bench::new().await, Pair::new());
    pair.signal_after.set(Some(1));
    let (mut execution, current) = bench.begin(&pair).await;
    let conclusion = run(&mut execution, &current).await;
    assert!(
        matches!(conclusion.end, ExecutionEnd::Interrupted),
        "{conclusion:?}"
    );
    assert_eq!(pair.run(), "a v1, b v2");
    drop(execution);
    pair.signal_after.set(None);
    let journal = bench.store.unfinished("move").await.unwrap().unwrap();
    let current = bench.current(&pair).await;
    let mut execution = Execution::resume(bench.means(&pair), journal, until());
    let conclusion = run(&mut execution, &current).await;
    assert!(
        matches!(conclusion.end, ExecutionEnd::Live { .. }),
        "{conclusion:?}"
    );
    assert_eq!(pair.run(), "a v1, b v1");
    assert_eq!(pair.done(), "apply a, apply b");
}

#[tokio::test]
async fn what_is_given_up_is_put_back_where_it_was_begun() {
    let (bench, pair) = (Bench::new().await, Pair::new());
    pair.signal_after.set(Some(1));
    let (mut execution, current) = bench.begin(&pair).await;
    run(&mut execution, &current).await;
    drop(execution);
    pair.signal_after.set(None);
    let journal = bench.store.unfinished("move").await.unwrap().unwrap();
    let execution = Execution::resume(bench.means(&pair), journal, until());
    let conclusion = execution.revert("given up").await.unwrap();
    assert_eq!(pair.run(), "a v2, b v2");
    assert_eq!(pair.done(), "apply a, revert a");
    assert_eq!(
        outcomes(&conclusion),
        "undo/pair/a pass, runs/a pass, runs/b pass"
    );
}
