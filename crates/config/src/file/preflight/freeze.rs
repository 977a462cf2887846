//! Times in which nothing is deployed.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::CheckConfig;
use crate::value::{Date, TimeOfDay, Weight, Zone};
use sections::KeyPosition;

/// A calendar window without deployments. It begins on each of its days at `from`, and ends at
/// `to`; without times it is the whole day.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FreezeWindow {
    /// The check's name, such as `weekend`.
    pub name: String,
    /// The weekdays on which it begins. Default: every day.
    #[serde(default)]
    pub days: Vec<Weekday>,
    /// When it begins, such as `"16:00"`. Default: the day's start.
    pub from: Option<TimeOfDay>,
    /// When it ends, such as `"08:00"`: on the next day where that is not after `from`.
    /// Default: the day's end.
    pub to: Option<TimeOfDay>,
    /// The first date on which it begins, such as `2026-12-20`. Default: any.
    pub first_date: Option<Date>,
    /// The last date on which it begins. Default: any.
    pub last_date: Option<Date>,
    /// The time zone by its IANA name, such as `Europe/Paris`. Default: UTC.
    #[serde(default)]
    pub time_zone: Zone,
    /// Why, in words for the person who is stopped by it.
    pub reason: Option<String>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Weekday {
    #[serde(alias = "monday")]
    Mon,
    #[serde(alias = "tuesday")]
    Tue,
    #[serde(alias = "wednesday")]
    Wed,
    #[serde(alias = "thursday")]
    Thu,
    #[serde(alias = "friday")]
    Fri,
    #[serde(alias = "saturday")]
    Sat,
    #[serde(alias = "sunday")]
    Sun,
}

impl From<Weekday> for jiff::civil::Weekday {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Mon => Self::Monday,
            Weekday::Tue => Self::Tuesday,
            Weekday::Wed => Self::Wednesday,
            Weekday::Thu => Self::Thursday,
            Weekday::Fri => Self::Friday,
            Weekday::Sat => Self::Saturday,
            Weekday::Sun => Self::Sunday,
        }
    }
}

impl CheckConfig for FreezeWindow {
    const KEYS: &[&str] = &["name"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        match (self.first_date, self.last_date) {
            (Some(first), Some(last)) if last.get() < first.get() => spot.refuse(
                "last-date",
                "`last-date` is before `first-date`: nothing would ever be frozen",
            ),
            _ => Ok(()),
        }
    }
}
