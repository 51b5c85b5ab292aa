//! The indirection table: from the low bits of a hash to a core.
//!
//! It is a plain value. Whoever changes it changes a copy, and the version tells which copy is newer; a distributor
//! takes only newer ones, so that late messages do no harm.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The largest table: 7 bits.
pub const BUCKETS_MAX: usize = 128;

/// How many low bits of the hash index the table: 1 to 7, `--rss-bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RssBits(u8);

/// Not a number from 1 to 7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RssBitsError(pub String);

/// 2 to 128 buckets, each naming a core, and a version that grows with each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndirectionTable {
    cores_of_buckets: Vec<u16>,
    cores: u16,
    version: u64,
}

/// Why a table cannot be made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// No core to name, or more than a table can name.
    CoreCount {
        /// How many cores there were.
        cores: usize,
    },
    /// Some cores would never be named.
    FewerBucketsThanCores {
        /// Buckets of the table.
        buckets: usize,
        /// Cores to spread over.
        cores: usize,
    },
    /// The table has no such bucket.
    NoSuchBucket {
        /// The bucket asked for.
        bucket: usize,
    },
    /// There is no such core.
    NoSuchCore {
        /// The core asked for.
        core: usize,
    },
}

impl RssBits {
    /// The finest table.
    pub const MAX: Self = Self(7);

    /// `bits`, if that is 1 to 7.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits >= 1 && bits <= Self::MAX.0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// How many buckets that makes: 2 to 128.
    pub const fn buckets(self) -> usize {
        1 << self.0
    }
}

impl IndirectionTable {
    /// A table that names the cores `0..cores` in turn.
    ///
    /// # Errors
    /// When a core would get no bucket, or there is none.
    pub fn round_robin(bits: RssBits, cores: usize) -> Result<Self, TableError> {
        let buckets = bits.buckets();
        let Ok(count @ 1..) = u16::try_from(cores) else {
            return Err(TableError::CoreCount { cores });
        };
        if cores > buckets {
            return Err(TableError::FewerBucketsThanCores { buckets, cores });
        }
        Ok(Self {
            cores_of_buckets: (0..count).cycle().take(buckets).collect(),
            cores: count,
            version: 0,
        })
    }

    /// Makes `bucket` name `core`; the version grows if it did not before.
    ///
    /// # Errors
    /// When there is no such bucket or core; nothing has changed then.
    pub fn rewrite(&mut self, bucket: usize, core: usize) -> Result<(), TableError> {
        let core = u16::try_from(core)
            .ok()
            .filter(|core| *core < self.cores)
            .ok_or(TableError::NoSuchCore { core })?;
        let named = self
            .cores_of_buckets
            .get_mut(bucket)
            .ok_or(TableError::NoSuchBucket { bucket })?;
        if *named != core {
            *named = core;
            self.version += 1;
        }
        Ok(())
    }

    /// How many buckets it has: 2, 4, 8 … 128.
    pub fn buckets(&self) -> usize {
        self.cores_of_buckets.len()
    }

    /// How many cores it may name.
    pub fn cores(&self) -> usize {
        usize::from(self.cores)
    }

    /// How often it was changed. Of two copies of one table the higher version is the newer.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The bucket that a hash falls into: its low bits.
    pub fn bucket_of(&self, hash: u32) -> usize {
        hash as usize & (self.buckets() - 1)
    }

    /// The core that a hash leads to.
    pub fn core_of(&self, hash: u32) -> usize {
        usize::from(self.cores_of_buckets[self.bucket_of(hash)])
    }

    /// How many buckets lead to a core.
    pub fn buckets_of(&self, core: usize) -> usize {
        self.iter().filter(|named| *named == core).count()
    }

    /// The core of each bucket, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> {
        self.cores_of_buckets.iter().map(|core| usize::from(*core))
    }
}

impl Default for RssBits {
    fn default() -> Self {
        Self::MAX
    }
}

impl FromStr for RssBits {
    type Err = RssBitsError;

    fn from_str(text: &str) -> Result<Self, RssBitsError> {
        text.parse()
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| RssBitsError(text.to_owned()))
    }
}

impl fmt::Display for RssBits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for RssBitsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?} is no number of bits from 1 to {}",
            self.0,
            RssBits::MAX
        )
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoreCount { cores } => write!(formatter, "a table cannot spread over {cores} cores"),
            Self::FewerBucketsThanCores { buckets, cores } => {
                write!(
                    formatter,
                    "{buckets} buckets cannot name {cores} cores: take more hash bits"
                )
            }
            Self::NoSuchBucket { bucket } => write!(formatter, "the table has no bucket {bucket}"),
            Self::NoSuchCore { core } => write!(formatter, "there is no core {core}"),
        }
    }
}

impl Error for RssBitsError {}
impl Error for TableError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(bits: u8) -> RssBits {
        RssBits::new(bits).expect("1 to 7 bits")
    }

    #[test]
    fn the_default_fill_is_even() {
        for count in 1..=7 {
            for cores in 1..=bits(count).buckets() {
                let table = IndirectionTable::round_robin(bits(count), cores).expect("enough buckets");
                assert_eq!(table.buckets(), 1 << count);
                let of_core = |core| table.iter().filter(|named| *named == core).count();
                let (fewest, most) = (of_core(cores - 1), of_core(0));
                assert!(fewest >= 1 && most - fewest <= 1, "{cores} cores, {count} bits");
            }
        }
    }

    #[test]
    fn a_table_that_leaves_cores_out_is_refused() {
        let refused = IndirectionTable::round_robin(bits(1), 3);
        assert_eq!(
            refused,
            Err(TableError::FewerBucketsThanCores { buckets: 2, cores: 3 })
        );
        assert_eq!(
            IndirectionTable::round_robin(bits(7), 0),
            Err(TableError::CoreCount { cores: 0 })
        );
        assert_eq!(
            IndirectionTable::round_robin(bits(7), 65_536),
            Err(TableError::CoreCount { cores: 65_536 })
        );
    }

    #[test]
    fn only_real_changes_make_a_version() {
        let mut table = IndirectionTable::round_robin(bits(2), 2).expect("enough buckets");
        assert_eq!((table.rewrite(0, 0), table.version()), (Ok(()), 0));
        assert_eq!((table.rewrite(0, 1), table.version()), (Ok(()), 1));
        assert_eq!((table.core_of(0), table.core_of(4), table.core_of(2)), (1, 1, 0));
        assert_eq!(table.rewrite(4, 0), Err(TableError::NoSuchBucket { bucket: 4 }));
        assert_eq!(table.rewrite(0, 2), Err(TableError::NoSuchCore { core: 2 }));
        assert_eq!(table.version(), 1);
    }

    #[test]
    fn the_number_of_bits_is_checked() {
        for text in ["0", "8", "-1", "", "seven", "256"] {
            assert_eq!(text.parse::<RssBits>(), Err(RssBitsError(text.to_owned())));
        }
        assert_eq!("7".parse(), Ok(RssBits::MAX));
    }
}
