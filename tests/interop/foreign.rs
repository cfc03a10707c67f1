//! Steps in images for another processor, with Debian's qemu-user-static: nothing is registered with the machine.

use std::os::unix::fs::PermissionsExt;

use crate::program::{Who, command_as, everybody, last_layer};
use crate::workspace::{Run, Workspace};

/// A program for arm64 that makes the file /arm64, which says so, and gives it to 1000:1000.
fn program() -> Vec<u8> {
    const INSTRUCTIONS: [u32; 19] = [
        0x9280_0c60, // mov x0, #-100
        0x1000_0241, // adr x1, path
        0xd280_1822, // mov x2, #O_WRONLY | O_CREAT | O_EXCL
        0xd280_3483, // mov x3, #0644
        0xd280_0708, // mov x8, #openat
        0xd400_0001, // svc #0
        0xaa00_03f3, // mov x19, x0
        0x1000_0181, // adr x1, path
        0xd280_00c2, // mov x2, #6
        0xd280_0808, // mov x8, #write
        0xd400_0001, // svc #0
        0xaa13_03e0, // mov x0, x19
        0xd280_7d01, // mov x1, #1000
        0xd280_7d02, // mov x2, #1000
        0xd280_06e8, // mov x8, #fchown
        0xd400_0001, // svc #0
        0xd280_0000, // mov x0, #0
        0xd280_0ba8, // mov x8, #exit
        0xd400_0001, // svc #0
    ];
    const ADDRESS: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let code: Vec<u8> = INSTRUCTIONS.iter().flat_map(|word| word.to_le_bytes()).chain(*b"/arm64\0\0").collect();
    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    // A program for arm64, version 1.
    elf.extend([2, 0, 183, 0, 1, 0, 0, 0]);
    // It begins behind the headers; the only program header comes first, and there are no sections.
    [ADDRESS + HEADERS, 64, 0].iter().for_each(|number| elf.extend(number.to_le_bytes()));
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // All of the file is loaded, to be read and executed.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    [0, ADDRESS, ADDRESS, size, size, 0x1_0000].iter().for_each(|number: &u64| elf.extend(number.to_le_bytes()));
    elf.extend(code);
    elf
}

#[test]
fn a_step_for_another_processor_gives_the_same_layer_to_everybody() {
    assert_ne!(std::env::consts::ARCH, "aarch64", "this machine needs no emulator");
    let spec =
        "image(name = 'x', platform = 'linux/arm64', layers = [files(srcs = ['step'], dest = '/bin'), run(['step'])])";
    let mut digests = Vec::new();
    for &who in everybody() {
        let workspace = Workspace::new().file("BUILD.star", spec);
        workspace.write("step", program());
        std::fs::set_permissions(workspace.path("step"), PermissionsExt::from_mode(0o755)).unwrap();
        // Root has no list of its own; the machine's is left alone.
        let tier = if who == Who::WithIds { "subordinate-ids" } else { "single-user" };
        let arguments = ["build", "//:x", "--sandbox", tier, "-o", "oci:out"];
        let mut command = command_as(&workspace, who, &arguments);
        command.env("PATH", "/usr/bin:/bin");
        let run = Run::from(command.output().unwrap());
        assert_eq!(run.code, 0, "{who:?}; install Debian's package `qemu-user-static`\n{}", run.stderr);
        let layer = last_layer(&workspace.path("out"), &workspace.path("layer.tar"));
        assert!(layer.iter().any(|line| line.contains("arm64") && line.contains("1000")), "{who:?}: {layer:?}");
        digests.push(run.stdout);
    }
    assert!(!digests.is_empty() && digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}
