//! Asking for a password on the terminal, without showing it.

use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

const INTERRUPT: u8 = 0x03;
const END_OF_TEXT: u8 = 0x04;
const BACKSPACE: [u8; 2] = [0x08, 0x7f];
const ERASE_LINE: u8 = 0x15;

/// The longest answer, in bytes.
const LONGEST: usize = 64 << 10;

/// Asks for a line on stdin, a terminal, and does not echo it.
pub(super) fn ask(prompt: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    stderr.write_all(prompt.as_bytes())?;
    let answer = {
        let _hidden = Hidden::begin()?;
        line(&mut io::stdin().lock())
    };
    stderr.write_all(b"\n")?;
    answer
}

/// Keys are neither shown nor acted upon: Ctrl-C must not end the process before the terminal is as it was.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Hidden { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

/// A line, with the keys that edit one.
fn line(input: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut key = [0];
    while input.read(&mut key)? == 1 {
        match key[0] {
            b'\r' | b'\n' | END_OF_TEXT => break,
            INTERRUPT => return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted")),
            ERASE_LINE => line.clear(),
            key if BACKSPACE.contains(&key) => while line.pop().is_some_and(|b| b & 0xc0 == 0x80) {},
            key if line.len() < LONGEST => line.push(key),
            _ => {}
        }
    }
    String::from_utf8(line).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the password is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_the_line() {
        for (keys, expected) in [("pw\n", "pw"), ("pé\u{7f}w\r", "pw"), ("x\u{15}pw\u{4}no", "pw"), ("\u{7f}pw", "pw")]
        {
            assert_eq!(line(&mut keys.as_bytes()).unwrap(), expected, "{keys:?}");
        }
        assert_eq!(line(&mut &b"p\x03"[..]).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
