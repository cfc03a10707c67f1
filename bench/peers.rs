//! `cargo bench --bench peers [-- [--quick] [--markdown FILE | --bounds] [W1 ... W5, D2, R1, S1, S2]]`: how long builds take, as ratios to what people
//! use today, on seeded workloads in a temporary directory. The contenders of a row take turns, so what else the machine does
//! falls on all of them; a row gives the median of its rounds' ratios and their range. A peer that isn't installed is named as
//! missing. Of workloads that are not run, the page keeps what it has. What is not met is marked, and is no failure, as
//! machines differ. With `--bounds`, what stands in the way of W1 and W2 is measured instead, see `bounds`.

mod bounds;
mod buildah;
mod buildkit;
mod child;
mod contender;
mod dockerfile;
mod file_on_base;
mod many_images;
mod many_targets;
mod mixed_files;
mod page;
mod random;
mod registry;
mod source_text;
mod steps;
mod system_files;
mod table;
mod text_files;
mod tree;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use tempfile::TempDir;

use crate::table::Table;

type Measure = fn(&Path, usize, &mut Table);

const WORKLOADS: [(&str, Measure); 9] = [
    ("W1", text_files::measure),
    ("W2", mixed_files::measure),
    ("W3", file_on_base::measure),
    ("W4", many_images::measure),
    ("W5", many_targets::measure),
    ("D2", dockerfile::measure),
    ("R1", registry::measure),
    ("S1", steps::starts),
    ("S2", steps::package),
];

fn main() -> ExitCode {
    // The sandbox starts its own program once more.
    if let Some(code) = ocify::sandbox::helper(env::args_os()) {
        return code;
    }
    let arguments = Arguments::parse(env::args().skip(1));
    if arguments.bounds {
        for (name, _) in WORKLOADS.iter().filter(|(name, _)| arguments.selects(name)) {
            bounds::measure(name, TempDir::new().unwrap().path(), arguments.rounds);
        }
        return ExitCode::SUCCESS;
    }
    let mut table = Table::default();
    table.print_header();
    let before = arguments.markdown.as_ref().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
    for (at, (name, measure)) in WORKLOADS.iter().enumerate() {
        if !arguments.selects(name) {
            table.keep(name, &before);
        } else {
            let root = TempDir::new().unwrap();
            measure(root.path(), arguments.rounds, &mut table);
        }
        // After each, so that a run that is cut short leaves what it has measured, and what is older.
        if let Some(file) = &arguments.markdown {
            let mut all = table.clone();
            WORKLOADS[at + 1..].iter().for_each(|(name, _)| all.keep(name, &before));
            fs::write(file, page::page(&all, arguments.rounds)).unwrap();
        }
    }
    ExitCode::SUCCESS
}

struct Arguments {
    rounds: usize,
    markdown: Option<PathBuf>,
    bounds: bool,
    /// Names of workloads; none means all.
    workloads: Vec<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Self {
        let mut arguments = Arguments { rounds: 5, markdown: None, bounds: false, workloads: Vec::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => arguments.rounds = 3,
                "--markdown" => arguments.markdown = Some(words.next().expect("--markdown FILE").into()),
                "--bounds" => arguments.bounds = true,
                // cargo adds it.
                "--bench" => {}
                name if WORKLOADS.iter().any(|(known, _)| *known == name) => arguments.workloads.push(word),
                _ => panic!("{word}: expected --quick, --markdown FILE, --bounds, W1 to W5, D2, R1, S1 or S2"),
            }
        }
        arguments
    }

    fn selects(&self, name: &str) -> bool {
        self.workloads.is_empty() || self.workloads.iter().any(|workload| workload == name)
    }
}
