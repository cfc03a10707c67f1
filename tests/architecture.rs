//! The floors: imports go downward only, and every module says what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by floor, lowest first; those of one floor do not import each other (ARCHITECTURE.md).
const FLOORS: [&[&str]; 8] = [
    &["diagnostic", "digest", "format", "http", "path", "platform", "scratch"],
    &["entry", "git", "oci"],
    &["archive", "store", "target", "tree"],
    &["action", "image", "source"],
    &["dockerfile", "eval", "fetch", "registry", "sandbox", "tomlspec"],
    &["import", "plan"],
    &["build"],
    &["cli"],
];

fn source_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The top-level modules that a file names after `crate::`, in `use` lines and elsewhere.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            // Only the first path component of each item counts: `use crate::{eval, plan::Plan}`.
            Some(group) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    if c == ',' && depth == 0 {
                        found.insert(word(item.trim()));
                        item.clear();
                    } else {
                        item.push(c);
                    }
                }
                found.insert(word(item.trim()));
            }
            None => {
                found.insert(word(rest));
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn imports_go_downward_only() {
    let floor_of: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, modules)| modules.iter().map(move |module| (*module, floor)))
        .collect();
    let mut wrong = Vec::new();
    for file in source_files(&src()) {
        let relative = file.strip_prefix(src()).unwrap().to_owned();
        let module =
            relative.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let floor = *floor_of.get(module.as_str()).unwrap_or_else(|| panic!("{module} stands on no floor"));
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            match floor_of.get(import.as_str()) {
                Some(&other) if import != module && other >= floor => {
                    wrong.push(format!("{}: crate::{import}", relative.display()))
                }
                Some(_) => {}
                None => wrong.push(format!("{}: crate::{import} stands on no floor", relative.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "imports that do not go down:\n{}", wrong.join("\n"));
}

#[test]
fn the_import_reader_sees_what_it_should() {
    let text = "use crate::{eval, plan::{A, B}, tree};\nlet x = crate::digest::Digest::of(b\"\");\n// crate::cli\n";
    assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), ["digest", "eval", "plan", "tree"]);
}

#[test]
fn every_module_says_what_it_is() {
    for file in source_files(&src()) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} begins without a module doc", file.display());
    }
}

#[test]
fn every_directory_of_the_library_is_a_module() {
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    for module in FLOORS.iter().flat_map(|modules| modules.iter()) {
        assert!(lib.contains(&format!("\npub mod {module};")), "{module} is on a floor but not in lib.rs");
    }
}
