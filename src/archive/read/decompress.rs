//! Unpacking a compressed stream.

use std::fmt;
use std::io::{self, BufRead, Cursor, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;

use crate::archive::read::source::Source;
use crate::archive::read::{Limits, ReadError};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not at all: any bytes that none of the others begins with.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    Xz,
    Bzip2,
}

impl Format {
    /// The bytes that [`Format::of`] wants to see.
    const SNIFFED: usize = 10;

    /// The format of a stream that begins with `bytes`. Names and media types are not asked: they are often wrong.
    fn of(bytes: &[u8]) -> Format {
        match bytes {
            [0x1f, 0x8b, 8, ..] => Format::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Zstd,
            // A skippable frame (RFC 8878, section 3.1.2).
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Format::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
            // With the mark of a block or of the end: a tar whose first file is called `BZh1` is no bzip2.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Format::Bzip2,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Format::Bzip2,
            _ => Format::Plain,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Plain => "uncompressed",
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
            Format::Xz => "xz",
            Format::Bzip2 => "bzip2",
        })
    }
}

/// The uncompressed bytes of a stream.
///
/// It reads its input to the very end. Several gzip members, zstd frames (skippable ones too), xz or bzip2 streams in a
/// row are one stream; zero bytes may follow them, except in zstd, and anything else is an error, as it would be content
/// that other readers do not see. The errors are [`ReadError`]s inside [`io::Error`]s: see [`ReadError::from_io`].
/// After an error, every further read is an error.
pub struct Decompressed<'a> {
    format: Format,
    decoder: Decoder<'a>,
    limits: Limits,
    output: u64,
}

/// Unpacks `input`, in whatever way its first bytes say that it is compressed.
///
/// # Errors
/// `input` cannot be read. What is wrong with the data shows when it is read.
pub fn decompress<'a>(mut input: impl BufRead + 'a, limits: &Limits) -> Result<Decompressed<'a>, ReadError> {
    let mut start = Vec::with_capacity(Format::SNIFFED);
    input.by_ref().take(Format::SNIFFED as u64).read_to_end(&mut start).map_err(ReadError::from_io)?;
    let format = Format::of(&start);
    let source = Source::new(Box::new(Cursor::new(start).chain(input)));
    let decoder = match format {
        Format::Plain => Decoder::Plain(source),
        Format::Gzip => Decoder::Gzip(Box::new(Members::Inside(GzDecoder::new(source)))),
        Format::Bzip2 => Decoder::Bzip2(Members::Inside(BzDecoder::new(source))),
        Format::Xz => Decoder::Xz(Box::new(XzReader::new_mem_limit(source, true, xz_memory(limits)))),
        Format::Zstd => Decoder::Zstd(zstd_decoder(source, limits).map_err(ReadError::Io)?),
    };
    Ok(Decompressed { format, decoder, limits: limits.clone(), output: 0 })
}

impl Decompressed<'_> {
    /// What the input turned out to be.
    pub fn format(&self) -> Format {
        self.format
    }

    fn check_limits(&self) -> Result<(), ReadError> {
        let Limits { bytes, ratio, ratio_free, .. } = self.limits;
        let (input, output) = (self.decoder.source().map_or(0, Source::consumed), self.output);
        if output > bytes {
            return Err(ReadError::TooLarge { limit: bytes });
        }
        if output > ratio_free && output / ratio > input {
            return Err(ReadError::Ratio { format: self.format, input, output, limit: ratio });
        }
        Ok(())
    }
}

impl Read for Decompressed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let result = match &mut self.decoder {
            Decoder::Plain(source) => source.read(buffer),
            Decoder::Gzip(members) => members.read(buffer),
            Decoder::Bzip2(members) => members.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
            Decoder::Xz(decoder) => decoder.read(buffer),
            Decoder::Failed => Err(io::Error::other("an earlier error")),
        };
        let result = match result {
            Ok(n) => {
                self.output += n as u64;
                self.check_limits().map(|()| n)
            }
            Err(error) if self.decoder.source().is_some_and(Source::failed) => Err(ReadError::from_io(error)),
            Err(error) => Err(ReadError::Compressed { format: self.format, reason: error.to_string() }),
        };
        result.map_err(|error| {
            self.decoder = Decoder::Failed;
            error.into()
        })
    }
}

enum Decoder<'a> {
    Plain(Source<'a>),
    Gzip(Box<Members<'a, GzDecoder<Source<'a>>>>),
    Bzip2(Members<'a, BzDecoder<Source<'a>>>),
    Zstd(zstd::Decoder<'static, Source<'a>>),
    Xz(Box<XzReader<Source<'a>>>),
    Failed,
}

impl<'a> Decoder<'a> {
    fn source(&self) -> Option<&Source<'a>> {
        match self {
            Decoder::Plain(source) => Some(source),
            Decoder::Gzip(members) => members.source(),
            Decoder::Bzip2(members) => members.source(),
            Decoder::Zstd(decoder) => Some(decoder.get_ref()),
            Decoder::Xz(decoder) => Some(decoder.inner()),
            Decoder::Failed => None,
        }
    }
}

/// A format in which a file may be several complete ones in a row.
trait Member<'a>: Read {
    /// The first byte of each.
    const FIRST: u8;
    fn begin(source: Source<'a>) -> Self;
    fn source(&self) -> &Source<'a>;
    fn end(self) -> Source<'a>;
}

macro_rules! member {
    ($decoder:ident, $first:expr) => {
        impl<'a> Member<'a> for $decoder<Source<'a>> {
            const FIRST: u8 = $first;
            fn begin(source: Source<'a>) -> Self {
                $decoder::new(source)
            }
            fn source(&self) -> &Source<'a> {
                self.get_ref()
            }
            fn end(self) -> Source<'a> {
                self.into_inner()
            }
        }
    };
}

member!(GzDecoder, 0x1f);
member!(BzDecoder, b'B');

/// Members one after another. The crates' own readers of several members take zero padding for a damaged member.
enum Members<'a, M> {
    Inside(M),
    Ended(Source<'a>),
    /// Only while one member gives way to the next.
    Between,
}

impl<'a, M: Member<'a>> Members<'a, M> {
    fn source(&self) -> Option<&Source<'a>> {
        match self {
            Members::Inside(member) => Some(member.source()),
            Members::Ended(source) => Some(source),
            Members::Between => None,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Members::Inside(member) = self else { return Ok(0) };
            let n = member.read(buffer)?;
            if n > 0 {
                return Ok(n);
            }
            let Members::Inside(member) = std::mem::replace(self, Members::Between) else { return Ok(0) };
            let mut source = member.end();
            let next = source.fill_buf().map(|bytes| bytes.first().copied());
            let padding = match next {
                Ok(Some(first)) if first == M::FIRST => {
                    *self = Members::Inside(M::begin(source));
                    continue;
                }
                Ok(_) => source.rest_is_zero(),
                Err(error) => Err(error),
            };
            *self = Members::Ended(source);
            if !padding? {
                return Err(io::Error::other("something else follows after its end"));
            }
        }
    }
}

fn zstd_decoder<'a>(source: Source<'a>, limits: &Limits) -> io::Result<zstd::Decoder<'static, Source<'a>>> {
    let mut decoder = zstd::Decoder::with_buffer(source)?;
    decoder.window_log_max(limits.window.max(1024).ilog2().clamp(10, 31))?;
    Ok(decoder)
}

/// In KiB: the dictionary, and the little more that the decoder asks for itself.
fn xz_memory(limits: &Limits) -> u32 {
    u32::try_from(limits.window >> 10).unwrap_or(u32::MAX - 1025) + 1024
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let options = lzma_rust2::XzOptions::with_preset(1);
        let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn unpack(bytes: &[u8]) -> Result<(Format, Vec<u8>), ReadError> {
        let mut stream = decompress(bytes, &Limits::default())?;
        let mut output = Vec::new();
        stream.read_to_end(&mut output).map_err(ReadError::from_io)?;
        Ok((stream.format(), output))
    }

    type Encode = fn(&[u8]) -> Vec<u8>;

    const ENCODERS: [(Format, Encode); 4] =
        [(Format::Gzip, gzip), (Format::Bzip2, bzip2), (Format::Xz, xz), (Format::Zstd, zstd)];

    #[test]
    fn every_format_is_known_by_its_bytes_and_may_come_in_pieces() {
        for (format, encode) in ENCODERS {
            let (one, two, none) = (encode(b"one"), encode(b"two"), encode(b""));
            assert_eq!(unpack(&one).unwrap(), (format, b"one".to_vec()));
            assert_eq!(unpack(&none).unwrap(), (format, Vec::new()));
            assert_eq!(unpack(&[one, none, two].concat()).unwrap(), (format, b"onetwo".to_vec()));
        }
        for plain in [&b""[..], b"x", b"\x1f\x8b", b"BZh1 is a file name"] {
            assert_eq!(unpack(plain).unwrap(), (Format::Plain, plain.to_vec()));
        }
    }

    #[test]
    fn zero_padding_is_accepted_and_other_trailing_bytes_are_not() {
        for (format, encode) in ENCODERS {
            let data = encode(b"data");
            let padded = unpack(&[&data[..], &[0; 64]].concat());
            assert_eq!(padded.is_ok(), format != Format::Zstd, "{format}");
            for garbage in [&b"garbage"[..], &data[..1], &data[..data.len() - 1], b"\0\0\0x"] {
                let error = unpack(&[&data[..], garbage].concat()).unwrap_err();
                assert!(matches!(error, ReadError::Compressed { .. }), "{format}: {error}");
            }
        }
    }

    #[test]
    fn data_cut_anywhere_is_an_error() {
        for (format, encode) in ENCODERS {
            let data = encode(b"some data, some data, some data");
            for end in Format::SNIFFED..data.len() {
                let error = unpack(&data[..end]).unwrap_err();
                assert!(matches!(error, ReadError::Compressed { .. }), "{format} cut at {end}: {error}");
            }
        }
    }

    #[test]
    fn an_input_that_fails_is_not_called_damaged_data_and_stays_failed() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is on fire"))
            }
        }
        for (format, encode) in ENCODERS {
            let data = encode(b"data");
            let broken = Cursor::new(&data[..data.len() - 3]).chain(io::BufReader::new(Broken));
            let mut stream = decompress(broken, &Limits::default()).unwrap();
            let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
            assert!(matches!(ReadError::from_io(error), ReadError::Io(_)), "{format}");
            assert!(stream.read(&mut [0]).is_err(), "{format}");
        }
    }

    #[test]
    fn caps_on_bytes_and_ratio() {
        let zeros = vec![0; 1 << 20];
        for (format, encode) in ENCODERS {
            let data = encode(&zeros);
            let read = |limits: &Limits| io::copy(&mut decompress(&data[..], limits).unwrap(), &mut io::sink());
            let exact = Limits { bytes: 1 << 20, ..Limits::default() };
            assert_eq!(read(&exact).unwrap(), 1 << 20, "{format}");
            let error = ReadError::from_io(read(&Limits { bytes: (1 << 20) - 1, ..exact }).unwrap_err());
            assert!(matches!(error, ReadError::TooLarge { .. }), "{format}: {error}");
            let error =
                ReadError::from_io(read(&Limits { ratio: 10, ratio_free: 1000, ..Limits::default() }).unwrap_err());
            assert!(matches!(error, ReadError::Ratio { .. }), "{format}: {error}");
        }
    }
}
