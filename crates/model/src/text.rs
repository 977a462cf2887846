//! What is the same wherever text from outside is shown, and numbers as a person reads them.

use std::fmt::Write as _;
use std::time::Duration;

/// Whether a character turns text round, so that it looks other than it is: overrides, isolates and
/// the invisible marks.
pub fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// The mark of what was left out. [`Redactor`](crate::Redactor) knows it: what ends before it may be
/// the beginning of a secret.
pub const CUT: char = '…';

/// The first `most` characters, and a mark where there are more.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}{CUT}", &text[..end]),
    }
}

/// An error and its causes in one line, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// More text of an answer does not help.
const EXCERPT: usize = 200;

/// The beginning of an answer, as text on one line.
pub fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT * 4)]);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text = cut_at_word(&text.chars().map(plain).collect::<String>());
    match text.trim() {
        "" => "(empty)".to_owned(),
        text => text.to_owned(),
    }
}

/// The beginning of a text. Secrets are replaced later, and a half of one is not found: what is
/// cut ends with a whole word. Of a longer word, or a longer secret, its pieces are found.
pub fn cut_at_word(text: &str) -> String {
    const WORD: usize = 64;
    let Some((end, _)) = text.char_indices().nth(EXCERPT) else {
        return text.to_owned();
    };
    let least = text.char_indices().nth(EXCERPT - WORD);
    let least = least.map_or(0, |(at, _)| at);
    let parts = |c: char| c.is_whitespace() || "\"',;<>{}".contains(c);
    let end = text[least..end].rfind(parts).map_or(least, |at| least + at);
    format!("{}{CUT}", &text[..end])
}

/// A character of outside text as it may be shown anywhere: what a terminal would obey, or what
/// turns text round, is shown as U+FFFD. Line breaks and tabs stay: where it is shown decides.
pub fn safe(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        c if c.is_control() || is_bidi(c) => '\u{fffd}',
        c => c,
    }
}

/// Words that call many people in some chat.
const CALLS: [&str; 5] = ["channel", "here", "everyone", "all", "team"];

/// Looks like `@`, and mentions no one.
pub const AT: char = '\u{ff20}';

/// Whether an `@` between these may call someone. One within a word is an address of e-mail. An entity of HTML would
/// not help: services look for mentions in what they have rendered.
pub fn calls(before: char, behind: &str) -> bool {
    // Discord has `<@!12>` for a person, and `<@&12>` for all of a role.
    let behind = behind.trim_start_matches(['&', '!']);
    let is_name = behind.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let word = visible(behind).take_while(|c| c.is_alphanumeric());
    let word: String = word.take(16).collect();
    let is_call = CALLS.iter().any(|call| word.eq_ignore_ascii_case(call));
    // What is no letter of ASCII is the end of a word to GitHub.
    is_call || is_name && !before.is_ascii_alphanumeric()
}

/// Neither a space nor a mark: a name with one of them looks like another name, and a text may hide in some.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What a text shows: it hides nothing, wherever it is shown.
pub fn visible(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| !is_invisible(*c))
}

/// As a person reads it: three digits and a unit.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub fn bytes(count: u64) -> String {
    for (unit, factor) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if count >= factor {
            return format!("{:.1} {unit}", count as f64 / factor as f64);
        }
    }
    format!("{count} bytes")
}

/// A whole text, [`safe`] and without what is invisible.
pub fn plain(text: &str) -> String {
    visible(text).map(safe).collect()
}

/// What was measured, in at most two units: `87ms`, `1.5s`, `1m 55s`, `2h 5m`, `3d 4h`. From a minute on it is cut and
/// not rounded, so that it never seems to have reached what it did not.
pub fn span(time: Duration) -> String {
    let seconds = match time.as_millis() {
        ms @ 0..1000 => return format!("{ms}ms"),
        1000..59_950 => {
            let tenths = format!("{:.1}", time.as_secs_f64());
            return format!("{}s", tenths.trim_end_matches(".0"));
        }
        // What rounds to a minute is shown as one.
        _ => time.as_secs().max(60),
    };
    let (whole, unit, rest, smaller) = match seconds {
        0..3600 => (seconds / 60, 'm', seconds % 60, 's'),
        3600..86_400 => (seconds / 3600, 'h', seconds / 60 % 60, 'm'),
        _ => (seconds / 86_400, 'd', seconds / 3600 % 24, 'h'),
    };
    match rest {
        0 => format!("{whole}{unit}"),
        rest => format!("{whole}{unit} {rest}{smaller}"),
    }
}

/// As the configuration has it: `5s`, `1m 30s`, `250ms`. For limits; what was measured is a [`span`].
pub fn duration(time: Duration) -> String {
    match jiff::SignedDuration::try_from(time) {
        Ok(time) => format!("{time:#}"),
        Err(_) => format!("{}s", time.as_secs()),
    }
}

/// `0.1s`, `75.0s`: for what goes on while it is read.
pub fn tenths(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// A share of one: `12.3%`, and never nothing where there is something.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = match percent.abs() {
        1.0.. => 1,
        0.1.. => 2,
        _ => 4,
    };
    decimals(percent, digits) + "%"
}

/// The same of what was counted, to at most two decimals and rounded half up; `None` of nothing.
pub fn percent_of(part: u64, whole: u64) -> Option<String> {
    let (part, whole) = (u128::from(part), u128::from(whole));
    let steps = (part * 10_000 + whole / 2).checked_div(whole)?;
    let text = format!("{}.{:02}", steps / 100, steps % 100);
    Some(format!(
        "{}%",
        text.trim_end_matches('0').trim_end_matches('.')
    ))
}

/// So many of it: `1 success`, `3 successes`.
pub fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A number with at most so many decimals, without zeros at their end.
pub fn decimals(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A number without the noise that sums of floating-point numbers leave: at most three decimals.
pub fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    // What is small is not nothing.
    if text.trim_start_matches('-') == "0" && value != 0.0 {
        return format!("{value:e}");
    }
    text.to_owned()
}

/// The digits of a digest that tell images apart.
const DIGEST: usize = 12;
/// Kinds of digests that registries use.
const KINDS: [&str; 3] = ["sha256:", "sha384:", "sha512:"];

/// The text with each digest cut to its first digits: `sha256:9f86d081884c…`.
pub fn short_digests(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, kind)) = KINDS
        .iter()
        .filter_map(|kind| Some((rest.find(kind)?, kind)))
        .min()
    {
        let (before, digest) = rest.split_at(at + kind.len());
        let digits = digest
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(digest.len());
        out.push_str(before);
        if digits > 2 * DIGEST {
            let _ = write!(out, "{}…", &digest[..DIGEST]);
        } else {
            out.push_str(&digest[..digits]);
        }
        rest = &digest[digits..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let told = |ms| span(Duration::from_millis(ms));
        assert_eq!(told(87), "87ms");
        assert_eq!(told(1_500), "1.5s");
        assert_eq!(told(59_949), "59.9s");
        assert_eq!(told(59_960), "1m");
        assert_eq!(told(115_000), "1m 55s");
        assert_eq!(told(7_500_000), "2h 5m");
        assert_eq!(told(1_205_999), "20m 5s");
        assert_eq!(told(7_200_000), "2h");
        assert_eq!(told(273_599_999), "3d 3h");
    }

    #[test]
    fn shares_are_told_in_percent_and_not_rounded_to_nothing() {
        let shown: Vec<_> = [0.031, 0.0, 0.001, 0.000_04, 0.5, 1.0, 0.123_4]
            .map(percent)
            .into();
        assert_eq!(
            shown,
            ["3.1%", "0%", "0.1%", "0.004%", "50%", "100%", "12.3%"]
        );
        let most = (u64::MAX, u64::MAX);
        let shown = [(1, 3), (2, 3), (1, 20_000), (3, 100), (0, 7), most];
        let shown = shown.map(|(part, whole)| percent_of(part, whole).unwrap());
        assert_eq!(shown, ["33.33%", "66.67%", "0.01%", "3%", "0%", "100%"]);
        assert_eq!(percent_of(0, 0), None);
        assert_eq!(counted(1, "success", "successes"), "1 success");
        assert_eq!(counted(0, "success", "successes"), "0 successes");
    }

    #[test]
    fn sums_of_numbers_leave_no_noise() {
        let sum = 0.1 + 0.2;
        let told = [sum, 8.700_000_000_000_001, 1.0, 0.25, 100.0, -3.5, 0.0].map(number);
        assert_eq!(told, ["0.3", "8.7", "1", "0.25", "100", "-3.5", "0"]);
        assert_eq!(number(0.000_25), "2.5e-4");
    }

    #[test]
    fn digests_are_short_and_what_is_none_stays() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(
            short_digests(&format!("a@{digest}, not sha512:{}é", "f".repeat(128))),
            "a@sha256:0123456789ab…, not sha512:ffffffffffff…é"
        );
        for same in ["sha256:", "sha256:é", "sha256:abc123", "", "sha256:sha256:"] {
            assert_eq!(short_digests(same), same);
        }
    }

    #[test]
    fn what_turns_text_round_or_drives_a_terminal_is_replaced() {
        let all = "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}\u{1b}\r";
        assert_eq!(plain(all), "\u{fffd}".repeat(14));
        assert_eq!(plain("é\n\t漢"), "é\n\t漢");
        assert_eq!(plain("v1\u{200b}.2\u{ad}\u{e0041}\u{e007f}"), "v1.2");
    }

    #[test]
    fn what_is_cut_ends_with_a_whole_word() {
        assert_eq!(excerpt(b" a\nb "), "a b");
        assert_eq!(excerpt(b"\n"), "(empty)");
        assert_eq!(excerpt(&[b'x'; EXCERPT]), "x".repeat(EXCERPT));
        assert_eq!(excerpt(&[b'x'; 1000]), format!("{}…", "x".repeat(136)));
        let secret = "s3cr3t-0123456789";
        for before in 150..EXCERPT {
            let text = format!("{} \"{secret}\" {}", "é".repeat(before), "y".repeat(50));
            let shown = excerpt(text.as_bytes());
            assert!(shown.contains(secret) || !shown.contains("s3"), "{shown}");
            assert!(shown.chars().count() <= EXCERPT, "{shown}");
        }
    }
}
