//! JSON and SARIF.

use ocify::lint::{RULES, json, sarif};
use serde_json::{Value, json};

use super::Linted;

const TEXT: &str = "FROM scratch AS é\nCMD a\nMAINTAINER me\nENV a b\n";

#[test]
fn json_has_places_and_fixes() {
    let value = json(&Linted::new("FROM scratch\n# é\nENV é b\n").findings());
    assert_eq!(
        value,
        json!([{
            "rule": "LegacyKeyValueFormat",
            "severity": "warning",
            "message": "between `é` and its value there is no `=`",
            "file": "Dockerfile",
            "start": { "line": 3, "column": 1 },
            "end": { "line": 3, "column": 8 },
            "fix": {
                "title": "write `ENV é=b`",
                "safe": true,
                "edits": [{ "start": { "line": 3, "column": 6 }, "end": { "line": 3, "column": 7 }, "text": "=" }],
            },
        }])
    );
}

/// What SARIF 2.1.0 (section 3) requires of the objects that are written here.
#[test]
fn sarif_has_what_the_standard_requires() {
    let findings = Linted::new(TEXT.replace('é', "e").as_str()).findings();
    assert!(findings.len() > 3 && findings.iter().any(|finding| finding.fix.is_some()));
    let log = sarif(&findings, &|finding| finding.rule.name == "LegacyKeyValueFormat");
    assert_eq!(
        (&log["version"], &log["$schema"]),
        (&json!("2.1.0"), &json!("https://json.schemastore.org/sarif-2.1.0.json"))
    );
    let run = &list(&log["runs"])[0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "ocify");
    let rules = list(&driver["rules"]);
    assert_eq!(rules.len(), RULES.len());
    for rule in rules {
        assert!(rule["id"].is_string() && text(&rule["shortDescription"]) && text(&rule["fullDescription"]));
        level(&rule["defaultConfiguration"]["level"]);
    }
    assert_eq!(list(&run["results"]).len(), findings.len());
    for result in list(&run["results"]) {
        assert!(text(&result["message"]));
        level(&result["level"]);
        assert_eq!((result["level"] == "error"), (result["ruleId"] == "LegacyKeyValueFormat"));
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &list(&result["locations"])[0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "Dockerfile");
        region(&place["region"]);
        for fix in result.get("fixes").map(list).unwrap_or_default() {
            assert!(text(&fix["description"]));
            for change in list(&fix["artifactChanges"]) {
                assert_eq!(change["artifactLocation"]["uri"], "Dockerfile");
                assert!(!list(&change["replacements"]).is_empty());
                for replacement in list(&change["replacements"]) {
                    region(&replacement["deletedRegion"]);
                    assert!(text(&replacement["insertedContent"]));
                }
            }
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> bool {
    value["text"].is_string()
}

#[track_caller]
fn level(value: &Value) {
    assert!(["none", "note", "warning", "error"].contains(&value.as_str().unwrap()), "{value}");
}

/// Lines and columns from 1; what ends does not end before it begins.
#[track_caller]
fn region(value: &Value) {
    let of = |key: &str| value[key].as_u64().unwrap();
    let (start, end) = ((of("startLine"), of("startColumn")), (of("endLine"), of("endColumn")));
    assert!(start.0 >= 1 && start.1 >= 1 && end >= start, "{value}");
}
