//! Specs as users write them, right and wrong, in both syntaxes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocify::diagnostic::Diagnostic;
use ocify::eval::{Notes, evaluate};
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
        evaluate(&workspace, &packages, &Settings::default(), &self.args, &mut Notes::default())
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
    ocify::target::schema();
}

#[test]
fn deep() {
    for text in [
        "def f():\n  x = []\n  for i in range(300000):\n    x = [x]\n  return x\nx = f()",
        "x = []\nfor i in range(300000):\n  x = [x]\n",
        "x = []\nfor i in range(300000):\n  x = (x,)\n{x: 1}",
        "x = []\nfor i in range(300000):\n  x = [x]\nstr(x)",
        "x = []\nfor i in range(300000):\n  x = {1:x}\n",
        "x = []\nfor i in range(300000):\n  x = struct(x=x)\n",
        &format!("x = {}1{}", "(".repeat(990), ")".repeat(990)),
        &format!("x = {}1{}", "[".repeat(990), "]".repeat(990)),
        &format!("x = {}1", "- ".repeat(990)),
        &format!("x = {}1", "not ".repeat(990)),
        &format!("x = {}1", "1 + ".repeat(490)),
        &format!("x = {}1", "lambda: ".repeat(490)),
        &format!("x = {}1{}", "1 if [".repeat(300), "] else 1".repeat(300)),
        &format!(
            "x = 1\n{}{}pass",
            (0..60).map(|n| format!("{}if x:\n", " ".repeat(n))).collect::<String>(),
            " ".repeat(60)
        ),
    ] {
        for module in [false, true] {
            let t = std::time::Instant::now();
            eprintln!("{}", &text[..text.len().min(100)]);
            let spec =
                if module { Spec::build("load('//:x.star', 'x')").file("x.star", text) } else { Spec::build(text) };
            match spec.evaluate() {
                Ok(_) => eprintln!("ok"),
                Err(e) => eprintln!("{}", report(&e)),
            };
            eprintln!("{:?}", t.elapsed());
        }
    }
}
#[test]
fn lim() {
    for text in [
        "def f():\n  for i in range(1000000):\n    for j in range(1000000):\n      pass\nf()",
        "def f():\n  for i in range(1000000000):\n    for j in range(1000000000):\n      pass\nf()",
        "x = 'a' * 1099511627776",
        "x = 'a' * 2000000000",
        "x = 'a'\nx *= 2000000000",
        "x = [0] * 2000000000",
        "def f():\n  s = 'abc'\n  for i in range(100):\n    s += s\nf()",
        "def f():\n  s = ['abc']\n  for i in range(100):\n    s = s + s\nf()",
        "def f():\n  s = ['abc']\n  for i in range(100):\n    s.extend(s)\nf()",
        "l = [1]\n[l.extend(l) for _ in range(100)]",
        "l = [1] * 1000000\n[l[:] for _ in range(1000)]",
        "l = [1] * 1000000\nf = lambda: l[:]\n[f() for _ in range(1000)]",
        "l = [1] * 1000000\nmap(list, [l] * 1000)",
        "l = [1] * 1000000\nsorted([l] * 1000, key = list)",
        "x = list(range(1000000000000))",
        "x = list(range(2000000000))",
        "def f(n):\n  return f(n + 1)\nf(0)",
        "f = lambda f, n: f(f, n + 1)\nf(f, 0)",
        "x = 1 << 1000000000",
        "def f():\n  x = 1 << 40\n  for i in range(100):\n    x = x * x\nf()",
        "def f():\n  x = 1 << 40\n  for i in range(100):\n    x *= x\nf()",
        "def f():\n  x = 1\n  for i in range(100):\n    x <<= 4096\nf()",
        "s = 'ab' * 1000000\ns.replace('a', s)",
        "s = 'ab' * 1000000\n','.join([s] * 1000000)",
        "s = 'ab' * 1000000\n('{}' * 1000).format(*([s] * 1000))",
        "s = 'ab' * 1000000\n('%s' * 1000) % tuple([s] * 1000)",
        "s = 'ab' * 1000000\nf'{s}{s}{s}'",
        "x = ['abc']\nfor i in range(100):\n  x = [x, x]\nstr(x)",
        "x = ['abc']\nfor i in range(100):\n  x = [x, x]\nprint(x)",
        "x = ['abc']\nfor i in range(100):\n  x = [x, x]\nf'{x}'",
        "x = ['abc']\nfor i in range(100):\n  x = [x, x]\njson.encode(x)",
        "x = ['abc']\ny = ['abc']\nfor i in range(100):\n  x = [x, x]\n  y = [y, y]\nx == y",
        "x = ['abc']\nfor i in range(100):\n  x = [x, x]\nimage(name = 'a', layers = x)",
        &format!("x = {}1{}", "(".repeat(100000), ")".repeat(100000)),
        &format!("x = {}1", "- ".repeat(100000)),
        &format!("x = {}1", "1 + ".repeat(100000)),
        &format!("x = {}", "9".repeat(100000)),
        &format!("x = 1\n{}", (0..5000).map(|n| format!("{}if x:\n", " ".repeat(n))).collect::<String>()),
        "x = int('9' * 1000000)",
    ] {
        let t = std::time::Instant::now();
        println!("{}\n{}{:?}", &text[..text.len().min(200)], Spec::build(text).error(), t.elapsed());
    }
}
