//! `pg_timezone_names` and `pg_timezone_abbrevs`: what `TimeZone` and the zones in texts may be.

use crate::catalog::built_table::Row;
use crate::row;
use crate::types::zone::{self, Zone};
use chrono::{DateTime, Utc};

/// Abbreviations of summer time.
const SUMMER: &str = "acdt acsst adt aedt aesst akdt almst awsst azost bdst brst bst cadt cdt cest cetdst chadt clst clt easst east edt eest \
    eetdst egst fjst fnst idt kdt kgst lhdt mdt mest mesz metdst msd must ndt nzdt pdt pkst pmdt pyst sadt ulast uyst uzst wadt wdt wetdst \
    wgst yekst";

/// Columns and rows of a table of this file.
pub fn table(name: &str) -> Option<(&'static str, Vec<Row>)> {
    match name {
        "pg_timezone_names" => Some(("name text, abbrev text, utc_offset interval, is_dst boolean", names(Utc::now()))),
        "pg_timezone_abbrevs" => Some(("abbrev text, utc_offset interval, is_dst boolean", abbreviations())),
        _ => None,
    }
}

fn names(now: DateTime<Utc>) -> Vec<Row> {
    let row = |name: &'static str| {
        let zone = Zone::parse(name)?;
        let at = now.timestamp();
        let abbreviation = if zone == Zone::Utc { name.rsplit('/').next().unwrap_or(name).to_string() } else { zone.abbreviation_at(at) };
        Some(row![name, abbreviation, interval(zone.offset_at(at)), zone.is_summer_at(at)])
    };
    zone::names().filter_map(row).collect()
}

fn abbreviations() -> Vec<Row> {
    let summer = |name: &str| SUMMER.split(' ').any(|known| known == name);
    zone::abbreviations().map(|(name, minutes)| row![name.to_uppercase(), interval(minutes * 60), summer(name)]).collect()
}

/// A distance as the text of an interval, in a form that Arrow reads too.
fn interval(seconds: i32) -> String {
    format!("{} hours {} minutes {} seconds", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::interval;

    #[test]
    fn distances_are_intervals() {
        assert_eq!(interval(-12_600), "-3 hours -30 minutes 0 seconds");
        assert_eq!(interval(20_700), "5 hours 45 minutes 0 seconds");
    }
}
