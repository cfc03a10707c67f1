//! `images`, `inspect` and `history`.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::store_commands::shop;

#[test]
fn the_table_has_the_columns_that_people_know() {
    let workspace = shop();
    let table = workspace.ok(&["images"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["REPOSITORY", "TAG", "IMAGE", "ID", "PLATFORM", "CREATED", "SIZE"]);
    let id = workspace.ok(&["inspect", "web", "--format", "{{.Id}}"]);
    let row = |name: &str| lines.iter().find(|line| line[0] == name).unwrap_or_else(|| panic!("{name}:\n{table}"));
    let web = row("example.com/shop/web");
    assert_eq!(web[1..5], ["1.4", &id[7..19], "linux/amd64", "2024-02-29"]);
    assert_eq!(row("both")[3], "linux/amd64,linux/arm64");
    assert_eq!(row("nginx")[1], "latest");
    assert_eq!(workspace.ok(&["ls"]), table);

    let digests = workspace.ok(&["images", "--digests", "--no-trunc", "web"]);
    let digest = workspace.ok(&["inspect", "web", "--format", "{{.Digest}}"]);
    assert!(digests.contains(digest.trim()) && digests.contains(id.trim()), "{digests}");
    assert_eq!(workspace.ok(&["images", "-q", "web"]), format!("{}\n", &id[7..19]));
    assert_eq!(workspace.ok(&["images", "-q", "--no-trunc", "web"]), id);
}

#[test]
fn images_are_filtered() {
    let workspace = shop();
    let names = |arguments: &[&str]| {
        let all = [&["images", "--format", "{{.Name}}"], arguments].concat();
        workspace.ok(&all).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["arm", "both", "example.com/shop/web:1.4", "nginx", "other", "web"]);
    assert_eq!(names(&["example.com/shop/web"]), ["example.com/shop/web:1.4"]);
    assert_eq!(names(&["web:1.4"]), [""; 0]);
    assert_eq!(names(&["--filter", "reference=*/*/web:1.*"]), ["example.com/shop/web:1.4"]);
    assert_eq!(names(&["-f", "reference=nginx", "-f", "reference=arm"]), ["arm", "nginx"]);
    assert_eq!(names(&["--filter", "label=team"]), ["both", "example.com/shop/web:1.4", "web"]);
    assert_eq!(names(&["--filter", "label=team=db"]), [""; 0]);
    assert_eq!(names(&["--filter", "before=web", "--filter", "since=arm"]), ["nginx", "other"]);
    assert_eq!(names(&["--filter", "dangling=true"]), [""; 0]);
    assert!(workspace.fails(2, &["images", "--filter", "colour=3"]).contains("known are"));
    assert!(workspace.fails(2, &["images", "--filter", "before=none"]).contains("has no image `none`"));
}

#[test]
fn images_are_printed_by_a_template() {
    let workspace = shop();
    let text =
        workspace.ok(&["images", "--format", r"{{.Repository}}:{{.Tag}}\t{{.CreatedAt}}", "example.com/shop/web"]);
    assert_eq!(text, "example.com/shop/web:1.4\t2024-02-29T12:00:00Z\n");
    let text = workspace.ok(&["images", "--format", r"table {{.Name}}\t{{.Tag}}", "nginx"]);
    assert_eq!(text, "NAME   TAG\nnginx  latest\n");
    let json = workspace.ok(&["images", "--format", "json", "nginx"]);
    let row: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(row["Repository"], "nginx");
    let row: Value = serde_json::from_str(&workspace.ok(&["images", "--json", "nginx"])).unwrap();
    assert!(row["size"].as_u64().unwrap() > 0 && row["platforms"][0] == "linux/amd64", "{row}");
    let error = workspace.fails(2, &["images", "--format", "{{.Nmae}}"]);
    assert!(error.contains("no field `Nmae`") && error.contains("Name, Platform"), "{error}");
    assert!(workspace.fails(2, &["images", "--format", "{{.Name"]).contains("without `}}`"));
}

#[test]
fn inspect_has_the_fields_that_docker_has() {
    let workspace = shop();
    let inspect = |template: &str| workspace.ok(&["inspect", "web", "--format", template]).trim_end().to_owned();
    assert_eq!(inspect("{{.Config.Entrypoint}} {{.Architecture}}/{{.Os}}"), "[/bin/web -v] amd64/linux");
    assert_eq!(inspect("{{json .Config.Labels}}"), r#"{"a.b":"c","team":"web"}"#);
    assert_eq!(inspect(r#"{{index .Config.Labels "a.b"}} {{.Config.Labels.none}}"#), "c <no value>");
    assert_eq!(inspect("{{json .RepoTags}}"), r#"["example.com/shop/web:1.4","web"]"#);
    assert_eq!(inspect("{{len .RootFS.Layers}} {{json .Config.Cmd}}"), "2 null");
    assert_eq!(inspect("{{range .Layers}}{{.MediaType}};{{end}}").matches("tar+gzip;").count(), 2);

    let shown: Value = serde_json::from_str(&workspace.ok(&["inspect", "web"])).unwrap();
    assert_eq!(shown["config"]["config"]["Entrypoint"], shown["Config"]["Entrypoint"]);
    let several: Value = serde_json::from_str(&workspace.ok(&["inspect", "web", "other"])).unwrap();
    assert_eq!(several[0], shown);
    assert_eq!(several[1]["Created"], "2023-01-01T00:00:00Z");
    assert_eq!(workspace.ok(&["inspect", "web", "other", "--format", "{{.Os}}"]), "linux\nlinux\n");
}

#[test]
fn of_an_index_a_platform_is_chosen() {
    let workspace = shop();
    let arm = workspace.ok(&["inspect", "arm", "--config"]);
    assert_eq!(workspace.ok(&["inspect", "both", "--config", "--platform", "linux/arm64"]), arm);
    assert!(workspace.fails(2, &["inspect", "both", "--config"]).contains("--platform"));
    let error = workspace.fails(2, &["inspect", "both", "--platform", "linux/s390x"]);
    assert!(error.contains("linux/amd64, linux/arm64"), "{error}");
    let platforms = workspace.ok(&["inspect", "both", "--format", "{{range .Manifests}}{{.Platform}} {{end}}"]);
    assert_eq!(platforms, "linux/amd64 linux/arm64 \n");
}

#[test]
fn history_names_the_step_and_the_key_of_each_layer() {
    let workspace = shop();
    workspace.write(
        "BUILD.star",
        "image(name = 'web', layers = [write('/a', 'a'), write('/b', 'b')])\n\
         image(name = 'app', base = ':web', layers = [write('/c', 'c')], tags = ['app:1'])\n",
    );
    workspace.ok(&["build", "//:app"]);
    let table = workspace.ok(&["history", "app:1"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("LAYER") && lines[0].ends_with("KEY           COMMENT"), "{table}");
    assert!(lines[1].contains("//:app 1 ") && lines[1].contains("1970-01-01"), "{table}");
    assert!(lines[2].contains("//:web 2 ") && lines[3].contains("//:web 1 "), "{table}");

    let rows: Vec<Value> =
        workspace.ok(&["history", "app:1", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let manifest: Value = serde_json::from_str(&workspace.ok(&["inspect", "app:1", "--raw"])).unwrap();
    assert_eq!(rows[0]["layer"], manifest["layers"][2]["digest"]);
    let steps: Vec<Value> = workspace
        .ok(&["explain", "//:app", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let key = |digest: &Value| steps.iter().find(|step| step["result"]["digest"] == *digest).map(|step| &step["key"]);
    for row in &rows {
        assert_eq!(Some(&row["key"]), key(&row["layer"]), "{row}");
    }
    let keys = workspace.ok(&["history", "app:1", "--format", "{{.Key}} {{.Target}}", "--no-trunc"]);
    assert!(keys.starts_with(&format!("{} //:app\n", rows[0]["key"].as_str().unwrap())), "{keys}");
    assert!(workspace.fails(2, &["history", "both"]).contains("--platform"));
    assert!(workspace.ok(&["history", "both", "--platform", "linux/arm64"]).contains("//:arm 1 "));
}

#[test]
fn to_look_at_history_makes_nothing_younger() {
    let workspace = shop();
    let age = Duration::from_secs(30 * 24 * 3600);
    for entry in fs::read_dir(workspace.store().join("actions")).unwrap() {
        let file = fs::File::open(entry.unwrap().path()).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - age).unwrap();
    }
    let modified = || {
        let entries = fs::read_dir(workspace.store().join("actions")).unwrap();
        entries.map(|entry| entry.unwrap().metadata().unwrap().modified().unwrap()).max().unwrap()
    };
    let before = modified();
    workspace.ok(&["history", "web"]);
    assert_eq!(modified(), before);
}

#[test]
fn history_forgets_no_record_that_it_does_not_know() {
    let workspace = shop();
    let count = || fs::read_dir(workspace.store().join("actions")).unwrap().count();
    let before = count();
    workspace.ok(&["history", "web"]);
    assert_eq!(count(), before);
}
