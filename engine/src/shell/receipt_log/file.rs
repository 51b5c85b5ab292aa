//! One file of the log: a header with the key, then frames. A frame is a length, a checksum and as many octets of records.
//!
//! Must never trust a length that it reads: a frame is read only as far as the file goes.

use crate::core::receipts::ID_KEY_OCTETS;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

const MAGIC: [u8; 8] = *b"SMXRCPT1";
pub(super) const HEADER_OCTETS: u64 = 8 + ID_KEY_OCTETS as u64 + 4;
const FRAME_HEADER_OCTETS: usize = 8;
/// More than any batch has; a greater length was never written.
const FRAME_OCTETS_MAX: usize = 16 * 1024 * 1024;
const READ_OCTETS: usize = 1024 * 1024;

/// How the reading of a file came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Behind the last frame.
    Whole,
    /// At a frame that is not whole, or not what was written; or the caller had enough.
    Torn,
}

/// The header of a new file.
pub(super) fn header(key: &[u8; ID_KEY_OCTETS]) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(key);
    let checksum = crc32fast::hash(&header);
    header.extend_from_slice(&checksum.to_be_bytes());
    header
}

/// The key in a file's header; `None`: not one of our files, or not written to its end.
pub(super) fn read_key(path: &Path) -> io::Result<Option<[u8; ID_KEY_OCTETS]>> {
    let mut octets = [0; HEADER_OCTETS as usize];
    match File::open(path)?.read_exact(&mut octets) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut key = [0; ID_KEY_OCTETS];
    key.copy_from_slice(&octets[MAGIC.len()..MAGIC.len() + ID_KEY_OCTETS]);
    Ok((octets[..] == header(&key)).then_some(key))
}

/// Writes one frame.
pub(super) fn write_frame(file: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut head = [0; FRAME_HEADER_OCTETS];
    head[..4].copy_from_slice(&length.to_be_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(payload).to_be_bytes());
    file.write_all(&head)?;
    file.write_all(payload)
}

/// Octets that a frame takes.
pub(super) const fn frame_octets(payload: usize) -> u64 {
    (FRAME_HEADER_OCTETS + payload) as u64
}

/// Tells the payload of every whole frame until `tell` says false.
pub(super) fn read_frames(
    path: &Path,
    key: &[u8; ID_KEY_OCTETS],
    mut tell: impl FnMut(&[u8]) -> bool,
) -> io::Result<End> {
    let file = File::open(path)?;
    let mut left = file.metadata()?.len();
    let mut file = BufReader::with_capacity(READ_OCTETS, file);
    let mut head = vec![0; HEADER_OCTETS as usize];
    if left < HEADER_OCTETS {
        return Ok(End::Torn);
    }
    file.read_exact(&mut head)?;
    if head != header(key) {
        return Ok(End::Torn);
    }
    left -= HEADER_OCTETS;
    let mut payload = Vec::new();
    while left > 0 {
        let mut head = [0; FRAME_HEADER_OCTETS];
        if left < head.len() as u64 {
            return Ok(End::Torn);
        }
        file.read_exact(&mut head)?;
        left -= head.len() as u64;
        let [a, b, c, d, checksum @ ..] = head;
        let octets = u32::from_be_bytes([a, b, c, d]) as usize;
        if octets > FRAME_OCTETS_MAX || octets as u64 > left {
            return Ok(End::Torn);
        }
        payload.resize(octets, 0);
        file.read_exact(&mut payload)?;
        left -= octets as u64;
        if crc32fast::hash(&payload) != u32::from_be_bytes(checksum) || !tell(&payload) {
            return Ok(End::Torn);
        }
    }
    Ok(End::Whole)
}
