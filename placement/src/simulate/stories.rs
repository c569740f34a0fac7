//! The scenarios that come with Plimsoll: incidents of the field, each with its source in its text, and what the planner promises.

/// Name and text of each; docs/incidents.md tells of them in this order.
pub const STORIES: [(&str, &str); 17] = [
    ("a-first-look", include_str!("scenarios/a-first-look.scenario")),
    ("wide-row-node", include_str!("scenarios/wide-row-node.scenario")),
    ("milvus-40971", include_str!("scenarios/milvus-40971.scenario")),
    ("milvus-52791", include_str!("scenarios/milvus-52791.scenario")),
    ("milvus-51244", include_str!("scenarios/milvus-51244.scenario")),
    ("milvus-45277", include_str!("scenarios/milvus-45277.scenario")),
    ("elasticsearch-79445", include_str!("scenarios/elasticsearch-79445.scenario")),
    ("druid-16335", include_str!("scenarios/druid-16335.scenario")),
    ("druid-19303", include_str!("scenarios/druid-19303.scenario")),
    ("pd-4990", include_str!("scenarios/pd-4990.scenario")),
    ("rolling-restart", include_str!("scenarios/rolling-restart.scenario")),
    ("late-and-noisy", include_str!("scenarios/late-and-noisy.scenario")),
    ("perfect-information", include_str!("scenarios/perfect-information.scenario")),
    ("lying-node", include_str!("scenarios/lying-node.scenario")),
    ("thousand-events", include_str!("scenarios/thousand-events.scenario")),
    ("static-load", include_str!("scenarios/static-load.scenario")),
    ("scale-in-and-out", include_str!("scenarios/scale-in-and-out.scenario")),
];

/// The text of a story.
pub fn by_name(name: &str) -> Option<&'static str> {
    STORIES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
