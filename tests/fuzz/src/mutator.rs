//! Makes new inputs from a corpus. It is blind where libFuzzer follows coverage, but it needs no
//! instrumentation, so it runs with the tests everywhere. Mutation libraries for Rust values exist;
//! these inputs are texts and bytes, for which the classic dozen of operations is all there is.

use crate::random::Random;

const INPUT_BYTES_MAX: usize = 4096;
const OPERATIONS_MAX: usize = 6;
/// Numbers at which arithmetic goes wrong.
const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "1",
    "127",
    "255",
    "256",
    "65535",
    "4294967296",
    "9223372036854775808",
    "1e400",
];
/// Characters that parsers and terminals treat specially.
const CHARACTERS: [&str; 12] = [
    "\0", "\n", "\r", "\u{1b}", "\u{7f}", "\u{9b}", "é", "\u{202e}", "\u{200b}", "\u{feff}",
    "\u{2028}", "😀",
];

/// A source of mutated inputs.
pub struct Mutator<'a> {
    random: Random,
    corpus: &'a [(String, Vec<u8>)],
    words: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    /// The same seed, corpus and words give the same inputs.
    pub fn new(seed: u64, corpus: &'a [(String, Vec<u8>)], words: &'a [Vec<u8>]) -> Self {
        Self {
            random: Random::new(seed),
            corpus,
            words,
        }
    }

    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.any_of_corpus();
        // Few changes most of the time: an input that is wrong in ten places shows one mistake.
        let operations = 1 + self
            .random
            .below(OPERATIONS_MAX)
            .min(self.random.below(OPERATIONS_MAX));
        for _ in 0..operations {
            self.change(&mut input);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        match self.random.below(12) {
            0 => flip_bit(input, at, self.random.below(8)),
            1 => {
                let byte = self.random.byte();
                replace(input, at, 1, &[byte]);
            }
            2 => {
                let length = self.short(input.len());
                replace(input, at, length, &[]);
            }
            3 => {
                let (from, length) = (self.random.below(input.len() + 1), self.short(input.len()));
                let copied = input.get(from..).unwrap_or_default();
                let copied = copied.get(..length).unwrap_or(copied).to_vec();
                replace(input, at, 0, &copied);
            }
            4 | 5 => {
                let word = self.any_word();
                replace(input, at, 0, &word);
            }
            6 => {
                let word = self.any_word();
                replace(input, at, word.len(), &word);
            }
            7 => {
                let number = NUMBERS[self.random.below(NUMBERS.len())];
                replace_number(input, at, number);
            }
            8 => {
                let character = CHARACTERS[self.random.below(CHARACTERS.len())];
                replace(input, at, 0, character.as_bytes());
            }
            9 => {
                let character = CHARACTERS[self.random.below(CHARACTERS.len())];
                replace(input, at, 1, character.as_bytes());
            }
            10 => {
                let other = self.any_of_corpus();
                let from = self.random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(other.get(from..).unwrap_or_default());
            }
            _ => {
                let other = self.any_of_corpus();
                let from = self.random.below(other.len() + 1);
                let length = self.short(other.len());
                let part = other.get(from..).unwrap_or_default();
                let part = part.get(..length).unwrap_or(part);
                replace(input, at, 0, part);
            }
        }
    }

    fn any_of_corpus(&mut self) -> Vec<u8> {
        let picked = self.random.below(self.corpus.len());
        self.corpus
            .get(picked)
            .map_or_else(Vec::new, |(_, bytes)| bytes.clone())
    }

    fn any_word(&mut self) -> Vec<u8> {
        let picked = self.random.below(self.words.len());
        self.words.get(picked).cloned().unwrap_or_default()
    }

    /// A length that is short more often than not.
    fn short(&mut self, limit: usize) -> usize {
        let limit = self.random.below(limit + 1);
        1 + self.random.below(limit.min(64) + 1)
    }
}

fn flip_bit(input: &mut [u8], at: usize, bit: usize) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

fn replace(input: &mut Vec<u8>, at: usize, length: usize, with: &[u8]) {
    let at = at.min(input.len());
    let end = (at + length).min(input.len());
    input.splice(at..end, with.iter().copied());
}

/// The next run of digits from `at` on, if there is one.
fn replace_number(input: &mut Vec<u8>, at: usize, with: &str) {
    let Some(start) = (at..input.len()).find(|index| input[*index].is_ascii_digit()) else {
        return;
    };
    let digits = input[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    replace(input, start, digits, with.as_bytes());
}
