//! Fixes, applied to a text.

use super::finding::{Edit, Finding};

/// The text with the fixes of these findings that do not get into each other's way, and how many these are. With
/// `unsafe_too` also those that change the image. What is left out can be done once the result was checked again.
pub fn fixed(text: &str, findings: &[Finding], unsafe_too: bool) -> (String, usize) {
    let mut chosen: Vec<&Edit> = Vec::new();
    let mut count = 0;
    for fix in findings.iter().filter_map(|finding| finding.fix.as_ref()) {
        let is_free = |edit: &Edit| chosen.iter().all(|other| !touch(edit, other));
        if (fix.is_safe || unsafe_too) && fix.edits.iter().all(is_free) {
            chosen.extend(&fix.edits);
            count += 1;
        }
    }
    chosen.sort_by_key(|edit| edit.span.start);
    let (mut result, mut at) = (String::with_capacity(text.len()), 0);
    for edit in chosen {
        result.push_str(&text[at..edit.span.start]);
        result.push_str(&edit.text);
        at = edit.span.end;
    }
    result.push_str(&text[at..]);
    (result, count)
}

fn touch(a: &Edit, b: &Edit) -> bool {
    a.span.start <= b.span.end && b.span.start <= a.span.end
}
