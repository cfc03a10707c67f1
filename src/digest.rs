//! SHA-256 digests, and one newtype for each thing that a digest can name.
//!
//! Only `sha256` is accepted: OCI image-spec 1.1, "Descriptors § Digests" makes it the one algorithm that every
//! implementation must support. A digest is parsed before any path or URL is made of it, so `sha256:../../x` never
//! gets that far.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes, written `sha256:` and 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }

    /// The 32 raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest whose raw bytes are `bytes`.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    /// The 64 hexadecimal digits without the algorithm: the name of a file under `blobs/sha256/`.
    pub fn hex(&self) -> String {
        let mut digits = Vec::with_capacity(64);
        for byte in self.0 {
            digits.extend([byte >> 4, byte & 15].map(|nibble| b"0123456789abcdef"[usize::from(nibble)]));
        }
        String::from_utf8(digits).expect("hexadecimal digits are ASCII")
    }

    /// Parses 64 lowercase hexadecimal digits without an algorithm, as a blob's file name or a `sha256 = "..."`
    /// argument has them.
    pub fn from_hex(hex: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        // What is no digit sets a bit above the lowest eight, so one look afterwards is enough.
        let mut seen = 0;
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let value = NIBBLES[usize::from(pair[0])] << 4 | NIBBLES[usize::from(pair[1])];
            seen |= value;
            *byte = value as u8;
        }
        match hex.len() == 64 && seen < 256 {
            true => Ok(Digest(bytes)),
            false => Err(DigestError::Hex { text: hex.to_owned() }),
        }
    }
}

/// The value of each lowercase hexadecimal digit; 256 for every other byte.
const NIBBLES: [u16; 256] = {
    let mut nibbles = [256; 256];
    let mut value = 0;
    while value < 16 {
        nibbles[b"0123456789abcdef"[value] as usize] = value as u16;
        value += 1;
    }
    nibbles
};

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text.split_once(':') {
            Some(("sha256", hex)) => Digest::from_hex(hex),
            Some((algorithm, _)) => Err(DigestError::Algorithm { algorithm: algorithm.to_owned() }),
            None => Err(DigestError::NoAlgorithm { text: text.to_owned() }),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_string(TextVisitor)
    }
}

/// Reads a digest from a text without a copy of it.
struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digest, E> {
        text.parse().map_err(E::custom)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("`{text}` is not 64 lowercase hexadecimal digits")]
    Hex { text: String },
    #[error("digest algorithm `{algorithm}` is not supported: only sha256 is")]
    Algorithm { algorithm: String },
    #[error("`{text}` is not a digest: it should look like `sha256:` and 64 lowercase hexadecimal digits")]
    NoAlgorithm { text: String },
}

/// An incremental SHA-256: write bytes into it, then ask for the [`Digest`].
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher that has seen no bytes.
    pub fn new() -> Self {
        Hasher::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes seen.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    /// What the bytes seen so far have made of the hasher.
    pub fn state(&self) -> HasherState {
        HasherState(self.0.serialize().into())
    }

    /// A hasher that has seen the bytes that `state` stands for; `None` if `state` is none that a hasher had.
    pub fn resume(state: &HasherState) -> Option<Hasher> {
        Sha256::deserialize(&state.0.into()).ok().map(Hasher)
    }
}

/// A [`Hasher`] as bytes, so that hashing can go on in another process. Who keeps one outside of memory guards it by a
/// checksum: after a wrong state, every digest is wrong.
///
/// The bytes are: the eight words of SHA-256's state (FIPS 180-4, section 6.2), little-endian; the number of blocks
/// of 64 bytes seen, 8 bytes little-endian; the number of bytes seen after these, one byte; these bytes, and zeros up to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HasherState([u8; HasherState::LEN]);

impl HasherState {
    /// Number of bytes.
    pub const LEN: usize = 32 + 8 + 1 + 63;

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The state whose bytes are `bytes`.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        HasherState(bytes)
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that hashes and counts every byte that passes through it.
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    count: u64,
}

impl<R: Read> HashingReader<R> {
    /// Wraps `inner`; bytes that were read from it before are not counted.
    pub fn new(inner: R) -> Self {
        HashingReader { inner, hasher: Hasher::new(), count: 0 }
    }

    /// Bytes read so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The digest and the number of the bytes read.
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.count)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.count += n as u64;
        Ok(n)
    }
}

macro_rules! digest_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

digest_newtype! {
    /// The digest of a layer's uncompressed tar stream (image-spec, "config § Layer DiffID").
    DiffId
}

digest_newtype! {
    /// The digest that names a stack of layers (image-spec, "config § Layer ChainID").
    ChainId
}

digest_newtype! {
    /// The digest of everything that decides what an action gives; see [`crate::action::key`].
    CacheKey
}

impl ChainId {
    /// The chain ID of a single layer: its diff ID.
    pub fn first(diff_id: DiffId) -> Self {
        ChainId(diff_id.0)
    }

    /// The chain ID of this stack with one layer more on top.
    pub fn then(self, diff_id: DiffId) -> Self {
        ChainId(Digest::of(format!("{self} {diff_id}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_form_round_trips() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
    }

    #[test]
    fn what_is_not_a_digest_is_rejected_with_its_reason() {
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        for text in ["sha256:../../x", upper.as_str(), "sha256:abc", "sha256:", &EMPTY[..70]] {
            assert!(matches!(text.parse::<Digest>(), Err(DigestError::Hex { .. })), "{text}");
        }
        let sha512 = "sha512:abc".parse::<Digest>();
        assert_eq!(sha512, Err(DigestError::Algorithm { algorithm: "sha512".into() }));
        assert!(matches!(EMPTY[7..].parse::<Digest>(), Err(DigestError::NoAlgorithm { .. })));
    }

    #[test]
    fn hashing_reader_sees_every_byte() {
        let mut reader = HashingReader::new(&b"some bytes"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish(), (Digest::of(b"some bytes"), 10));
    }

    #[test]
    fn a_hasher_goes_on_from_its_state() {
        let bytes: Vec<u8> = (0..1000_u32).map(|n| (n * n / 7) as u8).collect();
        for at in [0, 1, 63, 64, 65, 512, 1000] {
            let mut hasher = Hasher::new();
            hasher.update(&bytes[..at]);
            let state = HasherState::from_bytes(*hasher.state().as_bytes());
            let mut resumed = Hasher::resume(&state).unwrap();
            resumed.update(&bytes[at..]);
            assert_eq!(resumed.finish(), Digest::of(&bytes), "{at}");
        }
        assert!(Hasher::resume(&HasherState([0xff; HasherState::LEN])).is_none());
    }

    /// States are kept in stores: a release of sha2 that writes others needs another version of what holds them.
    #[test]
    fn the_form_of_a_state_is_known() {
        let mut hasher = Hasher::new();
        hasher.update(b"abc");
        let initial =
            [0x6a09e667_u32, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
        let mut expected: Vec<u8> = initial.iter().flat_map(|word| word.to_le_bytes()).collect();
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c']);
        expected.resize(HasherState::LEN, 0);
        assert_eq!(hasher.state().as_bytes(), expected.as_slice());
        hasher.update(&[0; 64]);
        assert_eq!(hasher.state().as_bytes()[32..44], [1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]);
    }

    #[test]
    fn chain_ids_follow_the_specification() {
        let (a, b) = (DiffId(Digest::of(b"a")), DiffId(Digest::of(b"b")));
        let chain = ChainId::first(a).then(b);
        assert_eq!(chain.0, Digest::of(format!("{a} {b}").as_bytes()));
    }
}
