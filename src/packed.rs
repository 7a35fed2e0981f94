//! Texts that lie in memory for hours and are read for moments: objects in the caches and roles as last seen. There are
//! thousands of them, and they differ in little but names and numbers, so that what they have in common is kept once.
//! Nothing packed ever leaves the process: specimens may change from one version to the next.

use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};

/// What such texts look like: an object and a role as `cluster::guarded`, `cluster::account` and `controller::record`
/// put them. The more a text has in common with these, the less room it takes; any other takes hardly more than as it is.
const SPECIMENS: &[u8] = include_bytes!("packed/specimens.txt");

/// A text, packed as an LZ4 block (github.com/lz4/lz4, doc/lz4_Block_format.md) with a dictionary.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// Packs a text of up to 4 GiB. It takes some microseconds for each KiB, as does unpacking.
    pub fn new(text: &str) -> Self {
        Self(compress_prepend_size_with_dict(text.as_bytes(), SPECIMENS).into_boxed_slice())
    }

    /// The text. `None` would mean that memory was damaged.
    pub fn text(&self) -> Option<String> {
        let bytes = decompress_size_prepended_with_dict(&self.0, SPECIMENS).ok()?;
        String::from_utf8(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_like_a_specimen_takes_a_quarter_of_its_room() {
        let specimens = std::str::from_utf8(SPECIMENS).unwrap();
        for specimen in specimens.lines() {
            let other = specimen
                .replace("team-a", "research-7")
                .replace("trainer", "forecasting-batch")
                .replace("111122223333", "444455556666")
                .replace("2026-01-01T00:00:00Z", "2027-03-04T05:06:07Z");
            let packed = Packed::new(&other);
            assert!(
                packed.0.len() * 4 < other.len(),
                "{} of {} bytes: {other}",
                packed.0.len(),
                other.len()
            );
            assert_eq!(packed.text(), Some(other));
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_out_as_it_was(text in "(\\PC|\\s|(team-a)|(\\{\"metadata\":)){0,400}") {
            prop_assert_eq!(Packed::new(&text).text(), Some(text));
        }
    }
}
