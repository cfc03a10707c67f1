//! The one test binary. A file beside this one that is not a module here would never run, so a test looks for it.

mod architecture;
mod build;
mod cache;
mod certificate;
mod chunks;
mod crashes;
mod dockerfile;
mod examples;
mod fetch;
mod git;
mod golden;
mod graph;
mod hostile;
mod images;
mod interrupt;
mod lint;
mod lock;
mod platforms;
mod properties;
mod prune;
mod reference;
mod registry;
mod reproducible;
mod sandbox;
mod specs;
mod stat_cache;
mod store;
mod store_commands;
mod transfers;
mod workspace;

#[test]
fn no_test_file_is_forgotten() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let runner = std::fs::read_to_string(directory.join("runner.rs")).unwrap();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "runner") else { continue };
        assert!(runner.contains(&format!("\nmod {module};\n")), "tests/{name} is not a module of tests/runner.rs");
    }
}
