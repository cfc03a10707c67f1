//! Whatever a file says: no panic, edits that fit, fixes that end.

use ocify::lint::fixed;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Linted;

/// Pieces of Dockerfiles, whole and broken, that meet in any order.
fn piece() -> impl Strategy<Value = &'static str> {
    select(vec![
        "FROM scratch as Base\n",
        "from debian:12 AS é\n",
        "FROM --platform=$TARGETPLATFORM $X\n",
        "FROM a",
        "ARG É=1\n",
        "RUN apt-get update\n",
        "RUN apt-get install x && \\\n\n  # c\n  apk add y | sh\n",
        "RUN curl x|sh\n",
        "run <<E\napt-get \
        install é\nE\n",
        "RUN [\"apt-get\", \"install\", \"x\"]\n",
        "COPY . .\n",
        "ADD é $É ${Y:-z} /\n",
        "RUN rm -rf é /a/*\n",
        "RUN npm ci\n",
        "CMD é 'a b' \"\n",
        "CMD x y\n",
        "ENTRYPOINT é\n",
        "ENV a é b\n",
        "LABEL é x\n",
        "ENV a=\"b\" c=$d\n",
        "WORKDIR é\n",
        "EXPOSE 80/TCP 1:2:3/Udp é\n",
        "USER root\n",
        "MAINTAINER é\n",
        "# ocify: ignore=é,all\n",
        "# check=skip=É\n",
        "\\\n",
        "\n",
        "  ",
        "\t",
        "'",
        "\"",
        "`",
        "$(",
        "${é",
        "|",
        "&&",
        ">",
        "<<",
        "#",
        "é",
        "\r\n",
        "HEALTHCHECK NONE\n",
        "ONBUILD RUN x\n",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fixes_fit_and_end(pieces in vec(piece(), 0..14)) {
        let mut linted = Linted::new(&format!("FROM scratch AS x\n{}", pieces.concat())).file("é", "x");
        for round in 0.. {
            prop_assert!(round < 20, "fixes never end: {}", linted.source());
            let Ok(report) = linted.try_report() else {
                prop_assert!(round == 0, "a fix broke it: {}", linted.source());
                break;
            };
            for finding in &report.findings {
                prop_assert!(linted.source().get(finding.span.start..finding.span.end).is_some(), "{finding:?}");
            }
            let (text, count) = fixed(linted.source(), &report.findings, true);
            if count == 0 {
                break;
            }
            linted = linted.text(text);
        }
    }
}
