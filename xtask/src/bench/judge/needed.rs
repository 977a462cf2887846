//! How many errors, on both sides together, our judge needs until it decides: what a team can
//! divide by its errors a minute.

use judge::random::Random;
use judge::sequential::Verdict;

use super::ours::Ours;
use super::peers::Judge as _;

use super::traffic::{Traffic, one_error};

const SHARES: [u64; 3] = [10, 25, 50];
const TOLERANCES: [f64; 3] = [1.5, 2.0, 3.0];
/// Of the canary's error rate to stable's; the first is a good release.
const RATIOS: [f64; 5] = [1.0, 2.0, 3.0, 5.0, 10.0];
const RUNS: usize = 500;
const MAX_ERRORS: usize = 3000;

/// Half and nine tenths of the runs need at most so many.
pub(super) fn print() {
    println!("Errors on both sides until the decision, median / 90 % of the runs:\n");
    println!("| canary's share | tolerance | pass, if same | fail, if 2 × | 3 × | 5 × | 10 × |");
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    for share in SHARES {
        for tolerance in TOLERANCES {
            let cells: Vec<String> = RATIOS
                .iter()
                .map(|ratio| cell(share, tolerance, *ratio))
                .collect();
            println!("| {share} % | {tolerance} | {} |", cells.join(" | "));
        }
    }
    println!();
}

fn cell(share: u64, tolerance: f64, ratio: f64) -> String {
    let wanted = match ratio {
        1.0 => Verdict::Pass,
        _ if ratio > tolerance => Verdict::Fail,
        _ => return "–".to_owned(),
    };
    let mut needed: Vec<usize> = (0..RUNS)
        .filter_map(|run| errors(share, tolerance, ratio, wanted, run as u64))
        .collect();
    needed.sort_unstable();
    let at = |part: usize| {
        let number = needed.get(RUNS * part / 10);
        number.map_or_else(|| format!("> {MAX_ERRORS}"), usize::to_string)
    };
    format!("{} / {}", at(5), at(9))
}

/// `None` where the judge does not decide so.
fn errors(share: u64, tolerance: f64, ratio: f64, wanted: Verdict, run: u64) -> Option<usize> {
    let traffic = Traffic {
        canary: 100 * share,
        stable: 100 * (100 - share),
    };
    let mut random = Random::new(run);
    let mut judge = Ours::errors(tolerance, None);
    (1..=MAX_ERRORS)
        .find_map(|errors| {
            let verdict = judge.see(&one_error(traffic, ratio, &mut random))?;
            Some((verdict, errors))
        })
        .filter(|(verdict, _)| *verdict == wanted)
        .map(|(_, errors)| errors)
}
