//! flow-distributor
