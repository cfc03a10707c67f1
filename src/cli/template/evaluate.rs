//! Templates with values.

use serde_json::Value;

use super::parse::{Expression, Function, Node};

/// What Go prints for what is not there.
const NO_VALUE: &str = "<no value>";

/// Why a template does not fit a value.
pub struct Problem {
    pub message: String,
    pub help: String,
}

/// Appends what the nodes give with `value`.
pub fn render(nodes: &[Node], value: &Value, text: &mut String) -> Result<(), Problem> {
    for node in nodes {
        match node {
            Node::Text(plain) => text.push_str(plain),
            Node::Print(expression) => text.push_str(&shown(&evaluate(expression, value)?)),
            Node::If { condition, then, otherwise } => {
                let branch = if is_empty(&evaluate(condition, value)?) { otherwise } else { then };
                render(branch, value, text)?;
            }
            Node::Range { over, body, empty } => {
                let items: Vec<Value> = match evaluate(over, value)? {
                    Value::Array(items) => items,
                    Value::Object(fields) => fields.into_iter().map(|(_, value)| value).collect(),
                    Value::Null => Vec::new(),
                    other => return Err(problem(format!("`range` takes a list, not {}", kind(&other)))),
                };
                if items.is_empty() {
                    render(empty, value, text)?;
                }
                items.iter().try_for_each(|item| render(body, item, text))?;
            }
        }
    }
    Ok(())
}

fn evaluate(expression: &Expression, value: &Value) -> Result<Value, Problem> {
    match expression {
        Expression::Text(text) => Ok(Value::from(text.as_str())),
        Expression::Number(number) => Ok(Value::from(*number)),
        Expression::Field(names) => names.iter().try_fold(value.clone(), |value, name| field(&value, name)),
        Expression::Call(function, arguments) => {
            let arguments: Vec<Value> =
                arguments.iter().map(|argument| evaluate(argument, value)).collect::<Result<_, _>>()?;
            call(*function, &arguments)
        }
    }
}

/// The fields of our objects have capitals, and those are all that there are. Other keys are those of maps, of which any
/// may be missing.
fn field(value: &Value, name: &str) -> Result<Value, Problem> {
    match value {
        Value::Object(fields) => match fields.get(name) {
            Some(value) => Ok(value.clone()),
            None if name.starts_with(char::is_lowercase) => Ok(Value::Null),
            None => {
                let known = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let help = format!("the fields are {}", if known.is_empty() { "none" } else { &known });
                Err(Problem { message: format!("there is no field `{name}`"), help })
            }
        },
        Value::Null => Ok(Value::Null),
        other => Err(problem(format!("`{name}` is asked of {}, which is not an object", kind(other)))),
    }
}

fn call(function: Function, arguments: &[Value]) -> Result<Value, Problem> {
    match (function, arguments) {
        (Function::Json, [value]) => Ok(Value::from(value.to_string())),
        (Function::Lower, [value]) => Ok(Value::from(shown(value).to_lowercase())),
        (Function::Upper, [value]) => Ok(Value::from(shown(value).to_uppercase())),
        (Function::Println, values) => Ok(Value::from(values.iter().map(shown).collect::<Vec<_>>().join(" ") + "\n")),
        (Function::Len, [value]) => match value {
            Value::Array(items) => Ok(Value::from(items.len())),
            Value::Object(fields) => Ok(Value::from(fields.len())),
            Value::String(text) => Ok(Value::from(text.len())),
            Value::Null => Ok(Value::from(0)),
            other => Err(problem(format!("`len` takes a list, a map or a string, not {}", kind(other)))),
        },
        (Function::Join, [items, Value::String(between)]) => match items {
            Value::Array(items) => Ok(Value::from(items.iter().map(shown).collect::<Vec<_>>().join(between))),
            Value::Null => Ok(Value::from("")),
            other => Err(problem(format!("`join` takes a list, not {}", kind(other)))),
        },
        (Function::Index, [value, keys @ ..]) => keys.iter().try_fold(value.clone(), |value, key| element(&value, key)),
        (Function::Json | Function::Len | Function::Lower | Function::Upper, _) => {
            Err(problem(format!("`{}` takes one argument", function.name())))
        }
        (Function::Join, _) => Err(problem("`join` takes a list and the string between its elements".into())),
        (Function::Index, []) => Err(problem("`index` takes a list or a map, and the place in it".into())),
    }
}

fn element(value: &Value, key: &Value) -> Result<Value, Problem> {
    match (value, key) {
        (Value::Object(fields), Value::String(key)) => Ok(fields.get(key).cloned().unwrap_or(Value::Null)),
        (Value::Array(items), Value::Number(at)) => {
            let found = at.as_u64().and_then(|at| items.get(usize::try_from(at).ok()?));
            found.cloned().ok_or_else(|| problem(format!("there is no element {at} among {}", items.len())))
        }
        (Value::Null, _) => Ok(Value::Null),
        (value, _) => {
            Err(problem(format!("`index` takes a list and a number, or a map and a string, not {}", kind(value))))
        }
    }
}

fn problem(message: String) -> Problem {
    Problem { message, help: "`{{json .}}` shows the whole value".into() }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What counts as false.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// A value as Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => NO_VALUE.to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(key, value)| format!("{key}:{}", shown(value)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
    }
}
