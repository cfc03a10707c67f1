//! One file of Starlark: its name, its text, and what it loads.

use std::fmt;
use std::sync::{Arc, LazyLock};

use starlark::codemap::{FileSpan, Pos};
use starlark::syntax::{AstModule, Dialect, DialectTypes};

use crate::diagnostic::{Diagnostic, SourceText, Span};
use crate::path::WorkspacePath;
use crate::source::Workspace;

use super::place::Places;
use super::rewrite::Rewritten;
use super::{failure, guard, nesting};

/// The bundled modules, `@std//NAME`.
const STDLIB: &[(&str, &str)] = &[("annotations.star", include_str!("../../stdlib/annotations.star"))];

const COPY: &str = "evaluation sees only files of the workspace: copy the file into it";

/// Which file a module is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModuleId {
    /// A file of the workspace.
    File(WorkspacePath),
    /// A bundled file, by its name in `stdlib/`.
    Std(String),
}

impl ModuleId {
    /// The package's `BUILD.star`.
    pub fn package(package: &WorkspacePath) -> Result<Self, Diagnostic> {
        ModuleId::in_directory(package, Workspace::SPEC).map_err(Diagnostic::spec)
    }

    /// The directory in which the module lies; paths in it are relative to that. Bundled ones have none of their own.
    pub fn directory(&self) -> WorkspacePath {
        match self {
            ModuleId::File(path) => path.parent().unwrap_or_else(WorkspacePath::root),
            ModuleId::Std(_) => WorkspacePath::root(),
        }
    }

    /// The bundled text, for a bundled module that exists.
    pub fn bundled(&self) -> Option<Arc<SourceText>> {
        let ModuleId::Std(name) = self else { return None };
        let (_, text) = STDLIB.iter().find(|(known, _)| known == name)?;
        Some(Arc::new(SourceText { name: self.to_string(), text: (*text).to_owned() }))
    }

    /// The module that `load(text, ...)` in this one means: `//path:file.star`, `:file.star` or `@std//file.star`.
    ///
    /// # Errors
    /// Why it means none, and what to write instead.
    pub fn resolve(&self, text: &str) -> Result<Self, Diagnostic> {
        let fail = |reason: &str| Err(Diagnostic::spec(format!("cannot load `{text}`: {reason}")));
        if let Some(name) = text.strip_prefix("@std//") {
            let name = name.trim_start_matches(':');
            if STDLIB.iter().any(|(known, _)| *known == name) {
                return Ok(ModuleId::Std(name.to_owned()));
            }
            let known: Vec<String> = STDLIB.iter().map(|(known, _)| format!("@std//{known}")).collect();
            return fail("no such bundled module").map_err(|e| e.help(format!("bundled are: {}", known.join(", "))));
        }
        if text.starts_with('@') {
            return fail("the only repository beside the workspace is `@std`").map_err(|error| error.help(COPY));
        }
        let (directory, file) = match (text.strip_prefix("//"), text.strip_prefix(':'), self) {
            (Some(_), _, ModuleId::Std(_)) => return fail("a bundled module loads bundled modules only"),
            (Some(rest), _, _) => match rest.split_once(':') {
                Some((path, file)) => match WorkspacePath::parse(path) {
                    Ok(directory) if directory.as_str() == path => (directory, file),
                    Ok(_) => return fail("its path has an empty or `.` component"),
                    Err(_) => return fail("its path leads out of the workspace").map_err(|error| error.help(COPY)),
                },
                None => {
                    let (path, file) = rest.rsplit_once('/').unwrap_or(("", rest));
                    let error = fail("a `:` stands between the directory and the file");
                    return error.map_err(|e| e.help(format!("write `//{path}:{file}`")));
                }
            },
            (None, Some(file), ModuleId::Std(_)) => return self.resolve(&format!("@std//{file}")),
            (None, Some(file), ModuleId::File(_)) => (self.directory(), file),
            (None, None, _) => {
                return fail("a module is named from the workspace's root or from its own package")
                    .map_err(|e| e.help("write `//directory:file.star`, or `:file.star` for a file beside this one"));
            }
        };
        if file == Workspace::SPEC {
            return fail("a BUILD.star cannot be loaded")
                .map_err(|e| e.help("move what is shared into a `.star` file"));
        }
        if file.contains('/') || !file.ends_with(".star") {
            return fail("what stands behind the `:` should be the name of a `.star` file");
        }
        ModuleId::in_directory(&directory, file).or_else(|reason| fail(&reason))
    }

    fn in_directory(directory: &WorkspacePath, file: &str) -> Result<Self, String> {
        let file = WorkspacePath::parse(file).map_err(|error| error.to_string())?;
        Ok(ModuleId::File(directory.join(&file)))
    }
}

/// As `SourceText` names it.
impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleId::File(path) => path.fmt(f),
            ModuleId::Std(name) => write!(f, "@std//{name}"),
        }
    }
}

/// A parsed file.
pub struct Module {
    pub source: Arc<SourceText>,
    /// Each `load` statement: the text as written, its place, and the module it means.
    pub loads: Vec<(String, Span, ModuleId)>,
    pub places: Places,
    rewritten: Rewritten,
}

impl Module {
    /// Parses a file.
    ///
    /// # Errors
    /// A syntax error, nesting that is too deep, or a `load` that names no module.
    pub fn parse(id: &ModuleId, source: Arc<SourceText>) -> Result<Module, Diagnostic> {
        nesting::check(&source)?;
        let ast = parse(&source.name, &source.text).map_err(|error| failure::syntax(&error, &source))?;
        let mut loads = Vec::new();
        for load in ast.loads() {
            let span = span(&source, &load.span);
            let loaded = id.resolve(load.module_id).map_err(|error| error.at(span.clone()))?;
            loads.push((load.module_id.to_owned(), span, loaded));
        }
        let places = Places::of(&ast);
        let rewritten = Rewritten::new(&source, &ast)?;
        Ok(Module { source, loads, places, rewritten })
    }

    /// The syntax tree to evaluate.
    pub fn tree(&self) -> Result<AstModule, Diagnostic> {
        let mut ast = parse(&self.source.name, &self.rewritten.text).map_err(|error| {
            // What was inserted is whole expressions, so a text that was parsed before is parsed again.
            Diagnostic::failure(format!("`{}` is not understood once rewritten: {error:?}", self.source.name))
        })?;
        guard::replace(&mut ast);
        Ok(ast)
    }

    /// A place that the evaluator names, in the file as the user wrote it.
    pub fn span(&self, span: &FileSpan) -> Span {
        let original = |place: Pos| self.rewritten.original(place.get() as usize);
        Span { source: self.source.clone(), start: original(span.span.begin()), end: original(span.span.end()) }
    }
}

fn parse(name: &str, text: &str) -> starlark::Result<AstModule> {
    AstModule::parse(name, text.to_owned(), &DIALECT)
}

fn span(source: &Arc<SourceText>, span: &FileSpan) -> Span {
    let (start, end) = (span.span.begin().get() as usize, span.span.end().get() as usize);
    Span { source: source.clone(), start, end }
}

/// Starlark with the usual extensions. Type annotations are read but not checked, as a comment would be.
static DIALECT: LazyLock<Dialect> = LazyLock::new(|| Dialect {
    enable_keyword_only_arguments: true,
    enable_positional_only_arguments: true,
    enable_types: DialectTypes::ParseOnly,
    enable_load_reexport: false,
    enable_top_level_stmt: true,
    enable_f_strings: true,
    ..Dialect::Standard
});
