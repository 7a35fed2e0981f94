//! Random choices that a seed repeats.

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

pub struct Dice(TestRng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Dice(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    /// 0 to `sides` - 1.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0.next_u32() as usize % sides
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }

    /// Each of them, or not.
    pub fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        of.iter().filter(|_| self.one_in(2)).cloned().collect()
    }

    /// Up to so many of them.
    pub fn at_most<T: Clone>(&mut self, limit: usize, of: &[T]) -> Vec<T> {
        let mut left = of.to_vec();
        let count = self.roll(limit.min(of.len()) + 1);
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(left.remove(self.roll(left.len())));
        }
        taken
    }
}
