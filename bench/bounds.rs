//! `--bounds`: what the parts of a cold build of W1 and W2 take by themselves, which no schedule of them on as many threads
//! goes below.
//!
//! The chunks are those of the layer that ocify wrote, taken out of it again, and lie in memory. They are packed at several
//! levels on as many threads as there are processors, and nothing else is done meanwhile: no file is read, nothing is
//! hashed or written. docs/design/speed.md has what came out.

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use libdeflater::{CompressionLvl, Compressor};
use ocify::digest::Hasher;

use crate::contender::rounds;
use crate::workspace::Workspace;
use crate::{mixed_files, text_files};

pub fn measure(name: &str, root: &Path, count: usize) {
    let workspace = Workspace::new(root);
    match name {
        "W1" => drop(text_files::write(&workspace.directory)),
        "W2" => drop(mixed_files::write(&workspace.directory)),
        _ => return,
    }
    workspace.write("BUILD.star", "image(name = 'x', layers = [files(srcs = ['tree'])])\n");
    rounds(1, [workspace.build("//:x")], |_| ())[0].runs();
    let blob = fs::read(workspace.largest_blob_path()).unwrap();
    let chunks = Chunk::all_of(&blob);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let stored: usize = chunks.iter().filter(|chunk| chunk.is_stored).map(|chunk| chunk.bytes.len()).sum();
    let all: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
    println!("{name}: {} chunks of {:.1} MB, of which {:.1} MB are stored", chunks.len(), mega(all), mega(stored));

    report(name, "read all files", threads, count, || read(&workspace.directory.join("tree"), threads));
    report(name, "SHA-256 of the tar stream", 1, count, || {
        chunks.iter().fold(Hasher::new(), |mut hasher, chunk| {
            hasher.update(&chunk.bytes);
            hasher
        });
        0
    });
    for level in 3..=6 {
        report(name, &format!("libdeflate level {level}"), threads, count, || {
            pack(&chunks, threads, || {
                let mut packer = Compressor::new(CompressionLvl::new(level).unwrap());
                let mut room = Vec::new();
                move |bytes: &[u8]| {
                    room.resize(packer.gzip_compress_bound(bytes.len()), 0);
                    packer.gzip_compress(bytes, &mut room).unwrap()
                }
            })
        });
    }
    report(name, "zstd level 3", threads, count, || {
        pack(&chunks, threads, || {
            let mut packer = zstd::bulk::Compressor::new(3).unwrap();
            let mut room = Vec::new();
            move |bytes: &[u8]| {
                room.resize(zstd::zstd_safe::compress_bound(bytes.len()), 0);
                packer.compress_to_buffer(bytes, &mut room).unwrap()
            }
        })
    });
}

/// A chunk of the layer's tar stream.
struct Chunk {
    bytes: Vec<u8>,
    /// It is in the layer as it is: whoever wrote it found that it does not compress.
    is_stored: bool,
}

impl Chunk {
    /// Each is one gzip member.
    fn all_of(blob: &[u8]) -> Vec<Chunk> {
        let (mut rest, mut chunks) = (blob, Vec::new());
        while !rest.is_empty() {
            let mut member = flate2::bufread::GzDecoder::new(rest);
            let mut bytes = Vec::new();
            member.read_to_end(&mut bytes).unwrap();
            let after = member.into_inner();
            chunks.push(Chunk { is_stored: rest.len() - after.len() > bytes.len(), bytes });
            rest = after;
        }
        chunks
    }
}

/// Packs what is not stored, and gives the size of it all.
fn pack<P: FnMut(&[u8]) -> usize>(chunks: &[Chunk], threads: usize, packer: impl Fn() -> P + Sync) -> u64 {
    let size = AtomicU64::new(0);
    on_threads(
        threads,
        chunks,
        |chunk, packer: &mut P| {
            let len = if chunk.is_stored { chunk.bytes.len() } else { packer(&chunk.bytes) };
            size.fetch_add(len as u64, Ordering::Relaxed);
        },
        packer,
    );
    size.into_inner()
}

/// Reads every file below `directory`.
fn read(directory: &Path, threads: usize) -> u64 {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => open.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    let room = || vec![0; 128 << 10];
    on_threads(
        threads,
        &files,
        |path, room: &mut Vec<u8>| {
            let mut file = fs::File::open(path).unwrap();
            while black_box(file.read(room).unwrap()) > 0 {}
        },
        room,
    );
    0
}

/// Does `work` for each item, with something that each thread makes for itself.
fn on_threads<T: Sync, S>(threads: usize, items: &[T], work: impl Fn(&T, &mut S) + Sync, make: impl Fn() -> S + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut state = make();
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item, &mut state);
                }
            });
        }
    });
}

/// Prints of `count` runs the least time, the least time of processors, which says more where other work goes on, and the
/// size that each run gives.
fn report(name: &str, what: &str, threads: usize, count: usize, run: impl Fn() -> u64) {
    let (mut size, mut least, mut least_busy) = (0, f64::INFINITY, f64::INFINITY);
    for _ in 0..count {
        let (begun, busy) = (Instant::now(), busy());
        size = black_box(run());
        least = least.min(begun.elapsed().as_secs_f64());
        least_busy = least_busy.min(self::busy() - busy);
    }
    let size = if size == 0 { String::new() } else { format!("{:.1} MB", size as f64 / 1e6) };
    println!("{name} {what:28} threads {threads}  {least:5.2} s  {least_busy:5.2} s of processors  {size}");
}

/// Seconds that this process has kept processors busy.
fn busy() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live value of the type that clock_gettime(2) fills.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
