//! W2: 1 GiB in 40 files, of which 24 are like /usr/lib and 16 no encoder makes smaller.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::contender::{self, Contender, rounds};
use crate::random::Random;
use crate::system_files::SystemFiles;
use crate::table::Table;
use crate::text_files::{gzip_size, umoci};
use crate::tree;
use crate::workspace::Workspace;

pub fn measure(root: &Path, count: usize, table: &mut Table) {
    let workspace = Workspace::new(root);
    let directory = &workspace.directory;
    let mut system = write(directory);
    let image = |name, compression| {
        format!("image(name = '{name}', compression = '{compression}', layers = [files(srcs = ['tree'])])\n")
    };
    workspace.write("BUILD.star", image("gzip", "gzip") + &image("zstd", "zstd"));

    let contenders = [
        workspace.cold_build("//:gzip"),
        umoci(directory),
        Contender::script("tar | pigz -6", &["tar", "pigz"], directory, "tar -cf - tree | pigz -6 > ../piped"),
    ];
    let [ours, umoci, pigz] = rounds(count, contenders, |_| ());
    table.ratio("W2 cold, gzip", &ours, &umoci, 0.5);
    table.ratio("W2 cold, gzip", &ours, &pigz, 0.15);
    table.memory("W2 cold, peak memory", &ours, &umoci, 150);
    table.sizes("W2 size, gzip", workspace.largest_blob(), "tar | gzip -6", gzip_size(directory), 1.0);
    let _ = fs::remove_dir_all(root.join("umoci"));

    let openssl = "tar -cf - tree | openssl sha256";
    let contenders = [
        workspace.build("//:gzip"),
        Contender::script("tar | openssl sha256", &["tar", "openssl"], directory, openssl),
    ];
    let path = directory.join("tree/20");
    let [ours, openssl] = rounds(count, contenders, |_| {
        let mut left = fs::metadata(&path).unwrap().len() as usize;
        let mut file = fs::File::create(&path).unwrap();
        while left > 0 {
            let mut content = system.content();
            content.truncate(left);
            file.write_all(&content).unwrap();
            left -= content.len();
        }
        contender::let_be();
    });
    table.ratio("W2 one file of 25 MB changed", &ours, &openssl, 0.5);

    let zstd = "tar --sort=name -cf - tree | zstd -q -f -3 -T2 -o ../piped";
    let contenders =
        [workspace.cold_build("//:zstd"), Contender::script("tar | zstd -3 -T2", &["tar", "zstd"], directory, zstd)];
    let [ours, zstd] = rounds(count, contenders, |_| ());
    table.ratio("W2 cold, zstd", &ours, &zstd, 0.4);
    let zstd_size = fs::metadata(root.join("piped")).ok().map(|piped| piped.len());
    table.sizes("W2 size, zstd", workspace.largest_blob(), zstd.name, zstd_size, 1.01);
}

/// Writes the files into `tree` of a directory; what is returned gives more of their kind.
pub fn write(directory: &Path) -> SystemFiles {
    let (mut system, mut random) = (SystemFiles::new(2), Random(2));
    let part = |number| if is_random(number) { random.bytes() } else { system.content() };
    tree::large_files(&directory.join("tree"), part);
    system
}

/// Two in five, spread evenly.
fn is_random(number: usize) -> bool {
    number % 5 == 1 || number % 5 == 3
}
