//! Text that compresses as source code does: to 37 % by `gzip -6`.

use crate::random::Random;

/// Lines over a vocabulary in which, as in code, few names are frequent and most are rare.
pub struct SourceText {
    random: Random,
    names: Vec<String>,
}

impl SourceText {
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let names = (0..NAMES).map(|_| name(&mut random)).collect();
        SourceText { random, names }
    }

    /// A file of `size` bytes.
    pub fn file(&mut self, size: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(size + 200);
        while text.len() < size {
            self.line(&mut text);
        }
        text.truncate(size);
        text
    }

    /// A file of 2 to 16 KB, 8 KB on average, as there are more small ones.
    pub fn any_file(&mut self) -> Vec<u8> {
        let size = 2_000.0 + 14_000.0 * self.uniform().powf(1.27);
        self.file(size as usize)
    }

    fn line(&mut self, text: &mut Vec<u8>) {
        text.extend(std::iter::repeat_n(b' ', 4 * self.random.below(4)));
        for piece in LINES[self.random.below(LINES.len())].split_inclusive('$') {
            let (literal, has_name) = piece.strip_suffix('$').map_or((piece, false), |literal| (literal, true));
            text.extend(literal.bytes());
            if has_name {
                let index = self.frequent();
                text.extend(self.names[index].bytes());
            }
        }
        text.push(b'\n');
    }

    /// An index of `names`, the lower the likelier. A uniform logarithm of the rank would be Zipf's law; the root makes the
    /// rare ones somewhat more frequent, so that the text compresses as far as code does.
    fn frequent(&mut self) -> usize {
        ((NAMES as f64).powf(self.uniform().cbrt()) - 1.0) as usize
    }

    /// At least 0 and below 1.
    fn uniform(&mut self) -> f64 {
        self.random.below(1 << 32) as f64 / (1u64 << 32) as f64
    }
}

const NAMES: usize = 30_000;

/// Each `$` stands for a name.
const LINES: [&str; 12] = [
    "let $ = $.$($, &$)?;",
    "pub fn $(&self, $: &$, $: $) -> Result<$, $> {",
    "if $.$() == $::$ {",
    "return Err($::$ { $, $ });",
    "}",
    "/// The $ of a $ that $ the $, and $ $ in $ $.",
    "// $ $ $ before $, so $ $ $ $.",
    "$.$($).map(|$| $.$(\"$ $\")).collect()",
    "for ($, $) in $.$().enumerate() {",
    "assert_eq!($($), $, \"$ $ $\");",
    "use crate::$::{$, $};",
    "",
];

/// Two to four syllables.
fn name(random: &mut Random) -> String {
    const SYLLABLES: [&str; 40] = [
        "la", "im", "man", "ref", "dig", "blob", "en", "try", "pa", "th", "co", "nt", "er", "in", "dex", "lo", "ad",
        "st", "or", "e", "wr", "ite", "re", "ve", "si", "ze", "to", "ken", "ar", "ch", "ive", "un", "ma", "p", "key",
        "va", "lu", "fi", "le", "ro",
    ];
    (0..2 + random.below(3)).map(|_| SYLLABLES[random.below(SYLLABLES.len())]).collect()
}
