//! The endpoints of groups that did not pass, in rows.

use model::{MemberCounts, Outcome, Table};

/// A table for all groups; `None` where every endpoint passed.
pub(crate) fn table(outcomes: &[Outcome]) -> Option<Table> {
    let mut table = Table {
        title: "Endpoints that did not pass".to_owned(),
        header: vec!["group", "endpoint", "verdict", "reason"],
        ..Table::default()
    };
    let (mut shown, mut all) = (0, 0);
    for outcome in outcomes {
        let Some(MemberCounts {
            tally, not_passed, ..
        }) = &outcome.members
        else {
            continue;
        };
        shown += not_passed.len();
        all += tally.failed + tally.errors + tally.inconclusive;
        table.rows.extend(not_passed.iter().map(|member| {
            vec![
                outcome.id.to_string(),
                member.name.clone(),
                member.verdict.to_string(),
                member.reason.clone(),
            ]
        }));
    }
    if shown == 0 {
        return None;
    }
    if all > shown {
        table.title.push_str(&format!(" ({shown} of {all})"));
    }
    Some(table)
}
