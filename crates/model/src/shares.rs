//! Shares of the requests, as `traffic` reports them; a share is a part of the requests, 0.1 for 10 %.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::Redactor;

/// What one side of a router has at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct SideShare {
    pub place: String,
    /// `blue` or `green`.
    pub side: &'static str,
    /// What is behind the router: an address, a server's name.
    pub name: String,
    /// The release that it answers; `None` where it does not answer.
    pub release: Option<String>,
    /// By the configuration; `None` where that is no split.
    pub configured: Option<f64>,
    /// By the router's own word; `None` where it does not tell.
    pub loaded: Option<f64>,
    /// Of the answers; `None` where they do not tell the sides apart.
    pub observed: Option<f64>,
}

/// What another made of a share that was set at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignShare {
    pub place: String,
    /// The release whose share it is.
    pub release: String,
    pub set: f64,
    /// `None` where it is no split between the two sides any more.
    pub found: Option<f64>,
    /// Both, in words.
    pub reason: String,
}

/// A change of a share that was made, or begun.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareChange {
    pub at: Timestamp,
    /// In words: `v2 at 10%`.
    pub from: Option<String>,
    pub to: String,
    /// The release whose share was changed; `None` in what earlier builds wrote.
    pub release: Option<String>,
    /// The one beside it; `None` where its side did not answer.
    pub stable: Option<String>,
    pub before: Option<f64>,
    pub after: Option<f64>,
    /// What another gave the release at each place; `None` where that is no split.
    pub foreign: BTreeMap<String, Option<f64>>,
    /// How it ended: a verdict, `superseded`, `foreign-change`, or `unfinished`.
    pub ended: String,
    /// Why it was made, or did not take effect.
    pub reason: Option<String>,
}

impl SideShare {
    #[must_use]
    pub fn redacted(self, redactor: &Redactor) -> Self {
        let SideShare {
            place,
            side,
            name,
            release,
            configured,
            loaded,
            observed,
        } = self;
        SideShare {
            place: redactor.redact(&place),
            side,
            name: redactor.redact(&name),
            release: release.map(|release| redactor.redact(&release)),
            configured,
            loaded,
            observed,
        }
    }
}

impl ForeignShare {
    #[must_use]
    pub fn redacted(self, redactor: &Redactor) -> Self {
        let ForeignShare {
            place,
            release,
            set,
            found,
            reason,
        } = self;
        ForeignShare {
            place: redactor.redact(&place),
            release: redactor.redact(&release),
            set,
            found,
            reason: redactor.redact(&reason),
        }
    }
}

impl ShareChange {
    #[must_use]
    pub fn redacted(self, redactor: &Redactor) -> Self {
        let ShareChange {
            at,
            from,
            to,
            release,
            stable,
            before,
            after,
            foreign,
            ended,
            reason,
        } = self;
        let clean = |text: Option<String>| text.map(|text| redactor.redact(&text));
        let foreign = foreign.into_iter();
        ShareChange {
            at,
            from: clean(from),
            to: redactor.redact(&to),
            release: clean(release),
            stable: clean(stable),
            before,
            after,
            foreign: foreign
                .map(|(place, share)| (redactor.redact(&place), share))
                .collect(),
            ended: redactor.redact(&ended),
            reason: clean(reason),
        }
    }
}
