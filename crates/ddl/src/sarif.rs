//! Findings as SARIF 2.1.0, which GitHub shows beside a pull request's lines.
//!
//! By the OASIS standard "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::lint::{Finding, Ignored};
use crate::rule::{Level, Risk, Rule};

/// The findings of one run, with the rules that are named in them. `version` is the version of the
/// program that looked.
pub fn sarif(version: &str, findings: &[Finding]) -> Value {
    let rules: BTreeMap<String, &Finding> = findings
        .iter()
        .map(|finding| (finding.rule.to_string(), finding))
        .collect();
    let index = |rule: &Rule| rules.keys().position(|id| *id == rule.to_string());
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| result(finding, index(&finding.rule)))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "deploy-guard migrate lint",
                "version": version,
                "rules": rules.values().map(|finding| rule(finding)).collect::<Vec<_>>(),
            }},
            // The file's columns, as they are counted here.
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(finding: &Finding) -> Value {
    let rule = finding.rule;
    let mut told = json!({
        "id": rule.to_string(),
        "shortDescription": { "text": finding.message },
        "help": { "text": finding.way.as_deref().unwrap_or(&finding.message) },
        "defaultConfiguration": { "level": level(rule.level()) },
        "properties": { "tags": tags(rule.concern()) },
    });
    if let Some(uri) = rule.help_uri() {
        told["helpUri"] = uri.into();
    }
    told
}

fn tags(concern: Risk) -> Vec<&'static str> {
    let mut tags = vec!["migration", concern.name()];
    if concern.matters_for_rollback() {
        tags.push("rollback");
    }
    tags
}

fn result(finding: &Finding, rule: Option<usize>) -> Value {
    let way = finding
        .way
        .as_deref()
        .map(|way| format!("\n{way}"))
        .unwrap_or_default();
    let mut told = json!({
        "ruleId": finding.rule.to_string(),
        "ruleIndex": rule,
        "level": level(finding.level),
        "message": { "text": format!("{}{way}", finding.message) },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.file) },
            "region": {
                "startLine": finding.place.line,
                "startColumn": finding.place.column,
                "endLine": finding.end.line,
                "endColumn": finding.end.column,
            },
        }}],
    });
    if let Some(ignored) = &finding.ignored {
        told["suppressions"] = json!([suppression(ignored)]);
    }
    told
}

fn suppression(ignored: &Ignored) -> Value {
    let (kind, reason) = match ignored {
        Ignored::InFile(reason) => ("inSource", reason.as_deref()),
        Ignored::Configured(reason) => ("external", Some(reason.as_str())),
    };
    let mut told = json!({ "kind": kind, "status": "accepted" });
    if let Some(reason) = reason {
        told["justification"] = reason.into();
    }
    told
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Failure => "error",
        Level::Advice => "warning",
        Level::Off => "none",
    }
}

/// A relative reference: what may not stand in a path is escaped (RFC 3986, 3.3).
fn uri(file: &str) -> String {
    let mut uri = String::new();
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'/'
            | b'+'
            | b'@' => {
                uri.push(char::from(byte));
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
