//! The names that a file finds, beside Starlark's own.

use std::sync::LazyLock;

use starlark::collections::SmallMap;
use starlark::environment::{Globals, GlobalsBuilder};
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::list::UnpackList;
use starlark::values::none::NoneOr;
use starlark::values::tuple::UnpackTuple;

use crate::diagnostic::{At, Diagnostic, Span, Spanned};
use crate::platform::Platform;
use crate::target::{self, Base, Node, Select, Target};

use super::node::{NodeValue, PlatformValue, SelectValue};
use super::session::Session;
use super::{argument, guard};

/// The global names. Built once: each file only refers to them.
pub fn globals() -> &'static Globals {
    static GLOBALS: LazyLock<Globals> =
        LazyLock::new(|| GlobalsBuilder::new().with(guard::register).with(builtins).build());
    &GLOBALS
}

type Arguments<'v> = SmallMap<String, Value<'v>>;

#[starlark_module]
fn builtins(globals: &mut GlobalsBuilder) {
    fn image<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("image", &args.items, &kwargs, eval)
    }

    fn index<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("index", &args.items, &kwargs, eval)
    }

    fn scratch<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("scratch", &args.items, &kwargs, eval)
    }

    fn oci<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("oci", &args.items, &kwargs, eval)
    }

    fn oci_layout<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("oci_layout", &args.items, &kwargs, eval)
    }

    fn oci_archive<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("oci_archive", &args.items, &kwargs, eval)
    }

    fn docker_archive<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("docker_archive", &args.items, &kwargs, eval)
    }

    fn files<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("files", &args.items, &kwargs, eval)
    }

    fn write<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("write", &args.items, &kwargs, eval)
    }

    fn dir<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("dir", &args.items, &kwargs, eval)
    }

    fn symlink<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("symlink", &args.items, &kwargs, eval)
    }

    fn accounts<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("accounts", &args.items, &kwargs, eval)
    }

    fn archive<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("archive", &args.items, &kwargs, eval)
    }

    fn copy<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("copy", &args.items, &kwargs, eval)
    }

    fn run<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("run", &args.items, &kwargs, eval)
    }

    fn bind<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("bind", &args.items, &kwargs, eval)
    }

    fn cache<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("cache", &args.items, &kwargs, eval)
    }

    fn tmpfs<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("tmpfs", &args.items, &kwargs, eval)
    }

    fn secret<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("secret", &args.items, &kwargs, eval)
    }

    fn ssh<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("ssh", &args.items, &kwargs, eval)
    }

    fn fetch<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("fetch", &args.items, &kwargs, eval)
    }

    fn git<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call("git", &args.items, &kwargs, eval)
    }

    /// A value that depends on the platform for which an image is made.
    fn select<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: Arguments<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<SelectValue> {
        let session = Session::of(eval);
        let site = session.site(eval);
        let span = session.caller(eval);
        let select = argument::collect("select", target::positional("select"), &args.items, &kwargs, &site)
            .and_then(|arguments| branches(arguments, span.as_ref()))
            .at(site.span.as_ref());
        select.map(|select| SelectValue(Spanned { value: select.into(), span })).map_err(native)
    }

    /// The files of the package that match a pattern, sorted.
    fn glob<'v>(
        include: UnpackList<String>,
        #[starlark(default = UnpackList::default())] exclude: UnpackList<String>,
        #[starlark(default = false)] allow_empty: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Vec<String>> {
        let session = Session::of(eval);
        let (include, exclude) = (include.items, exclude.items);
        let found = session.workspace.glob(&session.package, &include, &exclude);
        let span = session.site(eval).span;
        let found = found.map_err(|error| {
            let diagnostic = Diagnostic::spec(error.to_string()).at(span.clone());
            native(error.help().into_iter().fold(diagnostic, Diagnostic::help))
        })?;
        if found.is_empty() && !allow_empty {
            return Err(native(target::empty_glob(&include, &exclude, &session.package).at(span)));
        }
        Ok(found)
    }

    /// The value of a build argument, a string.
    fn arg<'v>(
        name: &str,
        default: Option<NoneOr<&str>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let session = Session::of(eval);
        session.declare(name);
        match (session.args.get(name), default.and_then(NoneOr::into_option)) {
            (Some(given), _) => Ok(eval.heap().alloc(given)),
            (None, Some(default)) => Ok(eval.heap().alloc(default)),
            (None, None) => {
                let error = Diagnostic::spec(format!("the build argument `{name}` is not given and has no default"));
                let error = error.at(session.site(eval).span).label("declared here");
                Err(native(error.help(format!("give it with `--arg {name}=...`, or add `default = \"...\"`"))))
            }
        }
    }

    /// A platform, by default the workspace's.
    fn platform<'v>(name: Option<&str>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<PlatformValue> {
        let session = Session::of(eval);
        match name {
            None => Ok(PlatformValue(session.settings.platform.clone())),
            Some(name) => name
                .parse::<Platform>()
                .map(PlatformValue)
                .map_err(|error| native(Diagnostic::spec(error.to_string()).at(session.site(eval).span))),
        }
    }
}

/// Calls the builtin that is one struct of [`target`].
fn call<'v>(
    builtin: &'static str,
    args: &[Value<'v>],
    kwargs: &Arguments<'v>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let session = Session::of(eval);
    let site = session.site(eval);
    let span = session.caller(eval);
    let node = argument::collect(builtin, target::positional(builtin), args, kwargs, &site)
        .and_then(|arguments| node(builtin, arguments, session, span.clone()))
        .at(site.span.as_ref())
        .map_err(native)?;
    Ok(eval.heap().alloc(NodeValue { node, span }))
}

fn node(
    builtin: &'static str,
    mut arguments: Spanned<target::Value>,
    session: &Session,
    span: Option<Span>,
) -> Result<Node, Diagnostic> {
    if let "image" | "index" = builtin {
        let label = target::take_name(&mut arguments, &session.package)?;
        let rule = target::rule(builtin, arguments, &session.package)?;
        session.register(Target { label: label.clone(), span, rule }, builtin)?;
        return Ok(Node::Base(Base::Target(label)));
    }
    target::node(builtin, arguments, &session.package)
}

/// The select that a call with these arguments makes.
fn branches(arguments: Spanned<target::Value>, span: Option<&Span>) -> Result<Select, Diagnostic> {
    let expected = || {
        let error = Diagnostic::spec("`select` takes a map from platforms to values, and nothing else");
        error.help("write `select({\"linux/amd64\": ..., \"default\": ...})`")
    };
    let target::Value::Map(given) = arguments.value else { return Err(expected()) };
    match <[_; 1]>::try_from(given) {
        Ok([(name, Spanned { value: target::Value::Map(pairs), .. })]) if name.value == "values" => {
            Select::new(pairs, span)
        }
        Ok([(_, value)]) => Err(expected().at(value.span)),
        Err(_) => Err(expected()),
    }
}

fn native(error: Diagnostic) -> starlark::Error {
    starlark::Error::new_native(error)
}
