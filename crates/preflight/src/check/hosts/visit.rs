//! One login at a host, and all that it tells: asked once, read by every fact.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use config::file::HostCheck;
use remote::ssh::{Error, Exit, Limits, Target};

use super::script::{self, Answers};

/// What is kept of the output. A login that prints sixteen times as much is cut off.
const MAX_OUTPUT: usize = 64 << 10;

/// What a login reported.
#[derive(Clone, Debug)]
pub(super) struct HostReport {
    pub(super) exit: Exit,
    pub(super) answers: Answers,
    pub(super) printed: u64,
    /// The last lines, for a person.
    pub(super) tail: String,
    /// How far the host's clock is from ours: between these two, in seconds.
    pub(super) skew: Option<(f64, f64)>,
}

/// Logs in, and asks for what a check wants; for nothing but a word without one.
pub(super) async fn visit(
    target: Target,
    check: Option<&HostCheck>,
    timeout: Duration,
) -> Result<HostReport, Error> {
    let clock = Instant::now();
    let session = target.connect(timeout).await?;
    let left = timeout.saturating_sub(clock.elapsed());
    let limits = Limits {
        timeout: left,
        max_output: MAX_OUTPUT,
    };
    let mark = format!("deploy-guard-{:016x}:", rand::random::<u64>());
    let before = unix_time();
    let output = match check {
        Some(check) => {
            session
                .script(&script::write(check, &mark, left), limits)
                .await?
        }
        None => session.run(&format!("echo {mark} begin"), limits).await?,
    };
    let after = unix_time();
    let answers = Answers::read(&output.stdout, &mark);
    Ok(HostReport {
        skew: skew(&answers, before, after),
        answers,
        tail: output.tail(),
        printed: output.printed,
        exit: output.exit,
    })
}

/// Seconds since 1970, by our clock.
fn unix_time() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The host looked at its clock twice: not before we asked, and not after we had the answer. So
/// however long the facts took, the difference is known to within the two transfers.
fn skew(answers: &Answers, before: f64, after: f64) -> Option<(f64, f64)> {
    let (begin, begin_grain) = stamp(answers.get("begin")?)?;
    let (end, _) = stamp(answers.get("end")?)?;
    // A stamp in whole seconds was cut: the time was up to a second later.
    Some((end - after, begin + begin_grain - before))
}

/// A time and how much later it may have been. `date` without nanoseconds prints `%N`.
fn stamp(text: &str) -> Option<(f64, f64)> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: u32 = seconds.parse().ok()?;
    let nanos: Option<u32> = (fraction.len() == 9)
        .then(|| fraction.parse().ok())
        .flatten();
    Some(match nanos {
        Some(nanos) => (f64::from(seconds) + f64::from(nanos) / 1e9, 0.0),
        None => (f64::from(seconds), 1.0),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn between(begin: &str, end: &str, before: f64, after: f64) -> Option<(f64, f64)> {
        let text = format!("M begin {begin}\nM end {end}\n");
        skew(&Answers::read(text.as_bytes(), "M"), before, after)
    }

    #[test]
    fn a_slow_script_does_not_blur_the_clock() {
        // Asked at 100, answered at 110; the script itself took 9.8 s, on a clock 3 s ahead.
        let (low, high) = between("103.100000000", "112.900000000", 100.0, 110.0).unwrap();
        assert!(
            (2.8..3.0).contains(&low) && (3.0..3.2).contains(&high),
            "{low} {high}"
        );
        // Whole seconds blur it by one.
        let (low, high) = between("103.%N", "112.%N", 100.0, 110.0).unwrap();
        assert!(
            low <= 3.0 && 3.0 <= high && high - low < 2.1,
            "{low} {high}"
        );
        assert_eq!(between("soon", "112", 100.0, 110.0), None);
        assert_eq!(between("-5", "112", 100.0, 110.0), None);
    }
}
