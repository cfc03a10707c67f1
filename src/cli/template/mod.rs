//! `--format`: the part of Go's templates that people write for `docker images` and `docker inspect`.
//!
//! ```text
//! text {{ACTION}} text        \t and \n in the text are a tab and a new line
//!
//! ACTION   .                  the value itself
//!          .A.B               its field B of its field A
//!          FUNCTION ARGUMENT...     json, index, join, len, lower, upper, println; an argument is a field, a "string",
//!                             a number, or an ACTION in parentheses
//!          ACTION | FUNCTION ARGUMENT...    with the left side as last argument
//!          range ACTION ... [else ...] end
//!          if ACTION ... [else ...] end
//! ```
//!
//! `{{-` and `-}}` take the white space beside them away. A field that begins with a capital letter and is not there is
//! an error that lists those that are; a missing key of a map, such as a label, is `<no value>`, as in Docker.

mod evaluate;
mod parse;

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;

use parse::Node;

/// What `--format` says.
#[derive(Clone, Debug)]
pub(super) enum Format {
    /// `json`: one object a line.
    Json,
    /// `table`: the table that is printed without `--format`.
    Table,
    /// `table TEMPLATE`: columns between tabs, under their names.
    Columns(Template),
    /// One line for each value.
    Lines(Template),
}

/// A template that was read.
#[derive(Clone, Debug)]
pub(super) struct Template {
    nodes: Vec<Node>,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "json" => Ok(Format::Json),
            "table" => Ok(Format::Table),
            trimmed => match trimmed.strip_prefix("table").filter(|rest| rest.starts_with([' ', '\\', '{'])) {
                Some(columns) => columns.trim_start().parse().map(Format::Columns),
                None => text.parse().map(Format::Lines),
            },
        }
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Template { nodes: parse::parse(text)? })
    }
}

impl Format {
    /// The text for these values; `None` where the command's own table is asked for. `headings` has for each field what
    /// stands above its column.
    pub(super) fn render(&self, values: &[Value], headings: &[(&str, &str)]) -> Result<Option<String>, Diagnostic> {
        Ok(match self {
            Format::Table => None,
            Format::Json => Some(values.iter().map(|value| format!("{value}\n")).collect()),
            Format::Lines(template) => Some(template.lines(values)?.concat()),
            Format::Columns(template) => {
                let pairs = headings.iter().map(|(field, text)| ((*field).to_owned(), Value::from(*text)));
                let heading = Value::Object(pairs.collect::<Map<_, _>>());
                let mut lines = template.lines(&[heading])?;
                lines.extend(template.lines(values)?);
                Some(aligned(&lines))
            }
        })
    }
}

impl Template {
    fn lines(&self, values: &[Value]) -> Result<Vec<String>, Diagnostic> {
        values.iter().map(|value| Ok(self.render(value)? + "\n")).collect()
    }

    /// The template with the fields of `value`.
    ///
    /// # Errors
    /// A field is not there; a function cannot take its argument.
    pub(super) fn render(&self, value: &Value) -> Result<String, Diagnostic> {
        let mut text = String::new();
        evaluate::render(&self.nodes, value, &mut text).map_err(|problem| {
            Diagnostic::spec(format!("the template does not fit: {}", problem.message)).help(problem.help)
        })?;
        Ok(text)
    }
}

/// Lines whose cells, between tabs, stand in columns. Other control characters become spaces: a terminal would obey those
/// in what others wrote.
pub(super) fn aligned(lines: &[String]) -> String {
    let plain = |line: &String| {
        let line = line.trim_end_matches('\n');
        line.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect::<String>()
    };
    let lines: Vec<String> = lines.iter().map(plain).collect();
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split('\t').collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<&str>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(template: &str) -> Result<String, String> {
        let value = json!({
            "Name": "web", "Size": 7, "Good": true, "None": null, "Empty": [],
            "Config": {"Cmd": ["a", "b"], "Labels": {"k": "v", "a.b": "c"}},
            "Layers": [{"Id": "x"}, {"Id": "y"}],
        });
        template.parse::<Template>()?.render(&value).map_err(|error| error.to_string())
    }

    #[test]
    fn fields_functions_and_loops() {
        for (template, text) in [
            ("plain", "plain"),
            (r"{{.Name}}\t{{ .Size }}\n", "web\t7\n"),
            ("{{.Good}} {{.None}} {{.Empty}}", "true <no value> []"),
            ("{{.Config.Cmd}} {{.Config.Labels}}", "[a b] map[a.b:c k:v]"),
            ("{{json .Config.Cmd}} {{.Name | json}}", r#"["a","b"] "web""#),
            (r#"{{index .Config.Labels "a.b"}} {{index .Config.Cmd 1}}"#, "c b"),
            (r#"{{index .Config.Labels "none"}}{{.Config.Labels.none}}"#, "<no value><no value>"),
            (r#"{{join .Config.Cmd ", "}} {{len .Config.Cmd}}"#, "a, b 2"),
            (r#"{{upper (index .Config.Cmd 0)}} {{lower "ABC"}}"#, "A abc"),
            ("{{range .Layers}}{{.Id}};{{end}}", "x;y;"),
            ("{{range .Empty}}x{{else}}none{{end}}", "none"),
            ("{{if .Good}}yes{{else}}no{{end}}{{if .None}}yes{{else}}no{{end}}", "yesno"),
            ("a {{- .Name -}} b", "awebb"),
            ("{{range .Config.Cmd}}{{println .}}{{end}}", "a\nb\n"),
        ] {
            assert_eq!(render(template).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_not_there_or_not_a_template_is_an_error() {
        for (template, problem) in [
            ("{{.Nam}}", "no field `Nam`"),
            ("{{.Config.Env}}", "no field `Env`"),
            ("{{.Name.First}}", "is not an object"),
            ("{{.Name", "`{{` without `}}`"),
            ("{{end}}", "`end` without"),
            ("{{range .Layers}}", "without `end`"),
            ("{{frob .Name}}", "no function `frob`"),
            ("{{}}", "nothing"),
            ("{{json}}", "takes one"),
            ("{{join .Config.Cmd}}", "join"),
            ("{{range .Name}}x{{end}}", "range"),
            (r#"{{index .Config.Cmd 7}}"#, "no element 7"),
            (r#"{{"open}}"#, "without an end"),
        ] {
            let error = render(template).unwrap_err();
            assert!(error.contains(problem), "{template}: {error}");
        }
        let deep = format!("{}x{}", "{{if .Good}}".repeat(1000), "{{end}}".repeat(1000));
        assert!(render(&deep).unwrap_err().contains("nested"));
        assert!(
            render(&format!("{{{{{}.Name{}}}}}", "(".repeat(1000), ")".repeat(1000))).unwrap_err().contains("nested")
        );
    }

    #[test]
    fn columns_stand_under_their_headings() {
        let format: Format = r"table {{.Name}}\t{{.Size}}".parse().unwrap();
        let rows = [json!({"Name": "a", "Size": 1}), json!({"Name": "long", "Size": 2})];
        let text = format.render(&rows, &[("Name", "NAME"), ("Size", "SIZE")]).unwrap().unwrap();
        assert_eq!(text, "NAME  SIZE\na     1\nlong  2\n");
        assert!(matches!("table".parse(), Ok(Format::Table)));
        assert!(matches!("tablecloth".parse(), Ok(Format::Lines(_))));
    }
}
