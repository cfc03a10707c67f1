//! `ocify graph`: the steps of a build and what depends on what.

mod dot;
mod svg;

use clap::ValueEnum;

use crate::build::StepNode;
use crate::diagnostic::Diagnostic;

use super::comparison::Comparison;
use super::size::human_size;
use super::{environment, print};

/// Show the steps of a build as a graph, with hits, misses, sizes and times
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify graph //shop:web | dot -Tpng > web.png
  ocify graph //shop:web --format svg > web.svg
  ocify graph -f Dockerfile --format svg . > web.svg
  ocify graph //... --format json")]
pub(super) struct Arguments {
    #[command(flatten)]
    comparison: Comparison,
    /// How the graph is written
    #[arg(long, value_enum, default_value_t = Format::Dot)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For Graphviz
    Dot,
    /// One object for each step
    Json,
    /// A picture that needs nothing else
    Svg,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let steps = arguments.comparison.steps(environment)?;
    print(&match arguments.format {
        Format::Dot => dot::render(&steps),
        Format::Svg => svg::render(&steps),
        Format::Json => {
            let json = serde_json::to_string_pretty(&steps);
            json.map_err(|error| Diagnostic::failure("the graph is not JSON").caused_by(error))? + "\n"
        }
    })
}

/// What a picture says of a step: its target, its name, whether the store has its result, and how large that is and how long it took
/// to make; of one that has to be made, what it was in the build that is compared with.
fn lines(StepNode { report, before, .. }: &StepNode) -> [String; 4] {
    let state = report.miss.as_ref().map_or("hit".to_owned(), |miss| format!("miss: {miss}"));
    let figures = match (report.result, before) {
        (Some(result), _) => format!("{}, {}", human_size(result.size), duration(result.micros)),
        (None, Some(before)) => format!("was {}, {}", human_size(before.size), duration(before.micros)),
        (None, None) => String::new(),
    };
    [report.step.target.to_string(), report.step.part.to_string(), state, figures]
}

fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        assert_eq!([7, 1_500, 2_340_000].map(duration), ["7 µs", "1.5 ms", "2.3 s"]);
    }
}
