//! Rules about smoke tests: every `{{name}}` has a value by then.

use std::collections::BTreeSet;

use super::rules::{exclusive, fault};
use crate::file::{SmokeProbe, SmokeRequest};
use crate::value::template::{Piece, is_name, pieces};
use yaml::Node;
use yaml::{Fault, nearest};

pub(super) fn smoke(probe: &SmokeProbe, tree: &Node, at: &str) -> Result<(), Fault> {
    let fault = |keys: &[&str], message: String| {
        let path = [&["healthgate", "smoke", at], keys].concat();
        fault(tree, &path, message)
    };
    match (probe.requests.is_empty(), &probe.hurl) {
        (true, None) => return Err(fault(&[], "neither `requests` nor `hurl` is given".into())),
        (false, Some(_)) => {
            let message = "`requests` and `hurl` exclude each other";
            return Err(fault(&["hurl"], message.into()));
        }
        _ => {}
    }
    if !probe.resolve.is_empty() && probe.proxy.as_ref().is_some_and(|it| it.url().is_some()) {
        let message = "`resolve` and `proxy` exclude each other: the proxy connects";
        return Err(fault(&["resolve"], message.into()));
    }
    let bad_name = |name: &str| format!("`{name}` is no name: letters, digits, `_` and `-`");
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for name in probe.variables.keys() {
        if !is_name(name) {
            return Err(fault(&["variables"], bad_name(name)));
        }
        known.insert(name);
    }
    for (nth, request) in probe.requests.iter().enumerate() {
        let nth = nth.to_string();
        for (key, text) in texts(request) {
            let pieces =
                pieces(text).map_err(|message| fault(&["requests", &nth, key], message))?;
            for piece in pieces {
                let Piece::Name(name) = piece else { continue };
                if !known.contains(name) {
                    let message = format!("no request before this one captures `{name}`");
                    let all: Vec<&str> = known.iter().copied().collect();
                    let fault = fault(&["requests", &nth, key], message);
                    return Err(match nearest(name, &all) {
                        Some(near) => fault.hint(format!("did you mean `{near}`?")),
                        None => fault,
                    });
                }
            }
        }
        let alone = matches!(pieces(&request.url).as_deref(), Ok([Piece::Name(_)]));
        if !alone && !request.url.starts_with("http://") && !request.url.starts_with("https://") {
            let message = "the URL is not `http://…` or `https://…`";
            return Err(fault(&["requests", &nth, "url"], message.into()));
        }
        let bodies = [
            ("body", request.body.is_some()),
            ("body-file", request.body_file.is_some()),
            ("json", request.json.is_some()),
            ("form", !request.form.is_empty()),
        ];
        exclusive(&bodies).map_err(|(key, message)| fault(&["requests", &nth, key], message))?;
        for name in request.capture.keys() {
            if !is_name(name) {
                return Err(fault(&["requests", &nth, "capture"], bad_name(name)));
            }
            known.insert(name);
        }
    }
    Ok(())
}

/// Every text of a request in which a name may stand, with its key.
fn texts(request: &SmokeRequest) -> Vec<(&'static str, &str)> {
    let mut all = vec![("url", request.url.as_str())];
    all.extend(
        request
            .headers
            .values()
            .map(|text| ("headers", text.as_str())),
    );
    all.extend(request.form.values().map(|text| ("form", text.as_str())));
    all.extend(request.body.iter().map(|text| ("body", text.as_str())));
    if let Some(json) = &request.json {
        strings(json.get(), &mut all);
    }
    all
}

fn strings<'v>(value: &'v serde_json::Value, all: &mut Vec<(&'static str, &'v str)>) {
    match value {
        serde_json::Value::String(text) => all.push(("json", text)),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, all)),
        serde_json::Value::Object(fields) => fields.values().for_each(|item| strings(item, all)),
        _ => {}
    }
}
