//! What an entry of a window says about the segment that it is: a small number that names the pin and the segment.
//!
//! A note is made with the entry and goes with it, so windows of plain messages grow by nothing. Where all numbers are
//! taken the segment goes without one, and its pin ends by time.

use super::pin::PinId;
use std::num::NonZeroU16;

/// Names a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct NoteIndex(NonZeroU16);

/// Which segment of which message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) pin: PinId,
    pub(super) sequence: u8,
}

/// All notes of a core.
#[derive(Debug, Default)]
pub(super) struct Notes {
    places: Vec<Option<Note>>,
    free: Vec<NonZeroU16>,
}

impl Notes {
    pub(super) fn add(&mut self, note: Note) -> Option<NoteIndex> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u16::try_from(self.places.len() + 1)
                    .ok()
                    .and_then(NonZeroU16::new)?;
                self.places.push(None);
                index
            }
        };
        self.places[usize::from(index.get()) - 1] = Some(note);
        Some(NoteIndex(index))
    }

    pub(super) fn take(&mut self, index: NoteIndex) -> Option<Note> {
        let note = self.places.get_mut(usize::from(index.0.get()) - 1)?.take()?;
        self.free.push(index.0);
        Some(note)
    }

    pub(super) fn get(&self, index: NoteIndex) -> Option<Note> {
        *self.places.get(usize::from(index.0.get()) - 1)?
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
