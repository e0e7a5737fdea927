//! A cursor that reads the fields of a frame and cannot overrun it.

use super::Undecodable;

/// A position in a frame.
pub(super) struct Cursor<'a> {
    frame: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(frame: &'a [u8]) -> Self {
        Self { frame, at: 0 }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Undecodable> {
        let rest = self.frame.get(self.at..).unwrap_or_default();
        let field = rest.first_chunk().ok_or(Undecodable::TooShort(self.frame.len()))?;
        self.at += N;
        Ok(*field)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Undecodable> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16_be(&mut self) -> Result<u16, Undecodable> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32_be(&mut self) -> Result<u32, Undecodable> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next byte, without reading past it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.frame.get(self.at).copied()
    }

    /// Bytes not yet read.
    pub(super) fn left(&self) -> usize {
        self.frame.len() - self.at
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.frame.get(self.at..).unwrap_or_default()
    }

    pub(super) fn finish(self) -> Result<(), Undecodable> {
        match self.left() {
            0 => Ok(()),
            left => Err(Undecodable::TooLong(left)),
        }
    }
}
