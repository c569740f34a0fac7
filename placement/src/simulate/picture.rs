//! Node loads over time, as an SVG: one panel for each policy, one line for each node, the line at which nothing more is brought, deaths.

use super::node::TrueNode;
use super::quantity::show_time;
use std::fmt::Write;

/// Samples along the time axis.
const SAMPLES: u64 = 300;
/// Nodes drawn, at most; of more, the first.
const LINES_MAX: usize = 200;
const WIDTH: u64 = 900;
const HEIGHT: u64 = 220;
const LEFT: u64 = 60;
const TOP: u64 = 40;
const PERCENT_MAX: u64 = 150;

/// What is drawn of one run.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    every_ms: u64,
    next_ms: u64,
    duration_ms: u64,
    /// Each node's memory in percent, by sample; none while it is down.
    nodes: Vec<Vec<(u64, Option<u64>)>>,
    ids: Vec<u64>,
    /// Who died when.
    pub deaths: Vec<(u64, u64)>,
}

impl Samples {
    /// For a run of that length.
    pub fn new(duration_ms: u64) -> Self {
        Self { every_ms: (duration_ms / SAMPLES).max(1), duration_ms: duration_ms.max(1), ..Self::default() }
    }

    /// Takes a sample if it is time.
    pub fn take(&mut self, now_ms: u64, nodes: &[TrueNode]) {
        if now_ms < self.next_ms {
            return;
        }
        self.next_ms = now_ms + self.every_ms;
        self.nodes.resize(nodes.len().min(LINES_MAX), Vec::new());
        self.ids = nodes.iter().map(|node| node.id.0).collect();
        for (samples, node) in self.nodes.iter_mut().zip(nodes) {
            samples.push((now_ms, node.is_up().then(|| node.memory_percent().min(PERCENT_MAX))));
        }
    }

    fn x(&self, now_ms: u64) -> u64 {
        LEFT + now_ms * WIDTH / self.duration_ms
    }

    fn panel(&self, svg: &mut String, name: &str, top: u64) {
        let y = |percent: u64| top + HEIGHT - percent * HEIGHT / PERCENT_MAX;
        let right = LEFT + WIDTH;
        let mut line = |text: String| writeln!(svg, "{text}").expect("a string takes all");
        line(format!(r#"<text x="{LEFT}" y="{}" class="name">{}</text>"#, top - 8, escaped(name)));
        for (percent, class) in [(0, "axis"), (50, "grid"), (90, "mark"), (100, "full")] {
            line(format!(
                r#"<path d="M{LEFT} {0}H{right}" class="{class}"/><text x="{1}" y="{2}" class="tick">{percent} %</text>"#,
                y(percent),
                LEFT - 6,
                y(percent) + 4
            ));
        }
        for quarter in 0..=4 {
            let at_ms = self.duration_ms * quarter / 4;
            line(format!(r#"<text x="{}" y="{}" class="time">{}</text>"#, self.x(at_ms), top + HEIGHT + 16, show_time(at_ms)));
        }
        for (at, (samples, id)) in self.nodes.iter().zip(&self.ids).enumerate() {
            let hue = at * 360 / self.nodes.len();
            line(format!(r#"<path d="{}" style="stroke:hsl({hue},65%,45%)"><title>node {id}</title></path>"#, self.path(samples, y)));
        }
        for (id, at_ms) in &self.deaths {
            line(format!(r#"<text x="{}" y="{}" class="death">&#x2715;<title>node {id} dies</title></text>"#, self.x(*at_ms), y(140)));
        }
    }

    fn path(&self, samples: &[(u64, Option<u64>)], y: impl Fn(u64) -> u64) -> String {
        let mut path = String::new();
        let mut drawing = false;
        for (at_ms, percent) in samples {
            if let Some(percent) = percent {
                write!(path, "{}{} {}", if drawing { "L" } else { "M" }, self.x(*at_ms), y(*percent)).expect("a string takes all");
            }
            drawing = percent.is_some();
        }
        path
    }
}

/// The picture of several runs of one scenario.
pub fn draw(title: &str, runs: &[(&str, &Samples)]) -> String {
    let height = TOP + runs.len() as u64 * (HEIGHT + 60);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {height}" font-family="sans-serif" font-size="12">
<style>path{{fill:none;stroke-width:1.2}}.axis{{stroke:#333}}.grid{{stroke:#ddd}}.mark{{stroke:#c80;stroke-dasharray:6 4}}.full{{stroke:#c00}}.tick{{text-anchor:end;fill:#555}}.time{{text-anchor:middle;fill:#555}}.name{{font-weight:bold}}.death{{fill:#c00;font-size:16px;text-anchor:middle}}</style>
<rect width="100%" height="100%" fill="white"/>
<text x="{LEFT}" y="18" font-size="15">{}: memory asked of each node, of its budget</text>
"#,
        LEFT + WIDTH + 40,
        escaped(title)
    );
    for (turn, (name, samples)) in runs.iter().enumerate() {
        samples.panel(&mut svg, name, TOP + 20 + turn as u64 * (HEIGHT + 60));
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_the_node_is_down_and_names_are_escaped() {
        let mut samples = Samples::new(1_000);
        samples.nodes = vec![vec![(0, Some(0)), (250, Some(50)), (500, None), (750, Some(100)), (1_000, Some(150))]];
        (samples.ids, samples.deaths) = (vec![7], vec![(7, 500)]);
        let svg = draw("a < b", &[("plimsoll", &samples)]);
        assert!(svg.contains("M60 280L285 207M735 134L960 60"), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains("node 7 dies") && svg.ends_with("</svg>\n"));
    }
}
