//! Marsaglia's xorshift64: the same data in every run.

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// 4 KiB that no encoder makes smaller.
    pub fn bytes(&mut self) -> Vec<u8> {
        (0..512).flat_map(|_| self.next().to_le_bytes()).collect()
    }
}
