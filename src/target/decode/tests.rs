//! Decoding without a frontend: what places, packages and nodes come to.

use std::sync::Arc;

use super::*;
use crate::diagnostic::SourceText;
use crate::target::{Base, FileSource, Files, ImageSpec, LayerSpec, Owner, Write};

/// A value without a place.
fn plain(value: Value) -> Spanned<Value> {
    Spanned { value, span: None }
}

fn text(text: &str) -> Spanned<Value> {
    plain(Value::String(text.into()))
}

fn map<const N: usize>(pairs: [(&str, Spanned<Value>); N]) -> Spanned<Value> {
    let pairs = pairs.map(|(key, value)| (Spanned { value: key.to_owned(), span: None }, value));
    plain(Value::Map(pairs.into()))
}

fn read<T: DeserializeOwned>(value: &Spanned<Value>) -> Result<T, Diagnostic> {
    decode(value, &WorkspacePath::parse("shop/web").unwrap())
}

fn plain_node(node: Node) -> Box<Spanned<Node>> {
    Box::new(Spanned { value: node, span: None })
}

fn fetch() -> Node {
    let arguments = map([("url", text("https://example.com/a")), ("sha256", text(&"0".repeat(64)))]);
    Node::Fetch(read(&arguments).unwrap())
}

#[test]
fn paths_belong_to_the_package_of_the_call() {
    let files: Files = read(&map([("srcs", plain(Value::List(vec![text("a")])))])).unwrap();
    assert_eq!(files.package.as_str(), "shop/web");
    let image: ImageSpec = read(&map([("base", text(":base"))])).unwrap();
    assert!(matches!(image.base.unwrap().value, Base::Target(label) if label.to_string() == "//shop/web:base"));
}

#[test]
fn the_package_of_one_call_does_not_reach_the_next() {
    let _: Files = read(&map([("srcs", plain(Value::List(vec![])))])).unwrap();
    assert_eq!(package(), WorkspacePath::root());
    read::<Files>(&map([])).unwrap_err();
    assert_eq!(package(), WorkspacePath::root());
}

#[test]
fn an_argument_that_is_none_is_not_there() {
    let with: ImageSpec = read(&map([("user", plain(Value::None)), ("base", plain(Value::None))])).unwrap();
    assert_eq!(with, read(&map([])).unwrap());
    let error = read::<Write>(&map([("path", text("/a")), ("content", plain(Value::None))])).unwrap_err();
    assert_eq!(error.to_string(), "`content` is missing");
}

#[test]
fn layers_are_flattened_and_keep_their_places() {
    let source = Arc::new(SourceText { name: "BUILD.star".into(), text: "a b".into() });
    let span = |start| Some(Span { source: source.clone(), start, end: start + 1 });
    let layer = |path, span| {
        let dir = map([("path", text(path))]);
        let Spanned { value, .. } = map([("dir", dir)]);
        Spanned { value, span }
    };
    let inner = plain(Value::List(vec![layer("/b", span(2)), plain(Value::None)]));
    let layers = plain(Value::List(vec![layer("/a", span(0)), inner]));
    let image: ImageSpec = read(&map([("layers", layers)])).unwrap();
    let places: Vec<_> = image.layers.iter().map(|layer| layer.span.as_ref().unwrap().text()).collect();
    assert_eq!(places, ["a", "b"]);
}

#[test]
fn a_node_stands_where_its_kind_belongs() {
    let sources = plain(Value::List(vec![plain(Value::Node(plain_node(fetch())))]));
    let files: Files = read(&map([("srcs", sources)])).unwrap();
    let crate::target::Sources::List(sources) = files.srcs else { panic!("a list was given") };
    assert!(matches!(sources[0].value, FileSource::Fetch(_)));
    let layers = plain(Value::List(vec![plain(Value::Node(plain_node(fetch())))]));
    let error = read::<ImageSpec>(&map([("layers", layers)])).unwrap_err();
    assert_eq!(error.to_string(), "expected a layer, found the value of `fetch(...)`");
    let error = read::<ImageSpec>(&map([("user", plain(Value::Node(plain_node(fetch()))))])).unwrap_err();
    assert_eq!(error.to_string(), "the value of `fetch(...)` does not belong here");
}

#[test]
fn a_table_with_one_key_is_a_node() {
    let dir = map([("dir", map([("path", text("/srv"))]))]);
    assert!(matches!(read(&dir), Ok(LayerSpec::Dir(_))));
    let two = map([("dir", map([("path", text("/srv"))])), ("write", map([]))]);
    assert!(read::<LayerSpec>(&two).unwrap_err().to_string().contains("a table with one key"));
    assert!(read::<LayerSpec>(&map([])).unwrap_err().to_string().contains("a table with one key"));
}

#[test]
fn numbers_and_texts_name_owners_and_modes() {
    assert_eq!(read::<Owner>(&plain(Value::Int(1000))).unwrap(), "1000".parse().unwrap());
    assert_eq!(read::<crate::target::Mode>(&plain(Value::Int(0o755))).unwrap().0, 0o755);
    assert!(read::<crate::target::Mode>(&plain(Value::Int(0o10000))).is_err());
    assert!(read::<Owner>(&plain(Value::Int(-1))).is_err());
}

#[test]
fn types_are_named_in_the_words_of_the_spec() {
    for (value, message) in [
        (plain(Value::Int(1)), "expected a string, found the number `1`"),
        (plain(Value::Bool(true)), "expected a string, found the boolean `true`"),
        (plain(Value::List(vec![])), "expected a string, found a list"),
        (map([]), "expected a string, found a map"),
    ] {
        assert_eq!(read::<ImageSpec>(&map([("user", value)])).unwrap_err().to_string(), message);
    }
}

#[test]
fn environment_keeps_its_order() {
    let env = map([("Z", text("1")), ("A", text("2"))]);
    let image: ImageSpec = read(&map([("env", env)])).unwrap();
    assert_eq!(image.env, [("Z".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())]);
}
