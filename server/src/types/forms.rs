//! The forms in which a session reads and writes values: what its settings say about their texts.

use super::zone::Zone;
use crate::error::SqlError;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use std::any::Any;
use std::sync::LazyLock;

/// What a session says about how values are read and written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ValueForms {
    /// `TimeZone`, for timestamptz.
    pub time_zone: String,
    /// `extra_float_digits`.
    pub extra_float_digits: i32,
    /// `DateStyle`, `IntervalStyle`, `bytea_output`.
    pub styles: Styles,
}

impl Default for ValueForms {
    fn default() -> Self {
        Self { time_zone: "UTC".into(), extra_float_digits: 1, styles: Styles::default() }
    }
}

static DEFAULT: LazyLock<ValueForms> = LazyLock::new(ValueForms::default);

impl ValueForms {
    /// Those that the functions of a query find in its options; the default where there are none.
    pub fn of_options(options: &ConfigOptions) -> &Self {
        options.extensions.get::<Self>().unwrap_or(&DEFAULT)
    }
    /// Those that do not depend on settings, in a zone.
    pub fn in_zone(time_zone: &str) -> Self {
        Self { time_zone: time_zone.to_string(), ..Self::default() }
    }
    /// The same with moments in ISO's form, which JSON has whatever DateStyle says.
    pub fn with_iso_dates(&self) -> Self {
        Self { styles: Styles { date: DateForm::Iso, ..self.styles }, ..self.clone() }
    }
    /// The session's time zone.
    pub fn zone(&self) -> Zone {
        Zone::parse(&self.time_zone).unwrap_or(Zone::Utc)
    }
    /// What texts are read by.
    pub fn reading(&self) -> Reading {
        Reading { zone: self.zone(), order: self.styles.order, interval: self.styles.interval }
    }
}

impl ExtensionOptions for ValueForms {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }
    fn set(&mut self, key: &str, _value: &str) -> datafusion::common::Result<()> {
        Err(SqlError::internal(format!("{key} is set by the session's settings")).into())
    }
    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

impl ConfigExtension for ValueForms {
    const PREFIX: &'static str = "value_forms";
}

/// What the text of a moment or interval is read by.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Where moments are that do not say it.
    pub zone: Zone,
    /// Which of a date's numbers is the day.
    pub order: DateOrder,
    /// `sql_standard` gives a leading sign to all fields.
    pub interval: IntervalForm,
}

impl Default for Reading {
    fn default() -> Self {
        Self { zone: Zone::Utc, order: DateOrder::default(), interval: IntervalForm::default() }
    }
}

/// The order of a date's numbers: DateStyle's second word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// How dates are written: DateStyle's first word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DateForm {
    /// 2001-02-03
    #[default]
    Iso,
    /// 02/03/2001
    Sql,
    /// 02-03-2001, Sat Feb 03 04:05:06 2001
    Postgres,
    /// 03.02.2001
    German,
}

/// How intervals are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IntervalForm {
    /// 1 year 2 mons 04:05:06
    #[default]
    Postgres,
    /// @ 1 year 2 mons 4 hours 5 mins 6 secs
    Verbose,
    /// +1-2 +0 +4:05:06
    SqlStandard,
    /// P1Y2MT4H5M6S
    Iso8601,
}

/// The styles of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Styles {
    /// DateStyle's first word.
    pub date: DateForm,
    /// Its second: the order in which dates are read, and written where the style leaves that open.
    pub order: DateOrder,
    /// IntervalStyle.
    pub interval: IntervalForm,
    /// `bytea_output = escape`.
    pub escaped_bytes: bool,
}

impl Styles {
    /// Styles by the values of the settings.
    pub fn of_settings(date_style: &str, interval_style: &str, bytea_output: &str) -> Self {
        let (date, order) = date_style.split_once(", ").unwrap_or((date_style, ""));
        Self {
            date: match date {
                "SQL" => DateForm::Sql,
                "Postgres" => DateForm::Postgres,
                "German" => DateForm::German,
                _ => DateForm::Iso,
            },
            order: match order {
                "DMY" => DateOrder::Dmy,
                "YMD" => DateOrder::Ymd,
                _ => DateOrder::Mdy,
            },
            interval: match interval_style {
                "postgres_verbose" => IntervalForm::Verbose,
                "sql_standard" => IntervalForm::SqlStandard,
                "iso_8601" => IntervalForm::Iso8601,
                _ => IntervalForm::Postgres,
            },
            escaped_bytes: bytea_output == "escape",
        }
    }
}
