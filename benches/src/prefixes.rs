//! Many prefixes, and messages to one after the other.

/// Digits of a prefix, and of a destination behind it.
const PREFIX_OCTETS: usize = 10;
const DESTINATION_OCTETS: usize = 11;

/// The prefix with that number: ten digits that begin with a 4, spread over all that there are.
pub fn prefix(number: u64) -> [u8; PREFIX_OCTETS] {
    let mut digits = [b'4'; PREFIX_OCTETS];
    let mut rest = number * 7_919 % 1_000_000_007;
    for digit in digits[1..].iter_mut().rev() {
        // Below ten.
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

/// Draws destinations below so many prefixes, the same ones every time, so far apart that an index is as cold as in use.
#[derive(Debug)]
pub struct Destinations {
    prefixes: u64,
    state: u64,
}

impl Destinations {
    /// Below the first so many prefixes.
    pub const fn below(prefixes: u64) -> Self {
        Self { prefixes, state: 1 }
    }

    /// The number of a prefix, and a destination below it.
    pub fn draw(&mut self) -> (u64, [u8; DESTINATION_OCTETS]) {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let number = (self.state >> 33) % self.prefixes;
        let mut destination = [b'5'; DESTINATION_OCTETS];
        destination[..PREFIX_OCTETS].copy_from_slice(&prefix(number));
        (number, destination)
    }
}
