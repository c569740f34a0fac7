//! Abbreviations of time zones that texts may have, as PostgreSQL's default set knows them.

/// Abbreviations and how many minutes they are east of Greenwich.
const ABBREVIATIONS: [(&str, i32); 96] = [
    ("acdt", 630),
    ("acst", 570),
    ("adt", -180),
    ("aedt", 660),
    ("aest", 600),
    ("akdt", -480),
    ("akst", -540),
    ("almt", 360),
    ("art", -180),
    ("ast", -240),
    ("awst", 480),
    ("azt", 240),
    ("bdt", 360),
    ("bnt", 480),
    ("bot", -240),
    ("brst", -120),
    ("brt", -180),
    ("bst", 60),
    ("cadt", 630),
    ("cast", 570),
    ("cct", 480),
    ("cdt", -300),
    ("cest", 120),
    ("cet", 60),
    ("cetdst", 120),
    ("chadt", 825),
    ("chast", 765),
    ("chst", 600),
    ("clst", -180),
    ("clt", -240),
    ("cot", -300),
    ("cst", -360),
    ("cxt", 420),
    ("davt", 420),
    ("eat", 180),
    ("edt", -240),
    ("eest", 180),
    ("eet", 120),
    ("est", -300),
    ("fet", 180),
    ("fjt", 720),
    ("fkt", -180),
    ("galt", -360),
    ("gest", 240),
    ("get", 240),
    ("gft", -180),
    ("gilt", 720),
    ("gmt", 0),
    ("gyt", -240),
    ("hkt", 480),
    ("hst", -600),
    ("ict", 420),
    ("idt", 180),
    ("iot", 360),
    ("irkt", 480),
    ("irt", 210),
    ("ist", 120),
    ("jst", 540),
    ("kdt", 600),
    ("kgt", 360),
    ("kst", 540),
    ("lhdt", 660),
    ("ligt", 600),
    ("magt", 660),
    ("mart", -570),
    ("mdt", -360),
    ("mesz", 120),
    ("met", 60),
    ("metdst", 120),
    ("mez", 60),
    ("mht", 720),
    ("mmt", 390),
    ("msd", 240),
    ("msk", 180),
    ("mst", -420),
    ("mut", 240),
    ("mvt", 300),
    ("myt", 480),
    ("ndt", -150),
    ("nft", -210),
    ("novt", 420),
    ("npt", 345),
    ("nst", -210),
    ("nzdt", 780),
    ("nzst", 720),
    ("omst", 360),
    ("pdt", -420),
    ("pet", -300),
    ("pgt", 600),
    ("pht", 480),
    ("pkt", 300),
    ("pst", -480),
    ("sgt", 480),
    ("ut", 0),
    ("utc", 0),
    ("wet", 0),
];

/// More of them, with the words for UTC.
const MORE: [(&str, i32); 14] = [
    ("uct", 0),
    ("z", 0),
    ("zulu", 0),
    ("west", 60),
    ("wetdst", 60),
    ("wadt", 480),
    ("wast", 420),
    ("wat", 60),
    ("uyt", -180),
    ("uzt", 300),
    ("vet", -240),
    ("vlat", 600),
    ("yekt", 300),
    ("sadt", 630),
];

/// All abbreviations, and how many minutes they are east of Greenwich.
pub(super) fn all() -> impl Iterator<Item = (&'static str, i32)> {
    ABBREVIATIONS.iter().chain(&MORE).copied()
}

/// Seconds east of Greenwich of an abbreviation in any case.
pub(super) fn seconds_east(word: &str) -> Option<i32> {
    let found = ABBREVIATIONS.iter().chain(&MORE).find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map(|(_, minutes)| minutes * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_are_distances() {
        assert_eq!((seconds_east("EST"), seconds_east("zulu"), seconds_east("nowhere")), (Some(-18_000), Some(0), None));
    }
}
