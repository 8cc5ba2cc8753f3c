//! Chance: named random streams that give the same numbers on every machine.
//!
//! Only additions, multiplications, divisions and square roots are used, which IEEE 754 rounds alike everywhere;
//! logarithms and exponentials differ between system libraries.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a random stream is for. Streams of one seed are independent, so drawing more numbers for one purpose
/// leaves every other purpose as it was.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// Identifiers and lists of the whole company.
    Company,
    /// Who a person is and what they own.
    Person(usize),
    /// What a person does on a day.
    PersonDay(usize, i32),
    /// What a service account does on a day.
    ServiceDay(usize, i32),
    /// Who falls victim to which incident.
    Victims,
    /// The course of one incident.
    Incident(usize),
    /// What one kind of log knows of a person, service or system.
    Actor(Kind, usize),
    /// What one kind of log tells of their day.
    ActorDay(Kind, usize, i32),
}

/// The kinds of log that draw from streams of their own.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    CloudTrail = 0,
    Duo = 1,
    Exchange = 2,
}

impl Purpose {
    fn stream(self) -> u64 {
        // Days start a little before the span, hence the shift into positive numbers.
        let day = |day: i32| (day + 1024) as u64;
        let (kind, who, when) = match self {
            Self::Company => (1, 0, 0),
            Self::Person(person) => (2, person as u64, 0),
            Self::PersonDay(person, date) => (3, person as u64, day(date)),
            Self::ServiceDay(service, date) => (4, service as u64, day(date)),
            Self::Victims => (5, 0, 0),
            Self::Incident(incident) => (6, incident as u64, 0),
            Self::Actor(kind, actor) => (16 + kind as u64, actor as u64, 0),
            Self::ActorDay(kind, actor, date) => (32 + kind as u64, actor as u64, day(date)),
        };
        kind << 56 | who << 24 | when
    }
}

/// A source of chance.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(purpose.stream());
        Self(rng)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in `[0, 1)`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub(super) fn real(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `low..=high`.
    pub(super) fn int(&mut self, low: i64, high: i64) -> i64 {
        low + (self.unit() * (high - low + 1) as f64) as i64
    }

    /// As [`Dice::int`], for day numbers.
    pub(super) fn days(&mut self, low: i32, high: i32) -> i32 {
        self.int(low.into(), high.into()) as i32
    }

    /// Uniform in `0..n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Close to normal: the sum of twelve uniform numbers.
    pub(super) fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.unit()).sum();
        mean + deviation * (sum - 6.0)
    }

    /// Pareto with exponent two: at least `least`, half of all values above 1.4 times that, a long tail.
    pub(super) fn heavy(&mut self, least: f64) -> f64 {
        least / (1.0 - self.unit()).sqrt()
    }

    /// A whole number that averages `mean`: its floor or its ceiling.
    pub(super) fn around(&mut self, mean: f64) -> usize {
        (mean + self.unit()) as usize
    }

    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// The index of one of `weights`, each as likely as its weight; 0 when all are zero.
    pub(super) fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total: u32 = weights.clone().sum();
        let mut left = (self.unit() * f64::from(total)) as i64;
        for (index, weight) in weights.enumerate() {
            left -= i64::from(weight);
            if left < 0 {
                return index;
            }
        }
        0
    }

    /// `count` different numbers of `0..n`, in random order; all of them when `count` is larger than `n`.
    pub(super) fn sample(&mut self, n: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        for place in 0..count.min(n) {
            let other = place + self.below(n - place);
            all.swap(place, other);
        }
        all.truncate(count);
        all
    }

    /// A random (version 4) UUID.
    pub(super) fn guid(&mut self) -> Guid {
        Guid::new(self.bits(), self.bits())
    }
}

/// An identifier as Azure writes it: `8a4de8b5-095c-47d0-a96f-a75130c61d53`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Guid(pub(super) u128);

impl Guid {
    /// The UUID with these random bits; version and variant take the place of six of them.
    pub(super) fn new(high: u64, low: u64) -> Self {
        let bits = u128::from(high) << 64 | u128::from(low);
        Self(bits & !(0xf000 << 64 | 0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48)
    }
}

impl std::fmt::Display for Guid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            bits >> 96,
            bits >> 80 & 0xffff,
            bits >> 64 & 0xffff,
            bits >> 48 & 0xffff,
            bits & 0xffff_ffff_ffff
        )
    }
}

impl serde::Serialize for Guid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Scatters a number over all 64-bit values (the finaliser of `SplitMix64`): stable pseudo-random attributes without
/// drawing from a stream.
pub(super) fn scatter(mut key: u64) -> u64 {
    key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    key = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    key = (key ^ key >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ key >> 31
}

/// `length` letters and digits of `alphabet` that `key` stands for.
pub(super) fn token(alphabet: &[u8], length: u64, key: u64) -> String {
    let letter =
        |place: u64| char::from(alphabet[(scatter(key ^ place << 56) % alphabet.len() as u64) as usize]);
    (0..length).map(letter).collect()
}

/// A number that a text stands for.
pub(super) fn key(text: &str) -> u64 {
    text.bytes().fold(0, |sum, byte| scatter(sum ^ u64::from(byte)))
}

/// Lower-case hexadecimal digits.
pub(super) const HEX: &[u8] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_version_4() {
        let text = Dice::new(1, Purpose::Company).guid().to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "4");
        assert!("89ab".contains(&text[19..20]), "{text}");
    }

    #[test]
    fn streams_differ() {
        let first = |purpose| Dice::new(7, purpose).bits();
        assert_ne!(first(Purpose::PersonDay(1, 2)), first(Purpose::PersonDay(2, 1)));
        assert_ne!(first(Purpose::Person(1)), first(Purpose::PersonDay(1, 0)));
        assert_eq!(first(Purpose::Person(1)), first(Purpose::Person(1)));
    }

    #[test]
    fn weights_are_obeyed() {
        let mut dice = Dice::new(1, Purpose::Company);
        let mut seen = [0; 3];
        for _ in 0..1000 {
            seen[dice.weighted([1, 0, 3].into_iter())] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((200..300).contains(&seen[0]), "{seen:?}");
    }
}
