//! `ocify graph`: the steps of a build, for people and for programs.

use crate::workspace::Workspace;

const SPEC: &str = "image(name = 'base', layers = [write('/a', 'a')])
image(name = 'x', base = ':base', layers = [files(srcs = ['file']), write('/quo\"ted & <b>', '')])
index(name = 'all', images = [':x'])";

fn built() -> Workspace {
    let workspace = Workspace::new().file("BUILD.star", SPEC).file("file", "1");
    workspace.ok(&["build", "//:all"]);
    workspace
}

#[test]
fn json_has_what_each_step_takes_and_gave() {
    let workspace = built();
    workspace.write("file", "2");
    let json = workspace.ok(&["graph", "//:all", "--format", "json"]);
    let steps: serde_json::Value = serde_json::from_str(&json).unwrap();
    let steps = steps.as_array().unwrap();
    let name = |step: &serde_json::Value| {
        let number = step["number"].as_u64().map_or(String::new(), |number| number.to_string());
        format!("{} {}{number}", step["target"].as_str().unwrap(), step["step"].as_str().unwrap())
    };
    let names: Vec<String> = steps.iter().map(name).collect();
    assert_eq!(names, ["//:base layer1", "//:base image", "//:x layer1", "//:x layer2", "//:x image", "//:all index"]);
    let inputs =
        |at: usize| steps[at]["inputs"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!([inputs(1), inputs(4), inputs(5)], [vec![0], vec![1, 2, 3], vec![4]]);
    assert!(steps[0]["result"]["size"].as_u64() > Some(0) && steps[0]["result"]["micros"].as_u64() > Some(0));
    assert_eq!(steps[0]["miss"], serde_json::Value::Null);
    // The layer has to be made again: what it was is there, what it will be is not.
    assert_eq!(steps[2]["miss"]["entries"][0]["path"], "/file");
    assert!(steps[2]["before"]["size"].as_u64() > Some(0) && steps[2].get("result").is_none());
    assert_eq!(steps[4]["miss"]["steps"][0], "layer 1");
}

#[test]
fn dot_and_svg_show_the_same_steps() {
    let workspace = built();
    let dot = workspace.ok(&["graph", "//:all"]);
    assert!(dot.starts_with("digraph build {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains(r#"s3 [label="//:x\n2 write /quo\"ted & <b>\nhit\n"#), "{dot}");
    assert!(dot.contains("  s1 -> s4;\n  s2 -> s4;\n  s3 -> s4;\n  s4 -> s5;\n"), "{dot}");
    let svg = workspace.ok(&["graph", "//:all", "--format", "svg"]);
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{svg}");
    assert_eq!((svg.matches("<svg class=\"hit\"").count(), svg.matches("<path").count()), (6, 5));
    assert!(svg.contains(">2 write /quo\"ted &amp; &lt;b&gt;"), "{svg}");
    assert!(!svg.contains("http:") || svg.matches("http:").count() == 1, "nothing but the name space is named");
}
