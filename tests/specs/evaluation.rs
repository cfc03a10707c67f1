//! What evaluation does with specs that are right.

use ocify::target::{Base, LayerSpec, Rule, Target};

use super::Spec;

fn labels(targets: &[Target]) -> Vec<String> {
    targets.iter().map(|target| target.label.to_string()).collect()
}

/// The text of the only `write` layer of the only target.
#[track_caller]
fn written(spec: &Spec) -> String {
    let targets = spec.targets();
    let [Target { rule: Rule::Image(image), .. }] = targets.as_slice() else { panic!("{targets:?}") };
    let [layer] = image.layers.as_slice() else { panic!("{image:?}") };
    let LayerSpec::Write(write) = &layer.value else { panic!("{layer:?}") };
    write.content.clone()
}

/// What an expression gives, as `str` shows it.
#[track_caller]
fn value(expression: &str) -> String {
    written(&Spec::build(&format!("image(name = 'x', layers = [write('/x', str({expression}))])")))
}

#[test]
fn a_macro_registers_in_the_package_that_calls_it() {
    let spec = Spec::empty()
        .file("lib/web.star", "def web(name, **kwargs):\n    srcs = glob(['*.html'])\n    return image(name = name, layers = [files(srcs = srcs)], **kwargs)\n")
        .file("shop/BUILD.star", "load('//lib:web.star', 'web')\nweb('web', user = '7')\n")
        .file("shop/index.html", "shop");
    let targets = spec.targets();
    assert_eq!(labels(&targets), ["//shop:web"]);
    let Rule::Image(image) = &targets[0].rule else { panic!("{targets:?}") };
    let LayerSpec::Files(files) = &image.layers[0].value else { panic!("{image:?}") };
    assert_eq!((files.package.as_str(), image.user.as_deref()), ("shop", Some("7")));
    assert_eq!(targets[0].span.as_ref().unwrap().to_string(), "lib/web.star:3");
}

#[test]
fn targets_are_given_to_others_as_values() {
    let targets = Spec::build(
        "base = image(name = 'base')\n\
         web = image(name = 'web', base = base, layers = [copy(base, ['/etc'])])\n\
         index(name = 'all', images = [base, web])",
    )
    .targets();
    assert_eq!(labels(&targets), ["//:base", "//:web", "//:all"]);
    let dependencies = |n: usize| targets[n].dependencies().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((dependencies(1), dependencies(2)), (vec!["//:base".into()], vec!["//:base".into(), "//:web".into()]));
}

#[test]
fn packages_come_in_order_however_many_threads_evaluate_them() {
    let mut spec = Spec::empty().file("lib.star", "def name(n):\n    text = 'image-' + str(n)\n    return text\n");
    let mut expected = Vec::new();
    for n in 0..40 {
        let build = "load('//:lib.star', 'name')\nfor n in range(3):\n    image(name = name(n))\n";
        spec = spec.file(&format!("p{n:02}/BUILD.star"), build);
        expected.extend((0..3).map(|m| format!("//p{n:02}:image-{m}")));
    }
    for _ in 0..3 {
        assert_eq!(labels(&spec.targets()), expected);
    }
}

#[test]
fn a_module_is_evaluated_once() {
    let mut printed = Vec::new();
    let spec = Spec::empty()
        .file("a.star", "print('once')\na = 1\n")
        .file("b.star", "load(':a.star', 'a')\nb = a\n")
        .file("x/BUILD.star", "load('//:a.star', 'a')\nload('//:b.star', 'b')\nprint('x', a, b)\n")
        .file("y/BUILD.star", "load('//:b.star', 'b')\nprint('y', b)\n");
    spec.evaluate_printing(&mut printed).unwrap();
    assert_eq!(printed, ["once", "x 1 1", "y 1"]);
}

#[test]
fn what_was_printed_is_not_lost_when_evaluation_fails() {
    let mut printed = Vec::new();
    Spec::build("print('before')\nfail('no')").evaluate_printing(&mut printed).unwrap_err();
    assert_eq!(printed, ["before"]);
}

#[test]
fn a_module_makes_nodes_that_packages_share() {
    let spec = Spec::empty()
        .file("base/base.star", "BASE = oci_archive('base.tar')\nMOTD = write('/etc/motd', 'hello')\n")
        .file(
            "x/BUILD.star",
            "load('//base:base.star', 'BASE', 'MOTD')\nimage(name = 'x', base = BASE, layers = [MOTD])",
        );
    let targets = spec.targets();
    let Rule::Image(image) = &targets[0].rule else { panic!("{targets:?}") };
    let Base::OciArchive(archive) = &image.base.as_ref().unwrap().value else { panic!("{image:?}") };
    assert_eq!(archive.package.as_str(), "base", "a path in a module is relative to the module");
    assert_eq!(image.layers[0].span.as_ref().unwrap().to_string(), "base/base.star:2");
}

#[test]
fn arguments_come_from_the_command_line_or_have_a_default() {
    let build = "image(name = 'x', layers = [write('/v', arg('VERSION', 'none'))])";
    assert_eq!(written(&Spec::build(build)), "none");
    assert_eq!(written(&Spec::build(build).arg("VERSION", "1.2")), "1.2");
    assert_eq!(written(&Spec::build(build).arg("VERSION", "")), "");
}

#[test]
fn a_platform_has_parts_and_a_text() {
    assert_eq!(value("platform()"), "linux/amd64");
    assert_eq!(value("platform('linux/armhf').variant"), "v7");
    assert_eq!(value("[platform().os, platform().architecture, platform().variant]"), r#"["linux", "amd64", None]"#);
    assert_eq!(value("platform('linux/x86_64') == platform()"), "True");
}

#[test]
fn nodes_are_compared_by_value_and_shown_by_name() {
    assert_eq!(value("dir('/a', mode = '0755') == dir('/a', mode = 0o755)"), "True");
    assert_eq!(value("dir('/a') == dir('/b')"), "False");
    assert_eq!(value("[scratch(), dir('/a')]"), "[<scratch>, <dir>]");
}

#[test]
fn glob_sees_the_package_only_and_may_be_empty() {
    let spec =
        Spec::build("image(name = 'x', layers = [write('/x', str(glob(['**'], exclude = ['BUILD.star', '*.toml'])))])")
            .file("b/c.txt", "")
            .file("a.txt", "")
            .file("sub/BUILD.star", "")
            .file("sub/d.txt", "");
    assert_eq!(written(&spec), r#"["a.txt", "b/c.txt"]"#);
    assert_eq!(value("glob(['*.none'], allow_empty = True)"), "[]");
}

#[test]
fn the_usual_extensions_are_on() {
    for (expression, expected) in [
        ("struct(a = 1).a", "1"),
        ("[f'{x}!' for x in ['a', 'b']]", r#"["a!", "b!"]"#),
        ("map(lambda x: x * 2, [1, 2])", "[2, 4]"),
        ("filter(lambda x: x % 2 == 1, range(5))", "[1, 3]"),
        ("json.decode('{\"a\": [1, null]}')", r#"{"a": [1, None]}"#),
        ("json.encode({'a': [1, None, True]})", r#"{"a":[1,null,true]}"#),
        ("partial(sorted, reverse = True)([1, 3, 2])", "[3, 2, 1]"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

/// What is guarded against growth still does what Starlark says.
#[test]
fn guarded_operations_are_starlarks_own() {
    for (expression, expected) in [
        ("'a' + 'b' + 'c' * 3", "abccc"),
        ("[1] + [2] * 2 + [3]", "[1, 2, 2, 3]"),
        ("(1,) * 2", "(1, 1)"),
        ("7 % 4 + 1 << 4", "64"),
        ("'%s-%d' % ('a', 3)", "a-3"),
        ("'%s' % 'a'", "a"),
        ("'-'.join(['a', 'b'])", "a-b"),
        ("(('a') + ('b')).join(['1', '2'])", "1ab2"),
        ("'{}{x}'.format(1, x = [2])", "1[2]"),
        ("'aXbX'.replace('X', '--')", "a--b--"),
        ("'aXbX'.replace('X', '', 1)", "abX"),
        ("'ab'.upper().replace('A', 'x').join(['1', '2'])", "1xB2"),
        ("getattr('-', 'join')(['a', 'b'])", "a-b"),
        ("getattr(struct(join = 1), 'join')", "1"),
        ("getattr(struct(), 'x', 'none')", "none"),
        ("struct(join = lambda x: x).join(3)", "3"),
        ("[x.join(['a', 'b']) for x in ['-', '+']]", r#"["a-b", "a+b"]"#),
        ("[x for x in range(10) if x % 2 == 0 if x > 3]", "[4, 6, 8]"),
        ("[(x, y) for x in range(2) for y in range(x + 1)]", "[(0, 0), (1, 0), (1, 1)]"),
        ("{x: x * x for x in range(3)}", "{0: 0, 1: 1, 2: 4}"),
        ("[(a, b) for a, b in {'x': 1}.items()]", r#"[("x", 1)]"#),
        ("[1 if x else 2 for x in [True, False]]", "[1, 2]"),
        ("(lambda x, y = 1 + 1: x if y else 0)(5)", "5"),
        ("[f() for f in [lambda: 1, lambda: (2)]]", "[1, 2]"),
        ("1 in [1] and 2 not in [1] and 'a' in 'ab' and 'k' in {'k': 1}", "True"),
        ("[1, 2] < [1, 3] and [1] != [2] and (1, 'a') == (1, 'a')", "True"),
        ("3 >= 3 and 3 <= 3 and not 3 > 3", "True"),
        ("sorted(['bb', 'a', 'cc'], key = len)", r#"["a", "bb", "cc"]"#),
        ("sorted([1, 2, 3], key = lambda x: x // 2, reverse = True)", "[2, 3, 1]"),
        ("min([3, 1, 2]), max(1, 3, 2), max(['a', 'bb', 'cc'], key = len)", r#"(1, 3, "bb")"#),
        ("list(zip([1, 2], ['a', 'b']))", r#"[(1, "a"), (2, "b")]"#),
        ("enumerate(['a'])", r#"[(0, "a")]"#),
        ("reversed(list(range(1, 7, 2)))", "[5, 3, 1]"),
        ("tuple('a b'.split(' '))", r#"("a", "b")"#),
        ("int('0x1f', 16) + int('7')", "38"),
        ("repr('a')", "\"a\""),
        ("f'{{}}' + 'é'", "{}é"),
    ] {
        let expression = if expression.starts_with("min(") { format!("({expression})") } else { expression.to_owned() };
        assert_eq!(value(&expression), expected, "{expression}");
    }
}

#[test]
fn guarded_assignments_are_starlarks_own() {
    let spec = Spec::build(
        "\
def f():
    x = [1]
    y = x
    x += [2]
    x *= 2
    x.extend([3])
    d = {'k': [2]}
    d['k'][0] *= 5
    d['k'][0] <<= 1
    s = '%s!'
    s %= 'a' + \\
        'b'
    return [y, d, s]

image(name = 'x', layers = [write('/x', str(f()))])
",
    );
    let given = written(&spec);
    // As in Python, `+=` and `extend` change the list that `y` names too; here `*=` makes a new one.
    assert_eq!(given, r#"[[1, 2], {"k": [20]}, "ab!"]"#);
}

#[test]
fn annotations_of_the_standard_library_have_the_predefined_keys() {
    let call = "annotations(title = 'Web', licenses = 'Apache-2.0')";
    let spec = Spec::build(&format!(
        "load('@std//annotations.star', 'annotations')\nimage(name = 'x', layers = [write('/x', str({call}))])"
    ));
    assert_eq!(
        written(&spec),
        r#"{"org.opencontainers.image.title": "Web", "org.opencontainers.image.licenses": "Apache-2.0"}"#
    );
    let spec = Spec::build("load('@std//annotations.star', 'annotations')\nannotations(version = 1)");
    assert!(spec.error().contains("annotations: `version` should be a string, found 1"), "{}", spec.error());
}

#[test]
fn an_evaluation_of_nothing_is_nothing() {
    assert!(Spec::empty().targets().is_empty());
    assert!(Spec::build("").targets().is_empty());
}
