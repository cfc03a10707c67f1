//! Specs that are wrong, and the reports that say so: each is a file here, read as a user would read it.

use std::os::unix::fs::symlink;

use super::{Spec, check_file};

#[track_caller]
fn check(name: &str, report: &str) {
    check_file(&format!("tests/specs/{name}.txt"), report);
}

#[test]
fn syntax_error() {
    check("syntax_error", &Spec::build("image(\n    name = \"web\"\n    user = \"1000\",\n)\n").error());
}

#[test]
fn unknown_keyword() {
    check("unknown_keyword", &Spec::build("image(\n    name = \"web\",\n    entrypont = [\"/web\"],\n)\n").error());
}

#[test]
fn unknown_function() {
    check("unknown_function", &Spec::build("image(name = \"web\", layers = [fils(srcs = [])])\n").error());
}

#[test]
fn builtin_of_a_later_version() {
    check("unknown_builtin", &Spec::build("image(name = \"web\", layers = [rpm(\"make\")])\n").error());
}

#[test]
fn wrong_type() {
    check("wrong_type", &Spec::build("image(\n    name = \"web\",\n    ports = [\"80/tcp\", 443],\n)\n").error());
}

#[test]
fn wrong_type_of_a_whole_argument() {
    check("wrong_type_list", &Spec::build("image(name = \"web\", cmd = \"web --port 80\")\n").error());
}

#[test]
fn missing_argument() {
    check("missing_argument", &Spec::build("image(name = \"web\", layers = [write(\"/etc/motd\")])\n").error());
}

#[test]
fn too_many_positional_arguments() {
    check("positional", &Spec::build("image(\"web\")\n").error());
}

#[test]
fn bad_name() {
    check("bad_name", &Spec::build("image(name = \"my web\")\n").error());
}

#[test]
fn bad_label() {
    check("bad_label", &Spec::build("index(name = \"all\", images = [\":web\", \"web\"])\n").error());
}

#[test]
fn registry_reference_as_base() {
    let mut reports = String::new();
    for name in ["https://docker.io/library/python:3.12", "Python", "python:", "python@sha256:abc"] {
        reports.push_str(&Spec::build(&format!("image(\n    name = \"web\",\n    base = \"{name}\",\n)\n")).error());
    }
    reports.push_str(&Spec::build("image(name = \"web\", base = oci(\"../python\"))\n").error());
    reports.push_str(&Spec::toml("[image.web]\nbase = { oci = { reference = \"a//b\" } }\n").toml_error());
    check("registry_base", &reports);
}

#[test]
fn a_fetch_where_a_layer_belongs() {
    let build = "tool = fetch(\n    url = \"https://example.com/tool\",\n    sha256 = \"0\" * 64,\n)\nimage(name = \"web\", layers = [dir(\"/a\"), tool])\n";
    check("fetch_as_layer", &Spec::build(build).error());
}

#[test]
fn a_commit_that_is_named_wrong() {
    let archive = |git: &str| {
        Spec::build(&format!("image(\n    name = \"web\",\n    layers = [archive(src = git({git}))],\n)\n")).error()
    };
    let mut reports = String::new();
    for url in [
        "git@example.com:lib.git",
        "ext::sh -c id",
        "https://me:password@example.com/lib.git",
        "https://example.com/lib.git#v1",
        "file://../lib",
    ] {
        reports.push_str(&archive(&format!("url = \"{url}\"")));
    }
    reports.push_str(&archive("url = \"https://example.com/lib.git\", ref = \"--upload-pack=x\""));
    reports.push_str(&archive("url = \"https://example.com/lib.git\", commit = \"v1.4\""));
    reports.push_str(&archive("ref = \"v1\""));
    let lib = "lib = git(url = \"https://example.com/lib.git\")\n";
    reports.push_str(&Spec::build(&format!("{lib}image(name = \"web\", layers = [lib])\n")).error());
    reports.push_str(&Spec::build(&format!("{lib}image(name = \"web\", layers = [files(srcs = [lib])])\n")).error());
    let toml = "[image.web]\nlayers = [{ archive = { src = { git = { url = \"https://example.com/lib\", tag = \"v1\" } } } }]\n";
    reports.push_str(&Spec::toml(toml).toml_error());
    check("git", &reports);
}

#[test]
fn duplicate_target() {
    check("duplicate_target", &Spec::build("image(name = \"web\")\n\nindex(name = \"web\", images = [])\n").error());
}

#[test]
fn glob_that_matches_nothing() {
    let spec = Spec::build("image(\n    name = \"web\",\n    layers = [files(srcs = glob([\"src/**/*.py\"]))],\n)\n");
    check("empty_glob", &spec.error());
}

#[test]
fn bad_glob() {
    check("bad_glob", &Spec::build("files(srcs = glob([\"../shared/*\"]))\n").error());
}

#[test]
fn missing_module() {
    check("missing_module", &Spec::build("load(\"//lib:web.star\", \"web\")\n").error());
}

#[test]
fn missing_name_in_a_module() {
    let spec = Spec::build("load(\":lib.star\", \"wbe\")\n").file("lib.star", "def web():\n    pass\n");
    check("missing_symbol", &spec.error());
}

#[test]
fn loads_that_lead_out_of_the_workspace() {
    let mut reports = String::new();
    for text in [
        "../lib.star",
        "//../lib:x.star",
        "/etc/x.star",
        "file:///etc/x.star",
        "@other//x.star",
        "@std//x.star",
        "//lib/x.star",
        "//lib:BUILD.star",
        ":x.txt",
    ] {
        reports.push_str(&Spec::build(&format!("load(\"{text}\", \"x\")\n")).error());
    }
    check("load_outside", &reports);
}

#[test]
fn a_load_through_a_symbolic_link_out_of_the_workspace() {
    let spec = Spec::build("load(\":lib.star\", \"x\")\n");
    let outside = tempfile::NamedTempFile::new().unwrap();
    symlink(outside.path(), spec.root().join("lib.star")).unwrap();
    check("load_link_outside", &spec.error());
}

#[test]
fn load_cycle() {
    let spec = Spec::build("load(\"//a:a.star\", \"a\")\n")
        .file("a/a.star", "load(\"//b:b.star\", \"b\")\na = b\n")
        .file("b/b.star", "# comment\nload(\"//a:a.star\", \"a\")\nb = a\n");
    check("load_cycle", &spec.error());
}

#[test]
fn a_target_in_a_module() {
    let spec = Spec::build("load(\":lib.star\", \"web\")\n").file("lib.star", "web = image(name = \"web\")\n");
    check("target_in_module", &spec.error());
}

#[test]
fn an_error_inside_a_macro_shows_who_called_it() {
    let spec = Spec::build("load(\":lib.star\", \"service\")\n\nservice(\"web\", port = 80)\n").file(
        "lib.star",
        "def _ports(port):\n    protocol = \"/tcp\"\n    return [port + protocol]\n\n\
         def service(name, port):\n    ports = _ports(port)\n    return image(name = name, ports = ports)\n",
    );
    check("macro_error", &spec.error());
}

#[test]
fn a_wrong_argument_inside_a_macro_shows_who_called_it() {
    let spec = Spec::build("load(\":lib.star\", \"service\")\n\nservice(\"web\", 80)\n")
        .file("lib.star", "def service(name, user):\n    layers = []\n    return image(name = name, user = user)\n");
    check("macro_argument", &spec.error());
}

#[test]
fn fail_says_what_the_macro_says() {
    let build = "def service(name):\n    if name != \"web\":\n        fail(\"only `web` is a service, not\", name)\n\nservice(\"db\")\n";
    check("fail", &Spec::build(build).error());
}

#[test]
fn a_missing_build_argument() {
    check("missing_arg", &Spec::build("version = arg(\"VERSION\")\n").error());
}

#[test]
fn an_undeclared_build_argument() {
    check("unknown_arg", &Spec::build("arg(\"VERSION\", \"1\")\n").arg("VERSON", "2").error());
}

#[test]
fn every_package_that_is_wrong_is_reported() {
    let spec = Spec::empty().file("a/BUILD.star", "image()\n").file("b/BUILD.star", "dir(\"/b\", mode = \"rwx\")\n");
    check("several", &spec.error());
}

#[test]
fn a_package_without_its_file() {
    let spec = Spec::empty();
    let workspace = spec.workspace();
    let packages = [ocify::path::WorkspacePath::parse("shop").unwrap()];
    let error = ocify::eval::evaluate(&workspace, &packages, &Default::default(), &spec.args, &mut Default::default());
    check("missing_package", &super::report(&error.unwrap_err()));
}

#[test]
fn toml_syntax_error() {
    check("toml_syntax_error", &Spec::toml("name = \"shop\"\n[image.web\nuser = \"1000\"\n").toml_error());
}

#[test]
fn toml_unknown_key() {
    check("toml_unknown_key", &Spec::toml("epoc = 0\n").toml_error());
}

#[test]
fn toml_unknown_table() {
    check("toml_unknown_table", &Spec::toml("[images.web]\nuser = \"1000\"\n").toml_error());
}

#[test]
fn toml_unknown_layer() {
    check("toml_unknown_layer", &Spec::toml("[[image.web.layers]]\nfile = { srcs = [\"a\"] }\n").toml_error());
}

#[test]
fn toml_wrong_types() {
    let mut reports = String::new();
    for toml in [
        "epoch = 1.5\n",
        "name = 2024-02-29\n",
        "epoch = \"now\"\n",
        "epoch = -1\n",
        "image = 1\n",
        "[image]\nweb = 1\n",
    ] {
        reports.push_str(&Spec::toml(toml).toml_error());
    }
    check("toml_wrong_types", &reports);
}

#[test]
fn toml_empty_glob() {
    check("toml_empty_glob", &Spec::toml("[[image.web.layers]]\nfiles.srcs.glob = [\"site/**\"]\n").toml_error());
}

#[test]
fn toml_missing_key() {
    check("toml_missing_key", &Spec::toml("[image.web]\nbase.oci_layout = { path = \"base\" }\n").toml_error());
}

#[test]
fn toml_duplicate_target() {
    check("toml_duplicate_target", &Spec::toml("[image.web]\n\n[index.web]\nimages = []\n").toml_error());
}

#[test]
fn toml_bad_value() {
    check("toml_bad_value", &Spec::toml("compression = \"gzp\"\n").toml_error());
}

/// The evaluator inlines a function of one expression where it is called; the report must show both places all the same.
#[test]
fn an_error_inside_a_macro_of_one_expression() {
    let spec = Spec::build("load(\":lib.star\", \"service\")\n\nservice(name = \"web\")\n")
        .file("lib.star", "def service(name):\n    return image(name = name, user = 80)\n");
    check("macro_one_expression", &spec.error());
}

#[test]
fn toml_nested_too_deep() {
    let error = Spec::toml(&format!("name = {}{}\n", "[".repeat(10_000), "]".repeat(10_000))).toml_error();
    assert!(error.contains("syntax error") && error.contains("recursion depth"), "{error}");
}
