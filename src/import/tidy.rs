//! `--tidy`: neighbours of one kind as one layer.

use super::code::{Call, Code, Item, Piece};
use super::place::Layer;

/// What a script may hold that the one behind it would notice: another directory, options, variables, a comment.
const LEFT_BEHIND: [&str; 12] =
    ["cd ", "set ", "export ", "exec ", "trap ", "umask ", "unset ", "alias ", "exit", "#", "<<", " &\n"];

/// Merges what can be merged.
pub(super) fn tidy(layers: Vec<Layer>) -> Vec<Layer> {
    let mut merged: Vec<Layer> = Vec::new();
    for mut layer in layers {
        match merged.last_mut().and_then(|last| Some((joined(&last.call, &layer.call)?, last))) {
            Some((call, last)) => {
                last.call = call;
                layer.comments.retain(|comment| !last.comments.contains(comment));
                last.comments.append(&mut layer.comments);
            }
            None => merged.push(layer),
        }
    }
    merged
}

fn joined(first: &Call, second: &Call) -> Option<Call> {
    if first.function != second.function {
        return None;
    }
    let (at, value) = match first.function {
        "run" => (0, script(&first.arguments[0].value, &second.arguments[0].value)?),
        "files" => (0, sources(&first.arguments[0].value, &second.arguments[0].value)?),
        "copy" => (1, sources(&first.arguments[1].value, &second.arguments[1].value)?),
        _ => return None,
    };
    let others = |call: &Call| {
        let mut arguments = call.arguments.clone();
        arguments.remove(at);
        arguments
    };
    if others(first) != others(second) {
        return None;
    }
    let mut call = first.clone();
    call.arguments[at].value = value;
    Some(call)
}

/// Two scripts, of which the second runs if the first went well.
fn script(first: &Code, second: &Code) -> Option<Code> {
    let lines = |code: &Code| match code {
        Code::Text(pieces) => match pieces.as_slice() {
            [Piece::Literal(text)] if !text.contains('\n') => Some(vec![text.clone()]),
            _ => None,
        },
        Code::Continued(parts) => Some(parts.clone()),
        _ => None,
    };
    let (mut all, rest) = (lines(first)?, lines(second)?);
    let is_alone = |parts: &[String]| {
        let text = parts.concat();
        !LEFT_BEHIND.iter().any(|word| text.contains(word)) && !text.trim_end().ends_with('&')
    };
    if !is_alone(&all) || !is_alone(&rest) {
        return None;
    }
    let last = all.pop()?;
    all.push(format!("{} ", last.trim_end()));
    let mut rest = rest.into_iter();
    all.push(format!("    && {}", rest.next()?.trim_start()));
    all.extend(rest);
    Some(Code::Continued(all))
}

/// Two lists, or two maps without a common key.
fn sources(first: &Code, second: &Code) -> Option<Code> {
    match (first, second) {
        (Code::List(first), Code::List(second)) => {
            let items: Vec<Item> = first.iter().chain(second).cloned().collect();
            Some(Code::List(items))
        }
        (Code::Dict(first), Code::Dict(second)) => {
            let is_new = |(key, _): &(Code, Code)| first.iter().all(|(other, _)| other != key);
            second.iter().all(is_new).then(|| Code::Dict(first.iter().chain(second).cloned().collect()))
        }
        _ => None,
    }
}
