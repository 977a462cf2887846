//! How settings of the database session reach a tool that is not ours, without a change to it.

use std::time::Duration;

use database::System;

/// What the tool's session should be limited by. No setting is made for `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How long a statement may wait for a lock.
    pub lock_timeout: Option<Duration>,
    /// How long a statement may take. MySQL has none for statements that change something.
    pub statement_timeout: Option<Duration>,
    /// How long an open transaction may rest. PostgreSQL's alone.
    pub idle_timeout: Option<Duration>,
}

impl Settings {
    /// Names and values, as the system calls and counts them.
    fn pairs(&self, system: System) -> Vec<(&'static str, String)> {
        let millis = |time: Duration| time.as_millis().max(1).to_string();
        // MariaDB and MySQL know whole seconds, and 0 means at once.
        let seconds = |time: Duration| time.as_secs_f64().ceil().max(1.0).to_string();
        let all = match system {
            System::Postgres => vec![
                ("lock_timeout", self.lock_timeout.map(millis)),
                ("statement_timeout", self.statement_timeout.map(millis)),
                (
                    "idle_in_transaction_session_timeout",
                    self.idle_timeout.map(millis),
                ),
            ],
            System::MySql => vec![
                ("lock_wait_timeout", self.lock_timeout.map(seconds)),
                ("innodb_lock_wait_timeout", self.lock_timeout.map(seconds)),
            ],
        };
        let given = |(name, value): (_, Option<String>)| Some((name, value?));
        all.into_iter().filter_map(given).collect()
    }
}

/// How settings reach a tool's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitTransport {
    /// `PGOPTIONS`: libpq, node's pg, Go's lib/pq and pgx read it.
    PgOptions,
    /// The parameter `options` of the URL: Prisma's driver and JDBC.
    UrlOptions,
    /// Parameters of the URL by the names of the settings: Go's driver of MySQL.
    UrlParameters,
    /// SQL that Flyway runs first.
    FlywayInitSql,
    /// The tool has no such setting: the limits are kept from outside alone.
    None,
}

/// What is added to a tool's environment and to its URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseAccess {
    pub env: Vec<(String, String)>,
    /// Parameters of the URL, not yet percent-encoded.
    pub url: Vec<(String, String)>,
}

impl LimitTransport {
    /// The settings by this way. `before` is the value of `PGOPTIONS` that the tool would have had.
    pub fn reach(
        self,
        settings: &Settings,
        system: System,
        before: Option<&str>,
    ) -> DatabaseAccess {
        let pairs = settings.pairs(system);
        let mut reach = DatabaseAccess::default();
        if pairs.is_empty() {
            return reach;
        }
        let options = || {
            let each = pairs
                .iter()
                .map(|(name, value)| format!("-c {name}={value}"));
            each.collect::<Vec<_>>().join(" ")
        };
        match self {
            LimitTransport::PgOptions => {
                let own = before.filter(|before| !before.trim().is_empty());
                let all = own.into_iter().map(str::to_owned).chain([options()]);
                let all = all.collect::<Vec<_>>().join(" ");
                reach.env.push(("PGOPTIONS".to_owned(), all));
            }
            LimitTransport::UrlOptions => reach.url.push(("options".to_owned(), options())),
            LimitTransport::UrlParameters => {
                reach.url = pairs
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
            }
            LimitTransport::FlywayInitSql => {
                let each = pairs
                    .iter()
                    .map(|(name, value)| format!("SET {name} = {value}"));
                let sql = each.collect::<Vec<_>>().join("; ");
                reach.env.push(("FLYWAY_INIT_SQL".to_owned(), sql));
            }
            LimitTransport::None => {}
        }
        reach
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        lock_timeout: Some(Duration::from_millis(1500)),
        statement_timeout: Some(Duration::from_secs(40)),
        idle_timeout: None,
    };

    #[test]
    fn what_the_environment_has_already_stays_and_ours_is_last() {
        let reach = LimitTransport::PgOptions.reach(
            &SETTINGS,
            System::Postgres,
            Some("-c search_path=shop"),
        );
        let all = "-c search_path=shop -c lock_timeout=1500 -c statement_timeout=40000";
        assert_eq!(reach.env, [("PGOPTIONS".to_owned(), all.to_owned())]);
    }

    #[test]
    fn mysql_waits_in_whole_seconds_and_never_zero() {
        let reach = LimitTransport::UrlParameters.reach(&SETTINGS, System::MySql, None);
        let own = |name: &str| (name.to_owned(), "2".to_owned());
        assert_eq!(
            reach.url,
            ["lock_wait_timeout", "innodb_lock_wait_timeout"].map(own)
        );
        let none = Settings::default();
        assert_eq!(
            LimitTransport::PgOptions.reach(&none, System::Postgres, None),
            DatabaseAccess::default()
        );
    }
}
