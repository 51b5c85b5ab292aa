//! Address ranges: which destinations a client serves.

/// An address range in its normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange;

/// What names a pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey;
