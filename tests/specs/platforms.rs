//! Platforms and `select` in specs, right and wrong.

use ocify::target::{ImageSpec, Rule};

use super::{Spec, check_file};

#[track_caller]
fn check(name: &str, report: &str) {
    check_file(&format!("tests/specs/{name}.txt"), report);
}

/// What the only target of a spec is on a platform.
#[track_caller]
fn image(spec: &Spec, platform: &str) -> ImageSpec {
    let targets = spec.targets();
    let image = targets[0]
        .rule
        .image_on(&platform.parse().unwrap())
        .unwrap_or_else(|error| panic!("{}", super::report(&error)));
    image.unwrap()
}

#[test]
fn a_select_is_added_to_lists_and_strings_from_either_side() {
    let spec = Spec::build(
        "cpu = select({'linux/amd64': 'x64', 'default': 'arm'})
args = ['-v']
args += select({'linux/amd64': ['--fast'], 'default': []})
args += ['--end']
image(name = 'x', user = 'a-' + cpu + '-z', workdir = cpu + '/' + cpu, cmd = args, entrypoint = ['/' + cpu, select({'linux/arm64': None, 'default': ['a', 'b']})])",
    );
    let amd64 = image(&spec, "linux/amd64");
    assert_eq!((amd64.user.as_deref(), amd64.workdir.as_deref()), (Some("a-x64-z"), Some("x64/x64")));
    assert_eq!(amd64.cmd.unwrap(), ["-v", "--fast", "--end"]);
    assert_eq!(amd64.entrypoint.unwrap(), ["/x64", "a", "b"]);
    let arm64 = image(&spec, "linux/arm64");
    assert_eq!(
        (arm64.cmd.unwrap(), arm64.entrypoint.unwrap()),
        (vec!["-v".into(), "--end".into()], vec!["/arm".to_owned()])
    );
}

#[test]
fn a_select_of_none_leaves_the_argument_out() {
    let spec = Spec::build("image(name = 'x', user = select({'linux/amd64': 'u', 'default': None}))");
    assert_eq!(image(&spec, "linux/amd64").user.as_deref(), Some("u"));
    assert_eq!(image(&spec, "linux/arm64").user, None);
}

#[test]
fn a_module_can_select() {
    let spec = Spec::build("load(':lib.star', 'tool', 'CPU')\nimage(name = 'x', layers = [tool('a')], user = CPU)").file(
        "lib.star",
        "CPU = select({'linux/amd64': 'x64', 'default': 'arm'})\ndef tool(name):\n    return files(srcs = [name + '/' + CPU])\n",
    );
    assert_eq!(image(&spec, "linux/arm64").user.as_deref(), Some("arm"));
    assert_eq!(image(&spec, "linux/arm64").layers.len(), 1);
}

#[test]
fn a_text_that_is_called_select_is_no_select() {
    let spec = Spec::toml("[image.x]\nlabels = { select = \"yes\" }\n");
    let (_, targets) = spec.parse();
    let Rule::Image(image) = &targets[0].rule else { panic!("{targets:?}") };
    assert_eq!(image.labels["select"], "yes");
}

#[test]
fn nothing_for_a_platform() {
    let build = "image(\n    name = \"web\",\n    platforms = [\"linux/amd64\", \"linux/riscv64\"],\n    base = select({\n        \"linux/amd64\": scratch(),\n        \"linux/arm64\": scratch(),\n    }),\n)\n";
    check("select_no_match", &Spec::build(build).error());
}

#[test]
fn nothing_for_the_platform_that_is_asked_for() {
    let build = "image(name = \"web\", user = select({\"linux/amd64\": \"app\"}))\n";
    check("select_not_asked_for", &Spec::build(build).plan_error(&["linux/arm64"]));
}

#[test]
fn a_key_that_names_no_platform() {
    check("select_bad_key", &Spec::build("image(name = \"web\", user = select({\"defalut\": \"a\"}))\n").error());
}

#[test]
fn a_key_twice() {
    let build =
        "image(name = \"web\", user = select({\n    \"linux/amd64\": \"a\",\n    \"linux/x86_64\": \"b\",\n}))\n";
    check("select_twice", &Spec::build(build).error());
}

#[test]
fn select_of_something_else() {
    check("select_no_map", &Spec::build("image(name = \"web\", user = select(\"linux/amd64\"))\n").error());
}

#[test]
fn a_value_of_the_wrong_type_in_a_branch() {
    let build = "image(\n    name = \"web\",\n    platforms = [\"linux/amd64\"],\n    layers = [write(\n        \"/a\",\n        select({\"linux/amd64\": 7}),\n    )],\n)\n";
    check("select_wrong_type", &Spec::build(build).error());
}

#[test]
fn a_string_added_to_a_list() {
    let build = "image(name = \"web\", platform = \"linux/arm64\", cmd = [\"a\"] + select({\"linux/arm64\": \"b\"}))\n";
    check("select_sum", &Spec::build(build).error());
}

#[test]
fn what_cannot_be_selected() {
    let build = "image(name = \"web\", tags = [\"web:\" + select({\"default\": \"1\"})])\n";
    check("select_tags", &Spec::build(build).error());
    let build = "index(name = \"all\", images = select({\"default\": [\":web\"]}))\n";
    check("select_index", &Spec::build(build).error());
}

#[test]
fn select_in_toml() {
    let toml = "[image.web]\nplatforms = [\"linux/arm64\"]\nuser = { select = { \"linux/amd64\" = \"app\" } }\n";
    check("toml_select_no_match", &Spec::toml(toml).toml_error());
    check("toml_select_bad_key", &Spec::toml("[image.web]\nuser.select.amd64 = \"app\"\n").toml_error());
}

#[test]
fn platforms_that_contradict_each_other() {
    let build = "image(\n    name = \"web\",\n    platform = \"linux/amd64\",\n    platforms = [\"linux/arm64\"],\n)\n";
    check("platform_and_platforms", &Spec::build(build).error());
    let build =
        "image(\n    name = \"web\",\n    platforms = [\"linux/arm64\", \"linux/amd64\", \"linux/aarch64\"],\n)\n";
    check("platforms_twice", &Spec::build(build).error());
    check("platforms_empty", &Spec::build("image(name = \"web\", platforms = [])\n").error());
    let toml = "platforms = [\"linux/amd64\"]\nplatform = \"linux/arm64\"\n";
    check("toml_platform_and_platforms", &Spec::toml(toml).toml_error());
}

#[test]
fn an_image_that_is_not_for_the_platform() {
    let build = "image(name = \"base\", platforms = [\"linux/amd64\", \"linux/arm64\"])\nimage(\n    name = \"web\",\n    platforms = [\"linux/amd64\", \"linux/s390x\"],\n    layers = [copy(\":base\", srcs = [\"a\"])],\n)\n";
    check("platform_of_base", &Spec::build(build).plan_error(&[]));
    let build = "image(\n    name = \"web\",\n    platforms = [\"linux/amd64\", \"linux/arm64\"],\n)\n";
    check("platform_of_none", &Spec::build(build).plan_error(&["linux/s390x", "linux/386"]));
}

#[test]
fn an_index_of_indexes() {
    let build = "image(name = \"web\", platforms = [\"linux/amd64\", \"linux/arm64\"])\nindex(name = \"all\", images = [\":web\"])\n";
    check("index_of_platforms", &Spec::build(build).plan_error(&[]));
    let build = "index(name = \"one\", images = [image(name = \"web\")])\nindex(name = \"all\", images = [\":one\"])\n";
    check("index_of_index", &Spec::build(build).plan_error(&[]));
}

#[test]
fn a_select_that_grows_in_a_loop() {
    let grown = "x = select({\"default\": [\"a\"]})\nfor i in range(1000):\n    x = x + x\n";
    check("limit_select", &Spec::build(grown).error());
    let nested = "x = select({\"default\": \"a\"})\nfor i in range(1000):\n    x = select({\"default\": x})\n";
    check("limit_select_nesting", &Spec::build(nested).error());
}
