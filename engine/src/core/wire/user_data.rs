//! The user data header: information elements before the text.
//!
//! A header that reaches past the user data is no header: the PDU stays well-formed. Never reads past the user data.
//! Source: 3GPP TS 23.040 section 9.2.3.24.

use std::ops::Range;

use super::walk::octets;

/// One information element of a user data header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InformationElement<'a> {
    /// What it is.
    pub identifier: u8,
    /// Its data.
    pub data: &'a [u8],
    /// Where the data stands in the user data.
    pub data_range: Range<usize>,
}

/// The information elements of a user data header, in the order of the wire; ends before the first that is cut off.
#[derive(Clone, Debug)]
pub struct UserDataHeader<'a> {
    user_data: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> UserDataHeader<'a> {
    /// The header at the front of `user_data`, to be asked for where esm_class has UDHI set. `None`: there is none, or it
    /// reaches past the end and cannot be used.
    #[inline]
    pub fn read(user_data: &'a [u8]) -> Option<Self> {
        let end = 1 + usize::from(*user_data.first()?);
        (end <= user_data.len()).then_some(Self {
            user_data,
            at: 1,
            end,
        })
    }

    /// Octets of the whole header, its length octet included; what follows is the text.
    pub const fn octets(&self) -> usize {
        self.end
    }
}

impl<'a> Iterator for UserDataHeader<'a> {
    type Item = InformationElement<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = octets(self.user_data, self.at..self.end);
        let [identifier, length, rest @ ..] = header else {
            return None;
        };
        let data = rest.get(..usize::from(*length))?;
        let from = self.at + 2;
        self.at = from + data.len();
        Some(InformationElement {
            identifier: *identifier,
            data,
            data_range: from..self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a header that ends inside an element yields those before it, and its length is known for the text.
    #[test]
    fn a_cut_element_ends_the_walk() {
        let header = UserDataHeader::read(&[6, 0x24, 1, 1, 0x25, 9, 9, b't']).expect("a header");
        assert_eq!(header.octets(), 7);
        let identifiers: Vec<u8> = header.map(|element| element.identifier).collect();
        assert_eq!(identifiers, [0x24]);
    }
}
