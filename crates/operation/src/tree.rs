//! What goes on at each place, as a tree that is drawn anew while a person looks; a line for each
//! end where no terminal is.

use std::cell::RefCell;
use std::pin::Pin;
use std::time::{Duration, Instant};

use cli::{Board, Interrupt, Progress, columns, cut, padded};
use engine::Operator;
use model::text::tenths;

/// What goes on, for one stage.
pub struct Tree {
    stage: &'static str,
    board: Board,
    progress: Progress,
    /// `None` where no signal may stop it.
    interrupt: Option<Interrupt>,
    started: Instant,
    branches: RefCell<Vec<Branch>>,
}

/// A place and what was done there, one after another.
#[derive(Clone, Debug)]
struct Branch {
    place: String,
    twigs: Vec<TreeStep>,
}

#[derive(Clone, Debug)]
struct TreeStep {
    what: &'static str,
    began: Duration,
    /// When, and whether it worked.
    ended: Option<(Duration, bool)>,
}

impl Tree {
    /// Stops at a signal.
    pub fn new(stage: &'static str, progress: &Progress, interrupt: &Interrupt) -> Self {
        Tree {
            interrupt: Some(interrupt.clone()),
            ..Tree::steady(stage, progress)
        }
    }

    /// Goes on whatever signal comes: what is put back after one must be put back whole.
    pub fn steady(stage: &'static str, progress: &Progress) -> Self {
        Tree {
            stage,
            board: progress.board(),
            progress: progress.clone(),
            interrupt: None,
            started: Instant::now(),
            branches: RefCell::default(),
        }
    }
}

impl Operator for Tree {
    fn begins(&self, place: &str, what: &'static str) {
        let twig = TreeStep {
            what,
            began: self.started.elapsed(),
            ended: None,
        };
        let mut branches = self.branches.borrow_mut();
        let place = self.board.sanitize(place);
        match branches.iter_mut().find(|branch| branch.place == place) {
            Some(branch) => branch.twigs.push(twig),
            None => branches.push(Branch {
                place,
                twigs: vec![twig],
            }),
        }
    }

    fn ends(&self, place: &str, what: &'static str, worked: bool) {
        let now = self.started.elapsed();
        let place = self.board.sanitize(place);
        let mut branches = self.branches.borrow_mut();
        let branch = branches.iter_mut().find(|branch| branch.place == place);
        let twigs = branch.map(|branch| branch.twigs.iter_mut().rev());
        if let Some(twig) = twigs.and_then(|mut twigs| twigs.find(|twig| twig.what == what)) {
            twig.ended = Some((now, worked));
            if now > cli::QUIET_FOR {
                let said = format!("+{} {place}: {}", tenths(now), described(twig, now));
                self.board.line(&said);
            }
        }
    }

    fn say(&self, text: &str) {
        self.progress.show(text);
    }

    fn draw(&self) {
        if let Some(size) = self.board.size() {
            self.progress.clear();
            let (branches, now) = (self.branches.borrow(), self.started.elapsed());
            let lines = frame(self.stage, &branches, &self.progress.text(), now, size);
            self.board.show(&lines);
        }
    }

    fn tick(&self) -> Duration {
        cli::TICK
    }

    fn interrupted(&self) -> bool {
        let interrupt = self.interrupt.as_ref();
        interrupt.is_some_and(|interrupt| interrupt.caught().is_some())
    }

    fn interruption(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async {
            match &self.interrupt {
                Some(interrupt) => drop(interrupt.wait().await),
                None => std::future::pending().await,
            }
        })
    }
}

/// The lines of a screen: what is not well first where not all can be seen; none as wide as the
/// screen, and fewer than it is high.
fn frame(
    stage: &str,
    branches: &[Branch],
    said: &str,
    now: Duration,
    (width, height): (usize, usize),
) -> Vec<String> {
    let (width, height) = (width.saturating_sub(1), height.saturating_sub(1));
    let mut lines = vec![cut(&format!("{stage}  {}  {said}", tenths(now)), width)];
    let room = height.saturating_sub(lines.len());
    let mut shown: Vec<&Branch> = branches.iter().collect();
    let hidden = if shown.len() > room {
        // Stable: places keep their order among equals.
        shown.sort_by_key(|branch| branch.rank());
        shown.split_off(room.saturating_sub(1).min(shown.len()))
    } else {
        Vec::new()
    };
    let longest = shown.iter().map(|branch| columns(&branch.place)).max();
    let longest = longest.unwrap_or_default().min(width / 3);
    for (nth, branch) in shown.iter().enumerate() {
        let last = nth + 1 == shown.len() && hidden.is_empty();
        let edge = if last { "└─" } else { "├─" };
        let place = padded(&cut(&branch.place, longest), longest);
        let twigs: Vec<String> = branch
            .twigs
            .iter()
            .map(|twig| described(twig, now))
            .collect();
        let line = format!("{edge} {place}  {}", twigs.join("  "));
        lines.push(cut(line.trim_end(), width));
    }
    if !hidden.is_empty() {
        let open = hidden.iter().filter(|branch| branch.rank() == 1).count();
        let text = format!("└─ … {} more, {open} at work", hidden.len());
        lines.push(cut(&text, width));
    }
    lines.truncate(height.max(1));
    lines
}

impl Branch {
    /// Smaller is looked at sooner: what failed, what is at work, what ended well.
    fn rank(&self) -> u8 {
        match self.twigs.last().map(|twig| twig.ended) {
            Some(Some((_, false))) => 0,
            Some(None) => 1,
            Some(Some((_, true))) | None => 2,
        }
    }
}

fn described(twig: &TreeStep, now: Duration) -> String {
    let mark = match twig.ended {
        None => '…',
        Some((_, true)) => '✓',
        Some((_, false)) => '✗',
    };
    let until = twig.ended.map_or(now, |(end, _)| end);
    let took = until.saturating_sub(twig.began);
    format!("{mark} {} {}", twig.what, tenths(took))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twig(what: &'static str, began: u64, ended: Option<(u64, bool)>) -> TreeStep {
        TreeStep {
            what,
            began: Duration::from_millis(began),
            ended: ended.map(|(end, worked)| (Duration::from_millis(end), worked)),
        }
    }

    fn branch(place: &str, twigs: &[TreeStep]) -> Branch {
        Branch {
            place: place.to_owned(),
            twigs: twigs.to_vec(),
        }
    }

    #[test]
    fn each_place_has_its_line() {
        let branches = [
            branch(
                "web-01",
                &[
                    twig("prepare", 0, Some((200, true))),
                    twig("switch", 200, None),
                ],
            ),
            branch("web-002", &[twig("prepare", 0, Some((1300, false)))]),
        ];
        let now = Duration::from_millis(2500);
        assert_eq!(
            frame("rollback", &branches, "web-01 → v1", now, (80, 24)),
            [
                "rollback  2.5s  web-01 → v1",
                "├─ web-01   ✓ prepare 0.2s  … switch 2.3s",
                "└─ web-002  ✗ prepare 1.3s",
            ]
        );
    }

    #[test]
    fn what_is_not_well_is_seen_on_a_small_screen() {
        let mut branches: Vec<Branch> = (0..50)
            .map(|n| {
                branch(
                    &format!("web-{n:02}"),
                    &[twig("switch", 0, Some((9, true)))],
                )
            })
            .collect();
        branches[40].twigs = vec![twig("switch", 0, Some((9, false)))];
        branches[45].twigs = vec![twig("switch", 0, None)];
        let lines = frame("rollback", &branches, "", Duration::from_secs(1), (30, 6));
        assert_eq!(
            lines,
            [
                "rollback  1.0s  ",
                "├─ web-40  ✗ switch 0.0s",
                "├─ web-45  … switch 1.0s",
                "├─ web-00  ✓ switch 0.0s",
                "└─ … 47 more, 0 at work",
            ]
        );
        for (width, height) in [(0, 0), (1, 1), (3, 2), (9, 3)] {
            let lines = frame(
                "rollback",
                &branches,
                "x",
                Duration::from_secs(1),
                (width, height),
            );
            assert!(
                lines.iter().all(|line| columns(line) < width.max(1)) || width == 0,
                "{lines:?}"
            );
            assert!(lines.len() <= height.max(1), "{lines:?}");
        }
    }
}
