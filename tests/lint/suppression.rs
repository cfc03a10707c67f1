//! What a file asks to leave out.

use super::Linted;

const BROKEN: &str = "FROM scratch AS A\nCMD a\nRUN apk add b\n";

fn rest(head: &str) -> Vec<String> {
    let all = Linted::new(&format!("{head}{BROKEN}")).lines();
    all.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn directives_leave_out_rules() {
    assert_eq!(rest(""), ["StageNameCasing", "JSONArgsRecommended", "PackageListsLeft"]);
    assert_eq!(rest("# check=skip=StageNameCasing,PackageListsLeft\n"), ["JSONArgsRecommended"]);
    assert_eq!(rest("# check=skip=all\n"), Vec::<String>::new());
    assert_eq!(rest("# syntax=x\n# check=error=true;skip=all\n"), Vec::<String>::new());
    // The command line wins.
    let over = Linted::new(&format!("# check=skip=all\n{BROKEN}")).check("skip=JSONArgsRecommended");
    assert_eq!(over.lines(), ["StageNameCasing 2", "PackageListsLeft 4"]);
    assert!(Linted::new(&format!("# check=error=true\n{BROKEN}")).report().is_strict);
    assert!(!Linted::new(&format!("# check=error=true\n{BROKEN}")).check("error=false").report().is_strict);
}

#[test]
fn a_directive_that_says_something_else_is_an_error() {
    for text in ["# check=skp=all\n", "# check=error=maybe\n"] {
        let error = Linted::new(&format!("{text}{BROKEN}")).try_report().unwrap_err();
        assert_eq!(error.span().unwrap().line(), 1);
    }
}

#[test]
fn comments_leave_out_rules_of_what_follows() {
    let of = |text: &str| Linted::new(text).lines();
    let comment = "# ocify: ignore=JSONArgsRecommended\n";
    assert_eq!(of(&format!("FROM scratch\n{comment}CMD a\nENTRYPOINT b\n")), ["JSONArgsRecommended 4"]);
    assert_eq!(of(&format!("FROM scratch\n{comment}# why\nCMD a\n")), Vec::<String>::new());
    assert_eq!(of(&format!("FROM scratch\n{comment}\nCMD a\n")), ["JSONArgsRecommended 4"]);
    assert_eq!(of("FROM scratch\n#ocify:ignore=X,JSONArgsRecommended\nCMD a\n"), ["UnknownRule 2"]);
    // All of an instruction, and a line within it.
    let apt = "RUN apt-get update && \\\n";
    let install = " apt-get install -y a && rm -rf /var/lib/apt/lists\n";
    let note = "# ocify: ignore=AptInstallRecommends\n";
    assert_eq!(of(&format!("FROM scratch\n{apt}{install}")), ["AptInstallRecommends 3"]);
    assert_eq!(of(&format!("FROM scratch\n{note}{apt}{install}")), Vec::<String>::new());
    assert_eq!(of(&format!("FROM scratch\n{apt} {note}{install}")), Vec::<String>::new());
    // Of the whole file.
    assert_eq!(of(&format!("{comment}\nFROM scratch\nCMD a\n")), Vec::<String>::new());
    assert_eq!(of(&format!("# syntax=x\n{comment}\nFROM scratch\nCMD a\n")), Vec::<String>::new());
    assert_eq!(of(&format!("{comment}FROM scratch\nCMD a\n")), ["JSONArgsRecommended 3"]);
    assert_eq!(of("# ocify: ignore=all\n\nFROM scratch\nCMD a\n"), Vec::<String>::new());
}

#[test]
fn names_of_no_rule_are_told() {
    let found = Linted::new("# check=skip=JsonArgsRecommended\nFROM scratch\n").only("UnknownRule");
    assert_eq!(found.help.as_deref(), Some("did you mean `JSONArgsRecommended`?"));
    assert_eq!(found.span.text(), "skip=JsonArgsRecommended");
}
