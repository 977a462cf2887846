//! What a migration is to the release before, as a whole.

use std::fmt;

use crate::effect::{Break, Compatibility, LockMode, Part, Reversible, StatementEffect, Work};

/// What a migration is to the release before, least harm first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The release before works on the schema.
    Compatible,
    /// A statement of it cannot be told.
    Unknown,
    /// The release before does not work on the schema.
    Breaks,
    /// Data are lost; most often the release before breaks, too.
    Destructive,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Compatible => "compatible with the release before",
            Class::Unknown => "not known from its statements",
            Class::Breaks => "breaks the release before",
            Class::Destructive => "destructive",
        })
    }
}

/// A migration's statements together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub class: Class,
    /// What the release before may use, and can no longer.
    pub breaks: Vec<Break>,
    pub destroys: Vec<Part>,
    /// Rows that are refused and were not before, in words.
    pub restricts: Vec<String>,
    /// Why something cannot be told, in words.
    pub unknown: Vec<String>,
    /// Whether every statement can be undone by another one.
    pub reversible: Reversible,
    /// The strongest lock on a relation that others use.
    pub strongest: Option<LockMode>,
    pub work: Work,
}

impl Summary {
    pub fn of(effects: &[StatementEffect]) -> Summary {
        let mut summary = Summary {
            class: Class::Compatible,
            breaks: Vec::new(),
            destroys: Vec::new(),
            restricts: Vec::new(),
            unknown: Vec::new(),
            reversible: Reversible::Yes,
            strongest: effects.iter().filter_map(StatementEffect::strongest).max(),
            work: effects
                .iter()
                .map(StatementEffect::work)
                .max()
                .unwrap_or_default(),
        };
        for effect in effects {
            summary.take(effect);
        }
        summary.class = if !summary.destroys.is_empty() {
            Class::Destructive
        } else if !summary.breaks.is_empty() {
            Class::Breaks
        } else if !summary.unknown.is_empty() {
            Class::Unknown
        } else {
            Class::Compatible
        };
        summary
    }

    fn take(&mut self, effect: &StatementEffect) {
        match &effect.compatibility {
            Compatibility::Compatible => {}
            Compatibility::Restricts(why) => self.restricts.push(why.clone()),
            Compatibility::Breaks(breaks) => self.breaks.extend(breaks.iter().cloned()),
            Compatibility::Unknown(why) => self.unknown.push(why.clone()),
        }
        self.unknown.extend(
            effect
                .unknown
                .clone()
                .filter(|why| !self.unknown.contains(why)),
        );
        self.destroys.extend(effect.destroys.iter().cloned());
        match (&self.reversible, &effect.reversible) {
            (Reversible::No(_), _) | (_, Reversible::Yes) => {}
            (_, worse) => self.reversible = worse.clone(),
        }
    }
}
