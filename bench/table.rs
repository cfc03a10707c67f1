//! The table that a run prints and docs/performance.md shows.

use std::fmt::Write as _;

use crate::contender::{Measured, Outcome};

#[derive(Clone, Default)]
pub struct Table(Vec<Row>);

#[derive(Clone)]
struct Row {
    what: String,
    ours: String,
    peer: String,
    ratio: String,
    goal: String,
    met: &'static str,
}

impl Table {
    /// The median of the rounds' ratios of times, its range, and what it must not exceed, if there is a goal.
    pub fn ratio(&mut self, what: &str, ours: &Measured, peer: &Measured, goal: impl Into<Option<f64>>) {
        let goal = goal.into();
        let seconds: Vec<f64> = ours.runs().iter().map(|run| run.seconds).collect();
        let goal_text = goal.map_or("—".into(), |goal| format!("≤ {goal}"));
        let Some(peer_seconds) = self.peer_runs(what, &duration(median(&seconds)), peer, &goal_text) else { return };
        let ratios: Vec<f64> = seconds.iter().zip(&peer_seconds).map(|(ours, peer)| ours / peer).collect();
        let middle = median(&ratios);
        self.push(Row {
            what: what.into(),
            ours: duration(median(&seconds)),
            peer: format!("{} {}", peer.name, duration(median(&peer_seconds))),
            ratio: format!("{} ({}..{})", short(middle), short(least(&ratios)), short(greatest(&ratios))),
            goal: goal_text,
            met: goal.map_or("—", |goal| met(middle <= goal)),
        });
    }

    /// The ratio of two sizes in bytes; they are the same in each round. `None` where the peer gave none.
    pub fn sizes(&mut self, what: &str, ours: u64, peer: &str, peer_size: Option<u64>, goal: f64) {
        let ratio = peer_size.map(|size| ours as f64 / size as f64);
        self.push(Row {
            what: what.into(),
            ours: megabytes(ours),
            peer: format!("{peer} {}", peer_size.map_or("missing".into(), megabytes)),
            ratio: ratio.map_or("—".into(), |ratio| format!("{ratio:.3}")),
            goal: format!("≤ {goal:.2}"),
            met: ratio.map_or("—", |ratio| met(ratio <= goal)),
        });
    }

    /// The time of the whole command divided by `parts`, and what it must not exceed, in milliseconds.
    pub fn milliseconds(&mut self, what: &str, ours: &Measured, parts: usize, goal: f64) {
        let each: Vec<f64> = ours.runs().iter().map(|run| run.seconds * 1e3 / parts as f64).collect();
        let ours = format!("{} ({}..{}) ms", short(median(&each)), short(least(&each)), short(greatest(&each)));
        let (goal_text, met) = (format!("≤ {goal} ms"), met(median(&each) <= goal));
        self.push(Row { what: what.into(), ours, peer: "—".into(), ratio: "—".into(), goal: goal_text, met });
    }

    /// The largest peak memory of the rounds and what it must not exceed, in MiB.
    pub fn memory(&mut self, what: &str, ours: &Measured, peer: &Measured, goal: u64) {
        let peak = |measured: &Measured| match &measured.outcome {
            Outcome::Runs(runs) => runs.iter().map(|run| run.peak_kib / 1024).max(),
            Outcome::Missing(_) | Outcome::Failed => None,
        };
        let (ours, theirs) = (peak(ours).unwrap_or(0), peak(peer));
        self.push(Row {
            what: what.into(),
            ours: format!("{ours} MiB"),
            peer: format!("{} {}", peer.name, theirs.map_or("missing".into(), |peak| format!("{peak} MiB"))),
            ratio: theirs.map_or("—".into(), |theirs| short(ours as f64 / theirs as f64)),
            goal: format!("≤ {goal} MiB"),
            met: met(ours <= goal),
        });
    }

    /// As the command line shows it.
    pub fn print_header(&self) {
        println!("{:40} {:22} {:32} {:22} {:10} met", "what", "ours", "peer", "ratio (least..greatest)", "goal");
    }

    /// As a Markdown table.
    pub fn markdown(&self) -> String {
        let mut text =
            String::from("| what | ours | peer | ratio (least..greatest) | goal | met |\n|---|---|---|---|---|---|\n");
        for Row { what, ours, peer, ratio, goal, met } in &self.0 {
            let peer = peer.replace('|', "\\|");
            writeln!(text, "| {what} | {ours} | {peer} | {ratio} | {goal} | {met} |").unwrap();
        }
        text
    }

    /// Adds the rows of `workload` that an earlier run has put into this page.
    pub fn keep(&mut self, workload: &str, page: &str) {
        for line in page.lines().filter(|line| line.starts_with(&format!("| {workload} "))) {
            let cells = line.trim_matches(['|', ' ']).replace("\\|", "\0");
            let cells: Vec<String> = cells.split(" | ").map(|cell| cell.replace('\0', "|")).collect();
            if let [what, ours, peer, ratio, goal, met] = cells.as_slice() {
                let met = ["yes", "—", "**no**"].into_iter().find(|known| known == met).unwrap_or("—");
                let [what, ours, peer, ratio, goal] = [what, ours, peer, ratio, goal].map(String::clone);
                self.0.push(Row { what, ours, peer, ratio, goal, met });
            }
        }
    }

    /// The peer's times, or a row that says why there are none.
    fn peer_runs(&mut self, what: &str, ours: &str, peer: &Measured, goal: &str) -> Option<Vec<f64>> {
        let reason = match &peer.outcome {
            Outcome::Runs(runs) => return Some(runs.iter().map(|run| run.seconds).collect()),
            Outcome::Missing(program) => format!("{}: {program} is missing", peer.name),
            Outcome::Failed => format!("{}: failed", peer.name),
        };
        let (ours, goal) = (ours.to_owned(), goal.to_owned());
        self.push(Row { what: what.into(), ours, peer: reason, ratio: "—".into(), goal, met: "—" });
        None
    }

    fn push(&mut self, row: Row) {
        let Row { what, ours, peer, ratio, goal, met } = &row;
        println!("{what:40} {ours:22} {peer:32} {ratio:22} {goal:10} {met}");
        self.0.push(row);
    }
}

fn met(met: bool) -> &'static str {
    if met { "yes" } else { "**no**" }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Two significant digits at least.
fn short(value: f64) -> String {
    match value {
        ..0.1 => format!("{value:.3}"),
        ..10.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
