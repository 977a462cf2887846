//! Findings of the rules in the SQL of migrations.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Range;

use squawk_linter::ignore::{IgnoreKind, ignore_rule_info};
use squawk_linter::{Linter as SquawkLinter, Violation};
use squawk_syntax::{Parse, SourceFile};

use crate::catalog::Catalog;
use crate::effect::{Compatibility, StatementEffect, Work};
use crate::effects::{Setting, effects};
use crate::migration::{Migration, NoSqlError};
use crate::rule::{EffectRule, Level, Risk, Rule, Squawk};
use crate::safe_way::safe_way;
use crate::sql::{self, Place, Places, ReadError};
use migration_tools::Transaction;

/// A rule that is not to count, with the reason that is shown instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    pub rule: Rule,
    /// The files that it is for, as [`model::glob`] reads a pattern; all without.
    pub files: Option<String>,
    pub reason: String,
}

/// How migrations are looked at.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub ignores: Vec<Ignore>,
    /// Rules that are off otherwise; what they find fails.
    pub also: Vec<Rule>,
    /// The major version of PostgreSQL. 15, where it is not known.
    pub server: Option<u32>,
}

const SERVER: u32 = 15;

/// Why a finding does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// By a comment in the file, with what is said after the rules.
    InFile(Option<String>),
    /// By an [`Ignore`], with its reason.
    Configured(String),
}

/// One statement that a rule is against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub file: String,
    pub place: Place,
    /// Where what is found ends.
    pub end: Place,
    pub rule: Rule,
    pub level: Level,
    /// The statement on one line, cut.
    pub statement: String,
    /// Why it is found.
    pub message: String,
    /// What to do instead, in the words of the tool.
    pub way: Option<String>,
    pub ignored: Option<Ignored>,
}

impl Finding {
    pub fn concern(&self) -> Risk {
        self.rule.concern()
    }

    /// Whether it counts when a release is to go back: drops, renames, other types, values that must
    /// be there.
    pub fn matters_for_rollback(&self) -> bool {
        self.concern().matters_for_rollback()
    }
}

/// Why a migration has no findings, and no good name either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LintError {
    #[error("the rules are for PostgreSQL, and the migration is for {0}")]
    OtherDatabase(String),
    #[error(transparent)]
    NotSql(#[from] NoSqlError),
    #[error(transparent)]
    Unread(#[from] ReadError),
}

/// Looks at one migration after another, and knows which ignores fit none.
#[derive(Debug)]
pub struct Linter {
    options: Options,
    used: Vec<Cell<bool>>,
}

impl Linter {
    pub fn new(options: Options) -> Linter {
        let used = options.ignores.iter().map(|_| Cell::new(false)).collect();
        Linter { options, used }
    }

    /// The findings in a migration, in the order of the file. Those that are ignored are among them.
    /// `catalog` is afterwards as the migration leaves it, for the next one.
    pub fn lint(
        &self,
        migration: &Migration,
        catalog: &mut Catalog,
    ) -> Result<Vec<Finding>, LintError> {
        let setting = Setting {
            transaction: migration.transaction,
            server: self.options.server.unwrap_or(SERVER),
        };
        let is_known = catalog.is_complete();
        let effects = effects(&migration.sql, setting, catalog)?;
        let comments = sql::read(&migration.sql, |parse| {
            Comment::find_all(&migration.sql, parse)
        })?;
        let found = self.squawk(&migration.sql, migration, setting)?;
        let places = Places::of(&migration.sql);
        let mut findings = Vec::new();
        for violation in found
            .iter()
            .filter(|one| !is_said_better(one, &found, &migration.sql))
        {
            let statement = statement_at(&effects, &violation.range);
            if statement.is_some_and(|effect| is_needless(violation.rule, effect, is_known))
                || statement.is_some_and(|effect| migration.is_of_the_tool(effect))
            {
                continue;
            }
            findings.push(self.finding(migration, &places, violation, statement));
        }
        for effect in effects
            .iter()
            .filter(|effect| !migration.is_of_the_tool(effect))
        {
            let concerns: Vec<Risk> = found_in(&findings, effect, &places);
            for (own, message) in own_findings(effect, &concerns) {
                let violation = RuleHit {
                    rule: Rule::Effect(own),
                    range: effect.bytes.clone(),
                    message,
                    help: None,
                };
                findings.push(self.finding(migration, &places, &violation, Some(effect)));
            }
        }
        findings.extend(self.raw_operations(migration, &places));
        self.ignore(migration, &comments, &places, &mut findings);
        findings.sort_by_key(|finding| finding.place);
        Ok(findings)
    }

    /// The ignores that no finding fitted, once every migration has been looked at.
    pub fn unused(&self) -> Vec<&Ignore> {
        let both = self.options.ignores.iter().zip(&self.used);
        both.filter(|(_, used)| !used.get())
            .map(|(ignore, _)| ignore)
            .collect()
    }

    /// What squawk finds, without its own ignoring: an ignored finding is one, too.
    fn squawk(
        &self,
        text: &str,
        migration: &Migration,
        setting: Setting,
    ) -> Result<Vec<RuleHit>, ReadError> {
        let text = text.replace("squawk-ignore", "squawk_ignore");
        let also: HashSet<Rule> = self.options.also.iter().copied().collect();
        let rules = enum_iterator::all::<Squawk>().filter(|rule| {
            Rule::Squawk(*rule).level() > Level::Off || also.contains(&Rule::Squawk(*rule))
        });
        sql::read(&text, |parse| {
            let mut linter = SquawkLinter::from(rules);
            linter.settings.assume_in_transaction = match migration.transaction {
                Transaction::Whole => true,
                Transaction::Implicit => parse.tree().stmts().count() > 1,
                Transaction::AsWritten => false,
            };
            if let Ok(version) = setting.server.to_string().parse() {
                linter.settings.pg_version = version;
            }
            let violations = linter.lint(parse, &text);
            violations
                .into_iter()
                .map(RuleHit::from)
                .chain(unreadable(&text, parse))
                .collect()
        })
    }

    fn finding(
        &self,
        migration: &Migration,
        places: &Places<'_>,
        found: &RuleHit,
        statement: Option<&StatementEffect>,
    ) -> Finding {
        let asked_for = self.options.also.contains(&found.rule);
        let level = match found.rule.level() {
            Level::Off => Level::Failure,
            _ if asked_for => Level::Failure,
            level => level,
        };
        Finding {
            file: migration.file.clone(),
            place: places.at(found.range.start),
            end: places.at(found.range.end),
            rule: found.rule,
            level,
            statement: statement
                .map(|effect| effect.text.clone())
                .unwrap_or_default(),
            message: found.message.clone(),
            way: safe_way(found.rule, migration.tool).or_else(|| found.help.clone()),
            ignored: None,
        }
    }

    /// Django prints a comment for what it does in Python.
    fn raw_operations(&self, migration: &Migration, places: &Places<'_>) -> Vec<Finding> {
        let said = "CANNOT BE WRITTEN AS SQL";
        let at = migration.sql.match_indices(said);
        at.map(|(at, _)| {
            let found = RuleHit {
                rule: Rule::Effect(EffectRule::UnknownEffect),
                range: at..at + said.len(),
                message: "a part of the migration is a program, which prints no SQL".into(),
                help: None,
            };
            self.finding(migration, places, &found, None)
        })
        .collect()
    }

    fn ignore(
        &self,
        migration: &Migration,
        comments: &[Comment],
        places: &Places<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let mut needed = vec![false; comments.len()];
        for finding in findings.iter_mut() {
            let by_comment = comments.iter().position(|comment| comment.covers(finding));
            if let Some(comment) = by_comment {
                needed[comment] = true;
                finding.ignored = Some(Ignored::InFile(comments[comment].reason.clone()));
                continue;
            }
            let both = self.options.ignores.iter().zip(&self.used);
            let fitting = both.filter(|(ignore, _)| ignore.fits(finding)).last();
            if let Some((ignore, used)) = fitting {
                used.set(true);
                finding.ignored = Some(Ignored::Configured(ignore.reason.clone()));
            }
        }
        for (comment, _) in comments.iter().zip(needed).filter(|(_, needed)| !needed) {
            let found = RuleHit {
                rule: Rule::Squawk(Squawk::UnusedIgnore),
                range: comment.range.clone(),
                message: comment.describe_unused(),
                help: Some("delete the comment".into()),
            };
            findings.push(self.finding(migration, places, &found, None));
        }
    }
}

impl Ignore {
    fn fits(&self, finding: &Finding) -> bool {
        let files = self.files.as_deref();
        self.rule == finding.rule && files.is_none_or(|files| model::glob(files, &finding.file))
    }
}

/// The first error of each line: those after it follow from it.
fn unreadable(text: &str, parse: &Parse<SourceFile>) -> Vec<RuleHit> {
    let places = Places::of(text);
    let mut told = 0;
    let mut found = Vec::new();
    for error in parse.errors() {
        let range: Range<usize> = error.range().start().into()..error.range().end().into();
        let line = places.at(range.start).line;
        if std::mem::replace(&mut told, line) != line {
            found.push(RuleHit {
                rule: Rule::Effect(EffectRule::UnreadableSql),
                range,
                message: format!("the SQL cannot be read from here on: {}", error.message()),
                help: None,
            });
        }
    }
    found
}

/// Squawk asks for NOT VALID with every constraint; a key and an exclusion cannot have it, and a
/// foreign key has a rule of its own.
fn is_said_better(found: &RuleHit, all: &[RuleHit], sql: &str) -> bool {
    if found.rule != Rule::Squawk(Squawk::ConstraintMissingNotValid) {
        return false;
    }
    let better = [
        Squawk::AddingForeignKeyConstraint,
        Squawk::DisallowedUniqueConstraint,
        Squawk::AddingSerialPrimaryKeyField,
    ];
    let others = all
        .iter()
        .filter(|other| better.iter().any(|rule| other.rule == Rule::Squawk(*rule)));
    let mut same = others
        .filter(|other| other.range.start < found.range.end && found.range.start < other.range.end);
    let text = sql
        .get(found.range.clone())
        .unwrap_or_default()
        .to_lowercase();
    same.next().is_some() || text.contains("exclude")
}

/// What a rule found, before it is told.
#[derive(Clone, Debug)]
struct RuleHit {
    rule: Rule,
    range: Range<usize>,
    message: String,
    help: Option<String>,
}

impl From<Violation> for RuleHit {
    fn from(violation: Violation) -> RuleHit {
        let message = match violation.code {
            // Squawk's own speaks of generated columns.
            Squawk::AddingFieldWithDefault => {
                "Every row is written again under an `ACCESS EXCLUSIVE` lock: the default is another value for each row, or a function that may be.".into()
            }
            _ => violation.message,
        };
        RuleHit {
            rule: Rule::Squawk(violation.code),
            range: violation.text_range.start().into()..violation.text_range.end().into(),
            message,
            help: violation.help,
        }
    }
}

fn statement_at<'a>(
    effects: &'a [StatementEffect],
    range: &Range<usize>,
) -> Option<&'a StatementEffect> {
    let before = effects.partition_point(|effect| effect.bytes.start <= range.start);
    let effect = effects.get(before.checked_sub(1)?)?;
    (range.start <= effect.bytes.end).then_some(effect)
}

/// A rule looks at the words; the effects know what the statements before it made, and where the
/// catalog is known, what is there.
fn is_needless(rule: Rule, effect: &StatementEffect, is_known: bool) -> bool {
    if effect.unknown.is_some() {
        return false;
    }
    let others = effect.touched.iter().any(|touched| !touched.fresh);
    let compatible = matches!(
        effect.compatibility,
        Compatibility::Compatible | Compatibility::Restricts(_)
    );
    let fresh = !effect.touched.is_empty() && !others;
    match rule.concern() {
        Risk::Locks => fresh,
        Risk::Rewrites => fresh || effect.work() == Work::None,
        Risk::Breaks | Risk::Loses => {
            let told = fresh || is_known && !effect.touched.is_empty();
            told && compatible && effect.destroys.is_empty()
        }
        Risk::Style | Risk::Guarantee | Risk::Unknown | Risk::Fails => false,
    }
}

/// What the findings in a statement are afraid of.
fn found_in(findings: &[Finding], effect: &StatementEffect, places: &Places<'_>) -> Vec<Risk> {
    let (start, end) = (places.at(effect.bytes.start), places.at(effect.bytes.end));
    let within = findings
        .iter()
        .filter(|finding| finding.place >= start && finding.place <= end);
    within.map(Finding::concern).collect()
}

/// What the effects say and no finding does.
fn own_findings(effect: &StatementEffect, concerns: &[Risk]) -> Vec<(EffectRule, String)> {
    let mut own = Vec::new();
    let silent = |these: &[Risk]| !concerns.iter().any(|concern| these.contains(concern));
    let heavy = effect.touched.iter().filter(|touched| !touched.fresh);
    let heavy = heavy.max_by_key(|touched| (touched.work, touched.lock));
    if let Some(touched) = heavy {
        let (table, lock) = (&touched.relation, touched.lock);
        let said = lock
            .map(|lock| format!(" under a lock that is {lock}"))
            .unwrap_or_default();
        let blocks_writes = lock.is_some_and(crate::LockMode::blocks_writes);
        if matches!(touched.work, Work::Rewrite | Work::Unsure)
            && blocks_writes
            && silent(&[Risk::Rewrites, Risk::Breaks])
        {
            let may = if touched.work == Work::Unsure {
                "may be"
            } else {
                "is"
            };
            own.push((
                EffectRule::RewritesTable,
                format!("every row of {table} {may} written again{said}"),
            ));
        }
        if touched.work == Work::Scan
            && blocks_writes
            && silent(&[Risk::Locks, Risk::Rewrites, Risk::Breaks])
        {
            own.push((
                EffectRule::ScansUnderLock,
                format!("every row of {table} is read{said}"),
            ));
        }
    }
    let locks = effect.text.to_lowercase().starts_with("lock ");
    let strongest = effect
        .strongest()
        .filter(|lock| locks && lock.blocks_writes());
    if let Some(lock) = strongest {
        let message = format!("it takes {lock} and keeps it until the transaction ends");
        own.push((EffectRule::LocksTable, message));
    }
    let listed = |parts: Vec<String>| parts.join(", ");
    if let Compatibility::Breaks(breaks) = &effect.compatibility
        && silent(&[Risk::Breaks, Risk::Loses])
    {
        let told = listed(breaks.iter().map(ToString::to_string).collect());
        own.push((
            EffectRule::BreaksRelease,
            format!("the release before may use it: {told}"),
        ));
    }
    if !effect.destroys.is_empty() && silent(&[Risk::Loses]) {
        let told = listed(effect.destroys.iter().map(ToString::to_string).collect());
        own.push((EffectRule::DestroysData, format!("data are lost: {told}")));
    }
    if effect.alone && effect.in_transaction && silent(&[Risk::Fails]) {
        let message = "PostgreSQL refuses it inside a transaction".to_owned();
        own.push((EffectRule::RefusedInTransaction, message));
    }
    if let Some(why) = effect.unknown.as_ref().filter(|_| silent(&[Risk::Fails])) {
        own.push((
            EffectRule::UnknownEffect,
            format!("its effect is not known: {why}"),
        ));
    }
    own
}

/// A comment that asks for silence: `-- squawk-ignore RULE, RULE -- reason`, for the statement that
/// follows or the line it is on, or `-- squawk-ignore-file`.
#[derive(Clone, Debug)]
struct Comment {
    range: Range<usize>,
    /// None for every rule of the file.
    rules: Option<Vec<Rule>>,
    unknown: Vec<String>,
    /// The lines of the statement that it is for; the whole file without.
    lines: Option<Range<usize>>,
    reason: Option<String>,
}

impl Comment {
    fn find_all(text: &str, parse: &Parse<SourceFile>) -> Vec<Comment> {
        let places = Places::of(text);
        let tokens = parse.syntax_node().descendants_with_tokens();
        let tokens = tokens.filter_map(squawk_syntax::SyntaxElement::into_token);
        let mut comments = Vec::new();
        for token in tokens {
            let Some((names, _, kind)) = ignore_rule_info(&token) else {
                continue;
            };
            let range: Range<usize> =
                token.text_range().start().into()..token.text_range().end().into();
            let (mut rules, mut unknown) = (Vec::new(), Vec::new());
            let names: Vec<&str> = names
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .collect();
            for name in &names {
                match name.parse::<Rule>() {
                    Ok(rule) => rules.push(rule),
                    Err(_) => unknown.push((*name).to_owned()),
                }
            }
            let said = token.text().trim_end_matches("*/");
            let reason = said.get(2..).and_then(|said| said.split_once("--"));
            let reason = reason.map(|(_, reason)| reason.trim().to_owned());
            comments.push(Comment {
                lines: match kind {
                    IgnoreKind::File => None,
                    IgnoreKind::Line => Some(lines_after(text, &range, &places)),
                },
                range,
                // As with squawk, one line is not silenced as a whole.
                rules: (!names.is_empty() || matches!(kind, IgnoreKind::Line)).then_some(rules),
                unknown,
                reason: reason.filter(|reason| !reason.is_empty()),
            });
        }
        comments
    }

    fn covers(&self, finding: &Finding) -> bool {
        let rule = self
            .rules
            .as_ref()
            .is_none_or(|rules| rules.contains(&finding.rule));
        let line = self
            .lines
            .as_ref()
            .is_none_or(|lines| lines.contains(&finding.place.line));
        rule && line
    }

    fn describe_unused(&self) -> String {
        if self.rules.as_ref().is_some_and(Vec::is_empty) && self.unknown.is_empty() {
            return "the comment names no rule".into();
        }
        if self.unknown.is_empty() {
            return "nothing is found that the comment ignores".into();
        }
        format!("no rule is called {}", self.unknown.join(", "))
    }
}

/// The line of the comment, where something stands before it; otherwise the next line that is no
/// comment. So squawk reads it, too.
fn lines_after(text: &str, range: &Range<usize>, places: &Places<'_>) -> Range<usize> {
    let line = places.at(range.start).line;
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    if !text[start..range.start].trim().is_empty() {
        return line..line + 1;
    }
    let mut next = places.at(range.end).line + 1;
    for line in text[range.end..].lines().skip(1) {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with("--") && !line.starts_with("/*") {
            break;
        }
        next += 1;
    }
    line..next + 1
}
