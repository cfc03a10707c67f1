//! Emulators for programs of other processors.
//!
//! The kernel starts one in place of a program whose ELF header it was told to look for (binfmt_misc). From Linux 6.7 each user
//! namespace can have a list of its own, so a step can have an emulator that is in `PATH`, and nobody registers anything with
//! the machine. It is opened when it is registered, and need not be in the image; so it must be linked statically.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::platform::Platform;

/// Where the machine's own list is.
const LIST: &str = "/proc/sys/fs/binfmt_misc";

/// How many bytes of an ELF header tell its processor.
const HEADER: usize = 20;

/// For each architecture, in Go's names: qemu's name, bits, byte order, and `e_machine`.
const ARCHITECTURES: [(&str, &str, u8, Order, u16); 10] = [
    ("386", "i386", 32, Order::Little, 3),
    ("amd64", "x86_64", 64, Order::Little, 62),
    ("arm", "arm", 32, Order::Little, 40),
    ("arm64", "aarch64", 64, Order::Little, 183),
    ("loong64", "loongarch64", 64, Order::Little, 258),
    ("mips64le", "mips64el", 64, Order::Little, 8),
    ("ppc64", "ppc64", 64, Order::Big, 21),
    ("ppc64le", "ppc64le", 64, Order::Little, 21),
    ("riscv64", "riscv64", 64, Order::Little, 243),
    ("s390x", "s390x", 64, Order::Big, 22),
];

#[derive(Clone, Copy, PartialEq)]
enum Order {
    Little,
    Big,
}

/// The emulators that a build may use.
pub struct Emulators {
    machine: Platform,
    directories: Vec<PathBuf>,
}

/// How programs of a platform run.
#[derive(Debug, PartialEq, Eq)]
pub enum Runs {
    /// They are the machine's own.
    Natively,
    /// By what is registered with the machine.
    Registered,
    /// By an emulator that is registered for the step, which is not root's.
    By(Emulator),
    Not,
}

/// An emulator, and the programs that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emulator {
    pub path: PathBuf,
    /// The beginning of the header of such a program.
    pub(super) header: [u8; HEADER],
}

impl Emulators {
    /// Those in the directories of a `PATH`, on a machine of this platform.
    pub fn new(machine: Platform, path: &OsStr) -> Self {
        let directories = std::env::split_paths(path).filter(|directory| directory.is_absolute()).collect();
        Emulators { machine, directories }
    }

    /// Platforms whose programs are not the machine's and run all the same, by their architectures.
    pub fn foreign(&self) -> Vec<(Platform, Runs)> {
        let platforms = ARCHITECTURES.iter().map(|(architecture, ..)| Platform::new("linux", architecture, None));
        let how = platforms.map(|platform| (self.how(&platform), platform));
        how.filter(|(how, _)| !matches!(how, Runs::Natively | Runs::Not))
            .map(|(how, platform)| (platform, how))
            .collect()
    }

    /// How programs of this platform run. What the machine has comes first.
    pub fn how(&self, platform: &Platform) -> Runs {
        if platform.architecture == self.machine.architecture {
            return Runs::Natively;
        }
        let known = ARCHITECTURES.iter().find(|(architecture, ..)| *architecture == platform.architecture);
        let Some((_, name, bits, order, machine)) = known else { return Runs::Not };
        let header = header(*bits, *order, *machine);
        if is_registered(&header, Path::new(LIST)) {
            return Runs::Registered;
        }
        let names = [format!("qemu-{name}-static"), format!("qemu-{name}")];
        let paths = self.directories.iter().flat_map(|directory| names.iter().map(|name| directory.join(name)));
        match { paths }.find(|path| is_static(path)) {
            Some(path) => Runs::By(Emulator { path, header }),
            None => Runs::Not,
        }
    }

    /// What a person can do if the kernel does not know what to do with a program in an image for this platform.
    pub fn help(&self, platform: &Platform) -> String {
        let Emulators { machine, .. } = self;
        if platform.architecture == machine.architecture {
            return "the program is for another processor, or it is a script without `#!`; to run programs of another \
                processor, make the image for its platform and install qemu-user-static, or register an emulator with \
                binfmt_misc"
                .to_owned();
        }
        let known = ARCHITECTURES.iter().find(|(architecture, ..)| *architecture == platform.architecture);
        let program = known.map_or_else(|| "an emulator".to_owned(), |(_, name, ..)| format!("qemu-{name}-static"));
        format!(
            "this machine is {machine}, so programs for {platform} need an emulator: {program} in PATH (Debian's package \
            qemu-user-static) is used for steps that do not run by root's right (`--sandbox single-user`), from Linux 6.7; \
            else it has to be registered with the machine's binfmt_misc, with the flag F. Or the program is a script without \
            `#!`. `ocify doctor` shows which platforms run here"
        )
    }
}

impl Emulator {
    /// What to write to `register` of a binfmt_misc; the emulator is found by the other path, which needs to be there only
    /// then (F). Programs see the name by which they were called (P, which qemu knows from version 6.0).
    pub(super) fn registration(&self, path: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        format!(":ocify:M::{}:{}:{path}:PF", hex(&self.header), hex(&mask(&self.header)))
    }
}

/// The beginning of the header of a program: elf(5).
fn header(bits: u8, order: Order, machine: u16) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(b"\x7fELF");
    header[4] = bits / 32;
    header[5] = if order == Order::Little { 1 } else { 2 };
    header[6] = 1;
    let number = |n: u16| if order == Order::Little { n.to_le_bytes() } else { n.to_be_bytes() };
    header[16..18].copy_from_slice(&number(2));
    header[18..].copy_from_slice(&number(machine));
    header
}

/// What counts of it: all but the ABI, and that a program may be at any address (type 3).
fn mask(header: &[u8; HEADER]) -> [u8; HEADER] {
    let mut mask = [0xff; HEADER];
    mask[7..16].fill(0);
    let low = if header[5] == 1 { 16 } else { 17 };
    mask[low] = 0xfe;
    mask
}

/// True if programs with this header run by a list of the machine, also where the emulator is not in the root (F).
fn is_registered(header: &[u8; HEADER], list: &Path) -> bool {
    let entries = fs::read_dir(list).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_to_string(entry.path()).ok()).any(|text| fits(header, &text))
}

/// True if an entry of a list is for this header.
fn fits(header: &[u8; HEADER], entry: &str) -> bool {
    let field = |name: &str| entry.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    // A shorter one is for scripts, or for programs of whatever processor.
    let Some(magic) = field("magic ").and_then(bytes) else { return false };
    let mask = field("mask ").map_or(Some([0xff; HEADER]), bytes);
    let is_in_use = entry.lines().next() == Some("enabled") && field("flags:").is_some_and(|flags| flags.contains('F'));
    let is_same = |mask: [u8; HEADER]| (0..HEADER).all(|at| header[at] & mask[at] == magic[at] & mask[at]);
    is_in_use && field("offset ") == Some("0") && mask.is_some_and(is_same)
}

/// As many bytes as count, from hexadecimal digits.
fn bytes(text: &str) -> Option<[u8; HEADER]> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect();
    let bytes: Vec<u8> = digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    bytes.try_into().ok()
}

/// True for a program of this machine that needs no loader and no libraries.
fn is_static(path: &Path) -> bool {
    const LOADER: u32 = 3;
    let Ok(file) = File::open(path) else { return false };
    let mut elf = [0; 64];
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) || file.read_exact_at(&mut elf, 0).is_err() {
        return false;
    }
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if elf[..6] != [0x7f, b'E', b'L', b'F', 2, order] {
        return false;
    }
    let number = |at: usize| u16::from_ne_bytes([elf[at], elf[at + 1]]);
    let (Ok(at), size, count) = (<[u8; 8]>::try_from(&elf[32..40]).map(u64::from_ne_bytes), number(54), number(56))
    else {
        return false;
    };
    let kind = |index: u16| {
        let mut kind = [0; 4];
        let place = at.saturating_add(u64::from(index) * u64::from(size));
        file.read_exact_at(&mut kind, place).ok().map(|()| u32::from_ne_bytes(kind))
    };
    (0..count).all(|index| kind(index).is_some_and(|kind| kind != LOADER))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Debian's qemu-user-static registers it.
    const ARM64: &str = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: POF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n";

    #[test]
    fn what_the_machine_has_is_known_by_the_header() {
        let arm64 = header(64, Order::Little, 183);
        assert!(fits(&arm64, ARM64));
        assert!(!fits(&header(64, Order::Little, 243), ARM64));
        // Its emulator would have to be in the image.
        assert!(!fits(&arm64, &ARM64.replace("POF", "PO")));
        assert!(!fits(&arm64, &ARM64.replace("enabled", "disabled")));
        assert!(!fits(&arm64, "enabled\ninterpreter /usr/bin/python3.11\nflags: F\noffset 0\nmagic a70d0d0a\n"));
    }

    #[test]
    fn a_header_has_the_byte_order_of_its_processor() {
        let emulator = Emulator { path: PathBuf::new(), header: header(64, Order::Big, 22) };
        let magic = r"\x7f\x45\x4c\x46\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16";
        let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xfe\xff\xff";
        assert_eq!(emulator.registration("/e"), format!(":ocify:M::{magic}:{mask}:/e:PF"));
    }

    #[test]
    fn an_emulator_must_be_linked_statically() {
        let place = tempfile::tempdir().unwrap();
        let emulators = Emulators::new(Platform::new("linux", "amd64", None), place.path().as_os_str());
        let s390x = Platform::new("linux", "s390x", None);
        // This program has a loader.
        fs::copy(std::env::current_exe().unwrap(), place.path().join("qemu-s390x-static")).unwrap();
        assert!(!matches!(emulators.how(&s390x), Runs::By(_)));
        fs::write(place.path().join("qemu-s390x-static"), "#!/bin/sh\n").unwrap();
        assert!(!matches!(emulators.how(&s390x), Runs::By(_)));
        assert_eq!(emulators.how(&Platform::new("linux", "amd64", Some("v3"))), Runs::Natively);
        assert_eq!(emulators.how(&Platform::new("linux", "sparc", None)), Runs::Not);
    }
}
