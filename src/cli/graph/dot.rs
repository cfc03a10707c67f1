//! The graph in the DOT language (graphviz.org, "DOT Language").

use crate::build::StepNode;

use super::lines;

pub(super) fn render(steps: &[StepNode]) -> String {
    let mut text =
        String::from("digraph build {\n  rankdir=LR;\n  node [shape=box, style=filled, fontname=\"sans-serif\"];\n");
    for (at, step) in steps.iter().enumerate() {
        let colour = if step.report.miss.is_some() { "#ffe3c2" } else { "#d8f0d8" };
        let label = lines(step).iter().filter(|line| !line.is_empty()).map(|line| quoted(line)).collect::<Vec<_>>();
        text.push_str(&format!("  s{at} [label=\"{}\", fillcolor=\"{colour}\"];\n", label.join("\\n")));
    }
    for (at, step) in steps.iter().enumerate() {
        step.inputs.iter().for_each(|input| text.push_str(&format!("  s{input} -> s{at};\n")));
    }
    text + "}\n"
}

/// A text inside a double-quoted string.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quotes_and_backslashes_stay_inside() {
        assert_eq!(quoted(r#"a "b" \n"#), r#"a \"b\" \\n"#);
    }
}
