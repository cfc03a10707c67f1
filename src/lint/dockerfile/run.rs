//! RUN as a whole: downloads that are run, and how many there are.

use crate::dockerfile::{Body, Command, Instruction};
use crate::lint::finding::Finding;
use crate::lint::rule::{Origin, Rule, Severity};
use crate::lint::shell::Call;

use super::Checked;
use super::script::{Script, first_line, is_shell};
use super::stage::Step;

/// So many RUNs in a row are reported.
pub(in crate::lint) const MANY: usize = 4;

pub(in crate::lint) const DOWNLOAD_PIPED_TO_SHELL: Rule = Rule {
    name: "DownloadPipedToShell",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "What is downloaded is not piped into a shell, unless `pipefail` is set.",
    why: "If the download fails, the shell runs nothing, or half of a script, and the build goes on: a pipe fails only if its last \
          command does. Nor does anything say what was run.",
    bad: "FROM debian:12\nRUN curl -fsSL https://example.com/install.sh | sh\n",
    good: "FROM debian:12\nADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d \\\n    \
           https://example.com/install.sh /tmp/install.sh\nRUN sh /tmp/install.sh\n",
};

pub(in crate::lint) const MANY_RUN_LAYERS: Rule = Rule {
    name: "ManyRunLayers",
    origin: Origin::Ocify,
    severity: Severity::Note,
    summary: "There are no four or more RUNs in a row.",
    why: "Each is a layer of its own. In one RUN, what a command leaves behind can be removed again before the layer is made. \
          Stages that are not in the image are not looked at.",
    bad: "FROM debian:12\nRUN mkdir /a\nRUN mkdir /b\nRUN mkdir /c\nRUN mkdir /d\n",
    good: "FROM debian:12\nRUN mkdir /a && \\\n    mkdir /b && \\\n    mkdir /c && \\\n    mkdir /d\n",
};

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    for step in checked.stages.iter().flat_map(|stage| &stage.steps) {
        if let Some(script) = Script::of(step.instruction) {
            piped(step, &script, findings);
        }
    }
    for stage in checked.shipped_stages() {
        let instructions: Vec<&Instruction> = stage.steps.iter().map(|step| step.instruction).collect();
        for row in instructions.chunk_by(|a, b| is_small_run(a) && is_small_run(b)) {
            if row.len() >= MANY {
                let message = format!("{} RUNs in a row make {} layers", row.len(), row.len());
                let found = Finding::new(&MANY_RUN_LAYERS, first_line(&row[0].span), message);
                findings.push(found.help("join them with `&&`, or in a heredoc: RUN <<EOF"));
            }
        }
    }
}

/// True for a RUN that could be joined with another one.
fn is_small_run(instruction: &Instruction) -> bool {
    let Body::Run { command: Command::Shell(_), heredocs } = &instruction.body else { return false };
    heredocs.is_empty() && instruction.flags.is_empty()
}

fn piped(step: &Step, script: &Script, findings: &mut Vec<Finding>) {
    let shell = step.before.shell.iter().flatten().any(|word| word.contains("pipefail"));
    if let Some((from, to)) = piped_download(&script.calls).filter(|_| !shell) {
        let mut span = script.span_of(from);
        span.end = script.span_of(to).end.max(span.end);
        let message =
            format!("if `{}` fails, `{}` runs what there is and the build goes on", from.program(), to.program());
        let found = Finding::new(&DOWNLOAD_PIPED_TO_SHELL, span, message);
        findings
            .push(found.help("fetch it with ADD --checksum and run the file, or set pipefail in a SHELL that has it"));
    }
}

/// A download and the shell into which it is piped.
pub(in crate::lint) fn piped_download(calls: &[Call]) -> Option<(&Call, &Call)> {
    let sets = |call: &Call| call.program() == "set" && call.has("pipefail");
    if calls.iter().any(sets) {
        return None;
    }
    let mut download: Option<&Call> = None;
    for call in calls {
        if let Some(from) = download.filter(|_| is_interpreter(call.program())) {
            return Some((from, call));
        }
        let is_download = matches!(call.program(), "curl" | "wget");
        download = download.or(is_download.then_some(call)).filter(|_| call.is_piped);
    }
    None
}

fn is_interpreter(program: &str) -> bool {
    is_shell(program) || matches!(program, "node" | "perl" | "php" | "python" | "python3" | "ruby")
}
