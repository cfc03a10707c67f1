//! Specs that would run for ever or take all memory. Each has to end with an error soon; the bound on time is a safety
//! net for a slow machine and a debug build, not a measurement.

use std::time::{Duration, Instant};

use super::{Spec, check_file};

/// The first line of the report, and its place.
#[track_caller]
fn limited(build: &str) -> String {
    let spec = Spec::build(build);
    let start = Instant::now();
    let error = spec.evaluate().expect_err("the spec is accepted");
    assert!(start.elapsed() < Duration::from_secs(90), "took {:?}", start.elapsed());
    error.to_string()
}

const HEAP: &str = "the evaluation's values take more memory than they may";
const SIZE: &str = "a text or list would be larger than 4 million bytes or items";
const NUMBER: &str = "the number is too large to compute with";

#[test]
fn steps() {
    let spec = Spec::build(
        "def f():\n    for i in range(1000000):\n        for j in range(1000000):\n            pass\n\nf()\n",
    );
    check_file("tests/specs/limit_steps.txt", &spec.error());
}

#[test]
fn heap() {
    let spec = Spec::build(
        "def f():\n    words = [\"a\"]\n    for i in range(100):\n        words = words + words\n    return words\n\nf()\n",
    );
    check_file("tests/specs/limit_heap.txt", &spec.error());
}

#[test]
fn recursion() {
    check_file("tests/specs/limit_calls.txt", &Spec::build("def f(n):\n    return f(n + 1)\n\nf(0)\n").error());
    assert_eq!(limited("f = lambda f, n: f(f, n + 1)\nf(f, 0)"), "calls are nested more than 500 deep");
}

#[test]
fn nesting() {
    check_file("tests/specs/limit_nesting.txt", &Spec::build(&format!("x = {}\n", "(\n".repeat(2000))).error());
    let deep = "the expression is too long or nested too deep";
    for build in [
        format!("x = {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("x = {}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("x = {}1", "- ".repeat(100_000)),
        format!("x = {}1", "not ".repeat(100_000)),
        format!("x = {}1", "lambda: ".repeat(100_000)),
        format!("x = {}1", "1 + ".repeat(100_000)),
        format!("x = 1{}", " if 1 else 1".repeat(50_000)),
        format!("x = f{}", "()".repeat(100_000)),
        format!("x = f{}", ".a".repeat(100_000)),
    ] {
        assert!(limited(&build).starts_with(deep), "{}", &build[..40]);
    }
    let blocks: String = (0..1000).map(|n| format!("{}if x:\n", " ".repeat(n))).collect();
    assert!(limited(&format!("{blocks}{}pass\n", " ".repeat(1000))).starts_with("blocks are nested too deep"));
    let branches = format!("if 1:\n  pass\n{}", "elif 1:\n  pass\n".repeat(100_000 / 16));
    assert!(limited(&branches).starts_with("the file has too many `elif` branches"));
    assert!(limited(&format!("x = {}", "9".repeat(100_000))).starts_with("the number is too long"));
}

/// The deepest that is let through must not overflow a stack either.
#[test]
fn nesting_that_is_allowed() {
    for build in [
        format!("x = {}1{}", "(".repeat(990), ")".repeat(990)),
        format!("x = {}1{}", "[".repeat(990), "]".repeat(990)),
        format!("x = {}1", "- ".repeat(990)),
        format!("x = {}1", "not ".repeat(990)),
        format!("x = {}1", "lambda: ".repeat(490)),
        format!("x = {}1", "1 + ".repeat(490)),
        format!("x = {}1{}", "[1 for y in ".repeat(190), "]".repeat(190)),
        format!("{}{}pass\n", (0..60).map(|n| format!("{}if 1:\n", " ".repeat(n))).collect::<String>(), " ".repeat(60)),
        format!("if 0:\n  pass\n{}", "elif 0:\n  pass\n".repeat(990)),
        format!("x = [{}]", "1, ".repeat(20_000)),
    ] {
        if let Err(error) = Spec::build(&build).file("lib.star", &build).evaluate() {
            assert!(!error.to_string().contains("nested"), "{error}: {}", &build[..40]);
        }
    }
}

#[test]
fn numbers() {
    for build in [
        "x = 1 << 1000000000",
        "x = 1 << (1 << 40)",
        "def f():\n    x = 1 << 40\n    for i in range(100):\n        x = x * x\n\nf()",
        "def f():\n    x = 1 << 40\n    for i in range(100):\n        x *= x\n\nf()",
        "def f():\n    x = 1\n    for i in range(100):\n        x <<= 4096\n\nf()",
        "x = int('9' * 1000000)",
    ] {
        assert_eq!(limited(build), NUMBER, "{build}");
    }
}

#[test]
fn one_operation_that_would_take_all_memory() {
    for build in [
        "x = 'a' * 1099511627776",
        "x = 'a' * 2000000000",
        "x = 2000000000 * [0]",
        "x = (0,) * 2000000000",
        "x = 'a'\nx *= 2000000000",
        "x = {'a': [0]}\nx['a'] *= 2000000000",
        "x = list(range(1000000000000))",
        "x = list(range(2000000000))",
        "for i in range(1000000000):\n    pass",
        "s = 'ab' * 1000000\ns.replace('a', s)",
        "s = 'ab' * 1000000\nf = s.replace\nf('a', s)",
        "s = 'ab' * 1000000\ngetattr(s, 'replace')('a', s)",
        "s = 'ab' * 1000000\n','.join([s] * 100000)",
        "s = 'ab' * 1000000\n('{}' * 1000).format(*([s] * 1000))",
        "s = 'ab' * 1000000\n('%s' * 1000) % tuple([s] * 1000)",
        "s = 'ab' * 1000000\nx = '%s' * 1000\nx %= tuple([s] * 1000)",
        "s = 'ab' * 1000000\nf'{s}{s}{s}'",
    ] {
        assert_eq!(limited(build), SIZE, "{build}");
    }
}

#[test]
fn memory_that_grows_inside_one_statement() {
    for build in [
        "l = [1]\n[l.extend(l) for _ in range(100)]",
        "l = [1] * 1000000\n[l[:] for _ in range(1000)]",
        "l = [1] * 1000000\n[0 for _ in range(1000) if not l[:]]",
        "l = [1] * 1000000\n{i: l[:] for i in range(1000)}",
        "l = [1] * 1000000\nf = lambda: l[:]\n[f() for _ in range(1000)]",
        "l = [1] * 1000000\nmap(list, [l] * 1000)",
        "l = [1] * 1000000\nsorted([l] * 1000, key = list)",
        "s = 'ab ' * 1000000\nmap(s.split, [' '] * 1000)",
    ] {
        assert_eq!(limited(build), HEAP, "{build}");
    }
}

/// A list of two lists of two lists: small to make, without end to show or to compare.
#[test]
fn shared_parts_that_multiply() {
    let shared = "x = ['abc']\ny = ['abc']\nfor i in range(40):\n    x = [x, x]\n    y = [y, y]\n";
    for end in [
        "str(x)",
        "repr(x)",
        "print(x)",
        "fail(x)",
        "f'{x}'",
        "'%s' % [x]",
        "'{}'.format(x)",
        "json.encode(x)",
        "x == y",
        "x in [y]",
    ] {
        assert_eq!(limited(&format!("{shared}{end}\n")), SIZE, "{end}");
    }
    assert_eq!(limited(&format!("{}x in {{}}\n", shared.replace(['[', ']'], "").replace("'abc'", "('abc',)"))), SIZE);
    let given = limited(&format!("{shared}image(name = 'a', layers = x)\n"));
    assert_eq!(given, "the arguments of a call hold more than 1000000 values");
}

#[test]
fn a_list_that_holds_itself() {
    let given = limited("l = []\nl.append(l)\nimage(name = 'a', layers = l)\n");
    assert_eq!(given, "lists and maps are nested more than 64 deep here");
    assert_eq!(limited("l = []\nl.append(l)\nprint(l)\n"), SIZE);
}

/// Deep values must not overflow the stack where the evaluator recurses: freezing, hashing, showing.
#[test]
fn deep_values() {
    let deep = |levels: usize| {
        format!("x = ()\nfor i in range({levels}):\n    x = {}x{}\n", "(".repeat(200), ",)".repeat(200))
    };
    assert_eq!(limited(&format!("{}str(x)", deep(1000))), SIZE);
    Spec::build(&format!("{}y = {{x: 1}}", deep(1000))).targets();
    Spec::build("load(':lib.star', 'x')").file("lib.star", &deep(400)).targets();
}

#[test]
fn print() {
    assert_eq!(
        limited("def f():\n    for i in range(100000):\n        print('a' * 1000)\n\nf()"),
        "the file prints more than 1 MiB"
    );
}

#[test]
fn the_guards_cannot_be_replaced() {
    let given = limited("def _ocify_heap():\n    return True\n");
    assert_eq!(given, "names that begin with `_ocify_` are reserved");
    assert_eq!(
        limited("def f():\n    return []\n\nf()[0] *= 2\n"),
        "the target of this assignment is an expression of its own"
    );
}
