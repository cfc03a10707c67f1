//! Compressed streams made to fill the disk, the memory or the day.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use ocify::archive::read::{Format, Limits, ReadError, decompress, read_tar};
use ocify::digest::Digest;

use super::tarball::Tarball;

/// The error that unpacking `bytes` ends with, and how many bytes came out before.
#[track_caller]
fn refused(bytes: &[u8], limits: &Limits) -> (ReadError, u64) {
    let start = Instant::now();
    let mut count = 0;
    let mut stream = decompress(bytes, limits).unwrap();
    let mut buffer = vec![0; 64 << 10];
    let error = loop {
        match stream.read(&mut buffer) {
            Ok(0) => panic!("{count} bytes were unpacked without an error"),
            Ok(n) => count += n as u64,
            Err(error) => break ReadError::from_io(error),
        }
    };
    assert!(start.elapsed() < Duration::from_secs(60));
    (error, count)
}

/// 64 MiB of zeros in some fifty bytes, again and again.
fn bzip2_bomb(total: u64) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    io::copy(&mut io::repeat(0).take(64 << 20), &mut encoder).unwrap();
    let one = encoder.finish().unwrap();
    one.repeat((total >> 26) as usize)
}

#[test]
fn ten_kib_that_unpack_to_ten_gib_meet_the_cap_on_the_ratio() {
    let bomb = bzip2_bomb(10 << 30);
    assert!(bomb.len() < 20 << 10, "{}", bomb.len());
    let (error, count) = refused(&bomb, &Limits::default());
    assert!(matches!(error, ReadError::Ratio { format: Format::Bzip2, .. }), "{error}");
    assert!(count <= 65 << 20, "{count}");
}

#[test]
fn a_file_of_zeros_is_not_a_bomb() {
    // zstd's best: 128 KiB in four bytes. All blocks but the last two are of this kind.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    let rle = |last: u32| (last | 1 << 1 | (128 << 10) << 3).to_le_bytes();
    (0..2048).for_each(|n| frame.extend_from_slice(&[&rle(u32::from(n == 2047))[..3], &[0]].concat()));
    let mut stream = decompress(&frame[..], &Limits::default()).unwrap();
    assert_eq!(io::copy(&mut stream, &mut io::sink()).unwrap(), 256 << 20);
    let (error, count) = refused(&frame, &Limits { bytes: 1 << 20, ..Limits::default() });
    assert!(matches!(error, ReadError::TooLarge { limit: 1_048_576 }), "{error}");
    assert!(count <= 1 << 20);
}

#[test]
fn a_zstd_window_of_two_gib_is_refused() {
    // RFC 8878, section 3.1.1.1.2: the exponent above 2^10 is in the high five bits; then an empty last block.
    let frame = |log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 1, 0, 0];
    let accepted = frame(27);
    assert_eq!(decompress(&accepted[..], &Limits::default()).unwrap().read(&mut [0; 10]).unwrap(), 0);
    for log in [28, 31, 41] {
        let (error, _) = refused(&frame(log), &Limits::default());
        assert!(matches!(error, ReadError::Compressed { format: Format::Zstd, .. }), "{error}");
        assert!(error.to_string().contains("too much memory"), "{error}");
    }
    // With a single segment there is no window but a content size: 2 GiB.
    let single = [0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000, 0, 0, 0, 0x80, 1, 0, 0];
    let (error, _) = refused(&single, &Limits::default());
    assert!(error.to_string().contains("too much memory"), "{error}");
}

#[test]
fn an_xz_dictionary_of_four_gib_is_refused() {
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
    encoder.write_all(b"data").unwrap();
    let mut data = encoder.finish().unwrap();
    // The .xz format, sections 3.1 and 5.3.1: block header at 12, LZMA2 with one byte for the dictionary.
    let end = 12 + (usize::from(data[12]) + 1) * 4 - 4;
    assert_eq!(data[14..16], [0x21, 1], "LZMA2 is the first filter");
    for (dictionary, accepted) in [(30, true), (32, false), (40, false)] {
        data[16] = dictionary;
        let mut crc = flate2::Crc::new();
        crc.update(&data[12..end]);
        data[end..end + 4].copy_from_slice(&crc.sum().to_le_bytes());
        if accepted {
            let mut stream = decompress(&data[..], &Limits::default()).unwrap();
            assert_eq!(io::read_to_string(&mut stream).unwrap(), "data");
        } else {
            let (error, _) = refused(&data, &Limits::default());
            assert!(matches!(error, ReadError::Compressed { format: Format::Xz, .. }), "{error}");
        }
    }
}

#[test]
fn the_diff_id_covers_every_member_and_frame() {
    let tar = Tarball::new().file("a", "1").end();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let more = [&tar[..], b"more"].concat();
    for (compressed, whole) in [
        (gzip(&tar), &tar),
        ([gzip(&tar[..700]), gzip(&tar[700..])].concat(), &tar),
        ([gzip(&tar), gzip(b"more")].concat(), &more),
        ([gzip(&tar), gzip(b""), gzip(b"more"), vec![0; 100]].concat(), &more),
        ([skippable.clone(), zstd(&tar)].concat(), &tar),
        ([zstd(&tar[..700]), skippable.clone(), zstd(&tar[700..]), skippable.clone()].concat(), &tar),
        ([zstd(&tar), skippable.clone(), zstd(b"more")].concat(), &more),
    ] {
        let limits = Limits::default();
        let contents = read_tar(decompress(&compressed[..], &limits).unwrap(), &limits, None).unwrap();
        assert_eq!(contents.digest, Digest::of(whole));
        assert_eq!(contents.warnings.is_empty(), *whole == tar);
    }
    // A tar that is complete in the first member, and garbage or half a member after it.
    for compressed in [
        [gzip(&tar), b"garbage".to_vec()].concat(),
        [gzip(&tar), gzip(b"more")[..15].to_vec()].concat(),
        [zstd(&tar), b"garbage".to_vec()].concat(),
        [zstd(&tar), skippable[..9].to_vec()].concat(),
    ] {
        let limits = Limits::default();
        let error = read_tar(decompress(&compressed[..], &limits).unwrap(), &limits, None).unwrap_err();
        assert!(matches!(error, ReadError::Compressed { .. }), "{error}");
    }
}

proptest::proptest! {
    /// Any bytes behind each format's first ones.
    #[test]
    fn arbitrary_bytes_are_refused_or_unpacked(
        start in 0usize..6,
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600),
    ) {
        let starts: [&[u8]; 6] = [
            b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh91AY&SY", b"\x50\x2a\x4d\x18", b"",
        ];
        let data = [starts[start], &bytes].concat();
        let limits = Limits { bytes: 1 << 20, window: 1 << 20, ..Limits::default() };
        let _ = io::copy(&mut decompress(&data[..], &limits).unwrap(), &mut io::sink());
    }

    /// A few changed bytes in valid data: an error, or other bytes, and no panic.
    #[test]
    fn damaged_data_is_refused_or_unpacked(
        format in 0usize..4,
        changes in proptest::collection::vec((0usize..10_000, proptest::prelude::any::<u8>()), 1..6),
    ) {
        let plain: Vec<u8> = (0..3000u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        let mut data = match format {
            0 => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&plain).unwrap();
                encoder.finish().unwrap()
            }
            1 => zstd::encode_all(&plain[..], 3).unwrap(),
            2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(&plain).unwrap();
                encoder.finish().unwrap()
            }
            _ => {
                let options = lzma_rust2::XzOptions::with_preset(1);
                let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
                encoder.write_all(&plain).unwrap();
                encoder.finish().unwrap()
            }
        };
        for (at, byte) in changes {
            let at = at % data.len();
            data[at] = byte;
        }
        let limits = Limits { bytes: 1 << 20, ..Limits::default() };
        let _ = io::copy(&mut decompress(&data[..], &limits).unwrap(), &mut io::sink());
    }
}
