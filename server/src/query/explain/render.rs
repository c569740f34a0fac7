//! A tree of nodes as text, JSON, XML and YAML, in the forms that PostgreSQL's clients read.

use super::cost::{self, Cost};
use super::node::{Detail, Node};
use super::style::{Format, Style};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long it took.
pub(super) struct Times {
    pub planning: Duration,
    /// With ANALYZE.
    pub execution: Option<Duration>,
}

/// The rows of the answer: one per line of text, and one in all for the other formats.
pub(super) fn rows(node: &Node, style: Style, times: &Times) -> Vec<String> {
    match style.format {
        Format::Text => text(node, style, times),
        Format::Json => vec![serde_json::to_string_pretty(&json!([document(node, style, times)])).unwrap_or_default()],
        Format::Xml => vec![xml(&document(node, style, times))],
        Format::Yaml => vec![yaml(&document(node, style, times))],
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn text(node: &Node, style: Style, times: &Times) -> Vec<String> {
    let mut lines = Vec::new();
    text_node(node, style, 0, &mut lines);
    if style.summarizes() {
        lines.push(format!("Planning Time: {:.3} ms", ms(times.planning)));
        lines.extend(times.execution.map(|took| format!("Execution Time: {:.3} ms", ms(took))));
    }
    lines
}

/// PostgreSQL's indentation: an arrow two columns in, its own lines below the node's name.
fn text_node(node: &Node, style: Style, depth: usize, lines: &mut Vec<String>) {
    let (arrow, inner) = match depth {
        0 => (String::new(), "  ".to_string()),
        _ => (format!("{}->  ", " ".repeat(depth * 6 - 4)), " ".repeat(depth * 6 + 2)),
    };
    lines.push(arrow + &headline(node, style));
    lines.extend(node.details.iter().map(|(name, detail)| format!("{inner}{name}: {}", detail_text(detail))));
    node.children.iter().for_each(|child| text_node(child, style, depth + 1, lines));
}

fn headline(node: &Node, style: Style) -> String {
    let mut line = node.kind.clone();
    if let Some(relation) = &node.relation {
        line += &format!(" on {}", relation.split_once('.').filter(|_| !style.verbose).map_or(relation.as_str(), |(_, name)| name));
    }
    if style.costs {
        let Cost { startup, total } = node.cost;
        line += &format!("  (cost={startup:.2}..{total:.2} rows={:.0} width={})", cost::rows(node), node.row_bytes);
    }
    match &node.actual {
        Some(actual) => {
            let cpu = actual.cpu_ms.filter(|_| style.times()).map_or_else(String::new, |ms| format!(" cpu={ms:.3} ms"));
            line += &format!(" (actual rows={}{cpu} workers={})", actual.rows, actual.workers);
        }
        None if style.analyze => line += " (not measured)",
        None => {}
    }
    line
}

fn detail_text(detail: &Detail) -> String {
    match detail {
        Detail::Text(text) => text.clone(),
        Detail::List(items) => items.join(", "),
        Detail::Count(count) => count.to_string(),
    }
}

fn document(node: &Node, style: Style, times: &Times) -> Value {
    let mut top = Map::new();
    top.insert("Plan".into(), value(node, style));
    if style.summarizes() {
        top.insert("Planning Time".into(), json!(rounded(ms(times.planning))));
        top.extend(times.execution.map(|took| ("Execution Time".to_string(), json!(rounded(ms(took))))));
    }
    Value::Object(top)
}

fn rounded(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

fn hundredths(cost: f64) -> f64 {
    (cost * 100.0).round() / 100.0
}

fn value(node: &Node, style: Style) -> Value {
    let mut map = Map::new();
    map.insert("Node Type".into(), json!(if node.changes { "ModifyTable" } else { &node.kind }));
    if node.changes {
        map.insert("Operation".into(), json!(node.kind));
    }
    if let Some((schema, name)) = node.relation.as_deref().and_then(|relation| relation.split_once('.')) {
        map.insert("Relation Name".into(), json!(name));
        map.insert("Schema".into(), json!(schema));
        map.insert("Alias".into(), json!(name));
    }
    if style.costs {
        map.insert("Startup Cost".into(), json!(hundredths(node.cost.startup)));
        map.insert("Total Cost".into(), json!(hundredths(node.cost.total)));
        map.insert("Plan Rows".into(), json!(cost::rows(node) as u64));
        map.insert("Plan Width".into(), json!(node.row_bytes));
    }
    if let Some(actual) = &node.actual {
        map.insert("Actual Rows".into(), json!(actual.rows));
        map.insert("Actual Loops".into(), json!(1));
        map.insert("Workers".into(), json!(actual.workers));
        map.extend(actual.cpu_ms.filter(|_| style.times()).map(|ms| ("CPU Time".to_string(), json!(rounded(ms)))));
    }
    map.extend(node.details.iter().map(|(name, detail)| (name.clone(), detail_value(detail))));
    if !node.children.is_empty() {
        map.insert("Plans".into(), node.children.iter().map(|child| value(child, style)).collect());
    }
    Value::Object(map)
}

fn detail_value(detail: &Detail) -> Value {
    match detail {
        Detail::Text(text) => json!(text),
        Detail::List(items) => json!(items),
        Detail::Count(count) => json!(count),
    }
}

fn xml(document: &Value) -> String {
    let mut text = String::from("<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n");
    xml_element("Query", document, 1, &mut text);
    text + "</explain>"
}

fn xml_element(name: &str, value: &Value, depth: usize, text: &mut String) {
    let (tag, indent) = (name.replace(' ', "-"), "  ".repeat(depth));
    match value {
        Value::Object(map) => {
            *text += &format!("{indent}<{tag}>\n");
            map.iter().for_each(|(name, value)| xml_element(name, value, depth + 1, text));
            *text += &format!("{indent}</{tag}>\n");
        }
        Value::Array(items) => {
            let item = if name == "Plans" { "Plan" } else { "Item" };
            *text += &format!("{indent}<{tag}>\n");
            items.iter().for_each(|value| xml_element(item, value, depth + 1, text));
            *text += &format!("{indent}</{tag}>\n");
        }
        Value::String(string) => *text += &format!("{indent}<{tag}>{}</{tag}>\n", escaped(string)),
        other => *text += &format!("{indent}<{tag}>{other}</{tag}>\n"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn yaml(document: &Value) -> String {
    let mut text = String::from("- ");
    yaml_value(document, 1, &mut text);
    text.trim_end().to_string()
}

/// Writes a value whose first line begins where the text stands.
fn yaml_value(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (position, (name, value)) in map.iter().enumerate() {
                *text += &format!("{}{name}: ", if position == 0 { "" } else { &indent });
                yaml_nested(value, depth + 1, text);
            }
        }
        scalar => *text += &format!("{scalar}\n"),
    }
}

fn yaml_nested(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(_) => {
            *text += &format!("\n{indent}");
            yaml_value(value, depth, text);
        }
        Value::Array(items) => {
            text.push('\n');
            for item in items {
                *text += &format!("{indent}- ");
                yaml_value(item, depth + 1, text);
            }
        }
        scalar => *text += &format!("{scalar}\n"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::node::Actual;
    use super::*;

    fn plan() -> Node {
        let scan = Node {
            kind: "Segment Scan".into(),
            changes: false,
            relation: Some("public.t".into()),
            details: vec![("Filter".into(), Detail::Text("(a > 1)".into())), ("Segments".into(), Detail::Count(3))],
            rows_expected: None,
            row_bytes: 8,
            cost: Cost { startup: 0.0, total: 1.25 },
            actual: None,
            children: vec![],
        };
        Node {
            kind: "Sort".into(),
            details: vec![("Sort Key".into(), Detail::List(vec!["a DESC".into(), "b".into()]))],
            rows_expected: Some(7),
            row_bytes: 12,
            cost: Cost { startup: 2.5, total: 2.75 },
            children: vec![scan],
            ..Node::default()
        }
    }

    fn style(format: Format) -> Style {
        Style { analyze: false, verbose: false, costs: true, timing: None, summary: None, format }
    }

    fn shown(format: Format) -> String {
        let times = Times { planning: Duration::from_micros(1500), execution: None };
        rows(&plan(), style(format), &times).join("\n")
    }

    #[test]
    fn text_is_indented_as_postgresql_does() {
        let expected = "Sort  (cost=2.50..2.75 rows=7 width=12)\n  Sort Key: a DESC, b\n  ->  Segment Scan on t  (cost=0.00..1.25 rows=1000 width=8)\n        \
                        Filter: (a > 1)\n        Segments: 3";
        assert_eq!(shown(Format::Text), expected);
    }

    #[test]
    fn json_is_one_document_with_plans_in_plans() {
        let parsed: Value = serde_json::from_str(&shown(Format::Json)).unwrap();
        assert_eq!(parsed[0]["Plan"]["Plans"][0]["Relation Name"], "t");
        assert_eq!(parsed[0]["Plan"]["Sort Key"][0], "a DESC");
        assert_eq!(parsed[0]["Plan"]["Total Cost"], 2.75);
        assert_eq!(parsed[0]["Planning Time"], Value::Null);
    }

    #[test]
    fn xml_and_yaml_nest_the_same_document() {
        let xml = shown(Format::Xml);
        assert!(xml.contains("<Plans>\n") && xml.contains("<Filter>(a &gt; 1)</Filter>") && xml.ends_with("</explain>"), "{xml}");
        let yaml = shown(Format::Yaml);
        assert!(yaml.starts_with("- Plan: \n    Node Type: \"Sort\"") || yaml.starts_with("- Plan: \n    "), "{yaml}");
        assert!(yaml.contains("- \"a DESC\"\n"), "{yaml}");
    }

    #[test]
    fn analyze_adds_what_was_measured() {
        let mut node = plan();
        node.actual = Some(Actual { rows: 3, cpu_ms: Some(0.25), workers: 2 });
        let times = Times { planning: Duration::from_micros(1500), execution: Some(Duration::from_millis(2)) };
        let text = rows(&node, Style { analyze: true, ..style(Format::Text) }, &times).join("\n");
        assert!(text.starts_with("Sort  (cost=2.50..2.75 rows=7 width=12) (actual rows=3 cpu=0.250 ms workers=2)"), "{text}");
        assert!(text.ends_with("Planning Time: 1.500 ms\nExecution Time: 2.000 ms"), "{text}");
    }
}
