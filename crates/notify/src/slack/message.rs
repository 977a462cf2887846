//! A notice as Slack shows it: blocks within Slack's limits, and nothing in them that the notice's author did not
//! mean as text.
//!
//! Text is `plain_text`, in which Slack reads no markup, and links are written by us alone. What Slack takes for
//! control characters is escaped all the same: <https://api.slack.com/reference/surfaces/formatting#escaping>.

use model::text::CUT;
use serde_json::{Value, json};

use crate::{Notice, outside};

const HEADER: usize = 150;
const SECTION: usize = 3000;
const FIELDS: usize = 10;
/// Slack takes 2000 for a field. With ten of them and the rest, a message would have more than the 13,200 characters
/// that it takes in all.
const MAX_FIELD_CHARS: usize = 400;
const MAX_LINKS: usize = 4;
const LABEL: usize = 75;
const BETWEEN: &str = "  ·  ";
/// What Slack takes in a message.
const MAX_BLOCKS: usize = 50;
const MAX_MESSAGE: usize = 13_200;

/// The message that tells these notices, without the channel.
pub(super) fn of(notices: &[&Notice]) -> Value {
    let mut all = Vec::new();
    for notice in notices {
        if !all.is_empty() {
            all.push(json!({"type": "divider"}));
        }
        all.extend(blocks(notice));
    }
    let titles: Vec<String> = notices.iter().map(|notice| title(notice)).collect();
    json!({
        // What a notification on a phone shows.
        "text": escaped(&outside::line(&titles.join(BETWEEN), HEADER), 3 * HEADER),
        "mrkdwn": false,
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": all,
    })
}

/// Whether one message can tell them.
pub(super) fn fits(notices: &[Notice]) -> bool {
    let blocks: Vec<Value> = notices.iter().flat_map(blocks).collect();
    let length: usize = blocks.iter().map(length).sum();
    blocks.len() + notices.len() <= MAX_BLOCKS && length <= MAX_MESSAGE
}

/// The characters of all texts in it.
fn length(block: &Value) -> usize {
    match block {
        Value::String(text) => text.chars().count(),
        Value::Array(all) => all.iter().map(length).sum(),
        Value::Object(all) => all.values().map(length).sum(),
        _ => 0,
    }
}

fn blocks(notice: &Notice) -> Vec<Value> {
    let title = title(notice);
    let mut blocks = vec![json!({"type": "header", "text": plain(&title, HEADER)})];
    if !notice.body.trim().is_empty() {
        blocks.push(json!({"type": "section", "text": plain(notice.body.trim(), SECTION)}));
    }
    let fields = fields(notice);
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    let mut room = SECTION;
    let links: Vec<String> = notice
        .web_links(MAX_LINKS)
        .map(|(label, url)| format!("<{}|{}>", address(&url), name(label)))
        .take_while(|link| {
            let length = link.chars().count() + BETWEEN.chars().count();
            let has_room = length <= room;
            room = room.saturating_sub(length);
            has_room
        })
        .collect();
    if !links.is_empty() {
        let text = json!({"type": "mrkdwn", "text": links.join(BETWEEN), "verbatim": true});
        blocks.push(json!({"type": "context", "elements": [text]}));
    }
    blocks
}

fn title(notice: &Notice) -> String {
    format!("{} {}", notice.phase.emoji(), notice.title)
}

fn fields(notice: &Notice) -> Vec<Value> {
    let rows = notice.rows(FIELDS).into_iter();
    let row = |(label, value): (&str, String)| {
        let label = outside::line(label, LABEL);
        plain(&format!("{label}: {value}"), MAX_FIELD_CHARS)
    };
    rows.map(row).collect()
}

/// A `plain_text` of at most so many characters as Slack counts them, which is escaped.
fn plain(text: &str, most: usize) -> Value {
    let text = escaped(&outside::text(text, most), most);
    json!({"type": "plain_text", "text": text, "emoji": false})
}

/// Control characters escaped; at most so many characters, with a mark where there were more.
fn escaped(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    // Where it can be cut with room for the mark.
    let mut end = 0;
    for c in text.chars() {
        let before = out.len();
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
        length += out[before..].chars().count();
        if length > most {
            out.truncate(end);
            out.push(CUT);
            break;
        }
        if length < most {
            end = out.len();
        }
    }
    out
}

/// A URL as it stands in `<…|…>`: in its normal form it has no `<`, `>` or space, and `|` would end it.
fn address(url: &url::Url) -> String {
    url.as_str().replace('&', "&amp;").replace('|', "%7C")
}

/// The text of a link, in which Slack reads markup.
fn name(label: &str) -> String {
    let plain = |c: char| if "*_~`|".contains(c) { ' ' } else { c };
    let label: String = outside::line(label, LABEL).chars().map(plain).collect();
    escaped(&label, 3 * LABEL)
}
