//! The graph as a picture: a column for each length of the longest way to a step, the steps of a column one below the other
//! in the plan's order.

use crate::build::StepNode;

use super::lines;

const WIDTH: usize = 310;
const HEIGHT: usize = 74;
const GAP_X: usize = 60;
const GAP_Y: usize = 16;
const MARGIN: usize = 12;

/// Characters of a line that fit into a box.
const FITTING: usize = 44;

pub(super) fn render(steps: &[StepNode]) -> String {
    let places = places(steps);
    let right = places.iter().map(|(x, _)| x + WIDTH).max().unwrap_or(0) + MARGIN;
    let bottom = places.iter().map(|(_, y)| y + HEIGHT).max().unwrap_or(0) + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{bottom}\" viewBox=\"0 0 {right} {bottom}\">
<style>
  text {{ font: 12px sans-serif; fill: #1b1b1b }}
  .name {{ font-weight: bold }}
  .hit rect {{ fill: #d8f0d8; stroke: #3a7d3a }}
  .miss rect {{ fill: #ffe3c2; stroke: #b25c00 }}
  path {{ fill: none; stroke: #777 }}
</style>
<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>
"
    );
    for (step, &(x, y)) in steps.iter().zip(&places) {
        for &(from_x, from_y) in step.inputs.iter().map(|&input| &places[input]) {
            let (start, end) = (from_x + WIDTH, x);
            let middle = (start + end) / 2;
            let (from_y, to_y) = (from_y + HEIGHT / 2, y + HEIGHT / 2);
            svg.push_str(&format!("<path d=\"M{start} {from_y}C{middle} {from_y} {middle} {to_y} {end} {to_y}\"/>\n"));
        }
    }
    for (step, &(x, y)) in steps.iter().zip(&places) {
        let class = if step.report.miss.is_some() { "miss" } else { "hit" };
        let lines = lines(step);
        let title = escaped(&lines.join("\n"));
        let [target, name, state, figures] = lines.map(|line| escaped(&shortened(&line)));
        // A picture in the picture cuts off what is too long for its box.
        svg.push_str(&format!(
            "<svg class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\"><title>{title}</title>\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"5\"/>\
             <text x=\"8\" y=\"17\">{target}</text><text class=\"name\" x=\"8\" y=\"33\">{name}</text>\
             <text x=\"8\" y=\"49\">{state}</text><text x=\"8\" y=\"65\">{figures}</text></svg>\n"
        ));
    }
    svg + "</svg>\n"
}

/// The upper left corner of each box.
fn places(steps: &[StepNode]) -> Vec<(usize, usize)> {
    let mut columns: Vec<usize> = Vec::with_capacity(steps.len());
    let mut heights: Vec<usize> = Vec::new();
    let mut places = Vec::with_capacity(steps.len());
    for step in steps {
        // Inputs come first.
        let column = step.inputs.iter().map(|&input| columns[input] + 1).max().unwrap_or(0);
        columns.push(column);
        heights.resize(heights.len().max(column + 1), 0);
        places.push((MARGIN + column * (WIDTH + GAP_X), MARGIN + heights[column] * (HEIGHT + GAP_Y)));
        heights[column] += 1;
    }
    places
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(FITTING) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text between tags (XML 1.0, section 2.4), without the control characters that XML does not know.
fn escaped(text: &str) -> String {
    let kept = text.chars().filter(|c| !c.is_control() || *c == '\n');
    kept.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        assert_eq!(escaped("a <b> & \u{7}c"), "a &lt;b&gt; &amp; c");
        assert_eq!(shortened(&"é".repeat(50)), format!("{}…", "é".repeat(44)));
    }
}
