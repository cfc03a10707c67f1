//! The rules that only ocify has.

use ocify::oci::Reference;
use ocify::source::{ImagePin, Lock};
use serde_json::json;

use super::{Linted, table};

/// The lines on which a rule finds something.
#[track_caller]
fn lines(linted: &Linted, rule: &str) -> Vec<usize> {
    let found = linted.findings().into_iter().filter(|finding| finding.rule.name == rule);
    found.map(|finding| finding.span.line()).collect()
}

#[test]
fn bases_that_nothing_pins() {
    let found = |text: &str| lines(&Linted::new(text), "UnpinnedBase");
    assert_eq!(found("FROM debian\n"), [1]);
    assert_eq!(found("FROM debian:12 AS a\nFROM a\nCOPY --from=a /x /\nCOPY --from=0 /x /\n"), [1]);
    assert_eq!(found("FROM scratch\nCOPY --from=nginx:1 /x /\n"), [2]);
    let digest = ocify::digest::Digest::of(b"x");
    assert_eq!(found(&format!("FROM debian:12@{digest}\n")), Vec::<usize>::new());
    let other = Linted::new("FROM debian\nCOPY --from=assets /x /\n").context("debian").context("assets");
    assert_eq!(lines(&other, "UnpinnedBase"), Vec::<usize>::new());
    assert_eq!(
        Linted::new("FROM debian\n").only("UnpinnedBase").message,
        "`debian` is whatever is newest on the day of the build"
    );
    let name: Reference = "docker.io/library/debian:latest".parse().unwrap();
    let platforms = [("linux/amd64".parse().unwrap(), digest)].into_iter().collect();
    let lock = Lock { images: [(name, ImagePin { digest, platforms })].into_iter().collect(), ..Lock::default() };
    assert_eq!(lines(&Linted::new("FROM debian\n").locked(lock), "UnpinnedBase"), Vec::<usize>::new());
}

#[test]
fn images_that_run_as_root() {
    let found = |text: &str| lines(&Linted::new(text), "RootUser");
    assert_eq!(found("FROM debian:12\nCMD [\"a\"]\n"), [1]);
    assert_eq!(found("FROM debian:12\nUSER app\nUSER root\nCMD [\"a\"]\n"), [3]);
    assert_eq!(found("FROM debian:12\nUSER 0:0\n"), [2]);
    assert_eq!(found("FROM debian:12\nUSER root\nRUN a\nUSER 1000\n"), Vec::<usize>::new());
    assert_eq!(found("FROM debian:12 AS a\nUSER 5\nFROM a\nCMD [\"a\"]\n"), Vec::<usize>::new());
    assert_eq!(found("FROM gcr.io/distroless/static:nonroot\nCMD [\"a\"]\n"), Vec::<usize>::new());
    // Files for others to copy.
    assert_eq!(found("FROM scratch\nCOPY a /\n"), Vec::<usize>::new());
    assert_eq!(found("FROM scratch\nCOPY a /\nCMD [\"/a\"]\n"), [1]);
    let text = "FROM debian:12\n";
    assert_eq!(lines(&Linted::new(text).base(json!({ "User": "5", "Cmd": ["a"] })), "RootUser"), Vec::<usize>::new());
    assert_eq!(lines(&Linted::new(text).base(json!({ "Cmd": ["a"] })), "RootUser"), [1]);
    let two = Linted::new("FROM debian:12 AS a\nUSER root\nFROM debian:12\nUSER 5\n");
    assert_eq!(lines(&two, "RootUser"), Vec::<usize>::new());
    assert_eq!(lines(&two.target("a"), "RootUser"), [2]);
}

#[test]
fn packages_of_distributions() {
    table(&[
        (
            "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends a && rm -rf /var/lib/apt/lists/*\n",
            &[],
        ),
        ("FROM debian:12\nRUN apt-get update\n", &["AptUpdateAlone 2"]),
        (
            "FROM debian:12\nRUN apt-get -qq update; apt-get -qq install -o APT::Install-Recommends=0 a; rm -r /var/lib/apt/lists\n",
            &[],
        ),
        (
            "FROM debian:12\nRUN apt-get update && \\\n    apt-get install curl && \\\n    apt-get clean\n",
            &["PackageListsLeft 2", "AptInstallRecommends 3", "AptInstallWithoutYes 3"],
        ),
        (
            "FROM debian:12\nRUN <<E\napt-get update\napt-get install --no-install-recommends -y a\nrm -rf /var/lib/apt/lists/*\nE\n",
            &[],
        ),
        (
            "FROM debian:12\nRUN --mount=type=cache,target=/var/lib/apt,sharing=locked apt-get update && apt-get install -y --no-install-recommends a\n",
            &[],
        ),
        ("FROM debian:12\nRUN [\"apt-get\", \"install\", \"-yq\", \"--no-install-recommends\", \"a\"]\n", &[]),
        (
            "FROM debian:12\nRUN [\"sh\", \"-c\", \"apt-get install a\"]\n",
            &["AptInstallRecommends 2", "AptInstallWithoutYes 2"],
        ),
        ("FROM debian:12\nRUN yes | apt-get install --no-install-recommends a\n", &[]),
        ("FROM debian:12\nRUN echo apt-get install\n", &[]),
        ("FROM alpine:3\nRUN apk add curl\n", &["PackageListsLeft 2"]),
        ("FROM alpine:3\nRUN apk add --no-cache curl\n", &[]),
        ("FROM alpine:3\nRUN apk update && apk add curl && rm -rf /var/cache/apk/*\n", &[]),
        ("FROM fedora:40\nRUN dnf install -y a\n", &["PackageListsLeft 2"]),
        ("FROM fedora:40\nRUN dnf install -y a && dnf clean all\n", &[]),
        ("FROM fedora:40\nRUN dnf install -y a && rm -rf /var/cache/yum\n", &[]),
        // What is in another stage is not in the image.
        ("FROM debian:12 AS a\nRUN apk add curl\nFROM scratch\nCOPY --from=a /x /\n", &[]),
        ("FROM debian:12 AS a\nRUN apk add curl\nFROM a\n", &["PackageListsLeft 2"]),
    ]);
}

#[test]
fn downloads_and_rows_of_runs() {
    table(&[
        ("FROM debian:12\nRUN curl -f https://x.example/y | sh\n", &["DownloadPipedToShell 2"]),
        (
            "FROM debian:12\nRUN wget -qO- https://x.example/y | tee log | sudo bash -s -- -y\n",
            &["DownloadPipedToShell 2"],
        ),
        ("FROM debian:12\nRUN curl -f https://x.example/y | tar -x\n", &[]),
        ("FROM debian:12\nRUN curl -f https://x.example/y -o y && sh y\n", &[]),
        ("FROM debian:12\nRUN set -o pipefail; curl -f https://x.example/y | bash\n", &[]),
        (
            "FROM debian:12\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN curl -f https://x.example/y | bash\n",
            &[],
        ),
        ("FROM debian:12\nRUN a\nRUN b\nRUN c\nENV d=1\nRUN e\n", &[]),
        ("FROM debian:12\nENV x=1\nRUN a\nRUN b\nRUN c\nRUN d\n", &["ManyRunLayers 3"]),
        ("FROM debian:12\nRUN a\nRUN b\nRUN --network=none c\nRUN d\n", &[]),
        ("FROM debian:12 AS x\nRUN a\nRUN b\nRUN c\nRUN d\nFROM scratch\nCOPY --from=x /a /\n", &[]),
    ]);
}

#[test]
fn the_order_of_copy_and_install() {
    let bad = "FROM python:3\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\nCMD [\"x\"]\n";
    let context =
        |text: &str| Linted::new(text).file("requirements.txt", "x").file("src/a.py", [0; 1500]).file("b.py", [0; 500]);
    let found = context(bad).only("CopyBeforeInstall");
    assert_eq!(
        found.message,
        "an edit of any of 2 files (2.00kB) copies all of them and does `pip install` in line 4 again"
    );
    assert_eq!(found.help.as_deref(), Some("copy only requirements.txt before it, and the rest behind it"));
    let found = |text: &str| lines(&context(text), "CopyBeforeInstall");
    for (text, expected) in [
        ("FROM a:1\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n", &[][..]),
        ("FROM a:1\nCOPY src/ src/\nRUN python3 -m pip install -r requirements.txt\n", &[2]),
        ("FROM a:1\nCOPY src/ src/\nRUN pip install -r src/requirements.txt\n", &[]),
        ("FROM a:1\nCOPY . .\nRUN pip install .\n", &[]),
        ("FROM a:1\nCOPY . .\nRUN npm ci && npm run build\n", &[2]),
        ("FROM a:1\nCOPY . .\nRUN npm run build\n", &[]),
        ("FROM a:1\nADD . .\nRUN apt-get update && apt-get install -y x\n", &[2]),
        ("FROM a:1 AS b\nCOPY --from=b . .\nRUN npm ci\n", &[]),
        ("FROM a:1\nCOPY . .\nRUN go mod download\n", &[2]),
        ("FROM a:1\nCOPY . .\nRUN apt-get install -y x\nRUN npm ci\nRUN npm ci\n", &[2, 2]),
        ("FROM a:1\nCOPY . .\nRUN yarn\n", &[2]),
        ("FROM a:1\nCOPY b.py .\nRUN npm ci\n", &[]),
        ("FROM a:1\nCOPY . .\nRUN cargo build --release\n", &[]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn files_that_a_later_layer_deletes() {
    let context = |text: &str| {
        let linted = Linted::new(text).file("big.bin", [0; 2000]).file("dir/x", [0; 10]).file("dir/y", [0; 5]);
        linted.file("a.tgz", "no archive")
    };
    let found = context("FROM a:1\nCOPY big.bin /tmp/\nRUN use && rm -f /tmp/big.bin\n").only("DeletedInLaterLayer");
    assert_eq!((found.span.text(), found.span.line()), ("/tmp/big.bin", 3));
    assert_eq!(
        found.message,
        "`/tmp/big.bin` is in the layer of COPY in line 2: deleted here, its 2.00kB stay in the image"
    );
    let found = |text: &str| lines(&context(text), "DeletedInLaterLayer");
    for (text, expected) in [
        ("FROM a:1\nWORKDIR /w\nCOPY dir d\nRUN rm -rf d\n", &[4][..]),
        ("FROM a:1\nWORKDIR /w\nCOPY dir d\nRUN cd / && rm -rf d\n", &[]),
        ("FROM a:1\nCOPY dir /d\nRUN rm /d/*\n", &[3]),
        ("FROM a:1\nCOPY dir /d\nRUN rm /d/z\n", &[]),
        ("FROM a:1\nCOPY dir /d\nRUN rm /d/x && rm /d/y\n", &[3, 3]),
        ("FROM a:1\nRUN make && rm /x\n", &[]),
        ("FROM a:1\nRUN curl -fo /tmp/x https://x.example/\nRUN rm /tmp/x\n", &[3]),
        ("FROM a:1\nRUN curl -fo /tmp/x https://x.example/ && rm /tmp/x\nRUN rm -f /tmp/x\n", &[]),
        ("FROM a:1\nADD https://x.example/x.sh /tmp/\nRUN rm /tmp/x.sh\n", &[3]),
        ("FROM a:1 AS b\nCOPY big.bin /\nFROM b\nRUN rm /big.bin\n", &[4]),
        ("FROM a:1 AS b\nCOPY big.bin /\nRUN rm /big.bin\nFROM a:1\nCOPY --from=b /x /\n", &[]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn add_where_copy_serves() {
    let tar = {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_cksum();
        builder.append_data(&mut header, "x", &[][..]).unwrap();
        builder.into_inner().unwrap()
    };
    let context = |text: &str| Linted::new(text).file("a.txt", "x").file("data", &tar).file("b.tar.gz", "x");
    let found = |text: &str| lines(&context(text), "AddOfLocalFile");
    for (text, expected) in [
        ("FROM scratch\nADD a.txt /\n", &[2][..]),
        ("FROM scratch\nADD --chown=1:1 . /x/\n", &[2]),
        ("FROM scratch\nCOPY a.txt /\n", &[]),
        ("FROM scratch\nADD b.tar.gz /\n", &[]),
        // What it is counts, not what it is called.
        ("FROM scratch\nADD data /\n", &[]),
        ("FROM scratch\nADD https://x.example/a /\n", &[]),
        ("FROM scratch\nADD git@x.example:a.git /\n", &[]),
        ("FROM scratch\nADD --unpack=false data /\n", &[]),
        ("FROM scratch\nADD <<E /\nE\n", &[]),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
    assert!(context("FROM scratch\nADD a.txt /\n").only("AddOfLocalFile").fix.unwrap().is_safe);
    assert!(context("FROM scratch\nADD missing /\n").only("AddOfLocalFile").fix.is_none());
}

#[test]
fn files_that_nobody_means_to_copy() {
    let context = |text: &str| {
        let linted = Linted::new(text).file("a.py", "x").file(".env", "SECRET").file("web/node_modules/x/y", [0; 3000]);
        linted.file(".git/HEAD", "ref")
    };
    let text = "FROM scratch\nCOPY . /\n";
    let found = context(text).only("UnignoredFile");
    assert_eq!(found.message, "this takes `.git`, `.env` (6B), `node_modules` (3.00kB) along");
    assert_eq!(found.help.unwrap(), "write into .dockerignore, a line each: .git **/.env **/node_modules");
    let ignoring = context(text).ignoring(".git\n**/.env\n**/node_modules\n");
    assert_eq!(lines(&ignoring, "UnignoredFile"), Vec::<usize>::new());
    for text in ["FROM scratch\nCOPY a.py /\n", "FROM scratch AS a\nCOPY --from=a . /\n"] {
        assert_eq!(lines(&context(text), "UnignoredFile"), Vec::<usize>::new(), "{text}");
    }
    let excluded = "FROM scratch\nCOPY --exclude=.git --exclude=.env --exclude=**/node_modules . /\n";
    assert_eq!(lines(&context(excluded), "UnignoredFile"), Vec::<usize>::new());
}
