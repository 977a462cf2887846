//! Replaces secrets in text by `***`.
//!
//! A secret is looked for as it is, line by line, and in base64 (at each of the three alignments, so
//! that it is also found inside `base64(user:secret)`), in the text itself and behind every escape of
//! it: [`View`]. So is what is secret within it: the password of a URL, the key in the address of a
//! webhook, and what a JSON document holds under names such as `password`.
//!
//! Where a text was cut, by us or by a program that we asked, a piece of a secret may be left that is
//! not found as a whole. What ends at a cut like a secret begins, or begins there like one ends, is
//! covered too.
//!
//! All clones of a redactor share what it knows: a secret that a check learns while it asks (from
//! a credential helper, a token service) is redacted everywhere from then on.

mod view;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::address::Address;
use crate::secret::Secret;
use crate::text::{CUT, is_invisible, visible};
use view::View;

pub use crate::secret::MASK;

/// Lines of a secret up to this many characters are too common to replace: one JSON secret would
/// otherwise turn every `{` into a mask.
const SHORT_LINE: usize = 3;

/// Secrets of at least twice this length are searched in pieces of this many characters; a shorter
/// piece is too likely to occur in an innocent text.
const PIECE: usize = 32;

/// What is left of a secret at a cut is a piece of it from this length on.
const SHORTEST_PIECE: usize = SHORT_LINE + 1;

/// The program that wrote a text may have cut it without a mark, but seldom does: so many
/// characters of a secret do not match by chance.
const UNMARKED: usize = 8;

/// Finds the known secrets in a text.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<KnownSecrets>>);

#[derive(Default)]
struct KnownSecrets {
    /// Each with how many bytes of its end anyone may read: [`open_end`].
    patterns: BTreeMap<String, usize>,
    /// Every line of every secret, also the short ones: what the runner masks.
    lines: BTreeSet<String>,
    finder: Option<AhoCorasick>,
    /// Every piece of a pattern that is as short as a piece may be: most texts end with none of them.
    shortest_pieces: HashSet<[u8; SHORTEST_PIECE]>,
}

impl Redactor {
    /// A redactor for these values; empty ones are ignored.
    pub fn new<S: Into<Secret>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let redactor = Redactor::default();
        redactor.add(secrets);
        redactor
    }

    /// Also redacts these values from now on, in every clone.
    #[expect(
        clippy::missing_panics_doc,
        reason = "an automaton holds 2^31 states, an environment 2 MiB"
    )]
    pub fn add<S: Into<Secret>>(&self, secrets: impl IntoIterator<Item = S>) {
        let secrets: Vec<Secret> = secrets.into_iter().map(Into::into).collect();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let lines = secrets.iter().flat_map(|secret| secret.expose().lines());
        let lines = lines.flat_map(|line| [line, line.trim()]);
        let lines = lines.filter(|line| !line.is_empty());
        known.lines.extend(lines.map(str::to_owned));
        let before = known.patterns.len();
        let all = secrets.iter().flat_map(|secret| {
            let mut all = parts(secret.expose());
            all.push(secret.expose().to_owned());
            all
        });
        for form in all.flat_map(|secret| forms(&secret)) {
            let mut pieces = pieces(&form);
            let last = pieces.pop();
            let last = last.map(|last| (last.len().min(open_end(&form)), last));
            let before = pieces.into_iter().map(|piece| (0, piece));
            for (open, piece) in before.chain(last) {
                let known = known.patterns.entry(piece).or_insert(open);
                *known = open.min(*known);
            }
        }
        if known.patterns.len() == before {
            return;
        }
        let patterns = known.patterns.keys().map(String::as_bytes);
        known.shortest_pieces = patterns
            .flat_map(|pattern| pattern.windows(SHORTEST_PIECE))
            .filter_map(|piece| piece.try_into().ok())
            .collect();
        let finder = AhoCorasick::new(known.patterns.keys());
        known.finder = Some(finder.expect("secrets are smaller than an automaton may be"));
    }

    /// The text with every secret replaced by [`MASK`]. Where one is found only without the characters that no one sees,
    /// they are left out: where the text is shown, they may be, too.
    pub fn redact(&self, text: &str) -> String {
        let clean = self.covered(text);
        if clean.is_ascii() || !clean.contains(is_invisible) {
            return clean;
        }
        let shown: String = visible(&clean).collect();
        let covered = self.covered(&shown);
        if covered == shown { clean } else { covered }
    }

    fn covered(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(finder) = &known.finder else {
            return text.to_owned();
        };
        let mut covered = Vec::new();
        View::each(text, &mut |view| {
            // All matches, also those that overlap: whatever any secret covers is covered.
            let found = finder.find_overlapping_iter(&view.text);
            let whole = found.map(|found| (found.start(), found.end()));
            let places = whole.chain(known.pieces_at_cuts(&view.text));
            covered.extend(places.map(|(start, end)| view.origin(start, end)));
        });
        covered.sort_unstable();
        let mut clean = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in covered {
            // What touches the piece before belongs to the same secret: one mask for both.
            if start > at || at == 0 {
                clean.push_str(&text[at..start]);
                clean.push_str(MASK);
            }
            at = at.max(end);
        }
        clean.push_str(&text[at..]);
        clean
    }

    /// Whether the runner would find a mask in the text, and so drop it as a step's output. It
    /// masks every line of a secret, however short: one secret that is JSON masks `{`.
    pub fn masks(&self, text: &str) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.lines.iter().any(|line| text.contains(line.as_str()))
    }
}

impl KnownSecrets {
    /// What is left of secrets where the text was cut.
    fn pieces_at_cuts(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut mark = [0; 4];
        let mark = CUT.encode_utf8(&mut mark).as_bytes();
        let marks = text
            .windows(mark.len())
            .enumerate()
            .filter(|(_, w)| *w == mark);
        let mut ends = vec![(text.len(), UNMARKED)];
        let mut starts = vec![(0, UNMARKED)];
        for (at, _) in marks {
            ends.push((text[..at].trim_ascii_end().len(), SHORTEST_PIECE));
            let behind = &text[at + mark.len()..];
            let blank = behind.len() - behind.trim_ascii_start().len();
            starts.push((at + mark.len() + blank, SHORTEST_PIECE));
        }
        let known = |piece: Option<&[u8; SHORTEST_PIECE]>| {
            piece.is_some_and(|piece| self.shortest_pieces.contains(piece))
        };
        ends.retain(|(end, _)| known(text[..*end].last_chunk()));
        starts.retain(|(start, _)| known(text[*start..].first_chunk()));
        let mut found = Vec::new();
        if ends.is_empty() && starts.is_empty() {
            return found;
        }
        for (pattern, open) in &self.patterns {
            let pattern = pattern.as_bytes();
            let longest = |least: usize, fits: &dyn Fn(usize) -> bool| {
                (least..pattern.len()).rev().find(|length| fits(*length))
            };
            for (end, least) in &ends {
                let before = &text[..*end];
                let fits = |length: usize| before.ends_with(&pattern[..length]);
                found.extend(longest(*least, &fits).map(|length| (end - length, *end)));
            }
            for (start, least) in &starts {
                let behind = &text[*start..];
                let fits = |length: usize| behind.starts_with(&pattern[pattern.len() - length..]);
                let least = (*least).max(open + 1);
                found.extend(longest(least, &fits).map(|length| (*start, start + length)));
            }
        }
        found
    }
}

/// A long secret in pieces, so that it is also found where it was cut off.
fn pieces(form: &str) -> Vec<String> {
    let letters: Vec<char> = form.chars().collect();
    let count = (letters.len() / PIECE).max(1);
    (0..count)
        .map(|nth| {
            let end = if nth + 1 == count {
                letters.len()
            } else {
                (nth + 1) * PIECE
            };
            letters[nth * PIECE..end].iter().collect()
        })
        .collect()
}

/// How many bytes at the end of a URL are no secret alone: what is behind its password, and a last step of its path that
/// is words. A text may begin with the name of a database or an environment. With parameters, all of it may be secret.
fn open_end(form: &str) -> usize {
    let address = Address::of(form);
    if address.scheme.is_none() || form.contains(['?', '#']) {
        return 0;
    }
    match (
        address.password(),
        form.rsplit_once('@'),
        form.rsplit_once('/'),
    ) {
        (Some(_), Some((_, open)), _) => open.len(),
        (None, _, Some((_, step))) if is_of_words(step) => step.len(),
        _ => 0,
    }
}

/// Whether a step of a path is words, or words with a number: `production`, `eu-1`.
fn is_of_words(step: &str) -> bool {
    const MAX_NUMBER: usize = 2;
    let mut runs = step.split(['-', '_', '.']);
    runs.all(|run| {
        run.chars().all(|c| c.is_ascii_lowercase())
            || run.len() <= MAX_NUMBER && run.chars().all(|c| c.is_ascii_digit())
    }) && !is_random(step)
}

/// Not its secrets.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// What is secret of its own within a secret that is a URL or a JSON document.
fn parts(secret: &str) -> Vec<String> {
    let text = secret.trim();
    let mut found = Vec::new();
    if text.starts_with(['{', '[']) {
        if let Ok(document) = serde_json::from_str(text) {
            values(&document, false, &mut found);
        }
        return found;
    }
    let address = Address::of(text);
    if let (Some(_), Some(password)) = (address.scheme, address.password()) {
        let plain = percent_decode_str(password).decode_utf8_lossy();
        found.extend([password.to_owned(), plain.into_owned()]);
    }
    let scheme = address.scheme.unwrap_or_default();
    if matches!(&*scheme.to_ascii_lowercase(), "http" | "https") {
        found.extend(url_keys(text, address.path));
    }
    found
}

/// What of the address of a webhook is a key also alone: a step of its path that no person would write, and a value of its
/// query under a name of secrets. The name of a service, an environment or a release is not one.
fn url_keys(text: &str, path: &str) -> Vec<String> {
    let steps = path.split('/').filter(|step| is_random(step));
    let before_fragment = text.split('#').next().unwrap_or(text);
    let query = before_fragment
        .split_once('?')
        .map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(|(name, value)| {
        is_random(value) || is_query_key(name) && value.chars().count() >= MIN_QUERY_KEY
    });
    let keys = steps.chain(values.map(|(_, value)| value));
    let forms = keys.flat_map(|key| {
        let plain = percent_decode_str(key).decode_utf8_lossy().into_owned();
        [key.to_owned(), plain]
    });
    forms.collect()
}

/// A shorter one may be `none`, `true` or a word.
const MIN_QUERY_KEY: usize = 10;

/// Whether a generator wrote it: between two separators it is longer than words are, or it is a UUID.
fn is_random(step: &str) -> bool {
    const MIN_RUN: usize = 16;
    const MIN_LOWER_RUN: usize = 18;
    const HEX_OF_UUID: usize = 32;
    let is_lower = |run: &str| run.chars().all(|c| c.is_ascii_lowercase());
    let mut runs = step.split(|c: char| !c.is_alphanumeric());
    let hex = step.chars().filter(char::is_ascii_hexdigit).count();
    let is_uuid = hex == HEX_OF_UUID && step.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    is_uuid
        || runs.any(|run| {
            let length = run.chars().count();
            length >= MIN_LOWER_RUN || length >= MIN_RUN && !is_lower(run)
        })
}

/// Whether a name in a query is one of those that secrets have.
fn is_query_key(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "sig",
        "signature",
        "token",
        "key",
        "apikey",
        "secret",
        "password",
        "pass",
        "auth",
    ];
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    words.any(|word| NAMES.contains(&word))
}

/// Whether a name in lower case speaks of a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "pass",
        "pwd",
        "secret",
        "token",
        "key",
        "credential",
        "auth",
    ];
    NAMES.iter().any(|word| name.contains(word))
}

/// The texts under names that speak of a secret.
fn values(of: &Value, secret: bool, found: &mut Vec<String>) {
    match of {
        Value::String(text) if secret => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| values(one, secret, found)),
        Value::Object(all) => {
            for (name, one) in all {
                let name = name.to_ascii_lowercase();
                let secret = secret || is_secret_name(&name);
                values(one, secret, found);
            }
        }
        _ => {}
    }
}

/// Every form in which a secret is searched, except for escapes. Up to three characters are not a secret:
/// replacing each of them would make every text unreadable.
fn forms(secret: &str) -> Vec<String> {
    let lines = secret.lines().map(str::trim);
    let mut forms = Vec::new();
    for plain in [secret, secret.trim_end()]
        .into_iter()
        .chain(lines)
        .filter(|plain| plain.chars().count() > SHORT_LINE)
    {
        forms.push(plain.to_owned());
        forms.extend(base64_forms(plain.as_bytes()));
    }
    forms
}

/// The base64 text that a secret leaves behind at each alignment within a larger text.
fn base64_forms(secret: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for offset in 0..3 {
        let mut padded = vec![0; offset];
        padded.extend_from_slice(secret);
        // The first characters contain bits of the text before the secret, the last one bits of
        // the text after it: only those in between belong to the secret alone.
        let skip = [0, 2, 3][offset];
        let cut = usize::from(padded.len() % 3 != 0);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&padded);
            let own = &encoded[skip..encoded.len() - cut];
            if own.len() > SHORT_LINE {
                forms.push(own.to_owned());
            }
            if offset == 0 {
                forms.push(encoded.clone());
                forms.push(format!(
                    "{encoded}{}",
                    "=".repeat((4 - encoded.len() % 4) % 4)
                ));
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    const CANARY: &str = "c4n/ry+s3cr et\"x";

    fn hidden(text: &str) -> bool {
        let clean = Redactor::new([CANARY]).redact(text);
        clean.contains(MASK) && !clean.contains(CANARY)
    }

    #[test]
    fn the_key_of_a_webhook_is_found_without_its_address_and_no_word_of_it_is_hidden() {
        const SLACK: &str =
            "https://hooks.slack.com/services/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";
        const TEAMS: &str = "https://prod-12.westeurope.logic.azure.com:443/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=q1W2e3%2BR4t5-Y6u7";
        for (address, key) in [
            (SLACK, "aB3dE5fG7hI9jK1lM3nO5pQ7"),
            (TEAMS, "q1W2e3%2BR4t5-Y6u7"),
            (TEAMS, "q1W2e3+R4t5-Y6u7"),
            (TEAMS, "0123456789abcdef0123456789abcdef"),
            (
                "https://chat.example/hooks/0b6f5c1e-8d0a-4c2b-9f3e-1a2b3c4d5e6f/",
                "0b6f5c1e-8d0a-4c2b-9f3e-1a2b3c4d5e6f",
            ),
            (
                "HTTPS://chat.example/v1/spaces/A?key=abcd&access_token=wxyz-wxyz-1#x",
                "wxyz-wxyz-1",
            ),
            (
                "https://chat.example/hooks/qwertzuiopasdfghjkly",
                "qwertzuiopasdfghjkly",
            ),
        ] {
            let clean = Redactor::new([address]).redact(&format!("no_service {key}: gone"));
            assert_eq!(clean, "no_service ***: gone", "{address}");
        }
        for address in [
            SLACK,
            TEAMS,
            "https://shop.example/services/webhooks?for=checkout",
        ] {
            let text = "no services workflows manual invoke 1.0 webhooks checkout hooks.slack.com";
            assert_eq!(Redactor::new([address]).redact(text), text);
        }
        // What a service, an environment or a release is called.
        for (address, name) in [
            (
                "https://shop.example/deploys/eu-west-1-prod",
                "eu-west-1-prod",
            ),
            (
                "https://shop.example/eu-central-1-production/hook",
                "eu-central-1-production",
            ),
            ("https://shop.example/deploys/v2.14.0-rc1/", "v2.14.0-rc1"),
            (
                "https://shop.example/hooks/Storefront/2026-11-30",
                "Storefront",
            ),
            (
                "https://shop.example/deployment-notifications/x",
                "notifications",
            ),
            ("https://shop.example/x?bypass=production&z=1", "production"),
            (
                "https://shop.example/x?author=production-eu&design=checkout",
                "checkout",
            ),
            (
                "https://shop.example/x?token=none&assign=share",
                "share none",
            ),
        ] {
            let text = format!("now {name} serves");
            assert_eq!(Redactor::new([address]).redact(&text), text, "{address}");
        }
    }

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        assert!(hidden(CANARY));
        assert!(hidden(&format!("a{CANARY}b")));
        assert!(hidden(&STANDARD.encode(CANARY)));
        assert!(hidden(&URL_SAFE_NO_PAD.encode(CANARY)));
        assert!(hidden("c4n%2Fry%2Bs3cr%20et%22x"));
        assert!(hidden("c4n%2fry%2bs3cr%20et%22x"));
        assert!(hidden("c4n%2Fry%2Bs3cr+et%22x"));
        assert!(hidden(r#"{"k":"c4n/ry+s3cr et\"x"}"#));
    }

    #[test]
    fn a_secret_is_found_with_what_is_invisible_between_its_letters() {
        let redactor = Redactor::new(["tops3cretword"]);
        for between in ["\u{200b}", "\u{ad}", "\u{e0041}\u{feff}"] {
            let text = format!("é{between} tops3{between}cretword end");
            assert_eq!(redactor.redact(&text), format!("é {MASK} end"));
            let innocent = format!("é{between} tops3");
            assert_eq!(redactor.redact(&innocent), innocent);
        }
    }

    #[test]
    fn a_secret_is_found_at_the_end_of_a_long_text_plain_and_by_each_escape() {
        let long = "a line of a log, as long as many are; ".repeat(3_000);
        let redactor = Redactor::new(["top/s3cret word"]);
        assert_eq!(redactor.redact(&long), long);
        for written in [
            "top/s3cret word",
            r"top\/s3cret word",
            "top%2Fs3cret%20word",
            "top/s3cret+word",
            "top&#47;s3cret word",
            "top/s3\n    cret word",
            "top/s3\rcret word",
        ] {
            let clean = redactor.redact(&format!("{long}{written} end"));
            assert_eq!(clean, format!("{long}{MASK} end"), "{written}");
        }
    }

    #[test]
    fn a_secret_is_found_inside_a_longer_base64_text_at_every_alignment() {
        let redactor = Redactor::new([CANARY]);
        for before in ["", "u", "us", "use"] {
            for after in ["", "!", "!!", "!!!"] {
                let encoded = STANDARD.encode(format!("{before}{CANARY}{after}"));
                let clean = redactor.redact(&encoded);
                assert!(clean.contains(MASK), "{before:?} {after:?}: {encoded}");
            }
        }
    }

    #[test]
    fn each_line_of_a_secret_is_replaced_but_short_lines_are_left() {
        let redactor = Redactor::new(["{\n  \"key\": \"abcdef\"\n}"]);
        assert_eq!(redactor.redact("{ x }"), "{ x }");
        assert_eq!(
            redactor.redact("saw   \"key\": \"abcdef\" there"),
            "saw   *** there"
        );
    }

    #[test]
    fn a_secret_that_begins_with_another_is_replaced_whole() {
        assert_eq!(
            Redactor::new(["abcd", "abcdefgh"]).redact("<abcdefgh>"),
            "<***>"
        );
    }

    #[test]
    fn a_secret_learned_later_is_found_by_every_clone() {
        let first = Redactor::new(["abcdefgh"]);
        let clone = first.clone();
        clone.add(["ijklmnop"]);
        assert_eq!(first.redact("abcdefgh ijklmnop"), "*** ***");
    }

    #[test]
    fn secrets_that_overlap_are_covered_whole() {
        let redactor = Redactor::new(["abcdef", "defghi"]);
        assert_eq!(redactor.redact("<abcdefghi>"), "<***>");
        let long: String = ('a'..='z').cycle().take(150).collect();
        let redactor = Redactor::new([&long[..70], &long]);
        assert_eq!(redactor.redact(&format!("<{long}>")), "<***>");
    }

    #[test]
    fn hg_redact_escapes_a_secret_is_found_as_any_encoder_writes_it() {
        for text in [
            r"c4n\/ry+s3cr et\u0022x",
            r"c4n/ry\u002Bs3cr et\u0022x",
            r"c4n\u002fry\u002bs3cr\u0020et\u0022x",
            "c4n/ry+s3cr et&quot;x",
            "c4n&#x2F;ry&#43;s3cr et&#34;x",
            r"c4n\x2fry+s3cr\ et\x22x",
            "c4n%2fry+s3cr%20et&quot;x",
            "c4n%252Fry%252Bs3cr%2520et%2522x",
        ] {
            let clean = Redactor::new([CANARY]).redact(&format!("<{text}>"));
            assert_eq!(clean, "<***>", "{text}");
        }
        let key = "0123456789abcdef".repeat(20);
        let wrapped: Vec<_> = STANDARD.encode(&key).into_bytes();
        let wrapped: Vec<_> = wrapped.chunks(76).map(String::from_utf8_lossy).collect();
        let clean = Redactor::new([key]).redact(&wrapped.join("\n  "));
        assert_eq!(clean, MASK);
    }

    #[test]
    fn nothing_of_a_secret_is_left_where_a_text_was_cut() {
        let long: String = ('a'..='z').chain('A'..='Z').cycle().take(150).collect();
        let short = "d4rk-m4tter";
        let odd = "c4n/ry+s3cr;et\"x";
        let redactor = Redactor::new([long.as_str(), short, odd]);
        for secret in [long.as_str(), short, odd] {
            for kept in 4..secret.len() {
                let head = redactor.redact(&format!("token: {}… (401)", &secret[..kept]));
                assert_eq!(head, "token: ***… (401)", "{kept}");
                let tail = redactor.redact(&format!("… {}: token", &secret[secret.len() - kept..]));
                assert_eq!(tail, "… ***: token", "{kept}");
                let escaped = redactor.redact(&format!("token: {}…", url(&secret[..kept])));
                assert_eq!(escaped, "token: ***…", "{kept}");
            }
            // By another program, which leaves no mark.
            for kept in 8..secret.len() {
                let head = redactor.redact(&format!("token: {}", &secret[..kept]));
                assert_eq!(head, "token: ***", "{kept}");
            }
        }
        assert_eq!(redactor.redact("a tide… and dark…"), "a tide… and dark…");
    }

    #[test]
    fn a_text_may_begin_with_the_words_at_the_end_of_a_secret_address() {
        let at = |step: &str| {
            let redactor =
                Redactor::new([format!("https://hooks.example.com/a8f9Kd02jf8DKs83/{step}")]);
            redactor.redact(&format!("{step}: v3 is live"))
        };
        for words in ["production", "production-eu-1"] {
            assert_eq!(at(words), format!("{words}: v3 is live"));
        }
        for key in ["pr0duct10n", "Production", "a8f9-kd02-xk"] {
            assert_eq!(at(key), "***: v3 is live", "{key}");
        }
    }

    fn url(text: &str) -> String {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    }

    #[test]
    fn a_huge_secret_of_one_letter_takes_no_time() {
        let redactor = Redactor::new(["[".repeat(120_000)]);
        assert_eq!(redactor.redact(&"[".repeat(120_000)), MASK);
    }

    #[test]
    fn the_runner_masks_the_short_lines_too() {
        let redactor = Redactor::new(["[\n  \"abcdef\"\n]"]);
        assert!(redactor.masks(r#"["gpu"]"#) && !redactor.masks("gpu"));
        assert!(!Redactor::default().masks("[]"));
    }

    #[test]
    fn without_secrets_nothing_changes() {
        assert_eq!(Redactor::new([""]).redact("text"), "text");
    }

    #[test]
    fn what_is_secret_within_a_secret_is_redacted_too() {
        let redactor = Redactor::new([
            r#"{"user": "deploy-user", "db": {"Password": "hunter2hunter2"}, "apiKeys": ["k-123456"]}"#,
            "postgres://shop:p%40ss-word@db.example/shop",
        ]);
        assert_eq!(
            redactor.redact("deploy-user hunter2hunter2 k-123456 p%40ss-word p@ss-word db.example"),
            "deploy-user *** *** *** *** db.example"
        );
        // Not what only looks like one.
        let redactor = Redactor::new(["postgres://shop:hunter2@db.example/shop_production"]);
        assert_eq!(
            redactor.redact("shop_production at db.example"),
            "shop_production at db.example"
        );
        assert_eq!(redactor.redact("ter2@db.example/shop_production"), MASK);
        let redactor = Redactor::new(["{not json: secret", "https://host/a:b@c"]);
        assert_eq!(redactor.redact("secret b host"), "secret b host");
    }
}
