//! Every story ends as its text expects.

use super::{Arguments, Output, run, scenario_file, stories};

/// Plays a story with the policies that its expectations name.
fn play(name: &str) -> Output {
    let text = stories::by_name(name).unwrap_or_else(|| panic!("there is no story {name}"));
    let scenario = scenario_file::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut policies: Vec<String> = Vec::new();
    for it in &scenario.expectations {
        if !policies.contains(&it.policy) {
            policies.push(it.policy.clone());
        }
    }
    run(&Arguments { text: text.into(), seed: None, policies }).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn ends_as_expected(name: &str) {
    let output = play(name);
    let transcript: Vec<_> = output.transcripts[0].1.lines().collect();
    let end = transcript[transcript.len().saturating_sub(40)..].join("\n");
    assert!(output.broken.is_empty(), "{name}:\n{}\n{}\n{end}", output.broken.join("\n"), output.summary);
}

#[test]
fn the_wide_row_node() {
    ends_as_expected("wide-row-node");
}

#[test]
fn long_values_make_nodes_uneven() {
    ends_as_expected("milvus-40971");
}

#[test]
fn all_nodes_restart_cold() {
    ends_as_expected("milvus-52791");
}

#[test]
fn moves_do_not_net_to_zero() {
    ends_as_expected("milvus-51244");
}

#[test]
fn new_nodes_are_not_flooded() {
    ends_as_expected("milvus-45277");
}

#[test]
fn a_refusal_survives_the_leader() {
    ends_as_expected("elasticsearch-79445");
}

#[test]
fn a_skew_of_disks_goes() {
    ends_as_expected("druid-16335");
}

#[test]
fn full_disks_get_nothing() {
    ends_as_expected("druid-19303");
}

#[test]
fn scaling_out_is_fast() {
    ends_as_expected("pd-4990");
}

#[test]
fn a_restart_moves_nothing() {
    ends_as_expected("rolling-restart");
}

/// A jump of heat is as likely to hit one placement as another: six seeds, summed up.
#[test]
fn late_and_noisy_reports_cost_little() {
    let (late, perfect) = late_and_perfect_overload();
    println!("{late} s of overload, {perfect} s with perfect information");
    assert!(perfect > 0 && late * 10 <= perfect * 12, "{late} s of overload, and {perfect} s with perfect information");
}

/// Seconds of overload, of six seeds.
fn late_and_perfect_overload() -> (u64, u64) {
    let overload = |name: &str, seed: u64| {
        let text = stories::by_name(name).expect("it is a story").to_string();
        let output = run(&Arguments { text, seed: Some(seed), policies: vec!["plimsoll".into()] }).expect("it can be played");
        assert!(output.broken.is_empty(), "{name}, seed {seed}:\n{}\n{}", output.broken.join("\n"), output.summary);
        output.measured("plimsoll", "overload-seconds")
    };
    (1..=6).fold((0, 0), |sum, seed| (sum.0 + overload("late-and-noisy", seed), sum.1 + overload("perfect-information", seed)))
}

#[test]
fn one_node_lies() {
    ends_as_expected("lying-node");
}

#[test]
fn a_thousand_random_events() {
    ends_as_expected("thousand-events");
}

#[test]
fn a_static_load_comes_to_rest() {
    ends_as_expected("static-load");
}

#[test]
fn a_day_in_a_clusters_life() {
    ends_as_expected("scale-in-and-out");
}

/// As a reader sees it. After a change of the planner: `PLIMSOLL_GOLDEN=write cargo test ... the_transcript`, and review by eye.
#[test]
#[allow(clippy::disallowed_methods)]
fn the_transcript_is_the_same_to_the_byte() {
    let text = stories::by_name("a-first-look").expect("it is a story").to_string();
    let played = || run(&Arguments { text: text.clone(), ..Arguments::default() }).expect("it can be played");
    let (output, again) = (played(), played());
    let told = |output: &Output| format!("{text}\n{}\nplimsoll\n\n{}", output.summary, output.transcripts[0].1);
    assert!(told(&output) == told(&again) && output.picture_svg == again.picture_svg, "the same seed, the same transcript");
    assert_eq!(output.broken, [""; 0]);
    if std::env::var("PLIMSOLL_GOLDEN").is_ok_and(|it| it == "write") {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/simulate/golden/a-first-look.txt"), told(&output))
            .expect("it can be written");
    }
    let golden = include_str!("golden/a-first-look.txt");
    let differs = golden.lines().zip(told(&output).lines().map(String::from)).find(|(a, b)| a != b);
    assert!(golden == told(&output), "the transcript is another, first here: {differs:?}");
}

#[test]
fn every_story_can_be_read_and_tells_where_it_is_from() {
    for (name, text) in stories::STORIES {
        let scenario = scenario_file::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!scenario.source.is_empty() && !scenario.expectations.is_empty(), "{name}");
    }
}

/// Lines put together from the words of the language: whatever can be read can be played, and nothing panics.
#[test]
fn no_text_brings_it_down() {
    let words: Vec<&str> = stories::STORIES.iter().flat_map(|(_, text)| text.split_whitespace()).collect();
    let lines: Vec<&str> = stories::STORIES.iter().flat_map(|(_, text)| text.lines()).filter(|it| !it.starts_with("source")).collect();
    let mut random = super::random::Random::new(9);
    let mut played = 0;
    for _ in 0..1_000 {
        let mut text = String::from("duration 2m\nnodes 1..3 memory 1GiB disk 4GiB zones 2\ntable a segments 6 replicas 2\n");
        for _ in 0..6 {
            let line = lines[random.below(lines.len() as u64) as usize];
            let swapped = random.below(8) as usize;
            let swap = |(at, word)| if at == swapped { words[random.below(words.len() as u64) as usize] } else { word };
            let line: Vec<_> = line.split_whitespace().enumerate().map(swap).collect();
            let line = line.join(" ");
            let is_small = !line.starts_with("duration") && scenario_file::parse(&format!("{text}{line}")).is_ok();
            text += &if is_small { format!("{line}\n") } else { String::new() };
        }
        let scenario = scenario_file::parse(&text).expect("each line was read with those before it");
        let segments: u64 = scenario.tables.iter().map(|it| it.segments).sum();
        if segments < 60 && scenario.happenings.iter().filter(|it| it.at_ms < 120_000).count() < 20 {
            let output = run(&Arguments { text: text.clone(), seed: None, policies: vec!["plimsoll".into()] });
            assert!(output.is_ok(), "{text}");
            played += 1;
        }
    }
    assert!(played > 100, "{played}");
}

#[test]
fn a_seed_and_policies_can_be_chosen() {
    let text = stories::by_name("a-first-look").expect("it is a story").to_string();
    let with = |seed| run(&Arguments { text: text.clone(), seed, policies: vec!["disk-bytes".into()] }).expect("it can be played");
    assert_eq!(with(None).transcripts[0].1, with(Some(3)).transcripts[0].1);
    assert_ne!(with(None).transcripts[0].1, with(Some(4)).transcripts[0].1);
    let error = run(&Arguments { text, seed: None, policies: vec!["luck".into()] }).expect_err("there is no such policy");
    assert!(error.to_string().starts_with("there is no policy 'luck': plimsoll, row-count"), "{error}");
}

/// The figures of docs/incidents.md, all of one run: every story, with the policies that it names.
/// `cargo test -p plimsoll-placement --lib simulate::incidents::the_figures -- --ignored --nocapture`.
#[test]
#[ignore = "prints the figures of docs/incidents.md"]
fn the_figures() {
    for (name, text) in stories::STORIES {
        let output = run(&Arguments { text: text.into(), ..Arguments::default() }).unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("== {name}\n{}", output.text(false));
    }
    println!("overload of six seeds, reports late and noisy, and perfect information: {:?} s", late_and_perfect_overload());
}

/// Plays a file: `PLIMSOLL_SCENARIO=file cargo test -p plimsoll-placement --lib simulate::incidents::a_file -- --ignored --nocapture`.
#[test]
#[ignore = "plays the file that PLIMSOLL_SCENARIO names"]
#[allow(clippy::disallowed_methods)]
fn a_file() {
    let path = std::env::var("PLIMSOLL_SCENARIO").expect("PLIMSOLL_SCENARIO names a file");
    let text = std::fs::read_to_string(&path).expect("the file can be read");
    let policies = std::env::var("PLIMSOLL_POLICIES").map(|it| it.split(',').map(String::from).collect()).unwrap_or_default();
    let output = run(&Arguments { text, seed: std::env::var("PLIMSOLL_SEED").ok().and_then(|it| it.parse().ok()), policies })
        .unwrap_or_else(|error| panic!("{path}: {error}"));
    println!("{}\n{}", output.summary, output.broken.join("\n"));
    for (policy, transcript) in &output.transcripts {
        std::fs::write(format!("{path}.{policy}.txt"), transcript).expect("the transcript can be written");
    }
    std::fs::write(format!("{path}.svg"), output.picture_svg).expect("the picture can be written");
}
