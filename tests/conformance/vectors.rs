//! The wire layer against the conformance vectors: decoding, encoding, framing, faults, and hostile input.

mod bodies;
mod decoding;
mod encoding;
mod facts;
mod framing;
mod malformed;
mod robustness;
mod tables;
mod vector;
mod view_fields;
