//! Specs as users write them, right and wrong, in both syntaxes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocify::diagnostic::Diagnostic;
use ocify::eval::evaluate;
use ocify::path::WorkspacePath;
use ocify::source::Workspace;
use ocify::target::{Settings, Target};

/// A workspace in a temporary directory.
struct Spec {
    directory: tempfile::TempDir,
    args: BTreeMap<String, String>,
}

impl Spec {
    /// A workspace whose root package is `build`.
    fn build(build: &str) -> Spec {
        Spec::empty().file("BUILD.star", build)
    }

    fn empty() -> Spec {
        let spec = Spec { directory: tempfile::tempdir().unwrap(), args: BTreeMap::new() };
        spec.file("ocify.toml", "")
    }

    fn file(self, path: &str, text: &str) -> Spec {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn arg(mut self, name: &str, value: &str) -> Spec {
        self.args.insert(name.into(), value.into());
        self
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn workspace(&self) -> Workspace {
        Workspace::at(self.root()).unwrap()
    }

    fn evaluate(&self) -> Result<Vec<Target>, Diagnostic> {
        let workspace = self.workspace();
        let packages = workspace.packages(&WorkspacePath::root()).unwrap();
        evaluate(&workspace, &packages, &Settings::default(), &self.args, &mut Vec::new())
    }

    /// The targets as `ocify query --json` shows them.
    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self.evaluate().unwrap_or_else(|error| panic!("{}", report(&error)))).unwrap()
    }

    /// The report of the error that evaluation ends with.
    fn error(&self) -> String {
        report(&self.evaluate().expect_err("the spec is accepted"))
    }
}

/// A diagnostic as a terminal without colours shows it.
fn report(error: &Diagnostic) -> String {
    let theme = miette::GraphicalTheme::unicode_nocolor();
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(100);
    let mut text = String::new();
    handler.render_report(&mut text, error).unwrap();
    text
}

#[test]
fn a_build_file_gives_targets() {
    let spec = Spec::build(
        r#"
load("//lib:web.star", "web")
load("@std//annotations.star", "annotations")

base = oci_layout("base", digest = "sha256:" + "0" * 64)
web(name = "web", base = base, annotations = annotations(title = "Web"))
index(name = "all", images = [":web"])
"#,
    )
    .file(
        "lib/web.star",
        r#"
def web(name, **kwargs):
    layers = [files(srcs = glob(["*.html"]), dest = "/srv"), [dir("/tmp", mode = 0o1777)]]
    return image(name = name, layers = layers, env = {"B": "1", "A": arg("A", "2")}, **kwargs)
"#,
    )
    .file("index.html", "hello");
    println!("{:#}", spec.json());
}

#[test]
fn x() {
    println!("{}", Spec::build("image(name = 'a',\n layers = [fetch(urls = [], sha256='0')])").error());
    println!("{}", Spec::build("image(name = 'a',\n layrs = [])").error());
    println!("{}", Spec::build("image(name = 'a',\n layers = [write(path='/a', content=1)])").error());
    println!("{}", Spec::build("image(name = 'a',\n layers = [write(path='/a', content=\n").error());
    println!("{}", Spec::build("imag(name = 'a')").error());
    println!(
        "{}",
        Spec::build("def f(x):\n  for i in range(1):\n    return x[9]\n\ndef g():\n  y = f([])\n  return y\n\ng()")
            .error()
    );
    println!("{}", Spec::build("image(name = 'a')\nimage(name='a')\n").error());
    println!("{}", Spec::build("image(name = 'a', env = {'a': ['x'], 'b': 'c'})").error());
    println!("{}", Spec::build("arg('a')").arg("a", "1").arg("b", "2").error());
}

#[test]
fn schema() {
    println!("{:#}", ocify::target::schema());
}
