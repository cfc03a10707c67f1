//! Templates out of their text.

/// How deep blocks and parentheses may be nested.
const MAX_DEPTH: usize = 50;

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Text(String),
    Print(Expression),
    /// Once for each element, or `empty` where there is none.
    Range {
        over: Expression,
        body: Vec<Node>,
        empty: Vec<Node>,
    },
    If {
        condition: Expression,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// What has a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Names of fields, each of the one before; none for the value itself.
    Field(Vec<String>),
    Text(String),
    Number(u64),
    Call(Function, Vec<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Json,
    Index,
    Join,
    Len,
    Lower,
    Upper,
    Println,
}

const FUNCTIONS: [(&str, Function); 7] = [
    ("index", Function::Index),
    ("join", Function::Join),
    ("json", Function::Json),
    ("len", Function::Len),
    ("lower", Function::Lower),
    ("println", Function::Println),
    ("upper", Function::Upper),
];

impl Function {
    pub fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, function)| *function == self).map_or("", |(name, _)| name)
    }
}

/// Reads a template.
pub fn parse(text: &str) -> Result<Vec<Node>, String> {
    let mut parts = parts(text)?.into_iter();
    match block(&mut parts, 0)? {
        (nodes, Close::Text) => Ok(nodes),
        (_, Close::End) => Err("there is an `end` without `range` or `if`".into()),
        (_, Close::Else) => Err("there is an `else` without `range` or `if`".into()),
    }
}

/// Text, or what stands between braces.
enum Part {
    Text(String),
    Action(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Field(Vec<String>),
    Word(String),
    Text(String),
    Number(u64),
    Open,
    Close,
    Pipe,
}

fn parts(mut text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut trims = false;
    while let Some((before, rest)) = text.split_once("{{") {
        let (before, rest) = match rest.strip_prefix("- ") {
            Some(rest) => (before.trim_end(), rest),
            None => (before, rest),
        };
        parts.push(plain(before, trims));
        let (tokens, rest) = tokens(rest)?;
        parts.push(Part::Action(tokens));
        (text, trims) = rest;
    }
    parts.push(plain(text, trims));
    Ok(parts)
}

/// A shell passes `\t` on as it is written.
fn plain(text: &str, trims: bool) -> Part {
    let text = if trims { text.trim_start() } else { text };
    Part::Text(text.replace("\\t", "\t").replace("\\n", "\n"))
}

/// What follows an action, and whether it begins without its white space.
type Rest<'a> = (&'a str, bool);

/// The tokens up to the closing braces, and what follows these.
fn tokens(mut text: &str) -> Result<(Vec<Token>, Rest<'_>), String> {
    let mut tokens = Vec::new();
    loop {
        let spaced = text.starts_with(char::is_whitespace);
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix("}}") {
            return Ok((tokens, (rest, false)));
        }
        if let Some(rest) = text.strip_prefix("-}}").filter(|_| spaced) {
            return Ok((tokens, (rest, true)));
        }
        let Some(first) = text.chars().next() else { return Err("there is a `{{` without `}}`".into()) };
        let mut single = |token| {
            tokens.push(token);
            &text[1..]
        };
        text = match first {
            '(' => single(Token::Open),
            ')' => single(Token::Close),
            '|' => single(Token::Pipe),
            '"' | '`' => {
                let (string, rest) = string(text, first)?;
                tokens.push(Token::Text(string));
                rest
            }
            _ => {
                let end = text.find(|c: char| c.is_whitespace() || "(){}|\"`".contains(c)).unwrap_or(text.len());
                let (word, rest) = text.split_at(end);
                if word.is_empty() {
                    return Err(format!("`{first}` cannot stand in an action"));
                }
                tokens.push(word_token(word)?);
                rest
            }
        };
    }
}

fn string(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut string = String::new();
    let mut rest = text[1..].chars();
    while let Some(c) = rest.next() {
        match c {
            c if c == quote => return Ok((string, rest.as_str())),
            '\\' if quote == '"' => match rest.next() {
                Some('t') => string.push('\t'),
                Some('n') => string.push('\n'),
                Some(c) => string.push(c),
                None => break,
            },
            c => string.push(c),
        }
    }
    Err("there is a string without an end".into())
}

fn word_token(word: &str) -> Result<Token, String> {
    if word == "." {
        return Ok(Token::Field(Vec::new()));
    }
    if let Some(path) = word.strip_prefix('.') {
        let names: Vec<String> = path.split('.').map(str::to_owned).collect();
        let is_name = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        return match names.iter().all(is_name) {
            true => Ok(Token::Field(names)),
            false => Err(format!("`{word}` is not a field such as `.Config.Env`")),
        };
    }
    Ok(word.parse().map_or_else(|_| Token::Word(word.to_owned()), Token::Number))
}

/// What ended a block.
enum Close {
    Text,
    End,
    Else,
}

type Parts = std::vec::IntoIter<Part>;

fn block(parts: &mut Parts, depth: usize) -> Result<(Vec<Node>, Close), String> {
    if depth > MAX_DEPTH {
        return Err(format!("blocks are nested more than {MAX_DEPTH} deep"));
    }
    let mut nodes = Vec::new();
    while let Some(part) = parts.next() {
        let tokens = match part {
            Part::Text(text) if text.is_empty() => continue,
            Part::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Part::Action(tokens) => tokens,
        };
        match tokens.split_first() {
            Some((Token::Word(word), [])) if word == "end" => return Ok((nodes, Close::End)),
            Some((Token::Word(word), [])) if word == "else" => return Ok((nodes, Close::Else)),
            Some((Token::Word(word), rest)) if word == "range" => {
                let over = expression(rest)?;
                let (body, empty) = branches(parts, depth, word)?;
                nodes.push(Node::Range { over, body, empty });
            }
            Some((Token::Word(word), rest)) if word == "if" => {
                let condition = expression(rest)?;
                let (then, otherwise) = branches(parts, depth, word)?;
                nodes.push(Node::If { condition, then, otherwise });
            }
            _ => nodes.push(Node::Print(expression(&tokens)?)),
        }
    }
    Ok((nodes, Close::Text))
}

/// The block of a `range` or `if`, and that of its `else`.
fn branches(parts: &mut Parts, depth: usize, word: &str) -> Result<(Vec<Node>, Vec<Node>), String> {
    let (body, end) = block(parts, depth + 1)?;
    let (otherwise, end) = match end {
        Close::Else => block(parts, depth + 1)?,
        end => (Vec::new(), end),
    };
    match end {
        Close::End => Ok((body, otherwise)),
        Close::Text => Err(format!("there is a `{word}` without `end`")),
        Close::Else => Err(format!("there is a second `else` in one `{word}`")),
    }
}

/// A whole action: calls with pipes between them.
fn expression(tokens: &[Token]) -> Result<Expression, String> {
    let mut rest = tokens;
    let found = pipeline(&mut rest, 0)?;
    match rest {
        [] => Ok(found),
        _ => Err("there is a `)` without `(`".into()),
    }
}

fn pipeline(tokens: &mut &[Token], depth: usize) -> Result<Expression, String> {
    let mut found = call(tokens, None, depth)?;
    while let Some((Token::Pipe, rest)) = tokens.split_first() {
        *tokens = rest;
        found = call(tokens, Some(found), depth)?;
    }
    Ok(found)
}

/// A function with its arguments, or one operand.
fn call(tokens: &mut &[Token], piped: Option<Expression>, depth: usize) -> Result<Expression, String> {
    let function = match tokens.split_first() {
        Some((Token::Word(word), rest)) => {
            *tokens = rest;
            Some(function(word)?)
        }
        _ => None,
    };
    let mut operands = Vec::new();
    while let Some((first, rest)) = tokens.split_first() {
        let operand = match first {
            Token::Close | Token::Pipe => break,
            Token::Word(word) => return Err(format!("`{word}` cannot be an argument; a field is `.{word}`")),
            Token::Field(names) => Expression::Field(names.clone()),
            Token::Text(text) => Expression::Text(text.clone()),
            Token::Number(number) => Expression::Number(*number),
            Token::Open if depth == MAX_DEPTH => {
                return Err(format!("parentheses are nested more than {MAX_DEPTH} deep"));
            }
            Token::Open => {
                let mut inner = rest;
                let operand = pipeline(&mut inner, depth + 1)?;
                let Some((Token::Close, after)) = inner.split_first() else {
                    return Err("there is a `(` without `)`".into());
                };
                *tokens = after;
                operands.push(operand);
                continue;
            }
        };
        *tokens = rest;
        operands.push(operand);
    }
    operands.extend(piped);
    match function {
        Some(function) => Ok(Expression::Call(function, operands)),
        None if operands.len() > 1 => Err("one value follows another; only a function has arguments".into()),
        None => operands.pop().ok_or_else(|| "there is nothing in an action".into()),
    }
}

fn function(word: &str) -> Result<Function, String> {
    let found = FUNCTIONS.iter().find(|(name, _)| *name == word);
    found.map(|(_, function)| *function).ok_or_else(|| {
        let known = FUNCTIONS.map(|(name, _)| name).join(", ");
        format!("there is no function `{word}`; known are {known}, and a field is `.{word}`")
    })
}
